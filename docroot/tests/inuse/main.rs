//! The file of requests, with real processes.
//!
//! Owns: what the promise is in the face of deaths, forks, users and files that cannot be had. Must not: prove the
//! protocol; that is the scheduler's, in `tests/concurrency`.

#![cfg(not(miri))]

mod child;
mod errors;
mod processes;
mod slots;

use std::path::{Path, PathBuf};
use std::time::Duration;

use docroot::inuse::{Drain, EntryCell, File, Process, Progress, Reader, Release, Slot, Unknown};
use docroot::{Moment, Os};

/// A directory with a file of requests in it.
struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("realdoc.inuse")
    }
}

fn claim(file: &File, shards: usize) -> Slot {
    file.claim(&Process::current(), Os::now(), Duration::ZERO, shards).expect("a slot")
}

/// A release by name alone; each is another directory.
fn release(path: &str) -> Release {
    let inode = path.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    Release::new(path.as_bytes(), 1, inode)
}

fn open(path: &Path) -> Reader {
    Reader::open(path).expect("a file")
}

/// A drain that begins now.
fn drain(files: Vec<Reader>, path: &str) -> Drain {
    Drain::new(files, release(path), Os::now()).expect("files")
}

/// Polls once, long after the drain began.
fn poll(drain: &mut Drain) -> Result<Progress, Unknown> {
    drain.poll(Moment::from_nanoseconds(Os::now().nanoseconds() + 3_600_000_000_000))
}

/// Enters the slow way.
fn enter(slot: &Slot, path: &str, entry: &EntryCell) -> docroot::inuse::Ticket {
    slot.look().enter(&release(path), entry, 0)
}
