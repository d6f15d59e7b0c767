//! From a commit to files.
//!
//! Owns: what of a commit is in a release, and saying what is not. Must not: look a commit up.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use super::Repository;
use super::call::git_in;
use crate::error::{Error, Result};
use crate::fs::unpack;

impl Repository<'_> {
    /// Writes the tree of the commit into the directory `into`, with its submodules if they are wanted.
    ///
    /// # Errors
    /// What git or the file system says.
    pub fn export(&self, commit: &str, into: &Path) -> Result<()> {
        let mut git = self.git();
        git.args(["ls-tree", "-r", "-z", commit]);
        let files = self.caller.capture_bytes(git, "git ls-tree")?;
        let files: Vec<&[u8]> = files.split(|&byte| byte == 0).filter(|file| !file.is_empty()).collect();
        let bar = self.caller.report.progress(files.len() as u64);
        let mut pointers = self.archive(&self.directory, commit, into, &bar)?;
        if self.submodules {
            pointers.extend(self.export_submodules(commit, into, &bar)?);
        } else {
            self.warn_of_submodules(&files, into);
        }
        if let [first, ..] = &pointers[..] {
            self.caller.report.warn(format!(
                "{} of the files are pointers of Git LFS and not what they stand for, such as {}: set up git-lfs for the user who \
                 runs realdoc, or fetch them in a build command",
                pointers.len(),
                first.display()
            ));
        }
        Ok(())
    }

    /// Submodules that the release has as empty directories.
    fn warn_of_submodules(&self, files: &[&[u8]], into: &Path) {
        let submodules: Vec<&Path> = files
            .iter()
            .filter(|file| file.starts_with(b"160000 "))
            .filter_map(|file| file.splitn(2, |&byte| byte == b'\t').nth(1))
            .map(|path| Path::new(OsStr::from_bytes(path)))
            .filter(|path| into.join(path).is_dir())
            .collect();
        if let [first, ..] = submodules[..] {
            self.caller.report.warn(format!(
                "the release is without its {} submodule{}, such as {}: [git] submodules = true exports them",
                submodules.len(),
                if submodules.len() == 1 { "" } else { "s" },
                first.display()
            ));
        }
    }

    /// Returns the files that are pointers of Git LFS.
    fn archive(&self, repository: &Path, commit: &str, into: &Path, bar: &ProgressBar) -> Result<Vec<PathBuf>> {
        let mut git = git_in(repository);
        // The modes that a checkout would give them. Without this a tree is writable for its group.
        git.args(["-c", "tar.umask=user", "archive", "--format=tar", commit]);
        let interrupt = self.caller.interrupt;
        let (unpacked, git) =
            self.caller.run_with(git, "git archive", false, |stdout| unpack::unpack(stdout, into, bar, interrupt))?;
        match unpacked {
            // An archive that ends too early is git's failure; a full disk is not, though git fails of it, too.
            Err(Error::Io { source, .. }) if source.raw_os_error().is_none() && git.is_err() => {
                git.map(|()| Vec::new())
            }
            Ok(pointers) => git.map(|()| pointers),
            error => error,
        }
    }

    /// `git archive` leaves submodules out, so git checks them out in our repository, and each is archived there.
    fn export_submodules(&self, commit: &str, into: &Path, bar: &ProgressBar) -> Result<Vec<PathBuf>> {
        // It may not have been fetched into just now.
        self.unlock();
        for arguments in [
            // Whatever `submodule.recurse` says: their commits may not be there yet.
            &["checkout", "--quiet", "--force", "--no-recurse-submodules", "--detach", commit][..],
            &["submodule", "--quiet", "sync", "--recursive"],
            &["submodule", "--quiet", "update", "--init", "--recursive", "--force"],
        ] {
            let mut git = self.git();
            git.args(arguments);
            self.caller.run(git, &format!("git {}", arguments[0]), true)?;
        }
        let mut git = self.git();
        git.args(["submodule", "--quiet", "foreach", "--recursive", r#"printf '%s\0' "$displaypath""#]);
        let paths = self.caller.capture_bytes(git, "git submodule foreach")?;
        let mut pointers = Vec::new();
        for path in paths.split_inclusive(|&byte| byte == 0).filter_map(|path| path.strip_suffix(&[0])) {
            let path = OsStr::from_bytes(path);
            let into = into.join(path);
            // The archive around it has a directory for each submodule that is not marked `export-ignore`.
            if !into.is_dir() {
                continue;
            }
            pointers.extend(self.archive(&self.directory.join(path), "HEAD", &into, bar)?);
        }
        Ok(pointers)
    }
}
