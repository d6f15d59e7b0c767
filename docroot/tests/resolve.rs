//! Where docroots lead, on real symlinks.
//!
//! Owns: the layouts that the documentation describes, each in both modes, and the comparison with `realpath(3)`.
//! Must not: test the cache.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use docroot::{Docroot, Errno, Event, Mode, Os, Releases, Resolution, Rules, survey};

/// A directory with releases in it, whose own path has no symlink.
struct Tree {
    root: PathBuf,
    _dir: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for release in ["release-12", "release-13"] {
            fs::create_dir_all(root.join(release).join("htdocs")).unwrap();
        }
        Self { root, _dir: dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn link(&self, name: &str, text: impl AsRef<Path>) -> &Self {
        symlink(text, self.at(name)).unwrap();
        self
    }

    /// The present resolution of a docroot, or the errno of the failure.
    fn resolve(&self, docroot: &str, mode: Mode) -> Result<Resolved, Errno> {
        resolve(&self.at(docroot), mode)
    }

    /// What a docroot becomes, relative to the tree.
    fn leads(&self, docroot: &str, mode: Mode) -> String {
        let resolved = self.resolve(docroot, mode).unwrap();
        Path::new(&resolved.docroot).strip_prefix(&self.root).unwrap().to_str().unwrap().to_owned()
    }
}

struct Resolved {
    docroot: std::ffi::OsString,
    links: Vec<(PathBuf, PathBuf)>,
}

fn resolve(docroot: &Path, mode: Mode) -> Result<Resolved, Errno> {
    let docroot = Docroot::new(docroot, Rules { mode, releases: None }).unwrap();
    match docroot.lookup(&Os, Os::now(), Duration::ZERO).event.as_deref().unwrap() {
        Event::Resolved { now, .. } => Ok(Resolved { docroot: os(now.docroot()), links: links(now) }),
        Event::Failed { failure, .. } => Err(failure.errno().unwrap()),
    }
}

fn links(resolution: &Resolution) -> Vec<(PathBuf, PathBuf)> {
    let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    resolution.links().iter().map(|hop| (path(&hop.link), path(hop.target.as_ref().unwrap()))).collect()
}

fn os(text: &CStr) -> std::ffi::OsString {
    std::ffi::OsStr::from_bytes(text.to_bytes()).to_owned()
}

fn readlink() -> Mode {
    Mode::Readlink { from: None }
}

fn readlink_from(path: &Path) -> Mode {
    Mode::Readlink { from: Some(CString::new(path.as_os_str().as_bytes()).unwrap()) }
}

#[test]
fn a_plain_directory_has_no_links() {
    let tree = Tree::new();
    for mode in [Mode::Realpath, readlink()] {
        let resolved = tree.resolve("release-12", mode).unwrap();
        assert_eq!(resolved.docroot, tree.at("release-12"));
        assert!(resolved.links.is_empty());
    }
}

#[test]
fn a_docroot_may_be_the_link_or_lie_below_it() {
    let tree = Tree::new();
    tree.link("current", "release-12");
    for mode in [Mode::Realpath, readlink()] {
        assert_eq!(tree.leads("current", mode.clone()), "release-12");
        assert_eq!(tree.leads("current/htdocs", mode.clone()), "release-12/htdocs");
        let resolved = tree.resolve("current/htdocs", mode).unwrap();
        assert_eq!(resolved.links, [(tree.at("current"), tree.at("release-12"))]);
    }
}

#[test]
fn realpath_follows_all_links_and_readlink_one() {
    for text in ["A", "./A", "../{}/A", "././../{}/A", "A/"] {
        let tree = Tree::new();
        let name = tree.root.file_name().unwrap().to_str().unwrap().to_owned();
        tree.link("current", text.replace("{}", &name)).link("A", "release-12");
        assert_eq!(tree.leads("current", Mode::Realpath), "release-12", "{text}");
        assert_eq!(tree.leads("current/htdocs", Mode::Realpath), "release-12/htdocs", "{text}");
        assert_eq!(tree.leads("current", readlink()), "A", "{text}");
        assert_eq!(tree.leads("current/htdocs", readlink()), "A/htdocs", "{text}");
    }
    let tree = Tree::new();
    tree.link("current", tree.at("A")).link("A", tree.at("release-12"));
    assert_eq!(tree.leads("current", Mode::Realpath), "release-12", "absolute texts");
    assert_eq!(tree.leads("current/htdocs", readlink()), "A/htdocs", "absolute texts");
}

#[test]
fn the_chain_names_every_link_with_its_final_target() {
    let tree = Tree::new();
    fs::create_dir_all(tree.at("data/www/app/releases/42/public")).unwrap();
    tree.link("www", "data/www").link("data/www/app/current", "../app/./releases/42");
    let resolved = tree.resolve("www/app/current/public", Mode::Realpath).unwrap();
    assert_eq!(
        resolved.links,
        [(tree.at("www"), tree.at("data/www")), (tree.at("data/www/app/current"), tree.at("data/www/app/releases/42")),]
    );
    assert_eq!(resolved.docroot, tree.at("data/www/app/releases/42/public"));

    // A link that another one's text leads through belongs to the chain too.
    let tree = Tree::new();
    tree.link("current", "A").link("A", "release-12");
    let resolved = tree.resolve("current/htdocs", Mode::Realpath).unwrap();
    assert_eq!(resolved.links, [(tree.at("current"), tree.at("release-12")), (tree.at("A"), tree.at("release-12"))]);

    // In readlink mode the first stands alone.
    let resolved = tree.resolve("current/htdocs", readlink()).unwrap();
    assert_eq!(resolved.links, [(tree.at("current"), tree.at("A"))]);
}

#[test]
fn a_link_in_a_link_text_is_not_the_end_of_the_outer_link() {
    let tree = Tree::new();
    fs::create_dir_all(tree.at("deep/x/y")).unwrap();
    tree.link("B", "deep").link("current", "B/x");
    let resolved = tree.resolve("current/y", Mode::Realpath).unwrap();
    assert_eq!(resolved.links, [(tree.at("current"), tree.at("deep/x")), (tree.at("B"), tree.at("deep"))]);
    assert_eq!(resolved.docroot, tree.at("deep/x/y"));
}

#[test]
fn readlink_starts_where_it_is_told() {
    let tree = Tree::new();
    fs::create_dir_all(tree.at("data/app")).unwrap();
    fs::rename(tree.at("release-12"), tree.at("data/app/release-12")).unwrap();
    tree.link("www", "data").link("data/app/current", "release-12");
    let leads = |from: &str| tree.leads("www/app/current/htdocs", readlink_from(&tree.at(from)));
    assert_eq!(leads("www/app"), "www/app/release-12/htdocs", "above the link");
    assert_eq!(leads("www/app/current"), "www/app/release-12/htdocs", "at the link");
    assert_eq!(leads("www/app/current/htdocs"), "www/app/current/htdocs", "below the link there is none");
    assert_eq!(leads("www"), "data/app/current/htdocs", "the start itself may be the link");
    for beside in ["www/ap", "www/app/current2", "elsewhere", "www/app/current/htdocs/x"] {
        assert_eq!(leads(beside), "data/app/current/htdocs", "{beside}: no ancestor, so from the root");
    }
    assert_eq!(leads("www/app/"), "www/app/release-12/htdocs", "a trailing slash means nothing");
}

#[test]
fn folding_above_the_start_follows_what_is_there() {
    let tree = Tree::new();
    fs::create_dir_all(tree.at("data/app/sub")).unwrap();
    fs::create_dir_all(tree.at("data/release/htdocs")).unwrap();
    // `www/app` is a link, so the directory above `www/app/current` is not `www`.
    fs::create_dir(tree.at("www")).unwrap();
    tree.link("www/app", "../data/app").link("data/app/current", "../release");
    let from = readlink_from(&tree.at("www/app/current"));
    assert_eq!(tree.leads("www/app/current/htdocs", from), "data/release/htdocs");
}

#[test]
fn dots_in_a_docroot_follow_what_is_there_above_the_start() {
    let tree = Tree::new();
    fs::create_dir_all(tree.at("data/www/app")).unwrap();
    fs::create_dir(tree.at("data/site")).unwrap();
    fs::create_dir(tree.at("site")).unwrap();
    tree.link("www", "data/www").link("data/current", "../release-13");
    let from = readlink_from(&tree.at("www/app"));
    assert_eq!(tree.leads("www/app/../../site", from.clone()), "data/site");
    assert_eq!(tree.leads("www/app/../../current", from), "release-13");
}

#[test]
fn what_cannot_be_followed_fails_with_its_cause() {
    let tree = Tree::new();
    fs::write(tree.at("file"), "").unwrap();
    fs::create_dir(tree.at("long")).unwrap();
    tree.link("dangling", "none").link("a", "b").link("b", "a").link("to-file", "file").link("below-file", "file/x");
    for mode in [Mode::Realpath, readlink()] {
        for (name, errno) in [
            ("missing", libc::ENOENT),
            ("dangling", libc::ENOENT),
            ("a", libc::ELOOP),
            ("to-file", libc::ENOTDIR),
            ("below-file", libc::ENOTDIR),
            ("file", libc::ENOTDIR),
            ("file/x", libc::ENOTDIR),
        ] {
            assert_eq!(tree.resolve(name, mode.clone()).err(), Some(Errno(errno)), "{name} {mode:?}");
        }
    }
    let long = format!("long/{}", "x".repeat(256));
    assert_eq!(tree.resolve(&long, Mode::Realpath).err(), Some(Errno(libc::ENAMETOOLONG)));
    let deep = "long/../".repeat(700) + "long";
    assert!(tree.resolve(&deep, Mode::Realpath).is_ok(), "a path may be long as long as what it names is short");
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let tree = Tree::new();
    tree.link("l1", "release-12");
    for n in 2..=41 {
        tree.link(&format!("l{n}"), format!("l{}", n - 1));
    }
    assert_eq!(tree.leads("l40", Mode::Realpath), "release-12");
    assert_eq!(tree.resolve("l41", Mode::Realpath).err(), Some(Errno(libc::ELOOP)));
    assert!(fs::canonicalize(tree.at("l40")).is_ok() && fs::canonicalize(tree.at("l41")).is_err(), "as in libc");
}

#[test]
fn names_may_have_any_byte() {
    let tree = Tree::new();
    let odd = std::ffi::OsStr::from_bytes(b"re lease\"'%\n\xff\xfe\\");
    fs::create_dir(tree.root.join(odd)).unwrap();
    tree.link("current", odd);
    for mode in [Mode::Realpath, readlink()] {
        assert_eq!(tree.resolve("current", mode).unwrap().docroot, tree.root.join(odd));
    }
}

/// Every path of a tree that is full of links of all kinds must resolve as libc says, or fail as libc says.
#[test]
fn realpath_mode_is_realpath() {
    let tree = Tree::new();
    fs::create_dir_all(tree.at("d/e/f")).unwrap();
    fs::write(tree.at("d/file"), "").unwrap();
    let texts = [
        ".",
        "..",
        "d",
        "d/e/",
        "../d",
        "d/../d/e",
        "e//f",
        "/",
        "file",
        "none",
        "l0",
        "l1/..",
        "./l2/.",
        "d/file/..",
        "d/file/.",
    ];
    for directory in ["", "d/", "d/e/"] {
        for (n, text) in texts.iter().enumerate() {
            tree.link(&format!("{directory}l{n}"), text);
        }
        tree.link(&format!("{directory}abs"), tree.at("d/l3"));
    }
    let names: Vec<String> = (0..texts.len())
        .map(|n| format!("l{n}"))
        .chain(["abs", "e", "f", "file", ".", ".."].map(str::to_owned))
        .collect();
    let mut compared = (0, 0);
    for first in ["", "d/", "d/e/", "abs/"] {
        for second in &names {
            for third in ["".to_owned()].into_iter().chain(names.iter().map(|name| format!("/{name}"))) {
                let path = tree.root.join(format!("{first}{second}{third}"));
                let expected = fs::canonicalize(&path).and_then(|real| {
                    fs::read_dir(&real)?;
                    Ok(real)
                });
                match (resolve(&path, Mode::Realpath), expected) {
                    (Ok(resolved), Ok(real)) => {
                        assert_eq!(resolved.docroot, real, "{}", path.display());
                        compared.0 += 1;
                    }
                    (Err(Errno(errno)), Err(error)) => {
                        assert_eq!(Some(errno), error.raw_os_error(), "{}", path.display());
                        compared.1 += 1;
                    }
                    (ours, libc) => panic!("{}: {:?} but {libc:?}", path.display(), ours.map(|it| it.docroot)),
                }
            }
        }
    }
    assert!(compared.0 > 100 && compared.1 > 100, "{compared:?} resolved and failed");
}

#[test]
fn relative_docroots_are_refused() {
    assert!(Docroot::new("srv/app".as_ref(), Rules::default()).is_err());
    assert!(Docroot::new("".as_ref(), Rules::default()).is_err());
}

#[test]
fn other_paths_under_the_links_go_the_same_way() {
    let tree = Tree::new();
    fs::create_dir_all(tree.at("data/www/app/releases/42/public")).unwrap();
    tree.link("www", "data/www").link("data/www/app/current", "releases/42");
    let docroot = Docroot::new(&tree.at("www/app/current/public"), Rules::default()).unwrap();
    let lookup = docroot.lookup(&Os, Os::now(), Duration::ZERO);
    let resolution = lookup.answer.resolved().unwrap();
    let reroot = |path: &str| {
        let led = resolution.reroot(tree.at(path).as_os_str().as_bytes())?;
        Some(Path::new(std::ffi::OsStr::from_bytes(&led)).strip_prefix(&tree.root).unwrap().to_owned())
    };
    let led = |path: &str| reroot(path).map(|path| path.to_str().unwrap().to_owned());
    assert_eq!(led("www/app/current/cgi-bin/x").as_deref(), Some("data/www/app/releases/42/cgi-bin/x"));
    assert_eq!(led("data/www/app/current/x").as_deref(), Some("data/www/app/releases/42/x"));
    assert_eq!(led("www/other").as_deref(), Some("data/www/other"));
    assert_eq!(led("www/app/current").as_deref(), Some("data/www/app/releases/42"));
    for elsewhere in ["www2/x", "data/www/app/current2/x", "data/www/app/releases/42/x", "elsewhere"] {
        assert_eq!(led(elsewhere), None, "{elsewhere}");
    }
}

/// Each link on the way to a docroot, and its target.
fn surveyed(docroot: &CStr, rules: &Rules) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    survey(&Os, docroot, rules).into_iter().map(|hop| (hop.link, hop.target)).collect()
}

