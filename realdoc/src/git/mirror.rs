//! The repository of our own: made, mended, and begun anew.
//!
//! Owns: everything that changes it besides a fetch. Must not: touch a repository that is somebody's.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Repository;
use super::call::plain_git;
use crate::error::{Context, Ending, Error, Result};
use crate::fs::tree;

impl Repository<'_> {
    /// Whether this is a repository of our own in which something is missing or broken, or that cannot hold what the source
    /// has. It takes a while in a big one.
    ///
    /// # Errors
    /// [`Error::Interrupted`], or it takes too long.
    pub fn is_damaged(&self) -> Result<bool> {
        if !self.ours || !self.directory.exists() {
            return Ok(false);
        }
        for arguments in [&["rev-parse", "--git-dir"][..], &["fsck", "--connectivity-only", "--no-dangling"]] {
            let mut git = self.git();
            git.args(arguments);
            match self.caller.run(git, &format!("git {}", arguments[0]), false) {
                Err(Error::Git { ending: Ending::Status(_), .. }) => return Ok(true),
                result => result?,
            }
        }
        Ok(self.is_of_another_format())
    }

    /// Begins a repository of our own anew, as the source wants it.
    ///
    /// # Errors
    /// What the file system or git says.
    pub fn renew(&self) -> Result<()> {
        if !self.ours {
            return Ok(());
        }
        tree::remove(&self.directory)?;
        fs::create_dir_all(&self.directory).context("create", &self.directory)?;
        let mut git = self.git();
        git.args(["-c", "init.defaultBranch=main", "init", "--quiet"]);
        if self.source_format()? == Some("sha256") {
            git.arg("--object-format=sha256");
        }
        self.caller.run(git, "git init", false)
    }

    /// The repository of our own, with the source of today's configuration.
    pub(super) fn set_up(&self) -> Result<()> {
        fs::create_dir_all(&self.directory).context("create", &self.directory)?;
        // git keeps the URL here, and there may be a password in it.
        fs::set_permissions(&self.directory, Permissions::from_mode(0o700)).context("protect", &self.directory)?;
        self.unlock();
        let mut git = self.git();
        git.args(["-c", "init.defaultBranch=main", "init", "--quiet"]);
        self.caller.run(git, "git init", false)?;
        let mut git = self.git();
        git.args(["config", "remote.origin.url", self.source]);
        self.caller.run(git, "git config", false)
    }

    /// How the source names its objects, if it has any.
    fn source_format(&self) -> Result<Option<&'static str>> {
        let mut git = plain_git();
        git.args(["ls-remote", "--quiet", "--", self.source]);
        let answer = self.caller.capture(git, "git ls-remote")?;
        let length = answer.lines().next().and_then(|line| line.find('\t'));
        Ok(length.map(|length| if length == 64 { "sha256" } else { "sha1" }))
    }

    /// Whether the source is another one than what was fetched before, in a way that git cannot fetch into one repository.
    fn is_of_another_format(&self) -> bool {
        let mut git = self.git();
        git.args(["rev-parse", "--show-object-format"]);
        let ours = self.caller.capture(git, "git rev-parse").ok();
        let source = self.source_format().ok().flatten();
        ours.zip(source).is_some_and(|(ours, source)| ours.trim() != source)
    }

    /// Removes what a git that a power cut ended has left in our repository. Nobody else works there while we hold the
    /// lock.
    pub(super) fn unlock(&self) {
        remove_lock_files(&self.directory.join(".git"));
        remove_half_packs(&self.directory.join(".git/objects"));
    }
}

fn remove_lock_files(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // Object directories have many files and no locks.
            if entry.file_name() != OsStr::new("objects") {
                remove_lock_files(&path);
            }
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            let _ = fs::remove_file(path);
        }
    }
}

/// What a fetch that was ended has received; git keeps it for two weeks.
fn remove_half_packs(objects: &Path) {
    let names = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in names(objects).chain(names(&objects.join("pack"))) {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(b"tmp_") || name.starts_with(b"incoming-") {
            let _ = tree::remove(&entry.path());
        }
    }
}
