//! `deploy`: stage, activate and prune.

use crate::cli::{Fetch, Selection};
use crate::commands::prune::{self, Rules};
use crate::commands::{activate, stage};
use crate::error::{Error, Result};
use crate::state::State;
use crate::tool::Tool;

/// Stages the release of a reference, flips links to it, and removes releases that nobody needs.
///
/// # Errors
/// As [`stage::stage`] and [`activate::activate`]; a prune that fails is a warning.
pub fn deploy(tool: &Tool, state: &mut State, reference: &str, instances: &Selection, fetch: &Fetch) -> Result<()> {
    let Selection { to, all } = instances;
    // A name that is none should not come out after ten minutes of building.
    state.instances(&tool.config, &tool.report)?.select(to, *all)?;
    let release = stage::stage(tool, state, reference, !fetch.no_fetch)?;
    activate::activate_named(tool, state, &release, to, *all)?;
    let rules = Rules { keep: tool.config.releases.keep, adopted: false, explain: false };
    match prune::prune(tool, state, rules) {
        Err(error @ Error::Interrupted(_)) => Err(error),
        // What was asked for is done.
        Err(error) => {
            tool.report.warn(format!("old releases stay: {error}"));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
