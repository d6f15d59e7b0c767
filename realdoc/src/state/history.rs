//! What happened: every flip and every mark, in order, in a file that only grows.
//!
//! Owns: the history file, and the answers that come from it: where to roll back to, what is bad, what was live when.
//! Must not: look at links; what is recorded and what is may differ, and `status` shows it.
//!
//! One line of JSON each. A line that a crash cut off has no newline; it is not read, and the next one replaces it. Behind
//! the last line, room on disk is set aside, so that a rollback is recorded on a full disk, too.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;

use jiff::Timestamp;
use rustix::fs::{FallocateFlags, fallocate};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::fs::durable;
use crate::os::process::user;
use crate::state::releases::Store;

/// The room on disk that is set aside for the next entries: some flips of a hundred links.
const ROOM: u64 = 128 << 10;

/// Everything that happened in a releases directory.
#[derive(Clone, Debug, Default)]
pub struct History {
    entries: Vec<Entry>,
    problems: Vec<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// Unique.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum What {
    /// Links were flipped to a release.
    Activate {
        /// The links.
        flips: Vec<Flip>,
    },
    /// Links were flipped back.
    Rollback {
        /// The links.
        flips: Vec<Flip>,
    },
    /// Links were flipped by an activation that failed or was interrupted, and back.
    PutBack {
        /// The links, from where they led for a while.
        flips: Vec<Flip>,
    },
    /// Links led elsewhere than recorded: somebody else had flipped them.
    Found {
        /// The links.
        flips: Vec<Flip>,
    },
    /// A release was marked: no rollback may lead to it.
    MarkBad {
        /// The release.
        release: String,
        /// Why.
        reason: Option<String>,
    },
    /// A link is no instance any more.
    Forget {
        /// The instance, as it was called.
        instance: String,
        /// Its link.
        link: PathBuf,
    },
    /// The mark was taken back.
    MarkGood {
        /// The release.
        release: String,
    },
}

/// One link's change. A target is a release's name or, outside the releases directory, an absolute path.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Flip {
    /// The instance, as it was called then.
    pub instance: String,
    /// The link; it is what the history goes by.
    pub link: PathBuf,
    /// Where it led.
    pub from: Option<String>,
    /// Where it leads.
    pub to: Option<String>,
    /// Since when, if that was not when it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// Where a link led, and since when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Visit {
    /// The target.
    pub target: String,
    /// Since when.
    pub since: Timestamp,
}

impl Entry {
    /// Something that happens now.
    #[must_use]
    pub fn now(what: What) -> Self {
        let at = Timestamp::now();
        Self { id: format!("{:x}-{:x}", at.as_microsecond(), process::id()), at, by: user(), what }
    }

    /// The links that it moved.
    #[must_use]
    pub fn flips(&self) -> &[Flip] {
        match &self.what {
            What::Activate { flips } | What::Rollback { flips } | What::PutBack { flips } | What::Found { flips } => {
                flips
            }
            What::MarkBad { .. } | What::MarkGood { .. } | What::Forget { .. } => &[],
        }
    }
}

