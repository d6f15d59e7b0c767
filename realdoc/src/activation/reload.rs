//! The reload command, which is owed from the moment at which links are flipped until it has succeeded.

use super::recover::relock;
use crate::error::{Error, Result};
use crate::os::failpoint::pause;
use crate::os::limit::Limit;
use crate::os::process;
use crate::state::State;
use crate::state::journal::OwedReload;
use crate::tool::Tool;

/// Runs the reload command, and takes note of how it has ended. The lock is let go meanwhile.
///
/// # Errors
/// [`Error::ReloadFailed`], [`Error::Interrupted`].
pub fn reload(tool: &Tool, state: &mut State) -> Result<()> {
    // One that is needed for a later activation is another one.
    let of = state.journal.reload.as_ref().map(|reload| reload.of.clone());
    let Some(line) = &tool.config.commands.reload else {
        forget(tool, state, of.as_deref());
        return Ok(());
    };
    tool.report.step("reload", format!("reloading: {line}"));
    state.unlock();
    let limit = Limit { time: tool.config.timeouts.reload.0, key: "reload" };
    let ended = process::shell(line, state.store.directory(), &[], &tool.interrupt, limit);
    pause("activate.reloaded", &tool.interrupt);
    if matches!(ended, Err(Error::Interrupted(_))) {
        tool.report.note("the reload was interrupted, and the next command runs it");
    }
    let ended = ended?.map_err(|ending| Error::ReloadFailed { command: line.clone(), ending, left: String::new() });
    if let Err(error) = relock(tool, state) {
        tool.report.warn(format!("how the reload has ended is not recorded: {error}"));
        return ended;
    }
    if ended.is_ok() {
        forget(tool, state, of.as_deref());
    } else {
        // The message says what to do; another command has another purpose.
        state.journal.reload = state
            .journal
            .reload
            .take()
            .map(|reload| OwedReload { failed: true, ..reload })
            .or_else(|| Some(OwedReload { of: String::new(), failed: true }));
        record(tool, state);
    }
    ended
}

fn forget(tool: &Tool, state: &mut State, of: Option<&str>) {
    if state.journal.reload.as_ref().is_none_or(|reload| Some(reload.of.as_str()) != of) {
        return;
    }
    state.journal.reload = None;
    record(tool, state);
}

/// How the reload has ended decides how the command ends, and not whether that can be written down.
fn record(tool: &Tool, state: &State) {
    if let Err(error) = state.write_journal() {
        tool.report.warn(format!("how the reload has ended is not recorded: {error}"));
    }
}
