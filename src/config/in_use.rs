//! The file that requests are counted in (`RealdocInUse`).
//!
//! Owns: which file it is, and what the operator is told where there is none. Must not: count.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use docroot::InUseFile;
use docroot::inuse::{File, Reader};

use crate::httpd::{Level, Pool, Server, runtime_file};
use crate::module::log;

/// The name of the file in `DefaultRuntimeDir`.
const NAME: &std::ffi::CStr = c"realdoc.inuse";

/// The open file, which children inherit. Its descriptor is closed with the configuration, in the parent alone: a process
/// that has claimed a slot would lose it.
pub struct Counted {
    /// The file.
    pub file: File,
    /// Its path.
    pub path: PathBuf,
    /// The longest time for which a lookup counts on any server.
    pub window: Duration,
}

/// The path of the file; None where requests are not counted.
pub fn path(pool: Pool<'_>, in_use: &InUseFile) -> Option<PathBuf> {
    match in_use {
        InUseFile::On => runtime_file(pool, NAME),
        InUseFile::At(path) => Some(path.clone()),
        InUseFile::Off => None,
    }
}

/// Opens the file, or makes it. `window` is the longest of all servers; without one no docroot is resolved.
pub fn open(pool: Pool<'_>, main: Server<'_>, in_use: &InUseFile, window: Option<Duration>) -> Option<Counted> {
    let Some((path, window)) = path(pool, in_use).zip(window) else {
        // A file that is left from the time before would tell that nothing is in use.
        if let Some(path) = path(pool, &InUseFile::On) {
            let _ = withdraw(&path);
        }
        return None;
    };
    match File::create(&path) {
        Ok(file) => Some(Counted { file, path, window }),
        Err(error) => {
            let file = docroot::escape(path.as_os_str().as_encoded_bytes());
            let left = match withdraw(&path) {
                Ok(()) => "tools are told that the use of releases is unknown",
                Err(_) => "delete it: tools that read it believe that no release is in use",
            };
            log!(main, Level::Warning, "RealdocInUse: {file}: {error}; requests are not counted, {left}");
            None
        }
    }
}

/// Removes a file that nobody counts in any more, so that readers find none.
fn withdraw(path: &Path) -> std::io::Result<()> {
    if Reader::open(path).is_ok() { fs::remove_file(path) } else { Ok(()) }
}
