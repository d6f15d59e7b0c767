//! The walk of realpath mode: one component at a time, through every link.
//!
//! The walk reads each link once, so that a flip in the middle gives no mixture: the result was true of each link at
//! the moment when the walk read it.

use std::ffi::CStr;

use smallvec::{SmallVec, smallvec};

use crate::os::system::{Errno, System};
use crate::path::{pop, push, split_first};
use crate::resolve::failure::Failure;
use crate::resolve::hop::LinkHop;

/// More links than this are a loop, as for Linux (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// A walk. It allocates little, because a server may walk thousands of docroots when it starts.
pub struct Walk<'p, S> {
    system: &'p S,
    /// The path to walk.
    path: &'p [u8],
    /// The real path so far, without a trailing slash; the root is empty.
    pub at: Vec<u8>,
    /// The links met so far, in this order. One has no target until the walk has reached it.
    pub links: Vec<LinkHop>,
    /// The texts that the walk is in, the innermost last: the index of the link (`None` for the path itself), and the
    /// number of bytes done.
    open: SmallVec<[(Option<usize>, usize); 4]>,
    /// The index of the last link that is part of the path itself, and not of another link's text.
    pub of_docroot: Option<usize>,
}

impl<'p, S: System> Walk<'p, S> {
    /// The walk of a whole path.
    pub fn new(system: &'p S, path: &'p [u8]) -> Self {
        Self::from(system, 0, path)
    }

    /// The walk of a path whose first `real` bytes are known to have no link in them.
    pub fn from(system: &'p S, real: usize, path: &'p [u8]) -> Self {
        // Room for all of it at once.
        let mut at = Vec::with_capacity(path.len());
        at.extend_from_slice(&path[..real]);
        Self { system, path, at, links: Vec::new(), open: smallvec![(None, real)], of_docroot: None }
    }

    /// Walks to the end, or to the first error.
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
                // A file has no `.` and no `..`. (An ordinary name behind a file fails by itself.)
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

/// Makes a system call with a path; the empty path is the root. Allocates nothing for paths of usual length, because a
/// server may walk thousands of docroots when it starts.
pub fn with_terminated<R>(path: &[u8], call: impl FnOnce(&CStr) -> R) -> Result<R, Failure> {
    let path = if path.is_empty() { b"/" } else { path };
    let mut terminated: SmallVec<[u8; 256]> = SmallVec::from_slice(path);
    terminated.push(0);
    CStr::from_bytes_with_nul(&terminated).map(call).map_err(|_| Failure::new(path, Errno(libc::EINVAL)))
}