impl History {
    /// Reads the history. What cannot be read is passed over, and told by [`Self::problems`].
    #[must_use]
    pub fn load(store: &Store) -> Self {
        let path = path(store);
        let mut history = Self::default();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    history.problems.push(format!("cannot read {}: {error}", path.display()));
                }
                return history;
            }
        };
        for (number, line) in text[..whole(&text)].split_inclusive(|&byte| byte == b'\n').enumerate() {
            match serde_json::from_slice(line) {
                Ok(entry) => history.entries.push(entry),
                Err(error) => history.problems.push(format!(
                    "{}: line {}: {error}. It is passed over; when you know what it said, remove the line",
                    path.display(),
                    number + 1
                )),
            }
        }
        history
    }

    /// What could not be read. A prune, which goes by all of it, must not go on then.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Adds an entry, on disk when this returns. Only with the lock.
    ///
    /// # Errors
    /// What the file system says; the entry is then neither in the file nor here.
    pub fn append(&mut self, store: &Store, entry: Entry) -> Result<()> {
        let path = path(store);
        let mut line = serde_json::to_vec(&entry).context("write", &path)?;
        line.push(b'\n');
        let is_new = !path.exists();
        let mut file = OpenOptions::new().append(true).read(true).create(true).open(&path).context("open", &path)?;
        let end = cut_off_half_a_line(&file).context("write", &path)?;
        write_line(&mut file, &line).context("write", &path).inspect_err(|_| {
            // Half a line would be ignored anyway.
            let _ = file.set_len(end);
        })?;
        // For the next entries, when the disk is full. Not every file system can, and none has to.
        let _ = fallocate(&file, FallocateFlags::KEEP_SIZE, end + line.len() as u64, ROOM);
        if is_new {
            durable::sync_directory(path.parent().unwrap_or(Path::new("/")))?;
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Adds an entry for the rest of this command only: what a dry run would record.
    pub fn suppose(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Whether this entry is recorded.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.entries.iter().rev().any(|entry| entry.id == id)
    }

    fn flips(&self) -> impl DoubleEndedIterator<Item = (&Entry, &Flip)> {
        self.entries.iter().flat_map(|entry| entry.flips().iter().map(move |flip| (entry, flip)))
    }

    /// All links that it knows.
    #[must_use]
    pub fn links(&self) -> BTreeSet<&Path> {
        self.flips().map(|(_, flip)| flip.link.as_path()).collect()
    }

    /// The links that are instances by the history: all that were, and were not forgotten since.
    #[must_use]
    pub fn members(&self) -> BTreeSet<&Path> {
        let mut members = BTreeSet::new();
        for entry in &self.entries {
            members.extend(entry.flips().iter().map(|flip| flip.link.as_path()));
            if let What::Forget { link, .. } = &entry.what {
                members.remove(link.as_path());
            }
        }
        members
    }

    /// Where the link leads according to the history.
    #[must_use]
    pub fn recorded(&self, link: &Path) -> Option<Visit> {
        let (entry, flip) = self.flips().rev().find(|(_, flip)| flip.link == link)?;
        Some(Visit { target: flip.to.clone()?, since: flip.since.unwrap_or(entry.at) })
    }

    /// The way that the link came: what a rollback goes back along. A rollback takes off its end what it went back
    /// from, so that the next one goes further back.
    #[must_use]
    pub fn way(&self, link: &Path) -> Vec<Visit> {
        let mut way: Vec<Visit> = Vec::new();
        for (entry, flip) in self.flips().filter(|(_, flip)| flip.link == link) {
            // Where it was for a while by mistake, nobody wants to be again.
            if matches!(entry.what, What::PutBack { .. }) {
                continue;
            }
            let is_rollback = matches!(entry.what, What::Rollback { .. });
            // What nobody recorded, because it was before the first entry.
            if let Some(from) = flip.from.as_ref().filter(|_| !is_rollback) {
                reach(&mut way, from, entry.at);
            }
            let Some(to) = &flip.to else { continue };
            let since = flip.since.unwrap_or(entry.at);
            match way.iter().rposition(|visit| visit.target == *to) {
                Some(index) if is_rollback => {
                    way.truncate(index + 1);
                    way[index].since = since;
                }
                _ => reach(&mut way, to, since),
            }
        }
        way
    }

    /// Where a rollback of the link leads: the last target on its way that is not where it leads now and is usable.
    /// With it the targets that were passed over.
    pub fn previous(
        &self,
        link: &Path,
        now: Option<&str>,
        usable: impl Fn(&str) -> bool,
    ) -> (Option<String>, Vec<String>) {
        let mut passed = Vec::new();
        for visit in self.way(link).into_iter().rev() {
            if Some(visit.target.as_str()) == now || passed.contains(&visit.target) {
                continue;
            }
            if usable(&visit.target) {
                return (Some(visit.target), passed);
            }
            passed.push(visit.target);
        }
        (None, passed)
    }

    /// The releases that are marked bad now, each with its reason.
    #[must_use]
    pub fn bad(&self) -> Vec<(&str, Option<&str>)> {
        let mut seen = HashSet::new();
        let mut bad = Vec::new();
        for entry in self.entries.iter().rev() {
            match &entry.what {
                What::MarkBad { release, reason } if seen.insert(release) => {
                    bad.push((release.as_str(), reason.as_deref()));
                }
                What::MarkGood { release } => {
                    seen.insert(release);
                }
                _ => {}
            }
        }
        bad
    }

    /// The reason for the mark, if the release is marked bad.
    #[must_use]
    pub fn is_bad(&self, release: &str) -> Option<Option<&str>> {
        self.bad().into_iter().find(|(name, _)| *name == release).map(|(_, reason)| reason)
    }

    /// When a link last led away from the release, or to it.
    #[must_use]
    pub fn last_live(&self, release: &str) -> Option<Timestamp> {
        let is_it = |target: &Option<String>| target.as_deref() == Some(release);
        self.flips().rev().find(|(_, flip)| is_it(&flip.from) || is_it(&flip.to)).map(|(entry, _)| entry.at)
    }
}

fn path(store: &Store) -> PathBuf {
    store.state("history.jsonl")
}

fn reach(way: &mut Vec<Visit>, target: &str, since: Timestamp) {
    if way.last().is_none_or(|last| last.target != target) {
        way.push(Visit { target: target.to_owned(), since });
    }
}

/// How many bytes are whole lines.
fn whole(text: &[u8]) -> usize {
    text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1)
}

