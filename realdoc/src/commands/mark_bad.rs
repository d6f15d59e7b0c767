//! `mark-bad`: the marks that keep rollbacks and activations away from a release.

use crate::error::Result;
use crate::state::State;
use crate::state::history::{Entry, What};
use crate::state::link;
use crate::tool::Tool;

/// Marks a release, or takes the mark back.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if there is no such release, or the history cannot be written.
pub fn mark(tool: &Tool, state: &mut State, release: &str, reason: Option<&str>, clear: bool) -> Result<()> {
    let release = state.store.find(release)?.name;
    let is_bad = state.history.is_bad(&release).is_some();
    let done = match (clear, state.is_dry_run()) {
        (false, false) => "is marked bad",
        (false, true) => "would be marked bad",
        (true, _) if !is_bad => "is not marked bad",
        (true, false) => "is not marked bad anymore",
        (true, true) => "would not be marked bad anymore",
    };
    if !state.is_dry_run() && (!clear || is_bad) {
        let what = if clear {
            What::MarkGood { release: release.clone() }
        } else {
            What::MarkBad { release: release.clone(), reason: reason.map(str::to_owned) }
        };
        state.history.append(&state.store, Entry::now(what))?;
    }
    tool.report.note(format!("{release} {done}"));
    if clear {
        return Ok(());
    }
    for instance in state.instances(&tool.config, &tool.report)?.list {
        let place = link::look(&state.store, &instance.link)?;
        if place.link().and_then(|link| link.target.release()) == Some(release.as_str()) {
            let name = &instance.name;
            tool.report.warn(format!("{name} leads to it: `realdoc rollback --to {name}` goes back"));
        }
    }
    Ok(())
}
