//! The walk of realpath mode.
//!
//! Owns: following the links of a path to the end, one component at a time. Must not: know what the path is for.
//!
//! The walk reads each link once and never looks back, so that a flip in the middle of it cannot give a mixture: what
//! comes out was true of each link at the moment it was read.

use std::ffi::CStr;

use smallvec::SmallVec;

use crate::failure::Failure;
use crate::path::{pop, push, split_first};
use crate::system::{Errno, System};

/// How many links a walk follows before it calls them a loop: as many as Linux (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// A link that a walk has met.
pub struct Met {
    /// Where it is.
    pub link: Vec<u8>,
    /// The real path that it leads to, once the walk has got there.
    pub target: Vec<u8>,
    /// What it says.
    pub text: Vec<u8>,
}

/// The walk of realpath mode, one component at a time.
pub struct Walk<'s, S> {
    system: &'s S,
    /// How far it has come: real directories only, without a trailing slash; empty is the root.
    pub at: Vec<u8>,
    /// What is still to be walked.
    ahead: Vec<u8>,
    /// The links met so far, in this order.
    pub links: Vec<Met>,
    /// The links whose text is being walked: which one, and how much of `ahead` remains when its text is used up.
    pub open: Vec<(usize, usize)>,
    /// The last link that is part of the docroot itself and not of another link's text.
    pub of_docroot: Option<usize>,
}

impl<'s, S: System> Walk<'s, S> {
    /// The walk of a whole path.
    pub fn new(system: &'s S, docroot: &[u8]) -> Self {
        Self::from(system, b"", docroot)
    }

    /// The walk of `ahead` from `start` on, in whose path there is no link.
    pub fn from(system: &'s S, start: &[u8], ahead: &[u8]) -> Self {
        // Room for all of it at once.
        let mut at = Vec::with_capacity(start.len() + ahead.len());
        at.extend_from_slice(start);
        Self { system, at, ahead: ahead.to_vec(), links: Vec::new(), open: Vec::new(), of_docroot: None }
    }

    /// Walks as far as one can get.
    pub fn run(&mut self) -> Result<(), Failure> {
        loop {
            let next =
                split_first(&self.ahead).map(|(name, rest)| (SmallVec::<[u8; 64]>::from_slice(name), rest.len()));
            // A link's text is used up when what comes next belongs to what stood behind the link.
            let upcoming = next.as_ref().map_or(0, |(name, rest)| name.len() + rest);
            while let Some(&(index, behind)) = self.open.last()
                && upcoming <= behind
            {
                self.links[index].target.clone_from(&self.at);
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
                match with_terminated(&self.at, |path| self.system.read_link(path))? {
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
        if self.open.is_empty() {
            self.of_docroot = Some(self.links.len());
        }
        self.open.push((self.links.len(), self.ahead.len()));
        self.ahead.splice(..0, text.iter().copied());
        let is_absolute = text.first() == Some(&b'/');
        self.links.push(Met { link: self.at.clone(), target: Vec::new(), text });
        if is_absolute {
            self.at.clear();
        } else {
            pop(&mut self.at);
        }
        Ok(())
    }

    fn check_directory(&self) -> Result<(), Failure> {
        match with_terminated(&self.at, |path| self.system.status(path))? {
            Ok(status) if status.is_directory => Ok(()),
            Ok(_) => Err(Failure::new(&self.at, Errno(libc::ENOTDIR))),
            Err(errno) => Err(Failure::new(&self.at, errno)),
        }
    }
}

/// Makes a system call with a path; the empty path is the root. Without memory from the heap, because thousands of
/// docroots may be walked when a server starts.
pub fn with_terminated<R>(path: &[u8], call: impl FnOnce(&CStr) -> R) -> Result<R, Failure> {
    let path = if path.is_empty() { b"/" } else { path };
    let mut terminated: SmallVec<[u8; 256]> = SmallVec::from_slice(path);
    terminated.push(0);
    CStr::from_bytes_with_nul(&terminated).map(call).map_err(|_| Failure::new(path, Errno(libc::EINVAL)))
}
