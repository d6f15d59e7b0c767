//! Which directories requests of a resolution may open files in.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use docroot::{Docroot, Mode, Os, Releases, Rules};

/// A tree of directories and links; the directories of the docroot, without the tree's own path.
fn directories(
    directories: &[&str],
    links: &[(&str, &str)],
    docroot: &str,
    releases: Option<&str>,
    mode: Mode,
) -> Vec<String> {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path().canonicalize().unwrap();
    for directory in directories {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for (link, target) in links {
        symlink(target, root.join(link)).unwrap();
    }
    let releases = releases.map(|pattern| {
        let mut releases = Releases::default();
        releases.add(root.join(pattern).as_os_str().as_encoded_bytes()).unwrap();
        releases
    });
    let docroot = Docroot::new(&root.join(docroot), Rules { mode, releases }).unwrap();
    let answer = docroot.lookup(&Os, Os::now(), Duration::ZERO).answer;
    let found = docroot.directories(answer.resolved().expect("a resolution"));
    let relative = |directory: &&[u8]| {
        let directory = CString::new(*directory).unwrap().into_string().unwrap();
        directory.strip_prefix(root.to_str().unwrap()).unwrap().trim_start_matches('/').to_owned()
    };
    found.iter().map(relative).collect()
}

#[test]
fn the_release_of_a_docroot_is_what_somebody_removes() {
    let tree = ["releases/42/public/web"];
    let link = [("current", "releases/42")];
    for (docroot, releases, expected) in [
        ("current", None, "releases/42"),
        ("current/public", None, "releases/42"),
        ("current/public/web", Some("releases/*"), "releases/42"),
    ] {
        assert_eq!(directories(&tree, &link, docroot, releases, Mode::Realpath), [expected], "{docroot}");
    }
    let deep = [("current", "releases/42/public")];
    assert_eq!(directories(&tree, &deep, "current", None, Mode::Realpath), ["releases/42/public"]);
    assert_eq!(directories(&tree, &deep, "current", Some("releases/*"), Mode::Realpath), ["releases/42"]);
    assert_eq!(directories(&tree, &[], "releases/42", None, Mode::Realpath), [""; 0], "no link, no release");
    let readlink = Mode::Readlink { from: None };
    assert_eq!(directories(&tree, &link, "current/public", None, readlink), ["releases/42"]);
}

#[test]
fn a_chain_may_pass_directories_beside_the_docroot() {
    let tree = ["data/www/releases/42", "versions/7", "releases/42"];
    let above = [("www", "data/www"), ("data/www/current", "releases/42")];
    assert_eq!(directories(&tree, &above, "www/current", None, Mode::Realpath), ["data/www/releases/42"]);
    let twice = [("current", "stable"), ("stable", "releases/42")];
    assert_eq!(directories(&tree, &twice, "current", None, Mode::Realpath), ["releases/42"]);
    // An `Alias` below `site` leads into `versions/7`.
    let beside = [("site", "versions/7"), ("versions/7/current", "../../releases/42")];
    assert_eq!(directories(&tree, &beside, "site/current", None, Mode::Realpath), ["releases/42", "versions/7"]);
}
