//! Surveys of many docroots that share directories.
//!
//! Owns: reading a directory without a link in its path once. With thousands of virtual hosts, these reads are most of
//! what a check of the configuration costs.

use std::cell::RefCell;
use std::ffi::{CStr, CString};

use crate::config::rules::Rules;
use crate::os::system::{Errno, Status, System, Timestamp};
use crate::path::rest_under;
use crate::resolve::hop::LinkHop;
use crate::resolve::survey::{survey, survey_from};

/// A file system with a small cache of directories that have no link in their path. It fits only walks that begin at
/// the root: see [`Rules::begin_at_root`].
#[derive(Default)]
pub struct Surveyor<S> {
    system: S,
    /// Directories without a link in their path, the last one used first: as a rule the parent of the docroots, and the
    /// parent of what they lead to. A larger cache saves most configurations nothing.
    link_free: RefCell<[Vec<u8>; 2]>,
}

/// What the system answers for a path that is no link.
const NO_LINK: Result<Vec<u8>, Errno> = Err(Errno(libc::EINVAL));

impl<S: System> Surveyor<S> {
    /// The [`survey`] of one docroot.
    pub fn survey(&self, docroot: &CStr, rules: &Rules) -> Vec<LinkHop> {
        if !rules.begin_at_root() {
            return survey(&self.system, docroot, rules);
        }
        let path = docroot.to_bytes();
        survey_from(self, &path[..self.link_free_part(path)], docroot, rules)
    }

    /// Whether there is a link on the way along a path, or at its end. The path is read up to the first component that
    /// does not exist.
    pub fn has_link(&self, path: &[u8]) -> bool {
        let link_free = self.link_free_part(path);
        let ends = (1..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]);
        for end in ends.filter(|&end| end > link_free) {
            match CString::new(&path[..end]).map(|part| self.read_link(&part)) {
                Ok(Ok(_)) => return true,
                Ok(Err(errno)) if Err(errno) == NO_LINK => {}
                _ => return false,
            }
        }
        false
    }

    /// The length of the part of a path that is known to have no link in it.
    fn link_free_part(&self, path: &[u8]) -> usize {
        let mut cache = self.link_free.borrow_mut();
        let [first, second] = cache.each_ref().map(|directory| common_directory(path, directory));
        if second > first {
            cache.rotate_right(1);
        }
        first.max(second)
    }

    /// Whether a path is known to be no link, and to have none in it.
    fn is_link_free(&self, path: &[u8]) -> bool {
        let mut cache = self.link_free.borrow_mut();
        let index = cache.iter().position(|directory| rest_under(directory, path).is_some());
        if let Some(index) = index {
            cache[..=index].rotate_right(1);
        }
        index.is_some()
    }

    /// Caches a path without links. It replaces the cached directory that it is below, else the one not used for longest.
    fn cache_link_free(&self, path: &[u8]) {
        let mut cache = self.link_free.borrow_mut();
        let index = cache.iter().position(|directory| rest_under(path, directory).is_some()).unwrap_or(cache.len() - 1);
        cache[..=index].rotate_right(1);
        cache[0].clear();
        cache[0].extend_from_slice(path);
    }
}

/// The length of the path of the last directory that both paths go through.
fn common_directory(path: &[u8], other: &[u8]) -> usize {
    let mut slashes = (0..other.len()).rev().filter(|&at| other[at] == b'/');
    slashes.find(|&at| path.starts_with(&other[..=at])).unwrap_or(0)
}

impl<S: System> System for Surveyor<S> {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        if self.is_link_free(path.to_bytes()) {
            return NO_LINK;
        }
        let text = self.system.read_link(path);
        if text == NO_LINK {
            self.cache_link_free(path.to_bytes());
        }
        text
    }

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        self.system.has_text(path, text)
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        self.system.status(path)
    }

    fn file_clock(&self) -> Timestamp {
        self.system.file_clock()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::os::linux::Os;

    /// Lists the links that are read.
    #[derive(Default)]
    struct Reads(RefCell<Vec<CString>>);

    impl System for Reads {
        fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
            self.0.borrow_mut().push(path.to_owned());
            Os.read_link(path)
        }

        fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
            Os.has_text(path, text)
        }

        fn status(&self, path: &CStr) -> Result<Status, Errno> {
            Os.status(path)
        }

        fn file_clock(&self) -> Timestamp {
            Os.file_clock()
        }
    }

    #[test]
    fn each_link_and_each_shared_directory_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for part in ["instances", "releases/42"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        let docroots: Vec<_> = (0..5).map(|number| root.join(format!("instances/{number}"))).collect();
        let surveyor = Surveyor::<Reads>::default();
        for docroot in &docroots {
            symlink("../releases/42", docroot).unwrap();
            let path = CString::new(docroot.as_os_str().as_bytes()).unwrap();
            let hops = surveyor.survey(&path, &Rules::default());
            assert_eq!(hops, survey(&Os, &path, &Rules::default()));
            assert_eq!(hops.len(), 1);
        }
        assert!(surveyor.has_link(root.join("instances/3").as_os_str().as_bytes()));
        assert!(!surveyor.has_link(root.join("instances").as_os_str().as_bytes()));

        let reads = surveyor.system.0.into_inner();
        let of =
            |path: &std::path::Path| reads.iter().filter(|read| read.to_bytes() == path.as_os_str().as_bytes()).count();
        for shared in ["instances", "releases", "releases/42"] {
            assert_eq!(of(&root.join(shared)), 1, "{shared}: {reads:?}");
        }
        assert_eq!(docroots.iter().map(|docroot| of(docroot)).collect::<Vec<_>>(), [1, 1, 1, 2, 1]);
    }
}
