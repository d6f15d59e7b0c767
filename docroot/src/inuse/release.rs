//! Which release is meant, by its path and by its directory.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A release: its real path, and the device and inode of its directory, by which it is known where it is mounted
/// elsewhere (in a container).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Release {
    path: Box<[u8]>,
    device: u64,
    inode: u64,
}

impl Release {
    /// A release by its real path, the device and the inode of its directory.
    pub fn new(path: &[u8], device: u64, inode: u64) -> Self {
        Self { path: path.into(), device, inode }
    }

    /// The release that a path leads to.
    ///
    /// # Errors
    /// If there is none.
    pub fn at(path: &Path) -> io::Result<Self> {
        let real = path.canonicalize()?;
        let metadata = fs::metadata(&real)?;
        Ok(Self::new(real.as_os_str().as_bytes(), metadata.dev(), metadata.ino()))
    }

    /// Its real path.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.path
    }

    /// The device and inode of its directory.
    pub fn file(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether requests of `counted` may use files of this release: it is this directory, by whatever name, or lies at
    /// or below its path. (A link may lead to `releases/42/public`, and `releases/42` is removed.)
    pub fn covers(&self, counted: &Self) -> bool {
        let is_below = counted.path.strip_prefix(&*self.path).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
        is_below || (self.inode != 0 && self.file() == counted.file())
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::escape::escape(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_covers_what_is_in_it() {
        let release = Release::new(b"/srv/42", 1, 7);
        for (path, inode, covers) in [
            ("/srv/42", 7, true),
            ("/srv/42", 8, true),
            ("/srv/42/public", 9, true),
            ("/srv/421", 9, false),
            ("/srv", 9, false),
            ("/mnt/42", 7, true),
        ] {
            assert_eq!(release.covers(&Release::new(path.as_bytes(), 1, inode)), covers, "{path} {inode}");
        }
        assert!(!Release::new(b"/a", 0, 0).covers(&Release::new(b"/b", 0, 0)), "an unknown directory is no other");
    }
}
