//! Taking the lock, and putting right what a killed activation has left half-done.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::plan::Step;
use super::undo::{put_back, sync};
use crate::error::{Error, Result};
use crate::report::Outcome;
use crate::state::State;
use crate::state::history::What;
use crate::state::journal::{Activation, Change, OwedReload};
use crate::state::lock::Patience;
use crate::tool::Tool;

/// How long to wait for the lock. It is held for milliseconds; whoever has it for longer is stopped, or has a slow disk.
pub(super) const PATIENCE: Patience = Patience::For(Duration::from_secs(10));

/// The links of an activation that a killed command left half-done, and that are put back.
pub type PutBack = BTreeSet<PathBuf>;

/// Takes the lock again after something has run that took long.
///
/// # Errors
/// [`Error::Busy`], or [`Error::Mixed`] if somebody else's activation has been interrupted meanwhile.
pub(crate) fn relock(tool: &Tool, state: &mut State) -> Result<()> {
    lock(tool, state, PATIENCE)?.map(|_| ())
}

/// Takes the lock. Inside is what has become of an activation that a killed command left half-done.
///
/// # Errors
/// [`Error::Busy`]; inside, [`Error::Mixed`].
pub(super) fn lock(tool: &Tool, state: &mut State, patience: Patience) -> Result<Result<PutBack>> {
    state.lock(patience, &tool.interrupt, &tool.report)?;
    Ok(recover(tool, state))
}

/// Puts right what a killed activation left. Only with the lock.
///
/// # Errors
/// [`Error::Mixed`] if a link can be neither left nor put back.
fn recover(tool: &Tool, state: &mut State) -> Result<PutBack> {
    let Some(Activation { entry, changes }) = state.journal.activation.clone() else {
        return Ok(PutBack::new());
    };
    for change in &changes {
        change.remove_unborn();
    }
    let recorded = state.history.has(&entry.id);
    let complete = recorded || changes.iter().all(|change| change.is_made().unwrap_or(false));
    let plan: Vec<Step> = entry
        .flips()
        .iter()
        .zip(&changes)
        .map(|(flip, change)| Step { flip: flip.clone(), change: change.clone(), already: false })
        .collect();
    if !complete {
        tool.report.note("an activation was interrupted before every link was flipped; putting back the others");
        let made = |step: &Step| step.change.is_made().unwrap_or(true);
        let made: Vec<Step> = plan.into_iter().filter(made).collect();
        return match put_back(tool, state, &made, &[], "an interrupted activation") {
            Error::PutBack { .. } => {
                // A rollback that was interrupted is to be done again.
                if !matches!(entry.what, What::Activate { .. }) {
                    return Ok(PutBack::new());
                }
                Ok(changes.into_iter().filter(Change::is_undone).map(|change| change.link).collect())
            }
            error => Err(error),
        };
    }
    tool.report.note("an activation was interrupted when every link was flipped; finishing it");
    let of = entry.id.clone();
    if !recorded {
        sync(&tool.report, changes.iter());
        // Else it is in the journal.
        let _ = state.record(entry);
    }
    state.try_to_retain(&tool.report);
    for step in plan.iter().filter(|step| step.change.is_made().unwrap_or(false)) {
        step.say(&tool.report, Outcome::Flipped, None);
    }
    state.journal.activation = None;
    state.journal.reload = Some(OwedReload { of, failed: false });
    state.write_journal()?;
    Ok(PutBack::new())
}
