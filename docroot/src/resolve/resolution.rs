//! Where a docroot leads.
//!
//! Owns: what comes out of a walk, in both modes, and the check that tells with one system call whether a past walk
//! still holds. Must not: walk itself (`walk.rs`, `readlink.rs`), or remember anything from one walk to the next; that
//! is `known.rs`.

use std::any::Any;
use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use once_cell::race::OnceBox;

use crate::config::releases::{Passage, Releases};
use crate::config::sections::Mapping;
use crate::os::system::{Errno, FileId, System, Terminated};
use crate::path::{folded, last, led, rest_under};
use crate::resolve::failure::Failure;
use crate::resolve::readlink::{FirstLink, Found, append_all, first_link};
use crate::resolve::realpath::{Met, Walk, with_terminated};

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
    /// Strings that each end in NUL, in one piece, because there may be thousands of docroots: the resolved docroot, the
    /// name of the release if there is one, each link with its target, and the texts of the links. A target that is the
    /// resolved docroot, as that of most links, is left empty.
    strings: Box<[u8]>,
    shape: Shape,
    attachment: Attachment,
}

/// Behind the end of any strings.
const NOWHERE: u32 = u32::MAX;

/// Where the parts of a [`Resolution`] are. So written that a request finds them with few instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    /// Where the name of the release begins; [`NOWHERE`] if there is none.
    release: u32,
    /// Where the links begin.
    links: u16,
    /// Where their texts begin; zero if there are no links.
    texts: u32,
    witness: Witness,
}

/// What the embedding program has derived from a resolution, and wants to be dropped with it.
#[derive(Default)]
struct Attachment(OnceBox<Box<dyn Any + Send + Sync>>, Note);

/// Two numbers that are written once.
#[derive(Default)]
struct Note(AtomicUsize, AtomicUsize);

impl Clone for Attachment {
    /// A copy has nothing attached yet.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Attachment {
    /// It says nothing about where a docroot leads.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Attachment {}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "attached" } else { "nothing attached" })
    }
}

/// A path that was led through links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    /// Where it leads.
    pub path: Vec<u8>,
    /// How many bytes at its end are those of the path that was led.
    pub tail: usize,
}

