//! Where a docroot leads.
//!
//! Owns: what comes out of a walk, in both modes, and the check that tells with one system call whether a past walk
//! still holds. Must not: walk itself (`walk.rs`, `readlink.rs`), or remember anything from one walk to the next; that
//! is `known.rs`.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use crate::failure::Failure;
use crate::path::{last, led, push, rest_under, split_first};
use crate::readlink::{FirstLink, Found, append_all, first_link};
use crate::releases::{Passage, Releases};
use crate::system::{Errno, FileId, System, Terminated};
use crate::walk::{Met, Walk, with_terminated};

/// How far links are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// All of them, to the real directory, as `realpath(3)` does.
    #[default]
    Realpath,
    /// The first one only, which is replaced by its own text, once.
    Readlink {
        /// Where to start looking, this path included; from `/` if it is no ancestor of the docroot.
        from: Option<CString>,
    },
}

/// How a docroot is resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// How far its links are followed.
    pub mode: Mode,
    /// Where they may lead; anywhere if that is not set.
    pub releases: Option<Releases>,
}

/// One link on the way to a docroot, and where it led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'r> {
    path: &'r CStr,
    target: &'r CStr,
    text: &'r CStr,
}

impl<'r> Link<'r> {
    /// Where the link is: an absolute path in which no other link is left (in readlink mode, none behind `from`).
    pub fn path(self) -> &'r CStr {
        self.path
    }

    /// Where it leads: the real path in realpath mode, its text made absolute in readlink mode.
    pub fn target(self) -> &'r CStr {
        self.target
    }
}

/// What a docroot led to at one moment. Two are equal if they lead the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The bytes of a [`Trail`], and behind them the texts of its links; each string with its NUL. In one piece,
    /// because there may be thousands of docroots.
    strings: Box<[u8]>,
    shape: Shape,
}

/// Behind the end of any strings.
const NOWHERE: u32 = u32::MAX;

/// Where the parts of a [`Trail`] are. So written that a request finds them with few instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    /// Where the name of the release begins; [`NOWHERE`] if there is none.
    release: u32,
    /// Where the links begin.
    links: u16,
    /// Where it ends; zero if there are no links.
    end: u32,
    witness: Witness,
}

/// Where a docroot and the links on its way led, in plain bytes: whoever copies the bytes owns all of it. There is one
/// only if there is a link.
///
/// The bytes are strings that each end in NUL: the resolved docroot, the name of the release if there is one, and each
/// link with its target. A target that is the resolved docroot, as that of most links, is left empty.
#[derive(Clone, Copy, Debug)]
pub struct Trail<'b> {
    bytes: &'b [u8],
    shape: Shape,
}

impl<'b> Trail<'b> {
    /// The bytes, and maybe others behind them. They begin with the resolved docroot, and the last of them is a NUL.
    #[inline]
    pub fn bytes(self) -> &'b [u8] {
        self.bytes
    }

    /// The bytes from the name of the release on, if there is one.
    #[inline]
    pub fn from_release(self) -> Option<&'b [u8]> {
        // One comparison tells whether there is one, and that there are bytes of it.
        let begin = self.shape.release as usize;
        if begin < self.bytes.len() { self.bytes.get(begin..) } else { None }
    }

    /// Whether it goes through this link.
    pub fn passes(self, link: &[u8]) -> bool {
        self.links().any(|(passed, _)| passed.to_bytes() == link)
    }

    /// Where the links lead an absolute path; nothing if it lies under none of them.
    pub fn reroot(self, path: &[u8]) -> Option<Vec<u8>> {
        // The walk met the links in this order, so each can only lie behind those before it.
        self.links().fold(None, |so_far: Option<Vec<u8>>, (link, target)| {
            led(so_far.as_deref().unwrap_or(path), link.to_bytes(), target.to_bytes()).or(so_far)
        })
    }

    /// Each link with its target.
    fn links(self) -> impl Iterator<Item = (&'b CStr, &'b CStr)> {
        let docroot = strings(Some(self.bytes)).next().unwrap_or_default();
        let mut strings = strings(self.bytes.get(self.shape.links.into()..self.shape.end as usize));
        std::iter::from_fn(move || {
            let (link, target) = (strings.next()?, strings.next()?);
            Some((link, if target.is_empty() { docroot } else { target }))
        })
    }
}

