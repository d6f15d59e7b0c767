//! Where a docroot leads, by the library and by the model, on the same tree, before and after changes to it.
//!
//! Owns: the comparison. Must not: know where the tree comes from.

use std::ffi::{CStr, CString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use docroot::{Answer, Docroot, Event, Lookup, Mode, Moment, Releases, Resolution, Rules};

use crate::bytes::Bytes;
use crate::files::{Files, Met, Node, ROOT};
use crate::pattern::{is_under, names};
use crate::{generate, pattern};

/// What the model says of a docroot.
#[derive(PartialEq, Eq)]
pub struct Expected {
    pub docroot: Vec<u8>,
    /// Each link and its target.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
    pub release: Option<Vec<u8>>,
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let links: Vec<_> = self.links.iter().map(|(link, target)| text(link) + " -> " + &text(target)).collect();
        write!(f, "{} by {links:?} in {:?}", text(&self.docroot), self.release.as_deref().map(text))
    }
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Why {
    System(i32),
    Refused,
}

/// A path with slashes where the root is empty.
fn rooted(path: Vec<u8>) -> Vec<u8> {
    if path.is_empty() { b"/".to_vec() } else { path }
}

fn last(path: &[u8]) -> Vec<u8> {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default().to_vec()
}

/// The model: `realpath(3)` for the docroot and for each link on the way, or one `readlink(2)` for the first of them.
pub fn expected(files: &Files, docroot: &[u8], rules: &Rules) -> Result<Expected, Why> {
    let mut expected = match &rules.mode {
        Mode::Realpath => realpath(files, docroot).map_err(Why::System)?,
        Mode::Readlink { from } => {
            assert!(from.is_none(), "the model looks from the root");
            readlink(files, docroot).map_err(Why::System)?
        }
    };
    if let Some(releases) = &rules.releases
        && !expected.links.is_empty()
    {
        let Some(release) = pattern::release_of(releases, &expected.docroot) else {
            return Err(Why::Refused);
        };
        if !expected.links.iter().all(|(_, target)| pattern::admits(releases, target)) {
            return Err(Why::Refused);
        }
        // A second link that leads out again.
        if rules.mode != Mode::Realpath && leaves(files, &expected.docroot, releases) {
            return Err(Why::Refused);
        }
        expected.release = Some(last(&release));
    }
    Ok(expected)
}

fn leaves(files: &Files, docroot: &[u8], releases: &Releases) -> bool {
    let Ok(behind) = realpath(files, docroot) else { return false };
    let strays = pattern::release_of(releases, &behind.docroot).is_none()
        || !behind.links.iter().all(|(_, target)| pattern::admits(releases, target));
    !behind.links.is_empty() && strays
}

fn realpath(files: &Files, docroot: &[u8]) -> Result<Expected, i32> {
    let resolved = rooted(files.realpath(docroot)?);
    let (_, met) = files.walk(docroot)?;
    let target = |met: &Met| rooted(files.path_of(files.walk_link(met).expect("a link on the way to a directory")));
    let release = met.iter().rfind(|met| met.is_outermost).map(|met| last(&target(met)));
    let links = met.iter().map(|met| (files.path_of_link(met), target(met))).collect();
    Ok(Expected { docroot: resolved, links, release })
}

fn readlink(files: &Files, docroot: &[u8]) -> Result<Expected, i32> {
    let mut at: Vec<&[u8]> = Vec::new();
    let all = names(docroot);
    for (index, &name) in all.iter().enumerate() {
        match name {
            b"." => continue,
            b".." => {
                at.pop();
                continue;
            }
            name => at.push(name),
        }
        let link = join(&at);
        let text = match files.text(&link) {
            Ok(text) => text,
            Err(libc::EINVAL) => continue,
            Err(errno) => return Err(errno),
        };
        let mut target: Vec<&[u8]> = if text.first() == Some(&b'/') { Vec::new() } else { at[..at.len() - 1].to_vec() };
        let mut folds = true;
        for name in names(&text) {
            match name {
                b"." => {}
                b".." if folds => {
                    target.pop();
                }
                name => {
                    folds = false;
                    target.push(name);
                }
            }
        }
        let behind = all[index + 1..].iter().filter(|&&name| name != b".");
        let resolved = join(&[&target[..], &behind.copied().collect::<Vec<_>>()].concat());
        let target = join(&target);
        files.realpath(&resolved)?;
        return Ok(Expected { docroot: resolved, release: Some(last(&target)), links: vec![(link, target)] });
    }
    let canonical = join(&at);
    files.realpath(&canonical)?;
    Ok(Expected { docroot: canonical, links: Vec::new(), release: None })
}

fn join(names: &[&[u8]]) -> Vec<u8> {
    rooted(names.iter().flat_map(|name| [b"/", *name].concat()).collect())
}

/// What the library found, in the words of the model.
pub fn found(resolution: &Resolution) -> Expected {
    let bytes = |path: &CStr| path.to_bytes().to_vec();
    Expected {
        docroot: bytes(resolution.docroot()),
        links: resolution.links().into_iter().map(|hop| (hop.link, hop.target.expect("a target"))).collect(),
        release: resolution.release().map(bytes),
    }
}

fn at(milliseconds: u64) -> Moment {
    Moment::from_nanoseconds((10_000 + milliseconds) * 1_000_000)
}

/// Builds a tree, looks the docroot up, changes the tree, looks it up again.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let files = generate::files(&mut bytes);
    let path = generate::docroot(&mut bytes, &files);
    let Ok(docroot) = CString::new(path.clone()) else { return };
    let rules = generate::rules(&mut bytes, &files, &path);
    let mut subject = Subject::new(&docroot, rules);
    let mut now = 0;
    subject.lookup_afresh(&files, now);
    for _ in 0..4 {
        if bytes.is_empty() {
            return;
        }
        let flipped = change(&mut bytes, &files);
        now += 1;
        subject.lookup_soon(&files, now, flipped.as_ref());
        // A whole walk is due at least this often.
        now += 1_000;
        subject.lookup_afresh(&files, now);
        if bytes.once_in(2) {
            files.tick();
        }
    }
}

