//! `deploy`: stage, activate and prune.

use std::collections::BTreeSet;

use crate::activation;
use crate::cli::{Change, Flipping, Selection, Staging};
use crate::commands::prune::{self, Rules};
use crate::commands::stage::Staged;
use crate::commands::{activate, drain, stage};
use crate::drain::Time;
use crate::error::{Error, Result};
use crate::git::Repository;
use crate::state::State;
use crate::state::instances::Instance;
use crate::state::link;
use crate::tool::Tool;

/// From so many releases that links lead to.
const FEW: usize = 3;
/// So many commits are named.
const SHOWN: usize = 10;

/// Stages the release of a reference, flips links to it, and removes releases that nobody needs. The links go in rounds: each
/// only if the one before it has gone well.
///
/// # Errors
/// As [`stage::run`] and [`activate::run`]; a prune that fails is a warning.
pub fn run(
    tool: &Tool,
    reference: &str,
    rounds: &[Selection],
    how: &Staging,
    flipping: &Flipping,
    change: Change,
) -> Result<()> {
    let (mut state, _) = activation::begin(tool, change.dry_run, change.wait)?;
    // A name that is none should not come out after ten minutes of building.
    let mut instances = Vec::new();
    for round in rounds {
        instances.extend(activate::select(tool, &mut state, round)?.instances);
    }
    drain::require(tool, flipping.drain)?;
    state.unlock();
    let staged = stage::stage(tool, &state.store, reference, how, change)?;
    say_what_comes(tool, &state, &instances, &staged);
    if !change.dry_run {
        activation::relock(tool, &mut state)?;
    }
    let Some((last, first)) = rounds.split_last() else {
        return Ok(());
    };
    let mut ids = Vec::new();
    for round in first {
        let activated = activate::activate(tool, &mut state, &staged.name, round, flipping)?;
        ids.extend(activated.ids());
        activated.finish(tool, &state)?;
    }
    let activated = activate::activate(tool, &mut state, &staged.name, last, flipping)?;
    if activated.has_failed() {
        return activated.finish(tool, &state);
    }
    drop(staged);
    ids.extend(activated.ids());
    let time = flipping.drain.map(|time| Time::for_requests(time.0));
    let drained = drain::after_flip(tool, &mut state, &ids, time);
    if matches!(drained, Err(Error::Interrupted(_))) {
        return drain::finish(tool, activated.finish(tool, &state), drained);
    }
    // In what is left of the time.
    let rules = Rules { keep: tool.config.releases.keep, adopted: false, explain: false, drain: time };
    let pruned = prune::prune(tool, &mut state, rules);
    if let Err(error) = &pruned {
        // What was asked for is done.
        tool.report.warn(format!("old releases stay: {error}"));
    }
    let finished = activated.finish(tool, &state);
    let pruned = pruned.or_else(|error| if matches!(error, Error::Interrupted(_)) { Err(error) } else { Ok(()) });
    drain::finish(tool, finished, pruned.and(drained))
}

/// The commits between what the links lead to and what they will lead to, as far as the repository knows them.
fn say_what_comes(tool: &Tool, state: &State, instances: &[Instance], staged: &Staged) {
    let ids: BTreeSet<String> =
        instances.iter().filter_map(|instance| link::look(&state.store, &instance.link).ok()?.id()).collect();
    let Ok(repository) = Repository::open(&tool.config, &state.store, &tool.report, &tool.interrupt) else { return };
    for id in ids.iter().filter(|id| **id != staged.name).take(FEW) {
        let record = state.store.release(id).ok().flatten().and_then(|release| release.record);
        let Some(record) = record.filter(|record| record.commit != staged.commit && !staged.commit.is_empty()) else {
            continue;
        };
        let between = |from: &str, to: &str| repository.between(from, to, SHOWN).ok().filter(|(count, _)| *count > 0);
        let coming = between(&record.commit, &staged.commit).map(|found| ("brings", found));
        let going = between(&staged.commit, &record.commit).map(|found| ("takes back", found));
        for (verb, (count, subjects)) in coming.into_iter().chain(going) {
            let plural = if count == 1 { "" } else { "s" };
            let mut text = format!("{id} -> {}: {verb} {count} commit{plural}", staged.name);
            for subject in &subjects {
                text += &format!("\n  {subject}");
            }
            if count > subjects.len() {
                text += &format!("\n  and {} more", count - subjects.len());
            }
            tool.report.note(text);
        }
    }
}
