//! Links put back that an activation has flipped.

use std::collections::BTreeSet;
use std::path::Path;

use super::plan::Step;
use crate::error::Error;
use crate::fs::durable;
use crate::os::failpoint::pause;
use crate::report::{Outcome, Report};
use crate::state::State;
use crate::state::history::{Entry, Flip, What};
use crate::state::journal::Change;
use crate::tool::Tool;

/// Puts links back that were flipped, and says what became of each.
pub(super) fn put_back(tool: &Tool, state: &mut State, flipped: &[Step], untouched: &[Step], cause: &str) -> Error {
    note_that_it_was_live(tool, state, flipped);
    let mut stuck = false;
    for step in flipped.iter().rev() {
        match step.change.put_back() {
            Ok(_) => step.say(&tool.report, Outcome::PutBack, None),
            Err(error) => {
                stuck = true;
                step.say(&tool.report, Outcome::Stuck, Some(error.to_string()));
            }
        }
        pause("activate.putting-back", &tool.interrupt);
    }
    for step in untouched {
        step.say(&tool.report, Outcome::Untouched, None);
    }
    sync(&tool.report, flipped.iter().map(|step| &step.change));
    let cause = cause.to_owned();
    if stuck {
        // The journal stays, for the next command.
        return Error::Mixed { cause };
    }
    state.journal.activation = None;
    match state.write_journal() {
        Ok(()) => Error::PutBack { cause },
        Err(error) => Error::PutBack { cause: format!("{cause}; {error}") },
    }
}

/// Requests run in what the links have led to, if only for a moment: a prune is to know.
fn note_that_it_was_live(tool: &Tool, state: &mut State, flipped: &[Step]) {
    let back = |flip: &Flip| Flip { from: flip.to.clone(), to: flip.from.clone(), ..flip.clone() };
    let flips: Vec<_> = flipped.iter().map(|step| back(&step.flip)).collect();
    if flips.is_empty() {
        return;
    }
    // On a full disk the links are put back all the same.
    if let Err(error) = state.history.append(&state.store, Entry::now(What::PutBack { flips })) {
        tool.report.warn(format!("where links have led for a moment is not recorded: {error}"));
    }
    state.try_to_retain(&tool.report);
}

/// Makes the flips survive a power cut. They are done whether or not this works.
pub(super) fn sync<'a>(report: &Report, changes: impl Iterator<Item = &'a Change>) {
    let directories: BTreeSet<&Path> = changes.filter_map(|change| change.link.parent()).collect();
    for directory in directories {
        if let Err(error) = durable::sync_directory(directory) {
            report.warn(format!("a power cut now may undo a flip: {error}"));
        }
    }
}
