//! `activate`: links flipped to a release.

use crate::activation::{self, Direction, Move};
use crate::error::{Error, Result};
use crate::state::State;
use crate::tool::Tool;

/// Flips the instances that are named to a release.
///
/// # Errors
/// Whatever can go wrong; every link is then as it was, except with [`Error::ReloadFailed`] and [`Error::Mixed`].
pub fn activate(tool: &Tool, state: &mut State, release: &str, to: &[String], all: bool) -> Result<()> {
    let name = state.store.find(release)?.name;
    activate_named(tool, state, &name, to, all)
}

/// As [`activate`], for a release whose name is known; in a dry run it need not exist.
///
/// # Errors
/// As [`activate`].
pub fn activate_named(tool: &Tool, state: &mut State, name: &str, to: &[String], all: bool) -> Result<()> {
    if let Some(reason) = state.history.is_bad(name) {
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        return Err(Error::Refused(format!(
            "{name} is marked bad{reason}; `realdoc mark-bad --clear {name}` takes the mark back"
        )));
    }
    let instances = state.instances(&tool.config, &tool.report)?.select(to, all)?;
    let moves = instances.into_iter().map(|instance| Move { instance, to: name.to_owned() }).collect();
    activation::flip(tool, state, Direction::Activate, moves, true)
}
