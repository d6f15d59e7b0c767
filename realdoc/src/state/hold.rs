//! Releases that must not be taken away at the moment.
//!
//! Owns: a lock of the kernel's on the directory of each. Must not: be what keeps live releases; links do.
//!
//! Whoever works in a release without httpd holds it with the same lock: `flock -s RELEASE command`.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::os::holders;
use crate::state::releases::Store;

/// As long as this lives, the release stays, or goes.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "the lock ends when it is closed")] Vec<File>);

impl Store {
    /// Lets no prune take the release away until the result is dropped. The lock is the kernel's, and on the directory itself,
    /// so that it may be taken while the release is made and has another name.
    ///
    /// # Errors
    /// The release is not there.
    pub fn hold(&self, directory: &Path) -> Result<Hold> {
        let file = File::open(directory).context("open", directory)?;
        // A prune that is just looking lets go at once; a file system without locks has to do without.
        let _ = flock(&file, FlockOperation::LockShared);
        Ok(Hold(vec![file]))
    }
}

/// Takes a directory for its removal, and in it the one that links lead to, where a worker may hold it as well.
///
/// Inside the result is who holds one of both, in words.
///
/// # Errors
/// The directory is not there.
pub fn alone(directory: &Path, subdirectory: &Path) -> Result<Result<Hold, String>> {
    let mut files = Vec::new();
    let inside = Some(directory.join(subdirectory)).filter(|_| !subdirectory.as_os_str().is_empty());
    for path in [Some(directory.to_owned()), inside].into_iter().flatten() {
        let file = match File::open(&path).context("open", &path) {
            // A release without it is never live.
            Err(Error::Io { source, .. }) if path != directory && source.kind() == ErrorKind::NotFound => continue,
            file => file?,
        };
        // A file system without locks has to do without.
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Ok(Err(format!("held by {}", holders::describe(&path))));
        }
        files.push(file);
    }
    Ok(Ok(Hold(files)))
}
