//! From an archive to files.
//!
//! Owns: unpacking, and telling a full disk from a broken archive. Must not: write outside the directory it is given.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use indicatif::ProgressBar;

use crate::error::{Context, Error, Result};
use crate::fs::access;
use crate::os::interrupt::Interrupt;

/// Writes what is in the archive into the directory `into`. Returns the files that are pointers of Git LFS.
///
/// # Errors
/// What the file system says; an error without a system's number is the archive's.
pub fn unpack(archive: impl Read, into: &Path, bar: &ProgressBar, interrupt: &Interrupt) -> Result<Vec<PathBuf>> {
    let mut pointers = Vec::new();
    let mut archive = tar::Archive::new(archive);
    // Others than git do not know what may not be writable.
    archive.set_mask(access::umask());
    for entry in archive.entries().context("unpack into", into)? {
        interrupt.check()?;
        let mut entry = entry.context("unpack into", into)?;
        if entry.header().entry_type().is_dir() && make_directory(&entry, into).context("unpack into", into)? {
            continue;
        }
        if !entry.unpack_in(into).map_err(root_cause).context("unpack into", into)? {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            return Err(Error::Refused(format!("there is a file {name}, which would leave the release")));
        }
        if entry.header().entry_type().is_file() {
            bar.inc(1);
            pointers.extend(lfs_pointer(&entry, into));
        }
    }
    // What follows the last entry; git would fail to write it.
    let _ = std::io::copy(&mut archive.into_inner(), &mut std::io::sink());
    Ok(pointers)
}

/// Writes what is in an archive that somebody has made with tar into the directory `into`; `-` is standard input.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_file(from: &Path, into: &Path, bar: &ProgressBar, interrupt: &Interrupt) -> Result<()> {
    let archive: Box<dyn Read> = if from == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(from).context("open", from)?)
    };
    unpack(archive, into, bar, interrupt).map(|_| ()).map_err(|error| match error {
        Error::Io { source, .. } if source.raw_os_error().is_none() => {
            let from = from.display();
            Error::Refused(format!(
                "{from} is no whole archive of tar, or a compressed one: `zcat {from} | realdoc stage ... --from-tar -`"
            ))
        }
        error => error,
    })
}

/// The path of what was unpacked, if it is a pointer of Git LFS.
fn lfs_pointer(entry: &tar::Entry<'_, impl Read>, into: &Path) -> Option<PathBuf> {
    const BEGINNING: &[u8] = b"version https://git-lfs.github.com/spec/";
    // With a version, a checksum and a size; its specification allows for more lines.
    if !(100..1024).contains(&entry.size()) {
        return None;
    }
    let path = entry.path().ok()?.into_owned();
    let text = fs::read(into.join(&path)).ok()?;
    text.starts_with(BEGINNING).then_some(path)
}

/// Makes a directory as a checkout does, and says whether it did. tar would set its mode afterwards, and so take away
/// what the directory above hands on: with `setgid`, the group that the web server reads by.
fn make_directory(entry: &tar::Entry<'_, impl Read>, into: &Path) -> std::io::Result<bool> {
    let path = entry.path()?;
    let mut at = into.to_owned();
    for component in path.components() {
        let Component::Normal(name) = component else { return Ok(false) };
        at.push(name);
        match fs::create_dir(&at) {
            // Never through a link.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && at.symlink_metadata()?.is_dir() => {}
            result => result?,
        }
    }
    Ok(true)
}

/// tar wraps what the system said ("No space left on device") in what it was doing.
fn root_cause(error: std::io::Error) -> std::io::Error {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::raw_os_error)
        .map_or_else(|| std::io::Error::other(error.to_string()), std::io::Error::from_raw_os_error)
}
