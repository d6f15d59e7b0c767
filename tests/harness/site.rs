//! A test's own directory tree: releases, the link `current`, and whatever else the test puts there.
//!
//! Owns: the temporary directory, and keeping it when the test failed. Must not: know about servers.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::file;
use crate::release::Release;

/// A tree `releases/<n>/...` with a link `current`, readable by all.
#[derive(Debug)]
pub struct Site {
    directory: Option<TempDir>,
    root: PathBuf,
}

impl Site {
    /// An empty site.
    ///
    /// # Panics
    /// If the file system refuses.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("realdoc-").tempdir().expect("a temporary directory");
        // httpd's children may run as another user.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        // The tests compare real paths, and TMPDIR may hold a symlink.
        let root = directory.path().canonicalize().expect("the real path of the temporary directory");
        Self { directory: Some(directory), root }
    }

    /// A site with `count` releases, each filled by `fill`, whose link leads to release 0.
    #[must_use]
    pub fn with_releases(count: usize, fill: impl Fn(&Release)) -> Self {
        let site = Self::new();
        for number in 0..count {
            fill(&site.release(number));
        }
        site.symlink("current", site.release_directory(0));
        site
    }

    /// The directory that holds everything.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The link that deploys flip.
    #[must_use]
    pub fn link(&self) -> PathBuf {
        self.root.join("current")
    }

    /// The directory of a release.
    #[must_use]
    pub fn release_directory(&self, number: usize) -> PathBuf {
        self.root.join("releases").join(number.to_string())
    }

    /// A release, made if it is not there yet.
    #[must_use]
    pub fn release(&self, number: usize) -> Release {
        Release::create(number, self.release_directory(number))
    }

    /// Makes a directory.
    pub fn directory(&self, path: &str) {
        fs::create_dir_all(self.root.join(path)).expect("a directory");
    }

    /// Writes a file, with the directories above it.
    pub fn write(&self, path: &str, text: &str) {
        file::write(&self.root.join(path), text);
    }

    /// Writes an executable file, with the directories above it.
    pub fn write_script(&self, path: &str, text: &str) {
        file::write_script(&self.root.join(path), text);
    }

    /// Makes a symlink with exactly this text.
    pub fn symlink(&self, path: &str, text: impl AsRef<Path>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a link below the root")).expect("directories");
        symlink(text, &path).unwrap_or_else(|error| panic!("linking {}: {error}", path.display()));
    }

    /// Makes all files an hour old. To one that may yet change within the second, httpd gives another `ETag`.
    ///
    /// # Panics
    /// If the file system refuses.
    pub fn age(&self) {
        age(&self.root, SystemTime::now() - Duration::from_secs(3600)).expect("another time");
    }

    /// Makes the link `current` lead to a release, in one atomic step.
    pub fn flip(&self, number: usize) {
        self.flip_link("current", self.release_directory(number));
    }

    /// Gives a link this text, in one atomic step.
    pub fn flip_link(&self, path: &str, text: impl AsRef<Path>) {
        docroot::flip(&self.root.join(path), text.as_ref()).expect("a flip");
    }
}

fn age(directory: &Path, time: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            age(&entry.path(), time)?;
        } else if kind.is_file() {
            File::open(entry.path())?.set_modified(time)?;
        }
    }
    Ok(())
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(directory) = self.directory.take()
            && thread::panicking()
        {
            eprintln!("kept for a look: {}", directory.keep().display());
        }
    }
}
