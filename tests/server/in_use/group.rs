//! A user who deploys and is not root, and reads the file as one of its group.
//!
//! Owns: that what docs/operations.md says of that is enough. Must not: test the tool.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use harness::raw::Raw;
use harness::{Config, Httpd, Mpm, Site, Tool, document, installation, on_each_mpm};

// Ids that no account has.
const USER: u32 = 65_532;
const GROUP: u32 = 65_531;
const OTHER: u32 = 65_530;

/// What the page says: the directory with its mode, and the directive.
struct Documented {
    /// Where it says that the directory is.
    directory: String,
    mode: u32,
    directive: String,
    file: String,
}

fn documented() -> Documented {
    let text = |kind| document::texts("docs/operations.md", "Who may read the counts", kind).remove(0);
    let line = text("conf");
    let fields: Vec<&str> = line.lines().last().expect("a line").split(' ').collect();
    let ["d", directory, mode, "root", "deploy", "-"] = fields[..] else { panic!("{line}") };
    let directive = text("apache");
    let (_, file) = directive.trim().split_once(' ').expect("a path");
    Documented {
        directory: directory.to_owned(),
        mode: u32::from_str_radix(mode, 8).expect("a mode"),
        file: file.to_owned(),
        directive: directive.trim().to_owned(),
    }
}

/// What the tool says to a user of one group when he drains a release.
fn drain(tool: &Path, file: &Path, release: &Path, timeout: &str, group: u32) -> Output {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &USER.to_string(), "--regid", &group.to_string(), "--clear-groups", "--"]);
    command.arg(tool).args(["drain", "--timeout", timeout, "--file"]).args([file, release]);
    command.current_dir("/").output().expect("setpriv")
}

fn deployer(mpm: Mpm) {
    if !installation::is_root() {
        eprintln!("not run: only root can be another user");
        return;
    }
    let site = Site::with_releases(2, |release| release.write("page.html", &"x".repeat(64 << 20)));
    let tool = site.root().join("tool");
    // By a process of its own: a forked one would have it open for writing for an instant.
    let copied = Command::new("cp").arg(Tool::release().expect("the tool").program()).arg(&tool).status();
    assert!(copied.expect("cp").success());
    let Documented { directory, mode, directive, file } = documented();
    let at = |path: &str| site.root().join(path.trim_start_matches("/run/"));
    let (directory, file) = (at(&directory), at(&file));
    for (mode, may_read) in [(mode, true), (mode & 0o777, false)] {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).expect("a directory");
        chown(&directory, None, Some(GROUP)).expect("a group");
        fs::set_permissions(&directory, Permissions::from_mode(mode)).expect("a mode");
        let directive = directive.replace("/run/", "${ROOT}/");
        let httpd = Httpd::start(&site, mpm, &Config::new(&format!("DocumentRoot \"${{ROOT}}/current\"\n{directive}")));
        let metadata = fs::metadata(&file).expect("the file");
        assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (0o640, 0));
        assert_eq!(metadata.gid() == GROUP, may_read, "{mode:o}");
        let mut connection = Raw::connect(httpd.port());
        connection.send("GET /page.html HTTP/1.0\r\n\r\n");
        let _ = connection.receive_bytes(4096);
        let before = site.release_directory(0);
        site.flip(1);
        let said = |timeout: &str, group: u32| drain(&tool, &file, &before, timeout, group);
        // Nobody can tell somebody else.
        assert_eq!(said("1s", OTHER).status.code(), Some(14), "{:?}", said("1s", OTHER));
        if may_read {
            let in_use = said("0s", GROUP);
            assert!(String::from_utf8_lossy(&in_use.stderr).contains("1 request runs in it"), "{in_use:?}");
            thread::scope(|scope| {
                let waiting = scope.spawn(|| said("20s", GROUP));
                let _ = connection.everything();
                let free = waiting.join().expect("no panic");
                assert!(free.status.success(), "{free:?}");
            });
        } else {
            assert_eq!(said("1s", GROUP).status.code(), Some(14), "a directory that hands no group down");
            drop(connection);
        }
        httpd.finish();
        site.flip(0);
    }
}

on_each_mpm!(who_deploys, deployer, event);