/// Changes something. If that was a flip, returns the link.
fn change(bytes: &mut Bytes<'_>, files: &Files) -> Option<Vec<u8>> {
    let (links, directories) = (files.links(), files.directories());
    match bytes.below(8) {
        kind @ 0..=4 if !links.is_empty() => {
            let (directory, name) = &links[bytes.below(links.len())];
            let met = Met { directory: *directory, name: name.clone(), is_outermost: true };
            let text = if kind == 4 { replace(bytes, files, &met)? } else { generate::text(bytes, files, *directory) };
            files.flip(*directory, name, &text);
            Some(files.path_of_link(&met))
        }
        5 if !links.is_empty() => {
            let (directory, name) = &links[bytes.below(links.len())];
            files.remove(*directory, name);
            None
        }
        6 => {
            let inode = bytes.one_of(&directories);
            if inode != ROOT {
                files.rename(inode, bytes.one_of(&directories), bytes.one_of(&generate::NAMES));
            }
            None
        }
        _ => {
            let directory = bytes.one_of(&directories);
            let name = bytes.one_of(&generate::NAMES);
            files.remove(directory, name);
            if bytes.once_in(2) {
                files.make_directory(directory, name, false);
            }
            None
        }
    }
}

/// Removes the directory that a link leads to and makes another one, which takes over its number. Returns its path.
fn replace(bytes: &mut Bytes<'_>, files: &Files, link: &Met) -> Option<Vec<u8>> {
    let target = files.walk_link(link).ok()?;
    let Node::Directory { parent, name, .. } = files.node(target) else { return None };
    // Not with the link in it.
    if target == ROOT || files.path_of(link.directory).starts_with(&files.path_of(target)) {
        return None;
    }
    files.remove(parent, &name);
    let new = bytes.one_of(&generate::NAMES);
    files.make_directory(parent, new, false);
    Some([&files.path_of(parent)[..], b"/", new].concat())
}

/// The library's docroot, and the model's memory of it.
struct Subject {
    docroot: Docroot,
    path: Vec<u8>,
    rules: Rules,
    /// The last that came through, which is served while resolving fails.
    good: Option<Expected>,
    /// The last answer, and whether it came of a success.
    last: Option<Expected>,
    failing: bool,
}

impl Subject {
    fn new(path: &CStr, rules: Rules) -> Self {
        let as_path = std::path::Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
        let docroot = Docroot::new(as_path, rules.clone()).expect("an absolute path");
        Self { docroot, path: path.to_bytes().to_vec(), rules, good: None, last: None, failing: true }
    }

    fn lookup(&mut self, files: &Files, now: u64) -> Lookup {
        let lookup = self.docroot.lookup(files, at(now), Duration::ZERO);
        if let Answer::Resolved(resolution) = &lookup.answer {
            self.check_guard(resolution);
        }
        match lookup.event.as_deref() {
            Some(Event::Resolved { now, .. }) => {
                self.good = Some(found(now));
                self.failing = false;
            }
            Some(Event::Failed { .. }) => self.failing = true,
            None => {}
        }
        self.last = lookup.answer.resolved().map(|resolution| found(resolution));
        lookup
    }

