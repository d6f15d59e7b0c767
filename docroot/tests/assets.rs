//! Manifests and candidates on a real file system.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use docroot::assets::ASKED_MAX;
use docroot::assets::candidates::Pinned;
use docroot::assets::file::FileError;
use docroot::assets::manifest::Manifest;
use docroot::assets::manifests::{Manifests, Retained};
use docroot::{Os, Releases, System, Timestamp};

struct Host {
    #[expect(dead_code, reason = "only its drop matters")]
    directory: tempfile::TempDir,
    releases: PathBuf,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let releases = directory.path().canonicalize().unwrap().join("releases");
        fs::create_dir_all(releases.join(".realdoc")).unwrap();
        Self { directory, releases }
    }

    fn bytes(&self) -> &[u8] {
        self.releases.as_os_str().as_encoded_bytes()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.releases.join(path)
    }

    fn manifest(&self) -> PathBuf {
        self.at(".realdoc/retained")
    }

    /// Replaces the manifest as a deploy tool does.
    fn write(&self, text: &str) {
        let temporary = self.at(".realdoc/new");
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, self.manifest()).unwrap();
    }

    fn add(&self, path: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn pattern(&self) -> Releases {
        let mut releases = Releases::default();
        releases.add(&[self.bytes(), b"/*"].concat()).unwrap();
        releases
    }

    /// The release that answers for a path below `43`.
    fn find(&self, names: &[&str], path: &str) -> Option<String> {
        let manifest = Manifest::parse(names.join("\n").as_bytes()).unwrap();
        self.find_in(&manifest, &self.pattern(), path)
    }

    fn find_in(&self, manifest: &Manifest, releases: &Releases, path: &str) -> Option<String> {
        let real = [self.bytes(), b"/43", path.as_bytes()].concat();
        let pinned = Pinned::of(&real, releases).unwrap();
        assert_eq!(pinned.directory(), self.bytes());
        let asset = pinned.find(manifest, &real)?;
        assert_eq!(asset.path, [&asset.release, path.as_bytes()].concat());
        Some(String::from_utf8(asset.name().to_vec()).unwrap())
    }
}

/// A time at which every file that is there has settled.
fn later() -> Timestamp {
    Timestamp { seconds: Os.file_clock().seconds + 60, ..Os.file_clock() }
}

fn names(retained: &Retained) -> Vec<&[u8]> {
    retained.manifest.names().collect()
}

#[test]
fn a_manifest_is_read_again_when_it_has_changed() {
    let host = Host::new();
    let manifests = Manifests::default();
    let none = manifests.look(host.bytes(), later());
    assert!(names(&none).is_empty() && none.error.is_none(), "no manifest is no error");
    host.write("43\n42\n");
    let first = manifests.look(host.bytes(), later());
    assert_eq!(names(&first), [&b"43"[..], b"42"]);
    let again = manifests.look(host.bytes(), later());
    assert!(std::sync::Arc::ptr_eq(&first.manifest, &again.manifest), "the same file is not read again");
    host.write("44\n43\n");
    assert_eq!(names(&manifests.look(host.bytes(), later())), [&b"44"[..], b"43"], "another inode");
    fs::write(host.manifest(), "45\n44\n").unwrap();
    File::options()
        .write(true)
        .open(host.manifest())
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1))
        .unwrap();
    assert_eq!(names(&manifests.look(host.bytes(), later())), [&b"45"[..], b"44"], "another time");
    fs::remove_file(host.manifest()).unwrap();
    assert!(names(&manifests.look(host.bytes(), later())).is_empty());
}

#[test]
fn a_manifest_of_this_clock_step_is_read_again() {
    let host = Host::new();
    let manifests = Manifests::default();
    host.write("43\n");
    let early = Timestamp { seconds: 0, nanoseconds: 0 };
    let first = manifests.look(host.bytes(), early);
    let again = manifests.look(host.bytes(), early);
    assert!(!std::sync::Arc::ptr_eq(&first.manifest, &again.manifest));
    assert_eq!(names(&again), [b"43"]);
}

#[test]
fn a_manifest_that_is_not_trusted_is_ignored_with_one_error() {
    let host = Host::new();
    let manifests = Manifests::default();
    let path = host.manifest();
    let chmod = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let cases: [(&str, &dyn Fn()); 9] = [
        ("line 2 is no name", &|| host.write("43\n../x\n")),
        ("longer than 65536 bytes", &|| host.write(&"a\n".repeat(40_000))),
        ("symlink", &|| symlink(host.at("43"), &path).unwrap()),
        ("directory", &|| fs::create_dir(&path).unwrap()),
        ("FIFO", &|| make_fifo(&path)),
        ("others may write", &|| {
            host.write("43\n");
            chmod(0o646);
        }),
        ("others may write", &|| {
            fs::set_permissions(&host.releases, Permissions::from_mode(0o755)).unwrap();
            host.write("43\n");
            chmod(0o664);
        }),
        ("no regular file", &|| drop(std::os::unix::net::UnixListener::bind(&path).unwrap())),
        ("user 1234 owns it", &|| {
            host.write("43\n");
            if std::os::unix::fs::chown(&path, Some(1234), Some(1234)).is_err() {
                // Only root can make the case.
                host.write("43\n/\n");
            }
        }),
    ];
    for (message, make) in cases {
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        make();
        let first = manifests.look(host.bytes(), later());
        let error = first.error.as_ref().map(ToString::to_string).unwrap_or_else(|| panic!("{message}"));
        assert!(names(&first).is_empty(), "{message}");
        assert!(error.contains(message) || error.contains("line 2 is no name"), "{error}");
        for _ in 0..3 {
            let again = manifests.look(host.bytes(), later());
            assert!(names(&again).is_empty() && again.error.is_none(), "{message}: reported once");
        }
    }
    let _ = fs::remove_file(&path);
    host.write("43\n");
    let good = manifests.look(host.bytes(), later());
    assert!(good.error.is_none());
    assert_eq!(names(&good), [b"43"], "a good file ends the error");
}

