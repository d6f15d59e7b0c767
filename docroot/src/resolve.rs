//! Following the links of a docroot.
//!
//! Owns: the walk from `/`, in both modes, and the check that tells with one system call whether a past walk still
//! holds. Must not: remember anything from one walk to the next; that is `cache.rs`.
//!
//! The walk reads each link once and never looks back, so that a flip in the middle of it cannot give a mixture: what
//! comes out was true of each link at the moment it was read.

use std::ffi::{CStr, CString};
use std::fmt;

use crate::path::{pop, push, rest_under, split_first};
use crate::system::{Errno, FileId, System};

/// How many links a walk follows before it calls them a loop: as many as Linux (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

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

/// One link on the way to a docroot, and where it led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    path: CString,
    target: CString,
}

impl Link {
    /// Where the link is: an absolute path in which no other link is left (in readlink mode, none behind `from`).
    pub fn path(&self) -> &CStr {
        &self.path
    }

    /// Where it leads: the real path in realpath mode, its text made absolute in readlink mode.
    pub fn target(&self) -> &CStr {
        &self.target
    }
}

/// What a docroot led to at one moment.
#[derive(Clone, Debug)]
pub struct Resolution {
    docroot: CString,
    links: Box<[Link]>,
    witness: Witness,
}

/// What can tell with one system call that nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Witness {
    /// The text of the only link: exact, whatever the directories behind it do.
    Text(Box<[u8]>),
    /// The directory that all the links lead to. Flips of any of them show, because `stat(2)` follows them all.
    Directory(FileId),
    /// Nothing: the directory changed in the present step of the file clock, so another one that takes its inode
    /// number in this step would look the same.
    None,
}

impl Resolution {
    /// The resolved docroot: the configured one with its links followed. Without links, its own canonical form.
    pub fn docroot(&self) -> &CStr {
        &self.docroot
    }

    /// The links that were met, in the order of the walk; in readlink mode the first alone. In realpath mode a link
    /// that another link's text leads through is one of them, behind that link.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Whether both lead the same way.
    pub fn leads_like(&self, other: &Self) -> bool {
        self.docroot == other.docroot && self.links == other.links
    }

    /// Whether a walk of `docroot` would surely lead the same way now. One system call, no allocation.
    pub fn still_holds(&self, system: &impl System, docroot: &CStr) -> bool {
        match &self.witness {
            Witness::Text(text) => system.has_text(&self.links[0].path, text),
            Witness::Directory(id) => {
                system.status(docroot).is_ok_and(|status| status.is_directory && status.id == *id)
            }
            Witness::None => false,
        }
    }
}

/// Why a docroot could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    at: Vec<u8>,
    errno: Errno,
}

impl Failure {
    fn new(at: &[u8], errno: Errno) -> Self {
        Self { at: if at.is_empty() { b"/".to_vec() } else { at.to_vec() }, errno }
    }

    /// What the operating system said.
    pub fn errno(&self) -> Errno {
        self.errno
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", String::from_utf8_lossy(&self.at), self.errno)
    }
}

impl std::error::Error for Failure {}

/// Walks `docroot`, an absolute path, from `/`.
///
/// # Errors
/// Where the walk ends early or at something else than a directory: the path it had come to and what the operating
/// system said (`ENOENT`, `ENOTDIR`, `ELOOP`, `EACCES`, `ENAMETOOLONG`, ...).
pub fn resolve(system: &impl System, docroot: &CStr, mode: &Mode) -> Result<Resolution, Failure> {
    match mode {
        Mode::Realpath => realpath(system, docroot.to_bytes()),
        Mode::Readlink { from } => {
            let start = from.as_deref().map_or(&b"/"[..], CStr::to_bytes);
            readlink(system, docroot.to_bytes(), start)
        }
    }
}