    /// Whatever was answered, it lies where links may lead.
    fn check_guard(&self, resolution: &Resolution) {
        if let Some(releases) = &self.rules.releases
            && !resolution.links().is_empty()
        {
            let docroot = resolution.docroot().to_bytes();
            assert!(pattern::release_of(releases, docroot).is_some(), "outside of the releases: {resolution:?}");
            assert!(!names(docroot).contains(&&b".."[..]), "{resolution:?}");
        }
    }

    /// A lookup that walks: it must agree with the tree.
    fn lookup_afresh(&mut self, files: &Files, now: u64) {
        let was_good = self.good.take();
        let lookup = self.lookup(files, now);
        assert!(lookup.event.is_some(), "nothing was walked");
        if let Mode::Readlink { from: Some(from) } = &self.rules.mode {
            // The model does not know where to start. What is found must be the same directory all the same.
            self.check_start(files, &lookup, from);
            self.good = self.good.take().or(was_good);
            return;
        }
        let expected = expected(files, &self.path, &self.rules);
        self.check_news(files, &lookup, &expected, was_good);
    }

    fn check_news(
        &mut self,
        files: &Files,
        lookup: &Lookup,
        expected: &Result<Expected, Why>,
        was_good: Option<Expected>,
    ) {
        match (lookup.event.as_deref().expect("news"), expected) {
            (Event::Resolved { now, .. }, Ok(expected)) => {
                assert_eq!(found(now), *expected);
                let answer = lookup.answer.resolved().expect("an answer");
                assert_eq!(found(answer), *expected);
            }
            (Event::Failed { failure, .. }, Err(why)) => {
                assert_eq!(failure.errno().map(|errno| errno.0), errno_of(why), "{failure}");
                let path = CString::new(self.path.clone()).expect("a C string");
                assert!(failure.covers(&self.path, &path, |_| false));
                self.good = was_good;
                self.check_fallback(files, lookup);
            }
            (news, expected) => panic!("{news:?}, and the model says {expected:?}"),
        }
    }

    /// While resolving fails, the last good is served if it is still there.
    fn check_fallback(&self, files: &Files, lookup: &Lookup) {
        let is_there = |good: &&Expected| match self.rules.mode {
            Mode::Realpath => files.realpath(&good.docroot).is_ok_and(|now| rooted(now) == good.docroot),
            Mode::Readlink { .. } => files.realpath(&good.docroot).is_ok(),
        };
        match (&lookup.answer, self.good.as_ref().filter(is_there)) {
            (Answer::Resolved(answer), Some(good)) => assert_eq!(found(answer), *good),
            (Answer::Refused(_), None) => assert!(self.rules.releases.is_some()),
            (Answer::AsConfigured, None) => assert!(self.rules.releases.is_none()),
            (answer, good) => panic!("{answer:?}, and the last good is {good:?}"),
        }
    }

    fn check_start(&self, files: &Files, lookup: &Lookup, from: &CStr) {
        let led = files.realpath(&self.path);
        if led.is_err() {
            // This mode follows one link less, because it replaces the first by its text, and a directory before `..`
            // need not exist.
            return;
        }
        let Some(Event::Resolved { now, .. }) = lookup.event.as_deref() else { return };
        let found = found(now);
        assert!(found.links.len() <= 1, "{found:?}");
        assert_eq!(files.realpath(&found.docroot), led, "from {from:?}: {found:?}");
        for (link, _) in &found.links {
            assert!(files.text(link).is_ok(), "from {from:?}: no link: {found:?}");
        }
    }

    /// A lookup inside the second in which one system call must do. It must see a flip of a link that was on the way, and
    /// may miss other changes.
    fn lookup_soon(&mut self, files: &Files, now: u64, flipped: Option<&Vec<u8>>) {
        if matches!(self.rules.mode, Mode::Readlink { from: Some(_) }) {
            return;
        }
        let (before, was_failing) = (self.last.take(), self.failing);
        let was_good = self.good.take();
        let lookup = self.lookup(files, now);
        let expected = expected(files, &self.path, &self.rules);
        if lookup.event.is_some() {
            self.check_news(files, &lookup, &expected, was_good);
            return;
        }
        self.good = was_good;
        assert!(!was_failing, "a failure is looked at again each time");
        let answer = lookup.answer.resolved().map(|resolution| found(resolution));
        assert_eq!(answer, before, "without a walk, nothing new");
        let was_on_the_way = |link: &Vec<u8>| before.iter().flat_map(|before| &before.links).any(|(on, _)| on == link);
        if flipped.is_some_and(was_on_the_way) {
            let before = before.as_ref().expect("what was on the way");
            let ends_outside = |(_, target): &(_, Vec<u8>)| !is_under(&before.docroot, target);
            if before.links.len() == 1 || before.links.iter().any(ends_outside) {
                assert_eq!(answer.ok_or(Why::Refused), expected, "a flip was not seen");
                return;
            }
            // One call cannot tell two ways to the same directory.
            let expected = expected.map(|expected| expected.docroot);
            assert_eq!(answer.map(|answer| answer.docroot).ok_or(Why::Refused), expected, "a flip was not seen");
        }
    }
}