impl Led {
    /// Leads an absolute path through links, each with its target, in the order in which a walk met them; nothing if
    /// the path lies under none of them.
    pub fn through<'l>(path: &[u8], links: impl IntoIterator<Item = (&'l [u8], &'l [u8])>) -> Option<Self> {
        // Each link can only lie behind those before it.
        links.into_iter().fold(None, |so_far: Option<Self>, (link, target)| {
            let (current, tail) = so_far.as_ref().map_or((path, path.len()), |led| (&led.path[..], led.tail));
            let Some(rest) = rest_under(current, link) else { return so_far };
            let tail = tail.min(rest.len());
            Some(Self { path: led(current, link, target)?, tail })
        })
    }

    /// The configured path and the real path that it goes on from, where `path` is what was led.
    pub fn mapping(&self, path: &[u8]) -> Mapping {
        Mapping::new(path, &self.path, self.tail)
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
        let mut shape = Shape { release: NOWHERE, links: append(&terminated(docroot)?)?, texts: 0, witness };
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
            shape.texts = strings.len() as u32;
        }
        for met in met {
            strings.extend_from_slice(c_string(&met.text)?.as_bytes_with_nul());
        }
        Ok(Self { strings: strings.into_boxed_slice(), shape, attachment: Attachment::default() })
    }

    /// The resolved docroot: the configured one with its links followed. Without links, its own canonical form.
    pub fn docroot(&self) -> &CStr {
        strings(Some(&self.strings)).next().unwrap_or_default()
    }

    /// [`Resolution::docroot`] without its length, which a request need not count.
    #[inline]
    pub fn docroot_terminated(&self) -> Option<Terminated<'_>> {
        Terminated::new(&self.strings)
    }

    /// The name of the release: of the directory that `RealdocReleases` describes, or where that is not set, the last
    /// component of the target of the last link that is part of the docroot itself.
    pub fn release(&self) -> Option<&CStr> {
        self.release_terminated().map(Terminated::to_c_str)
    }

    /// [`Resolution::release`] without its length, which a request need not count.
    #[inline]
    pub fn release_terminated(&self) -> Option<Terminated<'_>> {
        // One comparison tells whether there is one, and that there are bytes of it.
        let begin = self.shape.release as usize;
        if begin < self.strings.len() { self.strings.get(begin..).and_then(Terminated::new) } else { None }
    }

    /// The links that were met, in the order of the walk; in readlink mode the first alone. In realpath mode a link
    /// that another link's text leads through is one of them, behind that link.
    pub fn links(&self) -> Vec<Link<'_>> {
        self.each_link().collect()
    }

    fn each_link(&self) -> impl Iterator<Item = Link<'_>> {
        let (links, texts) = (usize::from(self.shape.links), self.shape.texts as usize);
        let mut strings_of_links = strings(self.strings.get(links..texts));
        let mut texts = strings(self.strings.get(texts..).filter(|_| self.has_links()));
        std::iter::from_fn(move || {
            let (path, target, text) = (strings_of_links.next()?, strings_of_links.next()?, texts.next()?);
            Some(Link { path, target: if target.is_empty() { self.docroot() } else { target }, text })
        })
    }

    /// Whether a link was met; without one, what is configured is what is real.
    #[inline]
    pub fn has_links(&self) -> bool {
        self.shape.texts != 0
    }

    /// Whether it goes through this link.
    pub fn passes(&self, link: &[u8]) -> bool {
        self.each_link().any(|passed| passed.path.to_bytes() == link)
    }

    /// Leads an absolute path through the links; nothing if it lies under none of them.
    pub fn lead(&self, path: &[u8]) -> Option<Led> {
        Led::through(path, self.each_link().map(|link| (link.path.to_bytes(), link.target.to_bytes())))
    }

    /// Where the links lead an absolute path; nothing if it lies under none of them.
    pub fn reroot(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.lead(path).map(|led| led.path)
    }

    /// The configured path and the real path of what lies below `docroot`, which led here.
    pub fn mapping(&self, docroot: &CStr) -> Mapping {
        let configured = folded(docroot.to_bytes());
        let real = self.docroot().to_bytes();
        match self.lead(&configured) {
            Some(led) if led.path == real => led.mapping(&configured),
            // Its spelling tells nothing of the way that the walk took.
            _ => Mapping::new(&configured, real, 0),
        }
    }

    /// The mapping that a real path may be the outcome of: of the links alone, the one that leads deepest.
    pub fn mapping_to(&self, path: &[u8]) -> Option<Mapping> {
        let mappings = self.each_link().filter_map(|link| {
            let (configured, target) = (link.path.to_bytes(), link.target.to_bytes());
            rest_under(path, target).map(|_| Mapping::new(configured, target, 0))
        });
        mappings.max_by_key(|mapping| mapping.real.len())
    }

    /// Two numbers that the embedding program knows it again by, where that needs nothing else; at first both are zero.
    #[inline]
    pub fn note(&self) -> [usize; 2] {
        let Note(first, second) = &self.attachment.1;
        [first.load(Acquire), second.load(Relaxed)]
    }

    /// Sets these numbers, of which the first must not be zero, if nobody has.
    pub fn set_note(&self, [first, second]: [usize; 2]) {
        let note = &self.attachment.1;
        // Whoever wrote the second one writes the first.
        if note.1.compare_exchange(0, second, Relaxed, Relaxed).is_ok() {
            note.0.store(first, Release);
        }
    }

    /// What was attached, if anything was.
    #[inline]
    pub fn attached(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.attachment.0.get().map(|attached| &**attached)
    }

    /// What was attached, at the first call by `make`.
    pub fn attach<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> &(dyn Any + Send + Sync) {
        &**self.attachment.0.get_or_init(|| Box::new(Box::new(make())))
    }

    fn strays(&self, releases: &Releases) -> bool {
        self.release().is_none() || self.each_link().any(|link| !releases.admits(link.target.to_bytes()))
    }

    /// Whether it leads where `rules` do not admit it. Only links are judged: a docroot that is a plain directory is
    /// what the configuration says itself.
    pub(crate) fn is_refused(&self, rules: &Rules) -> bool {
        self.has_links() && rules.releases.as_ref().is_some_and(|releases| self.strays(releases))
    }

    /// Whether the texts of its links tell that they still lead there. As a rule one system call, and no allocation.
    #[inline]
    pub(crate) fn has_texts(&self, system: &impl System) -> bool {
        match self.shape.witness {
            // Without counting the lengths of strings, because with no window it is done for each request.
            Witness::Text => {
                let link = self.strings.get(self.shape.links.into()..).and_then(Terminated::new);
                let text = self.strings.get(self.shape.texts as usize..self.strings.len() - 1);
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

fn realpath(system: &impl System, docroot: &[u8], rules: &Rules) -> Result<(Resolution, Directory), Failure> {
    let mut walk = Walk::new(system, docroot);
    walk.run().map_err(|failure| {
        let met = walk.links.iter().enumerate();
        let links = met.map(|(index, met)| (&met.link[..], walk.got_to(index).then_some(&met.target[..])));
        failure.judged(links, walk.of_docroot, rules)
    })?;
    let Walk { at, links, of_docroot, .. } = walk;
    finish(system, &at, &links, of_docroot, rules)
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
            let (mut resolution, directory) = finish(system, &resolved, &met, Some(0), rules)?;
            if let Some(releases) = &rules.releases {
                match behind_link(system, &resolved, releases)? {
                    Behind::NoLink => {}
                    // Its text alone does not tell where a later one leads.
                    Behind::Admitted => resolution.shape.witness = Witness::Directory,
                    Behind::Outside(at) => {
                        let links = [(&met[0].link[..], Some(&met[0].target[..]))];
                        return Err(Failure::another_link(&at).judged(links, Some(0), rules));
                    }
                }
            }
            Ok((resolution, directory))
        }
        Found::Canonical(canonical) => finish(system, &canonical, &[], None, rules),
    }
}

/// What is on the way of a path that stands behind the first link.
enum Behind {
    /// No other link.
    NoLink,
    /// Links that lead where they may.
    Admitted,
    /// Links that lead out of the releases, and where the path ends.
    Outside(Vec<u8>),
}

/// Judges the links behind the first one. The operating system follows them by itself, and nobody else judges where they
/// lead.
fn behind_link(system: &impl System, resolved: &[u8], releases: &Releases) -> Result<Behind, Failure> {
    let mut walk = Walk::new(system, resolved);
    walk.run()?;
    let Walk { at, links, .. } = walk;
    let strays = releases.release_of(&at).is_none() || links.iter().any(|met| !releases.admits(&met.target));
    Ok(match links[..] {
        // What the first one says is judged by whoever asked.
        [] => Behind::NoLink,
        _ if strays => Behind::Outside(at),
        _ => Behind::Admitted,
    })
}

/// Checks that a walk has led to a directory, and finds what will tell that it still does. Of the links met, `of_docroot`
/// is the last that is part of the docroot itself, and names the release where no rule says what a release is.
fn finish(
    system: &impl System,
    docroot: &[u8],
    met: &[Met],
    of_docroot: Option<usize>,
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
        let links = met.iter().map(|met| (&met.link[..], Some(&met.target[..])));
        Failure::new(docroot, errno).judged(links, of_docroot, rules)
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
        None => of_docroot.map(|index| last(&met[index].target)),
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
