//! Writing so that a crash or a power cut leaves the file of before or the file of after.
//!
//! Owns: atomic file replacement and syncing to disk. Must not: know what the files mean.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::{Context, Result};

/// What the name of a file begins with that is not yet in its place.
pub const NEW_PREFIX: &str = ".new-";

/// Makes `path` a file with these bytes: the old content or the new one, never a part, and on disk when this returns.
///
/// # Errors
/// What the file system says; the old file is then still there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_as(path, bytes, None)
}

/// As [`write()`], for a file with this mode, whatever the umask.
///
/// # Errors
/// As [`write()`].
pub fn write_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write_as(path, bytes, Some(mode))
}

fn write_as(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new()
        .prefix(NEW_PREFIX)
        // Everybody may read the state, as far as the umask lets them: `status` needs no privilege.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .context("write in", directory)?;
    file.write_all(bytes).context("write", path)?;
    if let Some(mode) = mode {
        file.as_file().set_permissions(Permissions::from_mode(mode)).context("protect", path)?;
    }
    file.as_file().sync_all().context("sync", path)?;
    file.persist(path).map_err(|error| error.error).context("write", path)?;
    sync_directory(directory)
}

/// As [`write()`], for a file that is not ours: it keeps its mode and owner.
///
/// # Errors
/// What the file system says; the old file is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let metadata = fs::metadata(path).context("look at", path)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(NEW_PREFIX).tempfile_in(directory).context("write in", directory)?;
    file.write_all(bytes).context("write", path)?;
    file.as_file().set_permissions(metadata.permissions()).context("protect", path)?;
    // Only root can, and for others it is theirs already, or becomes theirs.
    let _ = std::os::unix::fs::fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()));
    file.as_file().sync_all().context("sync", path)?;
    file.persist(path).map_err(|error| error.error).context("write", path)?;
    sync_directory(directory)
}

/// Makes the names in `directory` (a rename, a removal, a new file) survive a power cut.
///
/// # Errors
/// What the file system says.
pub fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory).and_then(|directory| directory.sync_all()).context("sync", directory)
}

/// Writes everything to disk that the file system of `path` still has in memory.
///
/// One call for a whole release: a sync for each of its thousands of files would take minutes on a disk with a journal.
///
/// # Errors
/// What the file system says, including errors of earlier writes that nobody has been told of.
pub fn sync_file_system(path: &Path) -> Result<()> {
    let file = File::open(path).context("open", path)?;
    rustix::fs::syncfs(&file).context("sync", path)
}

/// Renames, unless there is something already: `rename(2)` alone would replace an empty directory.
///
/// # Errors
/// What the file system says.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().unwrap_or(Path::new("/"));
    let directory = File::open(parent).context("open", parent)?;
    let result = renameat_with(&directory, from, &directory, to, RenameFlags::NOREPLACE);
    match result {
        // A file system that cannot do it in one step (NFS). With the lock nobody else makes `to`.
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_err() => {
            fs::rename(from, to).context("rename to", to)
        }
        result => result.context("rename to", to),
    }
}

/// Lets two directories change places, in one step where the file system can.
///
/// # Errors
/// What the file system says.
pub fn exchange(new: &Path, path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let directory = File::open(parent).context("open", parent)?;
    let result = renameat_with(&directory, new, &directory, path, RenameFlags::EXCHANGE);
    match result {
        // NFS. For a moment there is nothing, where nobody looks.
        Err(Errno::INVAL | Errno::NOSYS) => {
            let mut between = new.as_os_str().to_owned();
            between.push(".old");
            let between = Path::new(&between);
            fs::rename(path, between).context("rename", path)?;
            fs::rename(new, path).context("rename to", path)?;
            fs::rename(between, new).context("rename to", new)
        }
        result => result.context("exchange", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_change_places() {
        let dir = tempfile::tempdir().unwrap();
        let (new, path) = (dir.path().join("new"), dir.path().join("path"));
        fs::create_dir(&new).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(new.join("file"), "new").unwrap();
        exchange(&new, &path).unwrap();
        assert!(path.join("file").exists() && new.is_dir() && !new.join("file").exists());
    }

    #[test]
    fn nothing_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        assert!(rename(&from, &to).is_err());
        fs::remove_dir(&to).unwrap();
        rename(&from, &to).unwrap();
        assert!(to.is_dir() && !from.exists());
    }
}
