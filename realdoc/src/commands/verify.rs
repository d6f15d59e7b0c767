//! `verify`: whether a release could go live.

use crate::activation::{self, Move};
use crate::cli::{Flipping, Selection};
use crate::commands::{activate, drain};
use crate::error::Result;
use crate::state::selection::Selected;
use crate::tool::Tool;

/// Looks at all that an activation would look at.
///
/// # Errors
/// As an activation, and with the same exit codes.
pub fn run(tool: &Tool, release: &str, instances: &Selection, flipping: &Flipping, wait: bool) -> Result<()> {
    let (mut state, _) = activation::begin(tool, false, wait)?;
    let name = state.store.find(release)?.name;
    activate::refuse_bad(&state, &name)?;
    drain::require(tool, flipping.drain)?;
    let found = state.instances(&tool.config, &tool.report)?;
    let Selected { instances, missed } = activate::select(tool, &mut state, instances)?;
    let names: Vec<String> = instances.iter().map(|instance| instance.name.clone()).collect();
    let moves: Vec<Move> = instances.into_iter().map(|instance| Move { instance, to: name.clone() }).collect();
    activation::verify(tool, &mut state, moves, flipping)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    tool.report.note(format!("{name} can go live on {}", found.describe(&names)));
    activate::missed(&missed, &format!("{name} can go live on {}", names.len()))
}
