//! The walk of realpath mode.
//!
//! Owns: following the links of a path to the end, one component at a time. Must not: know what the path is for.
//!
//! The walk reads each link once and never looks back, so that a flip in the middle of it cannot give a mixture: what
//! comes out was true of each link at the moment it was read.

use std::ffi::CStr;

use smallvec::{SmallVec, smallvec};

use crate::os::system::{Errno, System};
use crate::path::{pop, push, split_first};
use crate::resolve::failure::Failure;
use crate::resolve::hop::LinkHop;

/// How many links a walk follows before it calls them a loop: as many as Linux (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// The walk of realpath mode, one component at a time. With few allocations, because thousands of docroots may be walked
/// when a server starts.
pub struct Walk<'p, S> {
    system: &'p S,
    /// The path that is walked.
    path: &'p [u8],
    /// How far it has come: real directories only, without a trailing slash; empty is the root.
    pub at: Vec<u8>,
    /// The links met so far, in this order.
    pub links: Vec<LinkHop>,
    /// The texts that are being walked, the innermost last: of which link (of none: the path itself), and how much of it
    /// is done.
    open: SmallVec<[(Option<usize>, usize); 4]>,
    /// The last link that is part of the docroot itself and not of another link's text.
    pub of_docroot: Option<usize>,
}

impl<'p, S: System> Walk<'p, S> {
    /// The walk of a whole path.
    pub fn new(system: &'p S, path: &'p [u8]) -> Self {
        Self::from(system, 0, path)
    }

    /// The walk of a path of which so much is known to have no link in it.
    pub fn from(system: &'p S, real: usize, path: &'p [u8]) -> Self {
        // Room for all of it at once.
        let mut at = Vec::with_capacity(path.len());
        at.extend_from_slice(&path[..real]);
        Self { system, path, at, links: Vec::new(), open: smallvec![(None, real)], of_docroot: None }
    }

    /// Walks as far as one can get.
    pub fn run(&mut self) -> Result<(), Failure> {
        while let Some((link, done)) = self.open.last_mut() {
            let text = link.map_or(self.path, |index| &self.links[index].text);
            let Some((name, rest)) = split_first(&text[*done..]) else {
                if let Some(index) = *link {
                    self.links[index].target = Some(self.at.clone());
                }
                self.open.pop();
                continue;
            };
            *done = text.len() - rest.len();
            match name {
                // Nothing lies beside or above what is no directory. (An ordinary name behind a file fails on its own.)
                b"." => self.check_directory()?,
                b".." => {
                    self.check_directory()?;
                    pop(&mut self.at);
                }
                name => {
                    push(&mut self.at, name);
                    match with_terminated(&self.at, |path| self.system.read_link(path))? {
                        Ok(text) => self.follow(text)?,
                        Err(Errno(libc::EINVAL)) => {}
                        Err(errno) => return Err(Failure::new(&self.at, errno)),
                    }
                }
            }
        }
        Ok(())
    }

    fn follow(&mut self, text: Vec<u8>) -> Result<(), Failure> {
        if self.links.len() == LINKS_MAX {
            return Err(Failure::new(&self.at, Errno(libc::ELOOP)));
        }
        if let [_] = self.open[..] {
            self.of_docroot = Some(self.links.len());
        }
        self.open.push((Some(self.links.len()), 0));
        let is_absolute = text.first() == Some(&b'/');
        self.links.push(LinkHop { link: self.at.clone(), text, target: None });
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
