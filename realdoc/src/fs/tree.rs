//! Directory trees: how big they are, and removing them.
//!
//! Owns: walking and removing without ever following a symlink, and without removing anything that is mounted. Must not:
//! know what a release is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};

/// How big a tree is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Size {
    /// Room on disk.
    pub bytes: u64,
    /// Files named `*.php`.
    pub php_files: u64,
    /// What does not belong to the owner of the tree: for each owner the number of files, and one of them.
    pub foreign: BTreeMap<u32, (u64, PathBuf)>,
}

/// Measures a tree. What vanishes meanwhile or may not be read does not count, what a link leads to does not either.
///
/// # Errors
/// What the file system says.
pub fn measure(tree: &Path) -> Result<Size> {
    let mut size = Size::default();
    let mut owner = None;
    visit(tree, &mut |path, metadata| {
        size.bytes += metadata.blocks() * 512;
        // The tree itself comes first.
        if metadata.uid() != *owner.get_or_insert(metadata.uid()) && metadata.is_file() {
            let path = path.strip_prefix(tree).unwrap_or(path);
            size.foreign.entry(metadata.uid()).or_insert_with(|| (0, path.to_owned())).0 += 1;
        }
        if metadata.is_file() && path.extension().is_some_and(|extension| extension == "php") {
            size.php_files += 1;
        }
        Ok(())
    })?;
    Ok(size)
}

/// Calls `with` for everything in the tree, directories before what is in them.
///
/// # Errors
/// What the file system says; what vanishes meanwhile or may not be read is left out.
pub fn visit(tree: &Path, with: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<()>) -> Result<()> {
    let mut waiting = vec![tree.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => continue,
            Err(error) => return Err(error).context("look at", &path),
        };
        with(&path, &metadata)?;
        if !metadata.is_dir() {
            continue;
        }
        match fs::read_dir(&path) {
            Ok(entries) => {
                for entry in entries {
                    waiting.push(entry.context("read", &path)?.path());
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {}
            Err(error) => return Err(error).context("read", &path),
        }
    }
    Ok(())
}

/// Copies what is in a directory into another one: files with their time and, of their mode, whether they can be executed;
/// links as they are.
///
/// # Errors
/// [`Error::Refused`] if there is something else in it, like a socket; else what the file system says.
pub fn copy(from: &Path, into: &Path) -> Result<()> {
    visit(from, &mut |path, metadata| {
        let Some(name) = path.strip_prefix(from).ok().filter(|name| !name.as_os_str().is_empty()) else {
            return Ok(());
        };
        let to = into.join(name);
        if metadata.is_dir() {
            fs::create_dir(&to).context("create", &to)
        } else if metadata.is_symlink() {
            let text = fs::read_link(path).context("read", path)?;
            std::os::unix::fs::symlink(text, &to).context("create", &to)
        } else if metadata.is_file() {
            copy_file(path, metadata, &to)
        } else {
            Err(Error::Refused(format!("{} is neither a file nor a directory nor a link", path.display())))
        }
    })
}

fn copy_file(from: &Path, metadata: &fs::Metadata, to: &Path) -> Result<()> {
    let mode = if metadata.mode() & 0o100 == 0 { 0o666 } else { 0o777 };
    let mut source = File::open(from).context("open", from)?;
    // As a checkout makes it: the umask takes its part.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(to).context("create", to)?;
    std::io::copy(&mut source, &mut file).context("write", to)?;
    let time = metadata.modified().context("look at", from)?;
    file.set_modified(time).context("write", to)
}

/// The files in a tree that have this text in them, at most so many.
///
/// # Errors
/// What the file system says.
pub fn files_with(tree: &Path, text: &[u8], limit: usize) -> Result<Vec<PathBuf>> {
    let finder = memchr::memmem::Finder::new(text);
    let mut found = Vec::new();
    visit(tree, &mut |path, metadata| {
        if found.len() < limit
            && metadata.is_file()
            && fs::read(path).is_ok_and(|content| finder.find(&content).is_some())
        {
            found.push(path.strip_prefix(tree).unwrap_or(path).to_owned());
        }
        Ok(())
    })?;
    found.sort();
    Ok(found)
}

/// Removes a tree, or a file. A symlink in it is removed, what it leads to is not.
///
/// # Errors
/// [`Error::Refused`] if something is mounted inside; else what the file system says.
pub fn remove(tree: &Path) -> Result<()> {
    match fs::symlink_metadata(tree) {
        Ok(metadata) if !metadata.is_dir() => return fs::remove_file(tree).context("remove", tree),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context("look at", tree),
    }
    refuse_mounts(tree)?;
    // std removes relative to open directories, so that nobody can put a link in the way meanwhile.
    match fs::remove_dir_all(tree) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            // Package managers like to make directories read-only.
            make_writable(tree)?;
            fs::remove_dir_all(tree).context("remove", tree)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.context("remove", tree),
    }
}

fn make_writable(tree: &Path) -> Result<()> {
    visit(tree, &mut |path, metadata| {
        let mode = metadata.mode() & 0o7777;
        if metadata.is_dir() && mode & 0o700 != 0o700 {
            // It may be another's; then the removal says so.
            let _ = fs::set_permissions(path, Permissions::from_mode(mode | 0o700));
        }
        Ok(())
    })
}

/// Fails if something is mounted in the tree: removing would empty what is mounted.
///
/// # Errors
/// [`Error::Refused`] which names it.
pub fn refuse_mounts(tree: &Path) -> Result<()> {
    let real = tree.canonicalize().context("look at", tree)?;
    let Ok(table) = fs::read("/proc/self/mountinfo") else {
        return Ok(());
    };
    for line in table.split(|&byte| byte == b'\n') {
        let Some(field) = line.split(|&byte| byte == b' ').nth(4) else {
            continue;
        };
        let point = unescape(field);
        if point.starts_with(&real) {
            return Err(Error::Refused(format!(
                "{} is not removed: something is mounted at {}",
                tree.display(),
                point.display()
            )));
        }
    }
    Ok(())
}

/// A path of the mount table, where blanks are written as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut path = Vec::new();
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| byte == b'\\') {
            Some(decoded) => {
                path.push(decoded);
                rest = &tail[3..];
            }
            None => {
                path.push(byte);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_removed_and_what_they_lead_to_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(tree.join("deep/deeper")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("important.php"), "x").unwrap();
        symlink(&outside, tree.join("deep/link")).unwrap();
        symlink("../../../outside", tree.join("deep/deeper/link")).unwrap();
        assert_eq!(measure(&tree).unwrap().php_files, 0);
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read_to_string(outside.join("important.php")).unwrap(), "x");
        // A link in the tree's own place.
        symlink(&outside, &tree).unwrap();
        remove(&tree).unwrap();
        assert!(outside.join("important.php").exists() && !tree.is_symlink());
        remove(&tree).unwrap();
    }

    #[test]
    fn read_only_directories_are_removed_too() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/file.php"), "x").unwrap();
        for part in ["a/b", "a"] {
            fs::set_permissions(tree.join(part), Permissions::from_mode(0o500)).unwrap();
        }
        assert_eq!(measure(&tree).unwrap().php_files, 1);
        remove(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn mounts_are_seen() {
        assert!(refuse_mounts("/".as_ref()).is_err());
        assert_eq!(unescape(b"/a\\040b\\134c"), Path::new("/a b\\c"));
    }
}
