//! The beginning of a command that changes something: with the lock, and with everything that an earlier command left
//! half-done put right.

use super::recover::{PATIENCE, PutBack, lock};
use super::reload::reload;
use crate::error::{Error, Result};
use crate::fs::tree;
use crate::state::State;
use crate::state::journal::Journal;
use crate::state::lock::Patience;
use crate::tool::Tool;

/// Begins a command that changes something. With `dry_run` it changes nothing and needs no lock.
///
/// # Errors
/// [`Error::Busy`], or [`Error::Mixed`] if what an interrupted activation left cannot be put right.
pub fn begin(tool: &Tool, dry_run: bool, wait: bool) -> Result<(State, PutBack)> {
    let (mut state, put_back) = begin_whatever(tool, dry_run, wait, false)?;
    let put_back = put_back?;
    settle(tool, &mut state)?;
    Ok((state, put_back))
}

/// As [`begin`], for a command that goes on whatever has been left half-done, and reloads itself. With `is_urgent`, it
/// ends a stopped realdoc that holds the lock.
///
/// # Errors
/// [`Error::Busy`]; inside, [`Error::Mixed`].
pub(crate) fn begin_whatever(
    tool: &Tool,
    dry_run: bool,
    wait: bool,
    is_urgent: bool,
) -> Result<(State, Result<PutBack>)> {
    let mut state = State::look(&tool.config, dry_run)?;
    if is_urgent {
        state.end_stopped();
    }
    if dry_run {
        for problem in &state.problems {
            tool.report.warn(problem);
        }
        if state.journal.is_interrupted() {
            tool.report.warn("an activation is going on or was interrupted; what follows may not be how it ends");
        }
        return Ok((state, Ok(PutBack::new())));
    }
    state.store.prepare()?;
    state.problems.clear();
    let put_back = lock(tool, &mut state, if wait { Patience::Endless } else { PATIENCE })?;
    // On a full disk it may be made later, or never.
    let _ = Journal::prepare(&state.store);
    for leftover in state.store.leftovers().unwrap_or_default().iter().filter(|path| !path.is_dir()) {
        let _ = tree::remove(leftover);
    }
    Ok((state, put_back))
}

/// Runs a reload that an interrupted command owes. One that has failed is left to whoever flips links next, or asks for
/// it.
fn settle(tool: &Tool, state: &mut State) -> Result<()> {
    if state.journal.reload.as_ref().is_none_or(|reload| reload.failed) || state.is_dry_run() {
        return Ok(());
    }
    match reload(tool, state) {
        // The command that is about to begin has another purpose.
        Err(error @ Error::ReloadFailed { .. }) => {
            tool.report.warn(error.to_string());
            Ok(())
        }
        result => result,
    }
}
