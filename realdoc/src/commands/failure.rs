//! Telling somebody that a command has failed.

use std::ffi::OsStr;
use std::path::Path;

use crate::cli::Change;
use crate::error::{Error, Result};
use crate::os::limit::Limit;
use crate::os::process;
use crate::tool::Tool;

/// Passes the result on, and runs the `on_failure` command if it is a failure of a command that changes something.
///
/// # Errors
/// The result's.
pub fn tell(tool: &Tool, change: Change, result: Result<()>) -> Result<()> {
    let Err(error) = &result else {
        return result;
    };
    let Some(line) = tool.config.commands.on_failure.as_ref().filter(|_| !change.dry_run) else {
        return result;
    };
    if matches!(error, Error::Interrupted(_)) {
        return result;
    }
    let (code, message, command) = (error.exit_code().to_string(), error.to_string(), process::command_line());
    let variables: [(&str, &OsStr); 4] = [
        ("REALDOC_EXIT", error.exit_name().as_ref()),
        ("REALDOC_CODE", code.as_ref()),
        ("REALDOC_MESSAGE", message.as_ref()),
        ("REALDOC_COMMAND", command.as_ref()),
    ];
    let limit = Limit { time: tool.config.timeouts.on_failure.0, key: "on_failure" };
    let told = process::shell(line, Path::new("/"), &variables, &tool.interrupt, limit);
    match told {
        Ok(Ok(())) => {}
        Ok(Err(ending)) => tool.report.warn(format!("[commands] on_failure: `{line}` {ending}")),
        Err(error) => tool.report.warn(format!("[commands] on_failure: {error}")),
    }
    result
}
