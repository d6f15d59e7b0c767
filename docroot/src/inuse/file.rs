//! The file of requests, as web servers make and use it.
//!
//! Owns: who may have the file, and which process which slot. Must not: be opened, or closed, in a process that has
//! claimed a slot: a process loses its POSIX locks of a file when it closes *any* of its descriptors.

use std::fmt;
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::inuse::format::{
    ALIVE, HEADER, HEADER_WORDS, MAGIC, PAGE_WORDS, SHARD_COUNT, SHARDS, SLOT_BYTES, SLOT_WORDS, SLOTS, STATE,
    UNCOUNTED, WINDOW, slot_offset,
};
use crate::inuse::os::{self, Lock, Mapping};
use crate::inuse::process::Process;
use crate::inuse::reader::{Reader, Unknown, header_words, slot_header};
use crate::inuse::slot::Slot;
use crate::inuse::words::Words;
use crate::os::system::Moment;

/// The mode of the file: its owner counts, its group may read.
const MODE: u32 = 0o640;

/// The file, open for counting. A web server's parent makes it and keeps it open, and its children inherit it.
#[derive(Clone, Debug)]
pub struct File(Arc<fs::File>);

/// Why there is no file.
#[derive(Debug)]
pub enum CreateError {
    /// It cannot be opened or written.
    Io(io::Error),
    /// Something else is there: a directory, a symlink, a FIFO.
    NotRegular,
    /// Another user's file is there.
    OtherOwner,
    /// It has more than one name.
    OtherNames,
    /// Processes count in a file of another format there.
    OtherFormat,
    /// It is some other file, which is not ours to replace.
    OtherFile,
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotRegular => f.write_str("it is no regular file"),
            Self::OtherOwner => f.write_str("it belongs to another user"),
            Self::OtherNames => f.write_str("it has more than one name"),
            Self::OtherFormat => f.write_str("processes of another version use it"),
            Self::OtherFile => f.write_str("it is a file of something else"),
        }
    }
}

impl std::error::Error for CreateError {}

impl From<io::Error> for CreateError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            // A symlink, a directory, and a socket or a device without driver.
            Some(libc::ELOOP | libc::EISDIR | libc::ENXIO) => Self::NotRegular,
            _ => Self::Io(error),
        }
    }
}

impl File {
    /// Opens the file at `path`, or makes it. It stays the same when a server restarts, so that processes of old
    /// generations go on to be seen. A file of another format is replaced if no process uses it.
    ///
    /// # Errors
    /// [`CreateError`] if it cannot be had, or is not one that only this user can have made.
    pub fn create(path: &Path) -> Result<Self, CreateError> {
        let file = Self::open(path)?;
        if file.has_header()? {
            return Ok(file);
        }
        if os::is_locked(&file.0, 0, 0)? {
            return Err(CreateError::OtherFormat);
        }
        if file.0.metadata()?.len() > 0 {
            if header_words(&file.0)?.is_none_or(|[magic, ..]| magic != MAGIC) {
                return Err(CreateError::OtherFile);
            }
            // Whoever has it open keeps it; this one is new.
            fs::remove_file(path)?;
            drop(file);
            let file = Self::open(path)?;
            file.write_header()?;
            return Ok(file);
        }
        file.write_header()?;
        Ok(file)
    }

