//! Slots: directories that take turns, instead of one for each release (`UseReadlink`).
//!
//! Owns: which slot is taken, and that nobody uses what was in it. Must not: write into a directory that has been live: its
//! files may be mapped, or on their way to a visitor. A new directory takes the place of the old one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::activation;
use crate::config::Config;
use crate::drain::{self, Draining, Files, Time, Use};
use crate::error::{Error, Result};
use crate::fs::durable;
use crate::fs::tree;
use crate::os::failpoint::pause;
use crate::report::Report;
use crate::state::State;
use crate::state::history::{Entry, What};
use crate::state::link;
use crate::state::releases::{Record, Store};
use crate::state::watched::{self, watched};
use crate::tool::Tool;

/// The slot for the next release: one that is not there yet, or that nobody would go back to, or that was live longest ago.
///
/// # Errors
/// [`Error::Unknown`] if no httpd counts; [`Error::Refused`] if links lead to every slot.
pub fn choose(tool: &Tool) -> Result<String> {
    let Tool { config, report, .. } = tool;
    Files::open(&config.drain).required().map_err(|error| match error {
        Error::Unknown(why) => Error::Unknown(format!("no slot is taken: {why}")),
        error => error,
    })?;
    let mut state = State::look(config, true)?;
    if let Some(problem) = state.history.problems().first() {
        return Err(Error::Refused(format!("no slot is taken, because what was live cannot be told: {problem}")));
    }
    let mut free = Vec::new();
    let mut taken = Vec::new();
    for slot in config.releases.slots.names() {
        let links = live_on(config, report, &mut state, slot)?;
        if links.is_empty() { free.push(slot) } else { taken.push(format!("{slot} is live on {links}")) }
    }
    let previous = rollback_targets(config, report, &mut state)?;
    let slot = free.into_iter().min_by_key(|slot| {
        let is_there = state.store.path_of(slot).symlink_metadata().is_ok();
        let is_bad = state.history.is_bad(slot).is_some();
        (is_there, !is_bad, previous.contains(slot), state.history.last_live(slot))
    });
    slot.cloned().ok_or_else(|| Error::Refused(format!("no slot is free: {}", taken.join("; "))))
}

/// The links that lead to a slot, in words; empty if none does.
fn live_on(config: &Config, report: &Report, state: &mut State, slot: &str) -> Result<String> {
    let instances = state.instances(config, report)?;
    let links = watched(state, &instances);
    let live = watched::live(state, &links)?;
    Ok(live.get(slot).map(|names| instances.describe(names)).unwrap_or_default())
}

fn rollback_targets(config: &Config, report: &Report, state: &mut State) -> Result<Vec<String>> {
    let instances = state.instances(config, report)?;
    let target = |link: &Path| {
        let now = link::look(&state.store, link).ok()?.id();
        state.previous(link, now.as_deref()).0
    };
    Ok(instances.list.iter().filter_map(|instance| target(&instance.link)).collect())
}

/// Puts a release that is made, and on disk, in the place of a slot, once nobody uses what is there. What was there is then
/// where the release has been made.
///
/// # Errors
/// [`Error::InUse`], [`Error::Unknown`], [`Error::Refused`] if a link leads there; then the slot is as it was.
pub fn take(tool: &Tool, made: &Path, slot: &str, record: &Record) -> Result<()> {
    let mut state = State::look(&tool.config, false)?;
    activation::relock(tool, &mut state)?;
    let path = state.store.path_of(slot);
    // Nobody holds it until it is gone.
    let _claimed = free(tool, &mut state, slot, &path)?;
    // From here on, what was in the slot is not what the history speaks of.
    state.record(Entry::now(What::Overwrite { release: slot.to_owned() }))?;
    state.store.remove_record(slot)?;
    pause("stage.slot.forgotten", &tool.interrupt);
    if path.symlink_metadata().is_ok() {
        durable::exchange(made, &path)?;
    } else {
        durable::rename(made, &path)?;
    }
    pause("stage.slot.taken", &tool.interrupt);
    durable::sync_directory(state.store.directory())?;
    state.store.write_record(slot, record)
}

/// Waits until nobody uses the slot. With the lock, before and afterwards.
fn free(tool: &Tool, state: &mut State, slot: &str, path: &Path) -> Result<Option<Draining>> {
    let files = Files::open(&tool.config.drain);
    let time = Time::for_requests(tool.config.drain.timeout.0);
    let mut drainings: Vec<Draining> = Vec::new();
    loop {
        let links = live_on(&tool.config, &tool.report, state, slot)?;
        if !links.is_empty() {
            return Err(Error::Refused(format!("{slot} has come to be live on {links}; nothing was staged")));
        }
        match fs::symlink_metadata(path) {
            Err(_) => return Ok(None),
            Ok(metadata) if metadata.is_dir() => tree::refuse_mounts(path)?,
            Ok(_) => return Err(Error::Refused(format!("{} is no directory, and in the way", path.display()))),
        }
        if drainings.is_empty() {
            drainings.push(Draining::new(slot, path, tool.config.releases.subdirectory.as_path()));
        }
        for draining in &mut drainings {
            draining.poll(&files)?;
        }
        let is_waited_for = |draining: &Draining| time.waits_for(&draining.seen);
        if !drainings.iter().any(is_waited_for) {
            return match drain::expect_free(&drainings) {
                Ok(()) => Ok(drainings.pop()),
                Err(Error::InUse(why)) => Err(Error::InUse(format!("{why}; nothing was staged"))),
                Err(Error::Unknown(why)) => Err(Error::Unknown(format!("{why}; nothing was staged"))),
                Err(error) => Err(error),
            };
        }
        debug_assert!(drainings.iter().all(|draining| draining.seen != Use::Free));
        drain::wait_unlocked(tool, state, &files, &mut drainings, time)?;
    }
}

impl Store {
    /// Whether a directory can be a slot's: the record of a release that was never there says nothing.
    fn remove_record(&self, slot: &str) -> Result<()> {
        let path: PathBuf = self.state("releases").join(format!("{slot}.json"));
        tree::remove(&path)
    }
}
