//! The claim of whoever is about to remove a release.
//!
//! It is an exclusive `flock(2)` on the directory. Programs that work in a release without a web server hold it off with
//! a shared one: `flock -s RELEASE command`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::inuse::os;

/// A release that is about to be removed, until this is dropped.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "its lock ends when it is closed")] File);

impl Claim {
    /// Claims the release at `path`; nothing if somebody holds it. A request that asks whether it is claimed holds it for
    /// an instant, so try again before giving up.
    ///
    /// # Errors
    /// What `open(2)` or `flock(2)` says.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let directory = open(path)?;
        Ok(os::flock(&directory, true)?.then_some(Self(directory)))
    }
}

/// Whether somebody is about to remove the release at `path`. One that cannot be opened is not claimed.
pub fn is_claimed(path: &Path) -> bool {
    open(path).and_then(|directory| os::flock(&directory, false)).is_ok_and(|is_free| !is_free)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NONBLOCK).open(path)
}
