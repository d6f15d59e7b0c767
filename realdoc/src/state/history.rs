//! What happened: every flip and every mark, in order, in a file that only grows.
//!
//! Owns: the answers that come from it: where to roll back to, what is bad, what was live when. Must not: look at links;
//! what is recorded and what is may differ, and `status` shows it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

mod entry;
mod file;

pub use entry::{Entry, Flip, What};

/// Everything that happened in a releases directory.
#[derive(Clone, Debug, Default)]
pub struct History {
    entries: Vec<Entry>,
    problems: Vec<String>,
    /// The flips of each link: where in `entries`.
    by_link: BTreeMap<PathBuf, Vec<(usize, usize)>>,
    /// When a link last led away from a release, or to it.
    live: HashMap<String, Timestamp>,
    /// The marks, each with its reason.
    bad: BTreeMap<String, Option<String>>,
    /// Where in `entries` another build last took the place of a release.
    overwritten: HashMap<String, usize>,
}

/// Where a link led, and since when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Visit {
    /// The target.
    pub target: String,
    /// Since when.
    pub since: Timestamp,
}

impl History {
    /// What could not be read. A prune, which goes by all of it, must not go on then.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    fn push(&mut self, entry: Entry) {
        for (index, flip) in entry.flips().iter().enumerate() {
            self.by_link.entry(flip.link.clone()).or_default().push((self.entries.len(), index));
            for target in [&flip.from, &flip.to].into_iter().flatten() {
                self.live.insert(target.clone(), entry.at);
            }
        }
        match &entry.what {
            What::MarkBad { release, reason } => drop(self.bad.insert(release.clone(), reason.clone())),
            What::MarkGood { release } => drop(self.bad.remove(release)),
            What::Overwrite { release } => {
                self.bad.remove(release);
                self.overwritten.insert(release.clone(), self.entries.len());
            }
            _ => {}
        }
        self.entries.push(entry);
    }

    /// Adds an entry for the rest of this command only: what a dry run would record.
    pub fn suppose(&mut self, entry: Entry) {
        self.push(entry);
    }

    /// Whether this entry is recorded.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.entries.iter().rev().any(|entry| entry.id == id)
    }

    fn flips_of(&self, link: &Path) -> impl DoubleEndedIterator<Item = (usize, &Entry, &Flip)> {
        let flips = self.by_link.get(link).map(Vec::as_slice).unwrap_or_default();
        flips.iter().map(|&(entry, flip)| (entry, &self.entries[entry], &self.entries[entry].flips()[flip]))
    }

    /// Whether what an entry calls so is gone, and another build has its name.
    fn is_overwritten(&self, release: &str, number: usize) -> bool {
        self.overwritten.get(release).is_some_and(|&overwritten| overwritten > number)
    }

    /// Whether what this activation calls so is gone, and another build has its name.
    #[must_use]
    pub fn is_overwritten_since(&self, release: &str, id: &str) -> bool {
        let number = self.entries.iter().rposition(|entry| entry.id == id);
        number.is_some_and(|number| self.is_overwritten(release, number))
    }

    /// All entries, the oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All links that it knows.
    pub fn links(&self) -> impl Iterator<Item = &Path> {
        self.by_link.keys().map(PathBuf::as_path)
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
        let (_, entry, flip) = self.flips_of(link).next_back()?;
        Some(Visit { target: flip.to.clone()?, since: flip.since.unwrap_or(entry.at) })
    }

    /// The way that the link came: what a rollback goes back along. A rollback takes off its end what it went back
    /// from, so that the next one goes further back.
    #[must_use]
    pub fn way(&self, link: &Path) -> Vec<Visit> {
        let mut way: Vec<Visit> = Vec::new();
        for (number, entry, flip) in self.flips_of(link) {
            // Where it was for a while by mistake, nobody wants to be again.
            if matches!(entry.what, What::PutBack { .. }) {
                continue;
            }
            let is_rollback = matches!(entry.what, What::Rollback { .. });
            // What nobody recorded, because it was before the first entry.
            let is_there = |release: &&String| !self.is_overwritten(release, number);
            if let Some(from) = flip.from.as_ref().filter(|_| !is_rollback).filter(is_there) {
                reach(&mut way, from, entry.at);
            }
            let Some(to) = flip.to.as_ref().filter(is_there) else { continue };
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

    /// The reason for the mark, if the release is marked bad.
    #[must_use]
    pub fn is_bad(&self, release: &str) -> Option<Option<&str>> {
        self.bad.get(release).map(Option::as_deref)
    }

    /// All targets, each with when a link last led away from it, or to it.
    pub fn live_since(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.live.iter().map(|(target, &at)| (target.as_str(), at))
    }

    /// When a link last led away from the release, or to it.
    #[must_use]
    pub fn last_live(&self, release: &str) -> Option<Timestamp> {
        self.live.get(release).copied()
    }
}

fn reach(way: &mut Vec<Visit>, target: &str, since: Timestamp) {
    if way.last().is_none_or(|last| last.target != target) {
        way.push(Visit { target: target.to_owned(), since });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flip(from: &str, to: &str) -> Vec<Flip> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        vec![Flip { instance: "a".to_owned(), link: "/a".into(), from: some(from), to: some(to), since: None }]
    }

    fn history(whats: Vec<What>) -> History {
        {
            let mut history = History::default();
            whats.into_iter().for_each(|what| history.push(Entry::now(what)));
            history
        }
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
        assert_eq!(history(whats).is_bad("2"), Some(None));
    }

    #[test]
    fn nobody_goes_back_to_what_was_overwritten() {
        let overwrite = |release: &str| What::Overwrite { release: release.to_owned() };
        let mut whats = vec![overwrite("A"), activate("", "A"), overwrite("B"), activate("A", "B")];
        assert_eq!(previous(&history(whats.clone()), "B").as_deref(), Some("A"));
        whats.extend([bad("A"), overwrite("A")]);
        let overwritten = history(whats.clone());
        assert_eq!(previous(&overwritten, "B"), None, "A is another one");
        assert!(overwritten.is_bad("A").is_none());
        whats.push(activate("B", "A"));
        let again = history(whats);
        assert_eq!(previous(&again, "A").as_deref(), Some("B"));
        let first = &again.entries()[1].id.clone();
        assert!(again.is_overwritten_since("A", first) && !again.is_overwritten_since("B", &again.entries()[3].id));
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
}
