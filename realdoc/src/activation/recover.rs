//! The beginning of a command that changes something: with the lock, and with everything that an earlier command left
//! half-done put right.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::plan::Step;
use super::reload::{finish, reload};
use super::undo::{put_back, sync};
use crate::error::{Error, Result};
use crate::fs::tree;
use crate::os::process;
use crate::report::Outcome;
use crate::state::State;
use crate::state::history::What;
use crate::state::journal::{Change, Journal};
use crate::state::lock::Lock;
use crate::state::releases::Store;
use crate::tool::Tool;

/// The links of an activation that a killed command left half-done, and that are put back.
pub type PutBack = BTreeSet<PathBuf>;

/// Begins a command that changes something. With `dry_run` it changes nothing and needs no lock.
///
/// # Errors
/// [`Error::Busy`], or a state that cannot be read or put right.
pub fn begin(tool: &Tool, dry_run: bool, wait: bool) -> Result<(State, PutBack)> {
    if dry_run {
        let state = State::look(&tool.config)?;
        if Journal::load(&state.store)?.is_some() {
            tool.report.warn("an activation is going on or was interrupted; what follows may not be how it ends");
        }
        return Ok((state, PutBack::new()));
    }
    let store = Store::open(tool.config.releases.directory.as_path())?;
    store.prepare()?;
    let lock = Lock::acquire(&store, &process::command_line(), wait, &tool.interrupt, |holder| {
        tool.report.step("wait", format!("waiting for {holder}"));
    })?;
    let mut state = State::locked(store, lock)?;
    let put_back = recover(tool, &mut state)?;
    sweep(tool, &state.store)?;
    Ok((state, put_back))
}

/// Removes what killed commands left in the releases directory.
fn sweep(tool: &Tool, store: &Store) -> Result<()> {
    for leftover in store.leftovers()? {
        if let Err(error) = tree::remove(&leftover) {
            tool.report.warn(format!("a leftover of an interrupted command stays: {error}"));
        }
    }
    Ok(())
}

/// Puts right what a killed activation left. Only with the lock.
///
/// # Errors
/// [`Error::Mixed`] if a link can be neither left nor put back.
fn recover(tool: &Tool, state: &mut State) -> Result<PutBack> {
    let Some(journal) = Journal::load(&state.store)? else {
        return Ok(PutBack::new());
    };
    for change in &journal.changes {
        change.remove_unborn();
    }
    let recorded = state.history.has(&journal.entry.id);
    let complete = recorded || journal.changes.iter().all(|change| change.is_made().unwrap_or(false));
    let plan: Vec<Step> = journal
        .entry
        .flips()
        .iter()
        .zip(&journal.changes)
        .map(|(flip, change)| Step { flip: flip.clone(), change: change.clone(), already: false })
        .collect();
    if !complete {
        tool.report.note("an activation was interrupted before every link was flipped; putting back the others");
        let made = |step: &Step| step.change.is_made().unwrap_or(true);
        let made: Vec<Step> = plan.into_iter().filter(made).collect();
        return match put_back(tool, state, &made, &[], "an interrupted activation") {
            Error::PutBack { .. } => {
                // A rollback that was interrupted is to be done again.
                if !matches!(journal.entry.what, What::Activate { .. }) {
                    return Ok(PutBack::new());
                }
                Ok(journal.changes.into_iter().filter(Change::is_undone).map(|change| change.link).collect())
            }
            error => Err(error),
        };
    }
    tool.report.note("an activation was interrupted when every link was flipped; finishing it");
    if !recorded {
        sync(&tool.report, journal.changes.iter());
        state.history.append(&state.store, journal.entry)?;
    }
    for step in &plan {
        step.say(&tool.report, Outcome::Flipped, None);
    }
    let reloaded = reload(tool, &state.store);
    match finish(tool, &state.store, reloaded) {
        // The command that is about to begin has another purpose.
        Err(error @ Error::ReloadFailed { .. }) => {
            tool.report.warn(error.to_string());
            Ok(PutBack::new())
        }
        result => result.map(|()| PutBack::new()),
    }
}
