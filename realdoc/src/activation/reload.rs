//! The reload command, and with it the end of an activation.

use crate::error::{Error, Result};
use crate::os::limit::Limit;
use crate::os::process;
use crate::state::journal::Journal;
use crate::state::releases::Store;
use crate::tool::Tool;

/// Runs the reload command.
pub(super) fn reload(tool: &Tool, store: &Store) -> Result<()> {
    let Some(line) = &tool.config.commands.reload else {
        return Ok(());
    };
    tool.report.step("reload", format!("reloading: {line}"));
    let limit = Limit { time: tool.config.timeouts.reload.0, key: "reload" };
    process::shell(line, store.directory(), &[], &tool.interrupt, limit)?
        .map_err(|ending| Error::ReloadFailed { command: line.clone(), ending })
}

/// The end of an activation: the journal goes, unless the reload is still to be run.
pub(super) fn finish(tool: &Tool, store: &Store, reloaded: Result<()>) -> Result<()> {
    if let Err(Error::Interrupted(_)) = reloaded {
        tool.report.note("every link is flipped; the reload was interrupted, and the next command runs it");
    } else {
        Journal::remove(store)?;
    }
    reloaded
}
