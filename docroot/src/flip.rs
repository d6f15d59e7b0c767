//! The flip: a symlink replaced in one atomic step, for the tool and the tests alike.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes `link` a symlink with the text `target`, or replaces the symlink there.
///
/// A reader of `link` sees the old link or the new one, never none: the new symlink is made beside it, and `rename(2)`
/// puts it in place. (`ln -sfn` is not atomic everywhere: BusyBox unlinks first.) A relative `target` is relative to
/// the link's directory, as in any symlink. Every read after the return sees the new link. It is not synced to disk.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if `link` is something else than a symlink, which is never replaced; else the error
/// of `symlink(2)` or `rename(2)`. On error the old link is still in place, and nothing is left beside it.
pub fn flip(link: &Path, target: &Path) -> io::Result<()> {
    match fs::symlink_metadata(link) {
        Ok(metadata) if !metadata.file_type().is_symlink() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} is no symlink and is not replaced", link.display()),
            ));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let fresh = fresh_link_beside(link, target)?;
    fs::rename(&fresh, link).inspect_err(|_| {
        // The error of the rename is the one to report. If the removal fails too, a hidden file stays.
        let _ = fs::remove_file(&fresh);
    })
}

/// A new symlink under a name of its own in the directory of `link`.
fn fresh_link_beside(link: &Path, target: &Path) -> io::Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let fresh = link.with_file_name(format!(".realdoc-{}-{count}.tmp", process::id()));
        match symlink(target, &fresh) {
            // Left by a process with the same number that was killed between the two calls.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| fresh),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_creates_links_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("current");
        flip(&link, "releases/1".as_ref()).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("releases/1"));
        flip(&link, "releases/2".as_ref()).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("releases/2"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn replaces_nothing_but_links() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("current");
        for make in [|path: &Path| fs::create_dir(path), |path: &Path| fs::write(path, "")] {
            make(&link).unwrap();
            let error = flip(&link, "releases/1".as_ref()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert!(!fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
            if link.is_dir() {
                fs::remove_dir(&link).unwrap();
            }
        }
    }

    #[test]
    fn a_leftover_of_a_killed_process_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        for count in 0..64 {
            fs::write(dir.path().join(format!(".realdoc-{}-{count}.tmp", process::id())), "").unwrap();
        }
        let link = dir.path().join("current");
        flip(&link, "releases/1".as_ref()).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("releases/1"));
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = flip(&dir.path().join("none/current"), "x".as_ref()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
