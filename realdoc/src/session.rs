//! What a command works with: configuration, releases directory, lock, history.
//!
//! Owns: the order in which a command that changes something begins: lock, put right what a crash left, read the
//! history. Must not: know what the command is.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::commands::activate;
use crate::config::Config;
use crate::error::Result;
use crate::fs::tree;
use crate::os::interrupt::Interrupt;
use crate::os::process;
use crate::report::Report;
use crate::state::history::{Entry, Flip, History, What};
use crate::state::instances::Instances;
use crate::state::journal::Journal;
use crate::state::link;
use crate::state::lock::Lock;
use crate::state::releases::Store;

/// A command at work. With the lock, unless it only says what it would do.
#[derive(Debug)]
pub struct Session {
    /// The configuration.
    pub config: Config,
    /// The releases directory.
    pub store: Store,
    /// What has happened in it.
    pub history: History,
    /// Where to say things.
    pub report: Report,
    /// Whether to stop.
    pub interrupt: Interrupt,
    /// Whether to say only what would be done.
    pub dry_run: bool,
    /// The links of an activation that a killed command left half-done, and this one has put back.
    pub put_back: BTreeSet<PathBuf>,
    /// Where links would lead after what a dry run has said so far.
    pub supposed: BTreeMap<PathBuf, String>,
    /// Held until the end.
    _lock: Option<Lock>,
}

impl Session {
    /// Begins a command that changes something: with the lock, and with everything that an earlier command left
    /// half-done put right. With `dry_run` it changes nothing and needs no lock.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::error::Error::Busy), or a state that cannot be read or put right.
    pub fn begin(config: Config, report: Report, interrupt: Interrupt, dry_run: bool, wait: bool) -> Result<Self> {
        if dry_run {
            let session = Self::look(config, report, interrupt)?;
            if Journal::load(&session.store)?.is_some() {
                report.warn("an activation is going on or was interrupted; what follows may not be how it ends");
            }
            return Ok(session);
        }
        let store = Store::open(config.releases.directory.as_path())?;
        store.prepare()?;
        let lock = Lock::acquire(&store, &process::command_line(), wait, &interrupt, |holder| {
            report.step("wait", format!("waiting for {holder}"));
        })?;
        let history = History::load(&store)?;
        let put_back = BTreeSet::new();
        let supposed = BTreeMap::new();
        let mut session =
            Self { config, store, history, report, interrupt, dry_run, put_back, supposed, _lock: Some(lock) };
        activate::recover(&mut session)?;
        session.sweep()?;
        Ok(session)
    }

    /// Begins a command that changes nothing.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn look(config: Config, report: Report, interrupt: Interrupt) -> Result<Self> {
        let store = Store::open(config.releases.directory.as_path())?;
        let history = History::load(&store)?;
        let put_back = BTreeSet::new();
        let supposed = BTreeMap::new();
        Ok(Self { config, store, history, report, interrupt, dry_run: true, put_back, supposed, _lock: None })
    }

    /// Removes what killed commands left in the releases directory.
    fn sweep(&self) -> Result<()> {
        for leftover in self.store.leftovers()? {
            if let Err(error) = tree::remove(&leftover) {
                self.report.warn(format!("a leftover of an interrupted command stays: {error}"));
            }
        }
        Ok(())
    }

    /// The instances. Where a link leads elsewhere than recorded, the history gets to know: what somebody did by hand
    /// is part of the way that a rollback goes back along.
    ///
    /// # Errors
    /// A group that cannot be looked through, or the history cannot be written.
    pub fn instances(&mut self) -> Result<Instances> {
        let instances = Instances::find(&self.config, &self.store)?;
        if self.dry_run {
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
                self.report.note(format!(
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

    /// Runs a line of the configuration in a release.
    ///
    /// # Errors
    /// [`Error::Interrupted`](crate::error::Error::Interrupted), or the shell cannot be run.
    pub fn shell(
        &self,
        line: &str,
        directory: &Path,
        variables: &[(&str, &OsStr)],
    ) -> Result<std::process::ExitStatus> {
        process::shell(line, directory, variables, &self.interrupt)
    }
}