    fn open(path: &Path) -> Result<Self, CreateError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            // A FIFO would wait for its other end. (std adds O_CLOEXEC.)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(CreateError::NotRegular);
        }
        if metadata.uid() != os::user() {
            return Err(CreateError::OtherOwner);
        }
        if metadata.nlink() != 1 {
            return Err(CreateError::OtherNames);
        }
        if metadata.mode() & 0o7777 != MODE {
            file.set_permissions(Permissions::from_mode(MODE))?;
        }
        Ok(Self(Arc::new(file)))
    }

    fn has_header(&self) -> Result<bool, CreateError> {
        Ok(header_words(&self.0)? == Some(HEADER_WORDS))
    }

    /// Two servers that start at once write the same.
    fn write_header(&self) -> io::Result<()> {
        let bytes: Vec<u8> = HEADER_WORDS.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.0.write_all_at(&bytes, 0)
    }

    /// Takes a slot for `process`, which is this process and serves no request yet. Call it once, in a thread that lives as
    /// long as the process. `window` is the longest time for which the process goes without a lookup of a docroot, and `now`
    /// the present moment. A process with one thread needs one of `shards`, another [`SHARDS`].
    ///
    /// # Errors
    /// If the system refuses, or all slots are taken. Readers know then, for as long as this process lives, that it serves
    /// requests which nobody counts: [`Unknown::Uncounted`].
    pub fn claim(&self, process: &Process, now: Moment, window: Duration, shards: usize) -> io::Result<Slot> {
        self.claim_slot(process, now, window, shards).inspect_err(|_| {
            // The error is the one to report. Whoever cannot lock a byte at all has no slot and no word with readers.
            let _ = os::lock(&self.0, UNCOUNTED, Lock::Shared);
        })
    }

    fn claim_slot(&self, process: &Process, now: Moment, window: Duration, shards: usize) -> io::Result<Slot> {
        for number in 0..SLOTS {
            // A process gets the lock that it has already.
            if self.owner(number)?.is_some_and(|(owner, _)| owner == *process)
                || !os::lock(&self.0, number, Lock::Exclusive)?
            {
                continue;
            }
            if self.owner(number)?.is_some_and(|(owner, mutex)| owner.lives_without_lock(mutex)) {
                os::lock(&self.0, number, Lock::Free)?;
                continue;
            }
            return self.take(number, process, now, window, shards).inspect_err(|_| {
                // What was not claimed is not locked.
                let _ = os::lock(&self.0, number, Lock::Free);
            });
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    /// Who uses a slot, or used it last; and the first word of the mutex that tells whether it lives.
    fn owner(&self, number: u64) -> io::Result<Option<(Process, u64)>> {
        let header = slot_header(&self.0, number)?;
        Ok((header[STATE - HEADER] == MAGIC).then(|| (Process::of(&header), header[ALIVE - HEADER])))
    }

    fn take(&self, number: u64, process: &Process, now: Moment, window: Duration, shards: usize) -> io::Result<Slot> {
        let slot = slot_offset(number);
        // What another process has left there.
        if self.0.metadata()?.len() > slot && os::punch(&self.0, slot, SLOT_BYTES).is_err() {
            self.clear(slot)?;
        }
        // This makes the file long enough, and never shorter, whoever else does the same.
        self.0.write_all_at(&[0; PAGE_WORDS * 8], slot + HEADER as u64 * 8)?;
        let mut words = Mapping::own(Arc::clone(&self.0), number)?;
        if !words.reserve(HEADER..SLOT_WORDS) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        words.hold()?;
        process.write(&words);
        words.store(WINDOW, u64::try_from(window.as_nanos()).unwrap_or(u64::MAX));
        let shards = shards.clamp(1, SHARDS).next_power_of_two();
        words.store(SHARD_COUNT, shards as u64);
        words.store(STATE, MAGIC);
        Ok(Slot::new(words, now, shards))
    }

    /// Writes zeros, where a file system cannot give memory back.
    fn clear(&self, slot: u64) -> io::Result<()> {
        let zeros = vec![0; 1 << 16];
        (0..SLOT_BYTES / zeros.len() as u64).try_for_each(|step| {
            let at = slot + step * zeros.len() as u64;
            self.0.write_all_at(&zeros, at)
        })
    }

    /// What all processes count, read without another descriptor: for a server's own status page.
    pub fn reader(&self) -> Result<Reader, Unknown> {
        Reader::of(Arc::clone(&self.0))
    }
}