/// The strings that follow one another in `bytes`, each with a NUL at its end.
fn strings(bytes: Option<&[u8]>) -> impl Iterator<Item = &CStr> {
    let mut rest = bytes.unwrap_or_default();
    std::iter::from_fn(move || {
        let string = CStr::from_bytes_until_nul(rest).ok()?;
        rest = &rest[string.count_bytes() + 1..];
        Some(string)
    })
}

/// What can tell that a walk would still lead where it led, as a rule with one system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Witness {
    /// The text of the only link: exact, whatever the directories behind it do.
    Text,
    /// The texts of all links: as exact, and a few system calls for the rare chain that ends outside of what an earlier
    /// link leads to, where a flip of that link need not change where the docroot ends.
    Texts,
    /// The directory that all the links lead to. Flips of any of them show, because `stat(2)` follows them all. It is not
    /// kept with where they lead, which is the same for other directories of that name, and it may not be known.
    Directory,
}

/// The directory that links led to, if that is what tells that a walk would still lead there. In a box of its own, because
/// most docroots have one link, and need none.
pub(crate) type Directory = Option<Arc<FileId>>;

impl Resolution {
    fn new(docroot: &[u8], release: Option<&[u8]>, met: &[Met], witness: Witness) -> Result<Self, Failure> {
        let mut strings = Vec::new();
        let mut append = |string: &CStr| {
            strings.extend_from_slice(string.to_bytes_with_nul());
            // Paths that lead to something are much shorter than what is counted here.
            u16::try_from(strings.len()).map_err(|_| Failure::new(docroot, Errno(libc::ENAMETOOLONG)))
        };
        let mut shape = Shape { release: NOWHERE, links: append(&terminated(docroot)?)?, end: 0, witness };
        if let Some(release) = release {
            shape.release = shape.links.into();
            shape.links = append(&c_string(release)?)?;
        }
        for met in met {
            strings.extend_from_slice(terminated(&met.link)?.as_bytes_with_nul());
            let target = if met.target == docroot { CString::default() } else { terminated(&met.target)? };
            strings.extend_from_slice(target.as_bytes_with_nul());
        }
        // As many links as are followed are not as long as what is counted here.
        if !met.is_empty() {
            shape.end = strings.len() as u32;
        }
        for met in met {
            strings.extend_from_slice(c_string(&met.text)?.as_bytes_with_nul());
        }
        Ok(Self { strings: strings.into_boxed_slice(), shape })
    }

    /// The resolved docroot: the configured one with its links followed. Without links, its own canonical form.
    pub fn docroot(&self) -> &CStr {
        strings(Some(&self.strings)).next().unwrap_or_default()
    }

