//! The activation that is going on, on disk before the first link is flipped.
//!
//! Owns: the file that tells the next command what a killed one was doing. Must not: flip a link.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::fs::durable;
use crate::state::history::Entry;
use crate::state::releases::Store;

/// An activation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Journal {
    /// What the history is to say when all links are flipped.
    pub entry: Entry,
    /// The links, in the order of the entry's flips.
    pub changes: Vec<Change>,
}

/// One link's change, by its texts: they put it back exactly.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Change {
    /// The link.
    pub link: PathBuf,
    /// Its text before; none if there was no link.
    pub old: Option<PathBuf>,
    /// Its text after.
    pub new: PathBuf,
}

impl Change {
    /// Makes the link what it was, if it is what this activation made it: what somebody else did meanwhile stays.
    /// Says whether there was something to do.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put_back(&self) -> io::Result<bool> {
        if !self.is_made()? {
            return Ok(false);
        }
        match &self.old {
            Some(old) => docroot::flip(&self.link, old)?,
            None => fs::remove_file(&self.link)?,
        }
        Ok(true)
    }

    /// Whether the link is what this activation makes it.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn is_made(&self) -> io::Result<bool> {
        match fs::read_link(&self.link) {
            Ok(text) => Ok(text == self.new),
            // No link, or something else in its place (EINVAL).
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the link is what it was before.
    #[must_use]
    pub fn is_undone(&self) -> bool {
        fs::read_link(&self.link).ok() == self.old
    }

    /// Removes the new link that a killed process made beside this one and did not get to rename.
    pub fn remove_unborn(&self) {
        let Some(Ok(entries)) = self.link.parent().map(fs::read_dir) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Others flip links in this directory too, and theirs lead elsewhere.
            let ours = |text: &PathBuf| *text == self.new || Some(text) == self.old.as_ref();
            if name.starts_with(".realdoc-")
                && name.ends_with(".tmp")
                && fs::read_link(entry.path()).is_ok_and(|text| ours(&text))
            {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Journal {
    /// The activation that is going on or was interrupted.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(store: &Store) -> Result<Option<Self>> {
        let path = path(store);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).context("understand", &path),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("read", &path),
        }
    }

    /// Says on disk that this activation begins.
    ///
    /// # Errors
    /// What the file system says; then it must not begin.
    pub fn write(&self, store: &Store) -> Result<()> {
        let path = path(store);
        let text = serde_json::to_vec_pretty(self).map_err(|error| {
            // A link text that is not UTF-8.
            Error::Refused(format!("this activation cannot be recorded: {error}"))
        })?;
        durable::write(&path, &text)
    }

    /// Says on disk that the activation is over.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(store: &Store) -> Result<()> {
        let path = path(store);
        fs::remove_file(&path).context("remove", &path)?;
        durable::sync_directory(path.parent().unwrap_or(Path::new("/")))
    }
}

fn path(store: &Store) -> PathBuf {
    store.state("activation.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_what_this_activation_made_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let change = |name: &str, old: Option<&str>| Change {
            link: dir.path().join(name),
            old: old.map(Into::into),
            new: "new".into(),
        };
        let text = |name: &str| fs::read_link(dir.path().join(name)).ok();
        for name in ["was", "was-none"] {
            symlink("new", dir.path().join(name)).unwrap();
        }
        symlink("somebody's", dir.path().join("else")).unwrap();
        fs::create_dir(dir.path().join("directory")).unwrap();
        assert!(change("was", Some("old")).put_back().unwrap());
        assert_eq!(text("was"), Some("old".into()));
        assert!(change("was-none", None).put_back().unwrap());
        assert_eq!(text("was-none"), None);
        assert!(!change("else", Some("old")).put_back().unwrap());
        assert_eq!(text("else"), Some("somebody's".into()));
        assert!(!change("directory", Some("old")).put_back().unwrap());
        assert!(!change("removed", Some("old")).put_back().unwrap());
    }

    #[test]
    fn only_our_unborn_links_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        symlink("new", dir.path().join(".realdoc-1-0.tmp")).unwrap();
        symlink("another's", dir.path().join(".realdoc-2-0.tmp")).unwrap();
        symlink("new", dir.path().join("other")).unwrap();
        Change { link: dir.path().join("link"), old: None, new: "new".into() }.remove_unborn();
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort_unstable();
        assert_eq!(left, [".realdoc-2-0.tmp", "other"]);
    }
}
