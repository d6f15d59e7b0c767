//! `deploy`: stage, activate and prune.

use crate::activation;
use crate::cli::{Change, Selection, Staging};
use crate::commands::prune::{self, Rules};
use crate::commands::{activate, stage};
use crate::error::{Error, Result};
use crate::tool::Tool;

/// Stages the release of a reference, flips links to it, and removes releases that nobody needs.
///
/// # Errors
/// As [`stage::run`] and [`activate::run`]; a prune that fails is a warning.
pub fn run(
    tool: &Tool,
    reference: &str,
    instances: &Selection,
    how: Staging,
    check: bool,
    change: Change,
) -> Result<()> {
    let (mut state, _) = activation::begin(tool, change.dry_run, change.wait)?;
    // A name that is none should not come out after ten minutes of building.
    activate::select(tool, &mut state, instances)?;
    state.unlock();
    let staged = stage::stage(tool, &state.store, reference, how, change)?;
    if !change.dry_run {
        activation::relock(tool, &mut state)?;
    }
    let reached = activate::activate(tool, &mut state, &staged.name, instances, check)?;
    drop(staged);
    let rules = Rules { keep: tool.config.releases.keep, adopted: false, explain: false };
    match prune::prune(tool, &mut state, rules) {
        Err(error @ Error::Interrupted(_)) => Err(error),
        // What was asked for is done.
        Err(error) => {
            tool.report.warn(format!("old releases stay: {error}"));
            reached.result()
        }
        Ok(()) => reached.result(),
    }
}
