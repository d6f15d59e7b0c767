//! What is going on, on disk before the first link is flipped.
//!
//! Owns: the file that tells the next command what a killed one was doing. Must not: flip a link.
//!
//! The file keeps its room on disk and is overwritten in place, so that a full disk does not keep anybody from rolling
//! back. A write that a power cut tears shows in the checksum, and was not yet relied on: the first link is flipped
//! after the write.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::fs::durable;
use crate::state::history::Entry;
use crate::state::releases::Store;

/// Room for the activation of a hundred links or more.
const ROOM: usize = 64 << 10;
/// What the file begins with; behind it are the length and the checksum of what follows.
const MAGIC: &str = "realdoc journal 1";

/// What the next command has to know.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Journal {
    /// The activation that is going on, or that a crash left half-done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// What the history had no room for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<Entry>,
    /// The reload that has not been run yet, or has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<OwedReload>,
}

/// An activation.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Activation {
    /// What the history is to say when all links are flipped.
    pub entry: Entry,
    /// The links, in the order of the entry's flips.
    pub changes: Vec<Change>,
}

/// A reload that is owed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct OwedReload {
    /// The activation that it is for; another one that comes later has its own.
    pub of: String,
    /// Whether it has been run and has failed. Otherwise it was interrupted.
    pub failed: bool,
}

/// One link's change, by its texts: they put it back exactly.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
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
    /// The journal, and what is wrong with the file if it cannot be read.
    #[must_use]
    pub fn load(store: &Store) -> (Self, Option<String>) {
        let path = path(store);
        let problem = match fs::read(&path) {
            // Just made.
            Ok(bytes) if bytes.is_empty() => return Self::default().without_problem(),
            Ok(bytes) => match parse(&bytes) {
                Some(journal) => return journal.without_problem(),
                None => "it is damaged".to_owned(),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => return Self::default().without_problem(),
            Err(error) => error.to_string(),
        };
        // Nobody knows whether the reload of the last activation was run.
        let journal = Self { reload: Some(OwedReload { of: String::new(), failed: true }), ..Self::default() };
        let problem = format!(
            "{}: {problem}, and is begun anew. If a command was interrupted, links may lead to two releases, and a \
             reload may be owed: see `realdoc status`",
            path.display()
        );
        (journal, Some(problem))
    }

    fn without_problem(self) -> (Self, Option<String>) {
        (self, None)
    }

    /// Whether a command was interrupted, and another one has to put something right.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.activation.is_some() || self.reload.as_ref().is_some_and(|reload| !reload.failed)
    }

    /// Sets aside the room of the journal, if there is none yet.
    ///
    /// # Errors
    /// What the file system says.
    pub fn prepare(store: &Store) -> Result<()> {
        if path(store).exists() { Ok(()) } else { Self::default().write(store) }
    }

    /// Puts it on disk.
    ///
    /// # Errors
    /// What the file system says; then nothing may begin that relies on it.
    pub fn write(&self, store: &Store) -> Result<()> {
        let path = path(store);
        let json = serde_json::to_vec(self).map_err(|error| {
            // A link text that is not UTF-8.
            Error::Refused(format!("this activation cannot be recorded: {error}"))
        })?;
        let mut bytes = format!("{MAGIC} {} {:016x}\n", json.len(), checksum(&json)).into_bytes();
        bytes.extend(json);
        if let Ok(file) = OpenOptions::new().read(true).write(true).open(&path)
            && file.metadata().is_ok_and(|metadata| metadata.len() >= bytes.len() as u64)
        {
            file.write_all_at(&bytes, 0).context("write", &path)?;
            return file.sync_data().context("sync", &path);
        }
        bytes.resize(bytes.len().next_power_of_two().max(ROOM), b'\n');
        durable::write(&path, &bytes)
    }
}

fn parse(bytes: &[u8]) -> Option<Journal> {
    let line = bytes.iter().position(|&byte| byte == b'\n')?;
    let (header, rest) = (std::str::from_utf8(&bytes[..line]).ok()?, &bytes[line + 1..]);
    let (length, sum) = header.strip_prefix(MAGIC)?.trim_start().split_once(' ')?;
    let json = rest.get(..length.parse().ok()?)?;
    (u64::from_str_radix(sum, 16) == Ok(checksum(json))).then(|| serde_json::from_slice(json).ok())?
}

/// FNV-1a: it has to tell a torn write from a whole one, and nothing else.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn path(store: &Store) -> PathBuf {
    store.state("journal")
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

    #[test]
    fn a_journal_that_shrinks_keeps_its_room_and_a_torn_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.prepare().unwrap();
        Journal::prepare(&store).unwrap();
        let inode = |store: &Store| {
            use std::os::unix::fs::MetadataExt;
            fs::metadata(path(store)).unwrap().ino()
        };
        let before = inode(&store);
        let reload = Some(OwedReload { of: "x".repeat(1000), failed: false });
        let long = Journal { reload, ..Journal::default() };
        for journal in [long.clone(), Journal::default(), long] {
            journal.write(&store).unwrap();
            assert_eq!(Journal::load(&store), (journal, None));
        }
        assert_eq!(inode(&store), before, "in place");
        assert_eq!(fs::metadata(path(&store)).unwrap().len(), ROOM as u64);
        // Every part of a write that can be missing.
        let whole = fs::read(path(&store)).unwrap();
        for length in [1, 20, 40, 500, 1000] {
            fs::write(path(&store), &whole[..length]).unwrap();
            let (journal, problem) = Journal::load(&store);
            assert!(problem.is_some() && journal.activation.is_none(), "{length}");
        }
    }

    #[test]
    fn a_journal_that_needs_more_room_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.prepare().unwrap();
        Journal::prepare(&store).unwrap();
        let reload = Some(OwedReload { of: "x".repeat(2 * ROOM), failed: true });
        let journal = Journal { reload, ..Journal::default() };
        journal.write(&store).unwrap();
        assert_eq!(Journal::load(&store), (journal, None));
    }
}