fn realpath(system: &impl System, docroot: &[u8]) -> Result<Resolution, Failure> {
    let mut walk = Walk::new(system, docroot);
    walk.run()?;
    let Walk { at, links, text, .. } = walk;
    let witness = match (&links[..], text) {
        ([_], Some(text)) => Some(Witness::Text(text.into_boxed_slice())),
        _ => None,
    };
    finish(system, at, links, witness)
}

/// The walk of realpath mode, one component at a time.
struct Walk<'s, S> {
    system: &'s S,
    /// How far it has come: real directories only, without a trailing slash; empty is the root.
    at: Vec<u8>,
    /// What is still to be walked.
    ahead: Vec<u8>,
    links: Vec<(Vec<u8>, Vec<u8>)>,
    /// The links whose text is being walked: which one, and how much of `ahead` remains when its text is used up.
    open: Vec<(usize, usize)>,
    /// The text of the first link.
    text: Option<Vec<u8>>,
}

impl<'s, S: System> Walk<'s, S> {
    fn new(system: &'s S, docroot: &[u8]) -> Self {
        Self { system, at: Vec::new(), ahead: docroot.to_vec(), links: Vec::new(), open: Vec::new(), text: None }
    }

    fn run(&mut self) -> Result<(), Failure> {
        loop {
            let next = split_first(&self.ahead).map(|(name, rest)| (name.to_vec(), rest.len()));
            // A link's text is used up when what comes next belongs to what stood behind the link.
            let upcoming = next.as_ref().map_or(0, |(name, rest)| name.len() + rest);
            while let Some(&(index, behind)) = self.open.last()
                && upcoming <= behind
            {
                self.links[index].1.clone_from(&self.at);
                self.open.pop();
            }
            let Some((name, rest)) = next else {
                return Ok(());
            };
            self.ahead.drain(..self.ahead.len() - rest);
            self.step(&name)?;
        }
    }

    fn step(&mut self, name: &[u8]) -> Result<(), Failure> {
        match name {
            // Nothing lies beside or above what is no directory. (An ordinary name behind a file fails on its own.)
            b"." => self.check_directory(),
            b".." => {
                self.check_directory()?;
                pop(&mut self.at);
                Ok(())
            }
            name => {
                push(&mut self.at, name);
                match self.system.read_link(&terminated(&self.at)?) {
                    Ok(text) => self.follow(text),
                    Err(Errno(libc::EINVAL)) => Ok(()),
                    Err(errno) => Err(Failure::new(&self.at, errno)),
                }
            }
        }
    }

    fn follow(&mut self, text: Vec<u8>) -> Result<(), Failure> {
        if self.links.len() == LINKS_MAX {
            return Err(Failure::new(&self.at, Errno(libc::ELOOP)));
        }
        self.open.push((self.links.len(), self.ahead.len()));
        self.links.push((self.at.clone(), Vec::new()));
        self.ahead.splice(..0, text.iter().copied());
        if text.first() == Some(&b'/') {
            self.at.clear();
        } else {
            pop(&mut self.at);
        }
        if self.links.len() == 1 {
            self.text = Some(text);
        }
        Ok(())
    }

    fn check_directory(&self) -> Result<(), Failure> {
        let path = terminated(&self.at)?;
        match self.system.status(&path) {
            Ok(status) if status.is_directory => Ok(()),
            Ok(_) => Err(Failure::new(&self.at, Errno(libc::ENOTDIR))),
            Err(errno) => Err(Failure::new(&self.at, errno)),
        }
    }
}

