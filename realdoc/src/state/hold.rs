//! Releases that must not be taken away at the moment.
//!
//! Owns: a lock of the kernel's on the directory of each. Must not: be what keeps live releases; links do.
//!
//! Whoever works in a release without httpd holds it with the same lock: `flock -s RELEASE command`.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use docroot::inuse::Claim;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Context, Result};
use crate::os::holders;
use crate::state::releases::Store;

/// The state's file that is locked while somebody is to go first.
const WANTED: &str = "wanted";
/// So often a claim is tried again: httpd asks for an instant whether a release is claimed, and another tool may, too.
const TRIES: u32 = 5;
/// The time between two tries.
const PACE: Duration = Duration::from_millis(2);

/// As long as this lives, the release stays.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "the lock ends when it is closed")] File);

/// As long as this lives, nobody holds the release, because it is about to go.
#[derive(Debug)]
pub struct Claims(#[expect(dead_code, reason = "the locks end when it is dropped")] Vec<Claim>);

impl Store {
    /// Lets no prune take the release away until the result is dropped. The lock is the kernel's, and on the directory itself,
    /// so that it may be taken while the release is made and has another name.
    ///
    /// Whoever waits for the requests of the release has claimed it, and lets go when it is wanted here.
    ///
    /// # Errors
    /// The release is not there.
    pub fn hold(&self, directory: &Path) -> Result<Hold> {
        let file = File::open(directory).context("open", directory)?;
        if flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK) {
            let wanted = File::create(self.state(WANTED)).ok();
            if let Some(wanted) = &wanted {
                let _ = flock(wanted, FlockOperation::LockShared);
            }
            // A file system without locks has to do without.
            let _ = flock(&file, FlockOperation::LockShared);
        }
        Ok(Hold(file))
    }

    /// Whether somebody wants to hold a release that is claimed.
    #[must_use]
    pub fn is_hold_wanted(&self) -> bool {
        let wanted = File::open(self.state(WANTED));
        wanted.is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK))
    }

    /// Waits until those hold their releases who want to, but no longer than this.
    pub fn let_hold(&self, time: Duration) {
        let began = Instant::now();
        while self.is_hold_wanted() && began.elapsed() < time {
            thread::sleep(PACE);
        }
    }
}

/// Takes a directory for its removal, and in it the one that links lead to, where a worker may hold it as well.
///
/// Inside the result is who holds one of both, in words.
///
/// # Errors
/// The directory is not there.
pub fn alone(directory: &Path, subdirectory: &Path) -> Result<Result<Claims, String>> {
    let mut claims = Vec::new();
    let inside = Some(directory.join(subdirectory)).filter(|_| !subdirectory.as_os_str().is_empty());
    for path in [Some(directory.to_owned()), inside].into_iter().flatten() {
        match claim(&path) {
            Ok(Some(claim)) => claims.push(claim),
            Ok(None) => return Ok(Err(holders::describe(&path))),
            // A release without it is never live.
            Err(error) if path != directory && error.kind() == ErrorKind::NotFound => {}
            // A file system without locks has to do without.
            Err(error) if has_no_locks(&error) => {}
            Err(error) => return Err(error).context("open", &path),
        }
    }
    Ok(Ok(Claims(claims)))
}

fn claim(path: &Path) -> io::Result<Option<Claim>> {
    for _ in 1..TRIES {
        if let Some(claim) = Claim::take(path)? {
            return Ok(Some(claim));
        }
        thread::sleep(PACE);
    }
    Claim::take(path)
}

fn has_no_locks(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP].map(Some).contains(&errno)
}
