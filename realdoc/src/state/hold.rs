//! Releases that must not be taken away at the moment.
//!
//! Owns: a lock of the kernel's on the directory of each. Must not: be what keeps live releases; links do.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Context, Result};
use crate::state::releases::Store;

/// As long as this lives, the release stays, or goes.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "the lock ends when it is closed")] File);

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
        Ok(Hold(file))
    }

    /// Takes the release for its removal; nothing if somebody holds it.
    ///
    /// # Errors
    /// The release is not there.
    pub fn hold_alone(&self, name: &str) -> Result<Option<Hold>> {
        let path = self.path_of(name);
        let file = File::open(&path).context("open", &path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Ok(None),
            _ => Ok(Some(Hold(file))),
        }
    }
}
