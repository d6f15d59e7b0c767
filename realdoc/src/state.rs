//! The state of a releases directory: what is in it, what has happened in it, and where the links lead.
//!
//! Owns: the view that a command has of it, with the lock or, in a dry run, without. Must not: flip a link.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::error::Result;
use crate::report::Report;

pub mod history;
pub mod instances;
pub mod journal;
pub mod link;
pub mod lock;
pub mod releases;

use history::{Entry, Flip, History, What};
use instances::Instances;
use lock::Lock;
use releases::Store;

/// The state as one command sees it.
#[derive(Debug)]
pub struct State {
    /// The releases directory.
    pub store: Store,
    /// What has happened in it.
    pub history: History,
    /// Where links would lead after what a dry run has said so far.
    supposed: BTreeMap<PathBuf, String>,
    /// Held until the end. Without it nothing is changed.
    lock: Option<Lock>,
}

impl State {
    /// The state for a command that changes nothing.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn look(config: &Config) -> Result<Self> {
        let store = Store::open(config.releases.directory.as_path())?;
        let history = History::load(&store)?;
        Ok(Self { store, history, supposed: BTreeMap::new(), lock: None })
    }

    /// The state for a command that changes something, by the lock that it holds.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn locked(store: Store, lock: Lock) -> Result<Self> {
        let history = History::load(&store)?;
        Ok(Self { store, history, supposed: BTreeMap::new(), lock: Some(lock) })
    }

    /// Whether to say only what would be done.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.lock.is_none()
    }

    /// The instances. Where a link leads elsewhere than recorded, the history gets to know: what somebody did by hand
    /// is part of the way that a rollback goes back along.
    ///
    /// # Errors
    /// A group that cannot be looked through, or the history cannot be written.
    pub fn instances(&mut self, config: &Config, report: &Report) -> Result<Instances> {
        let instances = Instances::find(config, &self.store)?;
        if self.is_dry_run() {
            return Ok(instances);
        }
        let mut flips = Vec::new();
        for instance in &instances.list {
            // Whoever needs this link looks at it again, and fails.
            let Ok(place) = link::look(&self.store, &instance.link) else { continue };
            let from = self.history.recorded(&instance.link).map(|visit| visit.target);
            let to = place.id();
            if from == to {
                continue;
            }
            if let (Some(from), to) = (&from, &to) {
                report.note(format!(
                    "{} leads to {} and not to {from}: somebody else has flipped it",
                    instance.name,
                    to.as_deref().unwrap_or("nothing")
                ));
            }
            let since = place.link().map(|link| link.since);
            flips.push(Flip { instance: instance.name.clone(), link: instance.link.clone(), from, to, since });
        }
        if !flips.is_empty() {
            self.history.append(&self.store, Entry::now(What::Found { flips }))?;
        }
        Ok(instances)
    }

    /// Goes on as if this had happened: a prune that follows in a dry run is to say what it would really remove.
    pub fn suppose(&mut self, entry: Entry) {
        self.supposed.extend(entry.flips().iter().filter_map(|flip| Some((flip.link.clone(), flip.to.clone()?))));
        self.history.suppose(entry);
    }

    /// Where a dry run has said that it would flip this link to.
    #[must_use]
    pub fn supposed(&self, link: &Path) -> Option<&str> {
        self.supposed.get(link).map(String::as_str)
    }

    /// Where a dry run has said that it would flip links to.
    pub fn supposed_targets(&self) -> impl Iterator<Item = &str> {
        self.supposed.values().map(String::as_str)
    }

    /// Where a rollback of the link leads, and what it passes over.
    #[must_use]
    pub fn previous(&self, link: &Path, now: Option<&str>) -> (Option<String>, Vec<String>) {
        self.history.previous(link, now, |target| self.obstacle(target).is_none())
    }

    /// Why no rollback can lead to this target, if none can.
    #[must_use]
    pub fn obstacle(&self, target: &str) -> Option<String> {
        if let Some(reason) = self.history.is_bad(target) {
            return Some(reason.map_or("is marked bad".to_owned(), |reason| format!("is marked bad: {reason}")));
        }
        // Joined to an absolute path, that is the path.
        let there = self.store.path_of(target).is_dir();
        (!there).then(|| "is not there anymore".to_owned())
    }
}
