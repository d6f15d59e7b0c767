//! The state of a releases directory: what is in it, what has happened in it, and where the links lead.
//!
//! Owns: the view that a command has of it, with the lock or, in a dry run, without. Must not: flip a link.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::config::Config;
use crate::error::Result;
use crate::os::interrupt::Interrupt;
use crate::os::process;
use crate::report::Report;

pub mod history;
pub mod hold;
pub mod instances;
pub mod journal;
pub mod leftovers;
pub mod link;
pub mod lock;
pub mod releases;
pub mod retained;
pub mod selection;
pub mod watched;

use history::{Entry, Flip, History, What};
use instances::Instances;
use journal::Journal;
use lock::{Kind, Lock, Patience};
use releases::Store;
use retained::Terms;

/// The state as one command sees it.
#[derive(Debug)]
pub struct State {
    /// The releases directory.
    pub store: Store,
    /// What has happened in it.
    pub history: History,
    /// What is going on.
    pub journal: Journal,
    /// What could not be read.
    pub problems: Vec<String>,
    /// Where links would lead after what a dry run has said so far.
    supposed: BTreeMap<PathBuf, String>,
    dry_run: bool,
    /// Whether a stopped realdoc that holds the lock is ended.
    ends_stopped: bool,
    /// Which releases are retained for their assets.
    retained: Terms,
    /// Without it nothing is changed. It is let go while something runs that may take long.
    lock: Option<Lock>,
}

impl State {
    /// The state for a command that changes nothing, or does not yet.
    ///
    /// # Errors
    /// There is no releases directory.
    pub fn look(config: &Config, dry_run: bool) -> Result<Self> {
        let store = Store::open(config.releases.directory.as_path())?;
        let mut state = Self {
            store,
            history: History::default(),
            journal: Journal::default(),
            problems: Vec::new(),
            supposed: BTreeMap::new(),
            dry_run,
            ends_stopped: false,
            retained: Terms { keep_for: config.assets.time(), slots: config.releases.slots.clone() },
            lock: None,
        };
        state.load();
        Ok(state)
    }

    fn load(&mut self) {
        self.history = History::load(&self.store);
        self.problems = self.history.problems().to_vec();
        let (journal, problem) = Journal::load(&self.store);
        self.problems.extend(problem);
        self.journal = journal;
        for entry in &self.journal.unrecorded {
            if !self.history.has(&entry.id) {
                self.history.suppose(entry.clone());
            }
        }
    }

    /// From now on, a stopped realdoc keeps this command from nothing.
    pub fn end_stopped(&mut self) {
        self.ends_stopped = true;
    }

    /// Takes the lock and looks again. What could not be read is told once.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::error::Error::Busy), or the lock cannot be had.
    pub fn lock(&mut self, patience: Patience, interrupt: &Interrupt, report: &Report) -> Result<()> {
        let command = process::command_line();
        let waiting = |holder: &lock::Holder| report.step("wait", format!("waiting for {holder}"));
        let ended = |holder: &lock::Holder| report.warn(format!("it was stopped, and held the lock: ended {holder}"));
        let ended: Option<&dyn Fn(&lock::Holder)> = if self.ends_stopped { Some(&ended) } else { None };
        let lock = Lock::acquire(&self.store, Kind::Change, &command, patience, interrupt, waiting, ended)?;
        self.lock = Some(lock);
        let known = std::mem::take(&mut self.problems);
        self.load();
        for problem in self.problems.iter().filter(|problem| !known.contains(problem)) {
            report.warn(problem);
        }
        if self.problems.len() > self.history.problems().len() {
            // Told once is enough.
            let _ = self.write_journal();
        }
        self.catch_up(report);
        Ok(())
    }

    /// Lets the lock go, for as long as something runs that is not ours.
    pub fn unlock(&mut self) {
        self.lock = None;
    }

    /// Whether to say only what would be done.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Writes what the history had no room for.
    fn catch_up(&mut self, report: &Report) {
        if self.journal.unrecorded.is_empty() {
            return;
        }
        let mut history = History::load(&self.store);
        while let Some(entry) = self.journal.unrecorded.first() {
            if !history.has(&entry.id) && history.append(&self.store, entry.clone()).is_err() {
                return;
            }
            self.journal.unrecorded.remove(0);
        }
        self.history = history;
        if let Err(error) = self.write_journal() {
            report.warn(error.to_string());
        }
    }

    /// Records what has happened. What the history has no room for goes into the journal, which is to be written next.
    ///
    /// # Errors
    /// What the file system says of the history.
    pub fn record(&mut self, entry: Entry) -> Result<()> {
        let recorded = self.history.append(&self.store, entry.clone());
        if recorded.is_err() {
            self.history.suppose(entry.clone());
            self.journal.unrecorded.push(entry);
        }
        recorded
    }

    /// Puts the journal on disk.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_journal(&self) -> Result<()> {
        self.journal.write(&self.store)
    }

    /// The instances. Where a link leads elsewhere than recorded, the history gets to know: what somebody did by hand
    /// is part of the way that a rollback goes back along.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn instances(&mut self, config: &Config, report: &Report) -> Result<Instances> {
        let mut instances = Instances::find(config, &self.store, &self.history).strict()?;
        instances.take_back_in(|link| self.supposed(link).is_some());
        self.take_note(&instances, report);
        Ok(instances)
    }

    /// Takes note of where links lead that somebody else has flipped.
    pub fn take_note(&mut self, instances: &Instances, report: &Report) {
        if self.dry_run {
            return;
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
        if flips.is_empty() {
            return;
        }
        // The next command finds the same.
        let entry = Entry::now(What::Found { flips });
        if let Err(error) = self.history.append(&self.store, entry.clone()) {
            report.warn(format!("where links lead cannot be recorded: {error}"));
            self.history.suppose(entry);
        }
        self.try_to_retain(report);
    }

    /// The releases that httpd may serve assets of, the newest first.
    #[must_use]
    pub fn retained(&self) -> Vec<String> {
        retained::names(&self.history, &self.store, &self.retained, Timestamp::now())
    }

    /// Tells httpd which releases are retained. Call it whenever what is live or bad has changed.
    ///
    /// # Errors
    /// What the file system says.
    pub fn retain(&self) -> Result<()> {
        self.retain_without(&BTreeSet::new())
    }

    /// As [`State::retain`], without releases that are about to go.
    ///
    /// # Errors
    /// What the file system says.
    pub fn retain_without(&self, going: &BTreeSet<&str>) -> Result<()> {
        if self.dry_run { Ok(()) } else { retained::write(&self.store, &self.retained(), going) }
    }

    /// As [`State::retain`], for a command that goes on whatever comes of it.
    pub fn try_to_retain(&self, report: &Report) {
        if let Err(error) = self.retain() {
            report.warn(format!("httpd is not told which assets are retained: {error}"));
        }
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