#[test]
fn links_are_known_as_far_as_one_can_get() {
    let tree = Tree::new();
    tree.link("current", "A").link("A", "release-12").link("dangling", "via").link("via", "none");
    let mut releases = Releases::default();
    releases.add(tree.at("release-*").as_os_str().as_bytes()).unwrap();
    let of = |name: &str, mode: &Mode| {
        let path = CString::new(tree.at(name).as_os_str().as_bytes()).unwrap();
        surveyed(&path, &Rules { mode: mode.clone(), releases: Some(releases.clone()) })
    };
    let bytes = |name: &str| tree.at(name).as_os_str().as_bytes().to_vec();
    let hop = |link: &str, target: Option<&str>| (bytes(link), target.map(bytes));
    let real = Mode::Realpath;
    assert_eq!(
        of("current/x/y", &real),
        [hop("current", Some("release-12")), hop("A", Some("release-12"))],
        "what the release has not is no link"
    );
    assert_eq!(of("dangling/x", &real), [hop("dangling", None), hop("via", None)]);
    assert_eq!(of("missing/x", &real), [], "what is missing may never have been meant for a link");
    assert_eq!(of("release-12", &real), []);
    assert_eq!(of("current/htdocs", &readlink()), [hop("current", None)], "A is none of the releases");
    tree.link("direct", "release-12");
    assert_eq!(of("direct/htdocs", &readlink()), [hop("direct", Some("release-12"))]);
    let anywhere = Rules { mode: readlink(), releases: None };
    let path = CString::new(tree.at("dangling").as_os_str().as_bytes()).unwrap();
    assert_eq!(surveyed(&path, &anywhere), [hop("dangling", Some("via"))]);
    assert_eq!(of("missing/x", &readlink()), []);
}
