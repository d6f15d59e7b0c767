//! `mark-bad`: the marks that keep rollbacks and activations away from a release.

use crate::activation;
use crate::cli::Change;
use crate::error::Result;
use crate::state::history::{Entry, What};
use crate::state::instances::Instances;
use crate::state::link;
use crate::tool::Tool;

/// Marks a release, or takes the mark back.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if there is no such release, or the history cannot be written.
pub fn run(tool: &Tool, release: &str, reason: Option<&str>, clear: bool, change: Change) -> Result<()> {
    let (mut state, _) = activation::begin(tool, change.dry_run, change.wait)?;
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
        state.retain()?;
    }
    tool.report.note(format!("{release} {done}"));
    if clear {
        return Ok(());
    }
    let mut users = Vec::new();
    for instance in Instances::find(&tool.config, &state.store, &state.history).list {
        let place = link::look(&state.store, &instance.link);
        if place.is_ok_and(|place| place.link().and_then(|link| link.target.release()) == Some(release.as_str())) {
            users.push(instance.name);
        }
    }
    if let [first, others @ ..] = &users[..] {
        let (others, lead) = match others.len() {
            0 => (String::new(), "leads"),
            1 => (format!(" and {}", others[0]), "lead"),
            count => (format!(" and {count} others"), "lead"),
        };
        let how = format!("`realdoc rollback --from {release}` goes back");
        tool.report.warn(format!("{first}{others} {lead} to it: {how}"));
    }
    Ok(())
}