    /// The links that were met, in the order of the walk; in readlink mode the first alone. In realpath mode a link
    /// that another link's text leads through is one of them, behind that link.
    pub fn links(&self) -> Vec<Link<'_>> {
        self.each_link().collect()
    }

    fn each_link(&self) -> impl Iterator<Item = Link<'_>> {
        let links =
            self.trail().into_iter().flat_map(Trail::links).zip(strings(self.strings.get(self.shape.end as usize..)));
        links.map(|((path, target), text)| Link { path, target, text })
    }

    /// Whether a link was met; without one, what is configured is what is real.
    #[inline]
    pub fn has_links(&self) -> bool {
        self.shape.end != 0
    }

    /// Where the docroot and its links lead; nothing if there are no links.
    #[inline]
    pub fn trail(&self) -> Option<Trail<'_>> {
        // Not cut at its end, which each request would have to find.
        self.has_links().then_some(Trail { bytes: &self.strings, shape: self.shape })
    }

    /// The bytes of [`Resolution::trail`], and none behind them; empty if there are no links.
    pub fn trail_bytes(&self) -> &[u8] {
        self.strings.get(..self.shape.end as usize).unwrap_or_default()
    }

    /// [`Resolution::trail`], with a copy of its bytes in their place; nothing if that is no copy.
    pub fn trail_in<'c>(&self, copy: &'c [u8]) -> Option<Trail<'c>> {
        debug_assert_eq!(self.trail_bytes(), copy, "a copy has the same bytes");
        // All that relies on the bytes relies on this alone, so that it is looked at here, and only here.
        (copy.last() == Some(&0)).then_some(Trail { bytes: copy, shape: self.shape })
    }

    /// The name of the release: of the directory that `RealdocReleases` describes, or where that is not set, the last
    /// component of the target of the last link that is part of the docroot itself.
    pub fn release(&self) -> Option<&CStr> {
        strings(self.trail()?.from_release()).next()
    }

    fn strays(&self, releases: &Releases) -> bool {
        self.release().is_none() || self.each_link().any(|link| !releases.admits(link.target.to_bytes()))
    }

    /// Whether it leads where `rules` do not admit it. Only links are judged: a docroot that is a plain directory is
    /// what the configuration says itself.
    pub(crate) fn is_refused(&self, rules: &Rules) -> bool {
        self.has_links() && rules.releases.as_ref().is_some_and(|releases| self.strays(releases))
    }

    /// Where the links lead an absolute path; nothing if it lies under none of them.
    pub fn reroot(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.trail()?.reroot(path)
    }

    /// Whether the texts of its links tell that they still lead there. As a rule one system call, and no allocation.
    #[inline]
    pub(crate) fn has_texts(&self, system: &impl System) -> bool {
        match self.shape.witness {
            // Without counting the lengths of strings, because with no window it is done for each request.
            Witness::Text => {
                let link = self.strings.get(self.shape.links.into()..).and_then(Terminated::new);
                let text = self.strings.get(self.shape.end as usize..self.strings.len() - 1);
                link.zip(text).is_some_and(|(link, text)| system.has_text(link, text))
            }
            Witness::Texts => self.each_link().all(|link| system.has_text(link.path.into(), link.text.to_bytes())),
            Witness::Directory => false,
        }
    }

    /// Whether a walk of `docroot` would surely lead here now, as the walk did that found `directory`. As a rule one
    /// system call, and no allocation.
    pub(crate) fn still_holds(&self, docroot: &CStr, directory: Option<&FileId>, system: &impl System) -> bool {
        match directory {
            None => self.has_texts(system),
            Some(id) => system.status(docroot).is_ok_and(|status| status.is_directory && status.id == *id),
        }
    }
}

/// Walks `docroot`, an absolute path, from `/`. Where the links lead is not judged: a resolution that lies in no
/// release just has no name of a release.
///
/// # Errors
/// Where the walk ends early or at something else than a directory: the path it had come to and what the operating
/// system said (`ENOENT`, `ENOTDIR`, `ELOOP`, `EACCES`, `ENAMETOOLONG`, ...).
pub(crate) fn resolve(system: &impl System, docroot: &CStr, rules: &Rules) -> Result<(Resolution, Directory), Failure> {
    match &rules.mode {
        Mode::Realpath => realpath(system, docroot.to_bytes(), rules),
        Mode::Readlink { from } => {
            let start = from.as_deref().map_or(&b"/"[..], CStr::to_bytes);
            readlink(system, docroot.to_bytes(), start, rules)
        }
    }
}

/// The links that stand at present between a docroot and where it leads, as far as one can get. One that leads where it
/// may not counts as one that leads nowhere. What is missing is no link: it may never have been meant for one.
pub fn passages(system: &impl System, docroot: &CStr, rules: &Rules) -> Vec<Passage> {
    passages_from(system, b"", docroot, rules)
}

/// [`passages`] of a docroot that may lie in `real`, a directory that is known to have no link in its path: if it does,
/// none is looked for up to there, unless the rules say where to begin.
pub fn passages_from(system: &impl System, real: &[u8], docroot: &CStr, rules: &Rules) -> Vec<Passage> {
    let admitted = |target: &[u8]| rules.releases.as_ref().is_none_or(|releases| releases.admits(target));
    if let Mode::Readlink { from } = &rules.mode {
        let start = from.as_deref().map_or(real, CStr::to_bytes);
        return match first_link(system, docroot.to_bytes(), start) {
            Ok(Found::Link(found)) => {
                vec![Passage { link: found.link, target: Some(found.target).filter(|target| admitted(target)) }]
            }
            Ok(Found::Canonical(_)) | Err(_) => Vec::new(),
        };
    }
    let path = docroot.to_bytes();
    let rest = rest_under(path, real).unwrap_or(path);
    let mut walk = Walk::from(system, path.len() - rest.len(), path);
    // Where the walk ended shows in the links that it did not get to the end of.
    let _ = walk.run();
    let links = std::mem::take(&mut walk.links).into_iter().enumerate();
    links
        .map(|(index, Met { link, target, .. })| {
            let is_there = walk.got_to(index) && admitted(&target);
            Passage { link, target: is_there.then_some(target) }
        })
        .collect()
}

