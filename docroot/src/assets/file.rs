//! The manifest on disk: where it is, when it is trusted, and when it has changed.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::assets::manifest::{BadLine, Manifest, SIZE_MAX};
use crate::os::system::Timestamp;

/// The directory of the manifest in a directory of releases.
const DIRECTORY: &str = ".realdoc";

/// The name of the manifest.
const NAME: &str = "retained";

/// The path of the manifest of a directory of releases.
pub fn path_in(releases: &Path) -> PathBuf {
    releases.join(DIRECTORY).join(NAME)
}

/// The identity of a manifest. A manifest is read again if its identity has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    changed: Timestamp,
    modified: Timestamp,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            changed: Timestamp { seconds: metadata.ctime(), nanoseconds: metadata.ctime_nsec() },
            modified: Timestamp { seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() },
        }
    }

    /// Whether any later change gives the file another identity: a change in the same step of the file system's clock
    /// may leave it.
    pub fn is_settled(&self, file_clock: Timestamp) -> bool {
        self.changed < file_clock
    }
}

/// The identity of the manifest in a directory of releases; None if there is none. One system call.
///
/// # Errors
/// What `lstat(2)` says.
pub fn identify(releases: &[u8]) -> Result<Option<Identity>, FileError> {
    match path_in(Path::new(OsStr::from_bytes(releases))).symlink_metadata() {
        Ok(metadata) => Ok(Some(Identity::of(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::Io(error.raw_os_error())),
    }
}

/// Reads the manifest in a directory of releases.
///
/// Whoever can add a release can write the manifest, and nobody else: the file belongs to root, to the owner of the
/// directory of releases, or to its group if that may write to the directory. Others must not write to it.
///
/// # Errors
/// [`FileError`], if it cannot be read or is not trusted.
pub fn read(releases: &[u8]) -> Result<(Identity, Manifest), FileError> {
    let releases = Path::new(OsStr::from_bytes(releases));
    let directory = releases.metadata()?;
    let path = path_in(releases);
    if !path.parent().unwrap_or(releases).symlink_metadata()?.is_dir() {
        return Err(FileError::Directory);
    }
    // A FIFO or a device must not even be opened.
    check_kind(&path.symlink_metadata()?)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path)?;
    let metadata = file.metadata()?;
    check_kind(&metadata)?;
    check_owner(&metadata, &directory)?;
    let text = read_all(file)?;
    Ok((Identity::of(&metadata), Manifest::parse(&text)?))
}

fn check_kind(metadata: &Metadata) -> Result<(), FileError> {
    let kind = metadata.file_type();
    let error = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_symlink() => "it is a symlink",
        () if kind.is_dir() => "it is a directory",
        () if kind.is_fifo() => "it is a FIFO",
        () => "it is no regular file",
    };
    Err(FileError::Kind(error))
}

const GROUP_WRITES: u32 = libc::S_IWGRP;
const OTHERS_WRITE: u32 = libc::S_IWOTH;

fn check_owner(file: &Metadata, releases: &Metadata) -> Result<(), FileError> {
    let is_team = releases.mode() & GROUP_WRITES != 0 && file.gid() == releases.gid();
    let is_trusted = file.uid() == 0 || file.uid() == releases.uid() || is_team;
    if !is_trusted {
        return Err(FileError::Owner(file.uid()));
    }
    let is_open = file.mode() & OTHERS_WRITE != 0 || (file.mode() & GROUP_WRITES != 0 && !is_team);
    if is_open { Err(FileError::Writable(file.mode() & 0o7777)) } else { Ok(()) }
}

fn read_all(file: File) -> Result<Vec<u8>, FileError> {
    let mut text = Vec::new();
    file.take(SIZE_MAX as u64 + 1).read_to_end(&mut text)?;
    if text.len() > SIZE_MAX { Err(FileError::Size) } else { Ok(text) }
}

/// Why a manifest is ignored. [`fmt::Display`] is the reason for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// The error number of a system call.
    Io(Option<i32>),
    /// `.realdoc` is no directory, but a symlink, for one.
    Directory,
    /// It is no regular file.
    Kind(&'static str),
    /// It belongs to this user, who cannot add releases.
    Owner(u32),
    /// By this mode, users can write to it who cannot add releases.
    Writable(u32),
    /// It is longer than [`SIZE_MAX`].
    Size,
    /// A line is no name.
    Line(BadLine),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(Some(number)) => write!(f, "{}", io::Error::from_raw_os_error(*number)),
            Self::Io(None) => f.write_str("it cannot be read"),
            Self::Directory => write!(f, "'{DIRECTORY}' is no directory"),
            Self::Kind(kind) => f.write_str(kind),
            Self::Owner(uid) => {
                write!(f, "user {uid} owns it, who is neither root nor the owner of the directory of releases")
            }
            Self::Writable(mode) => write!(f, "others may write to it (mode {mode:04o})"),
            Self::Size => write!(f, "it is longer than {SIZE_MAX} bytes"),
            Self::Line(line) => line.fmt(f),
        }
    }
}

impl std::error::Error for FileError {}

impl FileError {
    /// Whether the file alone is the reason, so that only another identity can end the error.
    pub fn is_of_file(&self) -> bool {
        matches!(self, Self::Kind(_) | Self::Size | Self::Line(_))
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.raw_os_error())
    }
}

impl From<BadLine> for FileError {
    fn from(line: BadLine) -> Self {
        Self::Line(line)
    }
}
