//! One change at a time in a releases directory.
//!
//! Owns: the lock file. Must not: be what keeps links or releases whole; that holds without it.
//!
//! The lock is the kernel's (`flock`): it ends with the process that holds it, however that ends. What the file says
//! is only who holds it.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, process};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::os::interrupt::Interrupt;
use crate::os::process::user;
use crate::state::releases::Store;

/// How often a lock that somebody else holds is tried again.
const PACE: Duration = Duration::from_millis(50);
/// How long without `--wait`: `status` holds the lock for an instant, and that is nobody's reason to give up.
const PATIENCE: Duration = Duration::from_millis(200);

/// The lock of a releases directory; it is free again when this is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Who holds a lock.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// What it was asked to do.
    pub command: String,
    /// Who asked.
    pub user: String,
    /// Since when.
    pub since: Timestamp,
}

impl Holder {
    fn this(command: &str) -> Self {
        Self { pid: process::id(), command: command.to_owned(), user: user(), since: Timestamp::now() }
    }

    fn of(path: &Path) -> Self {
        fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("another process");
        }
        let since = crate::report::time(self.since);
        write!(f, "`{}` (process {}, by {}, since {since})", self.command, self.pid, self.user)
    }
}

impl Lock {
    /// Takes the lock, or waits for it if `wait`. `waiting` is called once if somebody else holds it.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process holds it, [`Error::Interrupted`] while waiting.
    pub fn acquire(
        store: &Store,
        command: &str,
        wait: bool,
        interrupt: &Interrupt,
        waiting: impl FnOnce(&Holder),
    ) -> Result<Self> {
        let path = store.state("lock");
        let file = open(&path)?;
        let start = Instant::now();
        let mut waiting = Some(waiting);
        while !try_lock(&file, &path)? {
            interrupt.check()?;
            if start.elapsed() >= PATIENCE {
                if !wait {
                    let directory = store.directory().to_owned();
                    return Err(Error::Busy { directory, holder: Holder::of(&path).to_string() });
                }
                if let Some(waiting) = waiting.take() {
                    waiting(&Holder::of(&path));
                }
            }
            thread::sleep(PACE);
        }
        let mut lock = Self { file };
        // A courtesy, and no reason to fail on a full disk.
        let _ = lock.write(&serde_json::to_vec(&Holder::this(command)).unwrap_or_default());
        Ok(lock)
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(bytes)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.write(b"");
    }
}

/// Who holds the lock now, if anybody does. It takes the lock for an instant to find out.
///
/// # Errors
/// What the file system says.
pub fn holder(store: &Store) -> Result<Option<Holder>> {
    let path = store.state("lock");
    let Ok(file) = File::open(&path) else {
        return Ok(None);
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => Ok(Some(Holder::of(&path))),
        Err(error) => Err(error).context("lock", &path),
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).context("open", path)
}

fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error).context("lock", path),
    }
}