/// Where a link is missing at present on the way to a docroot that may lead into releases only, as far as that can be
/// told: the first name that is not there and can be neither a directory above the releases nor in one of them.
pub fn missing_link(system: &impl System, docroot: &CStr, rules: &Rules) -> Option<Passage> {
    let releases = rules.releases.as_ref()?;
    let path = docroot.to_bytes();
    let is_missing = |failure: &Failure| failure.errno() == Some(Errno(libc::ENOENT));
    let (mut link, mut ahead) = match &rules.mode {
        Mode::Realpath => {
            let mut walk = Walk::new(system, path);
            walk.run().err().filter(is_missing)?;
            let ahead = walk.ahead()?;
            (walk.at, ahead)
        }
        Mode::Readlink { from } => {
            let start = from.as_deref().map_or(&b"/"[..], CStr::to_bytes);
            let failure = first_link(system, path, start).err().filter(is_missing)?;
            (failure.at().to_vec(), rest_under(path, failure.at())?)
        }
    };
    while releases.admits(&link) {
        let (name, rest) = split_first(ahead).filter(|_| releases.release_of(&link).is_none())?;
        push(&mut link, name);
        ahead = rest;
    }
    Some(Passage { link, target: None })
}

fn realpath(system: &impl System, docroot: &[u8], rules: &Rules) -> Result<(Resolution, Directory), Failure> {
    let mut walk = Walk::new(system, docroot);
    walk.run().map_err(|failure| {
        let met = walk.links.iter().enumerate();
        failure.behind(met.map(|(index, met)| (&met.link[..], walk.got_to(index).then_some(&met.target[..]))), rules)
    })?;
    let Walk { at, links, of_docroot, .. } = walk;
    finish(system, &at, &links, of_docroot.map(|index| last(&links[index].target)), rules)
}

fn readlink(
    system: &impl System,
    docroot: &[u8],
    start: &[u8],
    rules: &Rules,
) -> Result<(Resolution, Directory), Failure> {
    match first_link(system, docroot, start)? {
        Found::Link(FirstLink { link, target, text, behind }) => {
            let mut resolved = target.clone();
            append_all(&mut resolved, behind);
            let met = [Met { link, target, text }];
            finish(system, &resolved, &met, Some(last(&met[0].target)), rules)
        }
        Found::Canonical(canonical) => finish(system, &canonical, &[], None, rules),
    }
}

/// Checks that a walk has led to a directory, and finds what will tell that it still does. The release is what it is
/// called where no rule says what a release is.
fn finish(
    system: &impl System,
    docroot: &[u8],
    met: &[Met],
    release: Option<&[u8]>,
    rules: &Rules,
) -> Result<(Resolution, Directory), Failure> {
    // Read before the directory is looked at: whatever takes its place later is stamped later than this.
    let now = system.file_clock();
    let status = match with_terminated(docroot, |path| system.status(path))? {
        Ok(status) if status.is_directory => Ok(status),
        Ok(_) => Err(Errno(libc::ENOTDIR)),
        Err(errno) => Err(errno),
    };
    let status = status.map_err(|errno| {
        Failure::new(docroot, errno).behind(met.iter().map(|met| (&met.link[..], Some(&met.target[..]))), rules)
    })?;
    let ends_outside = met.iter().any(|met| rest_under(docroot, &met.target).is_none());
    let witness = match met {
        [_] => Witness::Text,
        _ if ends_outside => Witness::Texts,
        _ => Witness::Directory,
    };
    // One that changed in the present step of the file clock tells nothing: another one that takes its inode number in
    // this step would look the same.
    let is_told = witness == Witness::Directory && status.id.changed < now;
    let release = match &rules.releases {
        Some(releases) => releases.release_of(docroot).filter(|_| !met.is_empty()).map(last),
        None => release,
    };
    Ok((Resolution::new(docroot, release, met, witness)?, is_told.then(|| Arc::new(status.id))))
}

/// The path as a string of its own; the empty path is the root.
fn terminated(path: &[u8]) -> Result<CString, Failure> {
    c_string(if path.is_empty() { b"/" } else { path })
}

/// Paths and texts come from C strings and from the kernel, neither of which has a NUL inside.
fn c_string(string: &[u8]) -> Result<CString, Failure> {
    CString::new(string).map_err(|_| Failure::new(string, Errno(libc::EINVAL)))
}
