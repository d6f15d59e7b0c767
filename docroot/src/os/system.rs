//! The operating system as a trait, and the values that it returns.
//!
//! Must not: make a system call; [`Os`](crate::Os) does. Tests implement the trait with file systems in memory, to
//! count calls and to inject faults.

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::terminated::Terminated;

/// The file system calls that resolution needs.
pub trait System {
    /// The text of the symlink at `path`; the path's last component is not followed.
    ///
    /// # Errors
    /// `EINVAL` where `path` is no symlink, else what `readlink(2)` says.
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno>;

    /// Whether the symlink at `path` has exactly this text; false on an error. One system call, no allocation.
    fn has_text(&self, path: &CStr, text: &[u8]) -> bool;

    /// [`System::has_text`] for a path whose length nobody has counted.
    fn has_text_at(&self, path: Terminated<'_>, text: &[u8]) -> bool {
        self.has_text(path.to_c_str(), text)
    }

    /// The file at the end of `path`, with all symlinks followed. One system call, no allocation.
    ///
    /// # Errors
    /// What `stat(2)` says.
    fn status(&self, path: &CStr) -> Result<Status, Errno>;

    /// The present time of the clock that file systems stamp files with, which moves in coarse steps.
    fn file_clock(&self) -> Timestamp;
}

/// The result of [`System::status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Which file it is.
    pub id: FileId,
}

/// The identity of a file, provided that [`FileId::changed`] lies in a past step of [`System::file_clock`].
///
/// File systems reuse inode numbers, often at once. A new file with an old number has a later change time, unless both
/// times fall into one step of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The device of its file system.
    pub device: u64,
    /// Its inode number there.
    pub inode: u64,
    /// The change time of the inode (`st_ctime`).
    pub changed: Timestamp,
}

/// A time by the wall clock, as file systems store it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds past the second.
    pub nanoseconds: i64,
}

/// A point in time, in nanoseconds since the start of some clock. Only the time between two moments has a meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The moment `nanoseconds` after the clock's start.
    #[inline]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// The nanoseconds since the clock's start.
    #[inline]
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// The time since `earlier`; `None` if `earlier` is later, because the clock was set back or another thread read it
    /// afterwards.
    pub const fn since(self, earlier: Self) -> Option<Duration> {
        match self.0.checked_sub(earlier.0) {
            Some(nanoseconds) => Some(Duration::from_nanos(nanoseconds)),
            None => None,
        }
    }

    /// Whether this moment is less than `length` after `start`. False if `start` is later: a clock that steps back ends
    /// a window and never prolongs one.
    pub const fn is_within(self, start: Self, length: Duration) -> bool {
        let nanoseconds = length.as_nanos();
        self.is_within_nanoseconds(start, if nanoseconds > u64::MAX as u128 { u64::MAX } else { nanoseconds as u64 })
    }

    /// [`Moment::is_within`] for a length in nanoseconds, in one subtraction and one comparison: 17 instructions
    /// less a request. If `start` is later, the difference wraps around to more than any length.
    #[inline]
    pub const fn is_within_nanoseconds(self, start: Self, length: u64) -> bool {
        self.0.wrapping_sub(start.0) < length
    }
}

/// An error number of the operating system; [`fmt::Display`] gives its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // std appends the number, which does not help an operator.
        let text = io::Error::from_raw_os_error(self.0).to_string();
        f.write_str(text.split(" (os error ").next().unwrap_or(&text))
    }
}
