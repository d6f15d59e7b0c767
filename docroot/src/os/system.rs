//! What this crate asks of the operating system, as a trait, and the plain values that go over it.
//!
//! Owns: the vocabulary of file system and time. Must not: make a system call; that is `sys.rs`. Tests put a file
//! system of their own behind the trait to count calls and to inject faults.

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::time::Duration;

/// The file system calls that resolution needs.
pub trait System {
    /// The text of the symlink at `path`; the path's last component is not followed.
    ///
    /// # Errors
    /// `EINVAL` where `path` is no symlink, else what `readlink(2)` says.
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno>;

    /// Whether the symlink at `path` has exactly this text. One system call, no allocation; an error is a no.
    fn has_text(&self, path: &CStr, text: &[u8]) -> bool;

    /// What `path` leads to, all symlinks followed. One system call, no allocation.
    ///
    /// # Errors
    /// What `stat(2)` says.
    fn status(&self, path: &CStr) -> Result<Status, Errno>;

    /// The present time by the clock that file systems stamp with, in that clock's coarse steps.
    fn file_clock(&self) -> Timestamp;
}

/// What [`System::status`] tells of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Which file it is.
    pub id: FileId,
}

/// Tells one file from another, as long as [`FileId::changed`] lies in a past step of the clock.
///
/// Inode numbers are given out again, often at once. A new file with an old number has a later change time, unless
/// both fell into one step of the clock that file systems stamp with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The device of its file system.
    pub device: u64,
    /// Its inode number there.
    pub inode: u64,
    /// When the inode last changed (`st_ctime`).
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

/// A point in time, in nanoseconds since some start; only the distance between two of them means something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The moment `nanoseconds` after the clock's start.
    #[inline]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// How many nanoseconds after the clock's start it is.
    #[inline]
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// How long `earlier` is ago; `None` if it lies ahead, which happens when a clock was set back or when another
    /// thread read it later.
    pub const fn since(self, earlier: Self) -> Option<Duration> {
        match self.0.checked_sub(earlier.0) {
            Some(nanoseconds) => Some(Duration::from_nanos(nanoseconds)),
            None => None,
        }
    }

    /// Whether the span of `length` that began at `start` covers this moment. One that began in the future does not:
    /// a clock that steps back must end a window and never prolong it.
    pub const fn is_within(self, start: Self, length: Duration) -> bool {
        match self.since(start) {
            Some(age) => age.as_nanos() < length.as_nanos(),
            None => false,
        }
    }

    /// [`Moment::is_within`] for a length in nanoseconds: one subtraction and one comparison, for where each request
    /// comes by. A start in the future makes the difference wrap around to more than any length.
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
        // std appends the number, which tells an operator nothing.
        let text = io::Error::from_raw_os_error(self.0).to_string();
        f.write_str(text.split(" (os error ").next().unwrap_or(&text))
    }
}