/// Removes what a crash has left of a line, and says where the file ends then. A file that is whole is not cut, because that
/// would give back the room behind its end.
fn cut_off_half_a_line(file: &File) -> std::io::Result<u64> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    file.read_exact_at(&mut last, length.saturating_sub(1))
        .or_else(|error| if length == 0 { Ok(()) } else { Err(error) })?;
    if last == [b'\n'] {
        return Ok(length);
    }
    let mut text = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut text, 0)?;
    let end = whole(&text) as u64;
    file.set_len(end)?;
    Ok(end)
}

fn write_line(file: &mut File, line: &[u8]) -> std::io::Result<()> {
    file.write_all(line)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flip(from: &str, to: &str) -> Vec<Flip> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        vec![Flip { instance: "a".to_owned(), link: "/a".into(), from: some(from), to: some(to), since: None }]
    }

    fn history(whats: Vec<What>) -> History {
        History { entries: whats.into_iter().map(Entry::now).collect(), problems: Vec::new() }
    }

    fn activate(from: &str, to: &str) -> What {
        What::Activate { flips: flip(from, to) }
    }

    fn rollback(from: &str, to: &str) -> What {
        What::Rollback { flips: flip(from, to) }
    }

    fn bad(release: &str) -> What {
        What::MarkBad { release: release.to_owned(), reason: None }
    }

    fn previous(history: &History, now: &str) -> Option<String> {
        let usable = |target: &str| history.is_bad(target).is_none();
        history.previous("/a".as_ref(), Some(now), usable).0
    }

    #[test]
    fn rollbacks_go_further_and_further_back() {
        let mut whats = vec![activate("", "z"), activate("z", "b"), activate("b", "a")];
        assert_eq!(previous(&history(whats.clone()), "a").as_deref(), Some("b"), "by order, not by name");
        whats.push(rollback("a", "b"));
        assert_eq!(previous(&history(whats.clone()), "b").as_deref(), Some("z"));
        whats.push(activate("b", "c"));
        assert_eq!(previous(&history(whats.clone()), "c").as_deref(), Some("b"), "not a, which was rolled back");
        whats.extend([rollback("c", "b"), rollback("b", "z")]);
        assert_eq!(previous(&history(whats), "z"), None);
    }

    #[test]
    fn rollbacks_pass_over_what_is_bad() {
        let mut whats = vec![activate("", "1"), activate("1", "2"), activate("2", "3"), bad("2")];
        assert_eq!(previous(&history(whats.clone()), "3").as_deref(), Some("1"));
        whats.push(What::MarkGood { release: "2".to_owned() });
        assert_eq!(previous(&history(whats.clone()), "3").as_deref(), Some("2"));
        whats.push(bad("2"));
        assert_eq!(history(whats).bad(), [("2", None)]);
    }

    #[test]
    fn what_others_flipped_is_part_of_the_way() {
        let found = What::Found { flips: flip("1", "9") };
        let history = history(vec![activate("0", "1"), found]);
        assert_eq!(previous(&history, "9").as_deref(), Some("1"));
        // Before it is recorded: the link leads to 8, the history says 9.
        assert_eq!(previous(&history, "8").as_deref(), Some("9"));
        let way: Vec<_> = history.way("/a".as_ref()).into_iter().map(|visit| visit.target).collect();
        assert_eq!(way, ["0", "1", "9"], "the first entry tells what was before it");
    }

    #[test]
    fn a_line_cut_off_by_a_crash_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.prepare().unwrap();
        let mut history = History::default();
        history.append(&store, Entry::now(activate("", "1"))).unwrap();
        let mut file = OpenOptions::new().append(true).open(path(&store)).unwrap();
        file.write_all(b"{\"id\":\"x\",\"at\":").unwrap();
        let mut history = History::load(&store);
        assert_eq!(history.entries.len(), 1);
        history.append(&store, Entry::now(bad("1"))).unwrap();
        let history = History::load(&store);
        assert_eq!(history.entries.len(), 2);
        assert_eq!(history.recorded("/a".as_ref()).unwrap().target, "1");
        assert!(history.is_bad("1").is_some());
    }

    #[test]
    fn a_damaged_line_is_named_and_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.prepare().unwrap();
        let mut history = History::default();
        history.append(&store, Entry::now(bad("1"))).unwrap();
        let line = fs::read_to_string(path(&store)).unwrap();
        fs::write(path(&store), format!("{{}}\n{line}\0\0\n")).unwrap();
        let history = History::load(&store);
        let [first, second] = history.problems() else { panic!("{:?}", history.problems()) };
        assert!(first.contains("history.jsonl: line 1") && second.contains("line 3"));
        assert!(history.is_bad("1").is_some());
    }
}
