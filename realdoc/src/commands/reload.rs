//! `reload`: the reload command alone.

use crate::activation;
use crate::cli::Change;
use crate::error::{Error, Result};
use crate::tool::Tool;

/// Runs the reload command, whether or not it is owed.
///
/// # Errors
/// [`Error::ReloadFailed`]; [`Error::Config`] if there is no such command.
pub fn run(tool: &Tool, change: Change) -> Result<()> {
    let Some(line) = &tool.config.commands.reload else {
        return Err(Error::Config("there is nothing to run: the configuration has no [commands] reload".to_owned()));
    };
    let (mut state, _) = activation::begin_whatever(tool, change.dry_run, change.wait, false)?;
    if change.dry_run {
        tool.report.note(format!("would run the reload command: {line}"));
        return Ok(());
    }
    activation::reload(tool, &mut state)
}
