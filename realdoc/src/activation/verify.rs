//! All that a flip would look at, without the flip.

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::flip::{checked, leave};
use super::plan::{Direction, Move, plan};
use super::readable::check as check_readable;
use crate::cli::Flipping;
use crate::error::{Error, Result};
use crate::state::State;
use crate::tool::Tool;

/// Fails as an activation would, and flips nothing.
///
/// # Errors
/// Whatever would keep an activation from being made.
pub fn verify(tool: &Tool, state: &mut State, moves: Vec<Move>, flipping: &Flipping) -> Result<()> {
    let (plan, left) = plan(tool, state, moves);
    leave(tool, Direction::Activate, left)?;
    for step in &plan {
        let directory = step.change.link.parent().unwrap_or(Path::new("/"));
        let access = Access::WRITE_OK | Access::EXEC_OK;
        if let Err(error) = accessat(CWD, directory, access, AtFlags::EACCESS) {
            let (instance, directory) = (&step.flip.instance, directory.display());
            let error = std::io::Error::from(error);
            return Err(Error::Refused(format!(
                "{instance} could not be flipped: {directory} cannot be written: {error}"
            )));
        }
    }
    check_readable(tool, &state.store, Direction::Activate, &plan)?;
    // Room for what an activation records.
    state.write_journal()?;
    checked(tool, state, Direction::Activate, plan, !flipping.skip_check, &mut Vec::new())?;
    Ok(())
}
