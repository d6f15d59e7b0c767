//! `activate`: links flipped to a release.

use crate::activation::{self, Direction, Move};
use crate::cli::{Change, Selection};
use crate::error::{Error, Result};
use crate::state::State;
use crate::tool::Tool;

/// Flips the instances that are named to a release.
///
/// # Errors
/// Whatever can go wrong; every link is then as it was, except with [`Error::ReloadFailed`] and [`Error::Mixed`].
pub fn run(tool: &Tool, release: &str, instances: &Selection, check: bool, change: Change) -> Result<()> {
    let (mut state, _) = activation::begin(tool, change.dry_run, change.wait)?;
    let name = state.store.find(release)?.name;
    activate(tool, &mut state, &name, instances, check)
}

/// As [`run`], for a release whose name is known; in a dry run it need not exist.
///
/// # Errors
/// As [`run`].
pub fn activate(tool: &Tool, state: &mut State, name: &str, instances: &Selection, check: bool) -> Result<()> {
    refuse_bad(state, name)?;
    let instances = state.instances(&tool.config, &tool.report)?.select(&instances.to, instances.all)?;
    let moves = instances.into_iter().map(|instance| Move { instance, to: name.to_owned() }).collect();
    activation::flip(tool, state, Direction::Activate, moves, check).map(|_| ())
}

fn refuse_bad(state: &State, name: &str) -> Result<()> {
    let Some(reason) = state.history.is_bad(name) else {
        return Ok(());
    };
    let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    Err(Error::Refused(format!("{name} is marked bad{reason}; `realdoc mark-bad --clear {name}` takes the mark back")))
}