fn errno_of(why: &Why) -> Option<i32> {
    match why {
        Why::System(errno) => Some(*errno),
        Why::Refused => None,
    }
}

/// Whether the operating system had an answer to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// A real path.
    Path,
    /// An error, or a file.
    Failure,
    /// The tree cannot be made.
    Nothing,
}

/// The same tree on disk: the library must agree with the operating system.
pub fn check_on_disk(data: &[u8]) -> Compared {
    let mut bytes = Bytes::new(data);
    let files = generate::files(&mut bytes);
    let path = generate::docroot(&mut bytes, &files);
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().canonicalize().expect("its path");
    let place = root.as_os_str().as_bytes();
    if !copy(&files, ROOT, place) {
        return Compared::Nothing;
    }
    // A path that climbs above the tree's root would meet the machine's own files.
    let mut depth = 0_i32;
    for name in names(&path) {
        depth += if name == b".." { -1 } else { 1 };
        if depth < 0 {
            return Compared::Nothing;
        }
    }
    let docroot = [place, &path].concat();
    let real = std::path::Path::new(std::ffi::OsStr::from_bytes(&docroot));
    let subject = Docroot::new(real, Rules::default()).expect("an absolute path");
    let lookup = subject.lookup(&docroot::Os, docroot::Os::now(), Duration::ZERO);
    let canonical = std::fs::canonicalize(real);
    match lookup.event.as_deref().expect("news") {
        Event::Resolved { now, .. } => {
            let canonical = canonical.unwrap_or_else(|error| panic!("{now:?}, and realpath(3) says {error}"));
            assert_eq!(now.docroot().to_bytes(), canonical.as_os_str().as_bytes());
            for hop in now.links() {
                let canonical = std::fs::canonicalize(std::ffi::OsStr::from_bytes(&hop.link)).expect("a link");
                assert_eq!(hop.target.as_deref(), Some(canonical.as_os_str().as_bytes()));
            }
            Compared::Path
        }
        Event::Failed { failure, .. } => {
            match canonical {
                // It is no docroot, but realpath(3) takes files too.
                Ok(file) => assert!(!file.is_dir(), "{failure}, and realpath(3) says {}", file.display()),
                Err(error) => assert_eq!(failure.errno().map(|errno| errno.0), error.raw_os_error(), "{failure}"),
            }
            Compared::Failure
        }
    }
}

/// Makes the tree below `place`; returns false if it has nodes that a test as root cannot make.
fn copy(files: &Files, directory: usize, place: &[u8]) -> bool {
    let Node::Directory { entries, .. } = files.node(directory) else { return false };
    for (name, inode) in entries {
        let at = [place, b"/", &name].concat();
        let at = std::path::Path::new(std::ffi::OsStr::from_bytes(&at));
        match files.node(inode) {
            Node::Directory { closed: true, .. } => return false,
            Node::Directory { .. } => {
                if std::fs::create_dir(at).is_err() || !copy(files, inode, at.as_os_str().as_bytes()) {
                    return false;
                }
            }
            Node::File => std::fs::write(at, "").expect("a file"),
            Node::Link(text) => {
                // What is absolute in the tree is so below its root, to which the way has a trailing part of its own.
                let text =
                    if text.first() == Some(&b'/') { [root_of(place, files, directory), text].concat() } else { text };
                if std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(&text), at).is_err() {
                    return false;
                }
            }
        }
    }
    true
}

fn root_of(place: &[u8], files: &Files, directory: usize) -> Vec<u8> {
    place[..place.len() - files.path_of(directory).len()].to_vec()
}

/// Patterns as they are, for messages and for the model.
pub fn patterns(releases: &Releases) -> Vec<Vec<u8>> {
    releases.patterns().map(|pattern| pattern.to_bytes().to_vec()).collect()
}
