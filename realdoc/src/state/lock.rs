//! One change at a time in a releases directory, and beside it one release that is being made.
//!
//! Owns: the lock files. Must not: be what keeps links or releases whole; that holds without it.
//!
//! The lock is the kernel's (`flock`): it ends with the process that holds it, however that ends. What the file says
//! is only who holds it. No lock is held while something runs that may take long, except the one for making a release.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
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
use crate::os::{holders, stopped};
use crate::state::releases::Store;

/// How often a lock that somebody else holds is tried again.
const PACE: Duration = Duration::from_millis(20);
/// How long a lock is held at most by a process that runs, on all but the slowest disks.
const LONG: Duration = Duration::from_secs(1);
/// The lock file's length: it keeps its room, so that a full disk does not hide who holds it.
const LENGTH: usize = 1024;

/// What a lock is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Flipping links, writing the history, taking releases away: a few milliseconds.
    Change,
    /// Making a release: as long as a fetch and a build take.
    Stage,
}

impl Kind {
    fn path(self, store: &Store) -> PathBuf {
        store.state(match self {
            Self::Change => "lock",
            Self::Stage => "stage.lock",
        })
    }
}

/// How long to try for a lock that somebody else holds.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// As long as it takes.
    Endless,
    /// So long.
    For(Duration),
}

impl Patience {
    /// Longer than `status` holds a lock to see who does.
    #[must_use]
    pub fn of(wait: bool) -> Self {
        if wait { Self::Endless } else { Self::For(Duration::from_secs(1)) }
    }
}

/// A lock of a releases directory; it is free again when this is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    holder: Holder,
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
    /// What it is doing: `fetch`, `export`, `build`, ...
    #[serde(default)]
    pub step: Option<String>,
}

impl Holder {
    fn this(command: &str) -> Self {
        let (command, user) = (command.to_owned(), user());
        Self { pid: process::id(), command, user, since: Timestamp::now(), step: None }
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
        write!(f, "`{}` (process {}, by {}, since {since}", self.command, self.pid, self.user)?;
        if let Some(step) = &self.step {
            write!(f, ", now at its {step}")?;
        }
        f.write_str(")")
    }
}

impl Lock {
    /// Takes the lock. `waiting` is called once if somebody else holds it and that may take long.
    ///
    /// With `ended`, a realdoc that holds it and is stopped (Ctrl-Z) is killed, and `ended` is called: whatever moment it
    /// was stopped at, what it left is put right as after a crash.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process holds it, [`Error::Interrupted`] while waiting.
    pub fn acquire(
        store: &Store,
        kind: Kind,
        command: &str,
        patience: Patience,
        interrupt: &Interrupt,
        waiting: impl FnOnce(&Holder),
        ended: Option<&dyn Fn(&Holder)>,
    ) -> Result<Self> {
        let path = kind.path(store);
        let file = open(&path)?;
        let start = Instant::now();
        let mut waiting = Some(waiting);
        while !try_lock(&file, &path)? {
            interrupt.check()?;
            if let Some(ended) = ended
                && start.elapsed() >= LONG
                && let Some(holder) = end_stopped(&path)
            {
                ended(&holder);
                // The kernel frees the lock in a moment.
                thread::sleep(PACE);
                continue;
            }
            match patience {
                Patience::For(time) if start.elapsed() >= time => {
                    let holder = Holder::of(&path);
                    return Err(Error::Busy {
                        directory: store.directory().to_owned(),
                        pid: holder.pid,
                        holder: holder.to_string(),
                        is_stopped: stopped::is_stopped(holder.pid),
                    });
                }
                Patience::Endless if start.elapsed() >= Duration::from_millis(200) => {
                    if let Some(waiting) = waiting.take() {
                        waiting(&Holder::of(&path));
                    }
                }
                _ => {}
            }
            thread::sleep(PACE);
        }
        let lock = Self { file, holder: Holder::this(command) };
        lock.tell(&lock.holder);
        Ok(lock)
    }

    /// Tells others what this process is doing.
    pub fn step(&self, step: &str) {
        self.tell(&Holder { step: Some(step.to_owned()), ..self.holder.clone() });
    }

    /// A courtesy, and no reason to fail.
    fn tell(&self, holder: &Holder) {
        self.write(serde_json::to_vec(holder).unwrap_or_default());
    }

    fn write(&self, mut text: Vec<u8>) {
        text.resize(text.len().max(LENGTH), b' ');
        let _ = self.file.write_all_at(&text, 0).and_then(|()| self.file.set_len(text.len() as u64));
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.write(Vec::new());
    }
}

/// Who holds a lock now, if anybody does. It takes the lock for an instant to find out.
///
/// # Errors
/// What the file system says.
pub fn holder(store: &Store) -> Result<Option<Holder>> {
    for kind in [Kind::Change, Kind::Stage] {
        let path = kind.path(store);
        let Ok(file) = File::open(&path) else { continue };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Some(Holder::of(&path))),
            Err(error) => return Err(error).context("lock", &path),
        }
    }
    Ok(None)
}

fn open(path: &Path) -> Result<File> {
    match OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path) {
        // Nothing can be recorded then, but links elsewhere can go back. Another user's file can be locked, too.
        Err(error) if matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
            // What was wrong first says more.
            File::open(path).map_err(|_| error)
        }
        file => file,
    }
    .context("open", path)
}

/// Ends the process that holds a lock, if it is a realdoc that is stopped. Another program may have the file locked as well,
/// and what that leaves half-done is not known.
fn end_stopped(path: &Path) -> Option<Holder> {
    let holder = Holder::of(path);
    let holds = || holders::holders(path).iter().any(|known| known.pid == holder.pid);
    stopped::end(holder.pid, holds).then_some(holder)
}

fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error).context("lock", path),
    }
}