fn readlink(system: &impl System, docroot: &[u8], start: &[u8]) -> Result<Resolution, Failure> {
    let (mut at, mut ahead) = match rest_under(docroot, start) {
        // The start itself is the first place to look at, so all but its last component are taken as they are.
        Some(behind) => {
            let mut at = docroot[..docroot.len() - behind.len()].to_vec();
            let last = at.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            let ahead = &docroot[last..];
            at.truncate(last);
            (at, ahead)
        }
        None => (Vec::new(), docroot),
    };
    let unexamined = at.len();
    while let Some((name, rest)) = split_first(ahead) {
        ahead = rest;
        match name {
            b"." => continue,
            b".." => {
                // Behind `unexamined` there is no link, so the directory above is the one written above.
                pop(&mut at);
                continue;
            }
            _ => push(&mut at, name),
        }
        match system.read_link(&terminated(&at)?) {
            Ok(text) => {
                let target = join_text(system, &at, &text, unexamined)?;
                let mut resolved = target.clone();
                append_all(&mut resolved, ahead);
                return finish(system, resolved, vec![(at, target)], Some(Witness::Text(text.into_boxed_slice())));
            }
            Err(Errno(libc::EINVAL)) => {}
            Err(errno) => return Err(Failure::new(&at, errno)),
        }
    }
    finish(system, at, Vec::new(), None)
}

/// Makes a link's text absolute: joins a relative one to the link's directory and folds its leading `.` and `..`.
/// What follows the first name is left as it is, because that name may be a link.
fn join_text(system: &impl System, link: &[u8], text: &[u8], unexamined: usize) -> Result<Vec<u8>, Failure> {
    let mut joined = Vec::new();
    let mut ahead = text;
    if text.first() != Some(&b'/') {
        joined.extend_from_slice(link);
        pop(&mut joined);
    }
    while let Some((name, rest)) = split_first(ahead) {
        match name {
            b"." => {}
            b".." => {
                if joined.len() <= unexamined && unexamined > 0 {
                    // Above the place where looking began, a link may hide what the parent really is.
                    let mut walk = Walk::new(system, &joined);
                    walk.run()?;
                    joined = walk.at;
                    return join_text_above(joined, ahead);
                }
                pop(&mut joined);
            }
            _ => break,
        }
        ahead = rest;
    }
    append_all(&mut joined, ahead);
    Ok(joined)
}

/// The rest of [`join_text`] for a `directory` that is real, so that folding is right whatever is above it.
fn join_text_above(mut directory: Vec<u8>, mut ahead: &[u8]) -> Result<Vec<u8>, Failure> {
    while let Some((name @ (b"." | b".."), rest)) = split_first(ahead) {
        if name == b".." {
            pop(&mut directory);
        }
        ahead = rest;
    }
    append_all(&mut directory, ahead);
    Ok(directory)
}

fn append_all(path: &mut Vec<u8>, mut ahead: &[u8]) {
    while let Some((name, rest)) = split_first(ahead) {
        if name != b"." {
            push(path, name);
        }
        ahead = rest;
    }
}

/// Checks that a walk has led to a directory, and finds what will tell that it still does.
fn finish(
    system: &impl System,
    docroot: Vec<u8>,
    links: Vec<(Vec<u8>, Vec<u8>)>,
    witness: Option<Witness>,
) -> Result<Resolution, Failure> {
    // Read before the directory is looked at: whatever takes its place later is stamped later than this.
    let now = system.file_clock();
    let path = terminated(&docroot)?;
    let status = system.status(&path).map_err(|errno| Failure::new(&docroot, errno))?;
    if !status.is_directory {
        return Err(Failure::new(&docroot, Errno(libc::ENOTDIR)));
    }
    let witness =
        witness.unwrap_or(if status.id.changed < now { Witness::Directory(status.id) } else { Witness::None });
    let links = links
        .into_iter()
        .map(|(path, target)| Ok(Link { path: terminated(&path)?, target: terminated(&target)? }))
        .collect::<Result<_, Failure>>()?;
    Ok(Resolution { docroot: path, links, witness })
}

/// The path as system calls take it; the empty path is the root.
fn terminated(path: &[u8]) -> Result<CString, Failure> {
    let path = if path.is_empty() { b"/" } else { path };
    // Paths come from C strings and from the kernel, neither of which has a NUL inside.
    CString::new(path).map_err(|_| Failure::new(path, Errno(libc::EINVAL)))
}