#[test]
fn a_linked_directory_is_not_trusted() {
    let host = Host::new();
    fs::rename(host.at(".realdoc"), host.at("elsewhere")).unwrap();
    fs::write(host.at("elsewhere/retained"), "43\n").unwrap();
    symlink("elsewhere", host.at(".realdoc")).unwrap();
    let retained = Manifests::default().look(host.bytes(), later());
    assert_eq!(retained.error, Some(FileError::Directory));
    assert!(names(&retained).is_empty());
}

#[test]
fn a_group_that_may_add_releases_may_write_the_manifest() {
    let host = Host::new();
    fs::set_permissions(&host.releases, Permissions::from_mode(0o2775)).unwrap();
    host.write("43\n");
    fs::set_permissions(host.manifest(), Permissions::from_mode(0o664)).unwrap();
    let retained = Manifests::default().look(host.bytes(), later());
    assert_eq!((names(&retained), retained.error.clone()), (vec![&b"43"[..]], None));
}

#[test]
fn the_newest_release_that_has_the_file_answers() {
    let host = Host::new();
    host.add("43/public/build/new.js");
    host.add("42/public/build/app.js");
    host.add("41/public/build/app.js");
    host.add("41/public/build/old.js");
    let all = ["43", "42", "41"];
    assert_eq!(host.find(&all, "/public/build/app.js").as_deref(), Some("42"));
    assert_eq!(host.find(&all, "/public/build/old.js").as_deref(), Some("41"));
    assert_eq!(host.find(&["43", "41"], "/public/build/app.js").as_deref(), Some("41"), "42 is not retained");
    assert_eq!(host.find(&all, "/public/build/none.js"), None);
    assert_eq!(host.find(&all, "/public/build/new.js"), None, "the pinned release is not asked again");
    assert_eq!(host.find(&["40", "gone", "42"], "/public/build/app.js").as_deref(), Some("42"), "a removed release");
    let mut narrow = Releases::default();
    narrow.add(&[host.bytes(), b"/4[013]"].concat()).unwrap();
    let manifest = Manifest::parse(b"42\n41\n").unwrap();
    assert_eq!(host.find_in(&manifest, &narrow, "/public/build/app.js").as_deref(), Some("41"), "42 is not admitted");
}

#[test]
fn eight_releases_are_asked() {
    let host = Host::new();
    host.add("first/app.js");
    for count in 0..10 {
        let mut names: Vec<String> = (0..count).map(|number| format!("r{number}")).collect();
        names.insert(0, "43".to_owned());
        names.push("first".to_owned());
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(host.find(&names, "/app.js").is_some(), count < ASKED_MAX, "{count} before it, and the pinned one");
    }
}

#[test]
fn only_a_regular_file_behind_no_link_counts() {
    let host = Host::new();
    host.add("42/real/app.js");
    fs::create_dir(host.at("42/directory.js")).unwrap();
    make_fifo(&host.at("42/fifo.js"));
    symlink("real/app.js", host.at("42/link.js")).unwrap();
    symlink("real", host.at("42/linked")).unwrap();
    symlink("/etc", host.at("42/etc")).unwrap();
    symlink("42", host.at("alias")).unwrap();
    assert_eq!(host.find(&["42"], "/real/app.js").as_deref(), Some("42"));
    for path in ["/directory.js", "/fifo.js", "/link.js", "/linked/app.js", "/etc/passwd", "/real/app.js/x", "/real"] {
        assert_eq!(host.find(&["42"], path), None, "{path}");
    }
    assert_eq!(host.find(&["alias"], "/real/app.js"), None, "a release is a directory");
}

#[test]
fn a_path_that_names_no_file_plainly_is_not_asked_for() {
    let host = Host::new();
    host.add("42/build/app.js");
    let deep = "/d".repeat(300);
    host.add(&format!("42{deep}/app.js"));
    assert_eq!(host.find(&["42"], "/build/app.js").as_deref(), Some("42"));
    for path in ["/build/app.js/", "/build/x\0", &format!("{deep}/app.js"), "/", ""] {
        assert_eq!(host.find(&["42"], path), None, "{path:?}");
    }
    let releases = host.pattern();
    for path in ["/43/build/../build/app.js", "/43/build/./app.js", "/43/../42/build/app.js", "", "/.."] {
        let real = [host.bytes(), path.as_bytes()].concat();
        let manifest = Manifest::parse(b"42").unwrap();
        assert!(Pinned::of(&real, &releases).and_then(|pinned| pinned.find(&manifest, &real)).is_none(), "{path}");
    }
}

#[test]
fn a_path_leads_from_one_release_to_another() {
    let host = Host::new();
    let releases = host.pattern();
    let real = [host.bytes(), b"/43/public"].concat();
    let pinned = Pinned::of(&real, &releases).unwrap();
    let older = [host.bytes(), b"/42"].concat();
    assert_eq!(pinned.led_to(&older, &real), Some([host.bytes(), b"/42/public"].concat()));
    assert_eq!(pinned.led_to(&older, b"/srv/other"), None);
}

fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}
