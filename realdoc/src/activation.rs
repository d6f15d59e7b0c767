//! Activation: links flipped to a release, all that are named or none.
//!
//! Owns: the order of its steps, putting back, and what the next command does after a crash in between. Must not:
//! replace anything that is no link; [`docroot::flip`] does not, and is the only thing here that changes a link.
//!
//! 1. Look at every link and refuse what cannot go well, before anything changes.
//! 2. Run the check command, and see that nobody has flipped a link meanwhile.
//! 3. Write the journal: every link with its old and its new text.
//! 4. Flip each link; if one cannot be flipped, put the others back.
//! 5. Write the history: the activation has happened.
//! 6. Run the reload command; remove the journal.
//!
//! A command that finds a journal knows how far the other one got: to 5 or further, reload again; all links flipped,
//! go on with 5; otherwise put back.

use crate::error::{Error, Result};
use crate::os::failpoint::pause;
use crate::report::Outcome;
use crate::state::State;
use crate::state::history::{Entry, Flip, What};
use crate::state::journal::Journal;
use crate::tool::Tool;

mod check;
mod plan;
mod recover;
mod reload;
mod undo;

pub use plan::Move;
use plan::Step;
pub use recover::{PutBack, begin};

/// Whether links go forward or back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// To a release.
    Activate,
    /// To where they led before.
    Rollback,
}

/// Flips links, all or none.
///
/// # Errors
/// Whatever can go wrong; every link is then as it was, except with [`Error::ReloadFailed`] and [`Error::Mixed`].
pub fn flip(tool: &Tool, state: &mut State, direction: Direction, moves: Vec<Move>, check: bool) -> Result<()> {
    let plan = plan::plan(tool, state, moves)?;
    let (already, plan): (Vec<_>, Vec<_>) = plan.into_iter().partition(|step| step.already);
    for step in &already {
        step.say(&tool.report, Outcome::Already, None);
    }
    if state.is_dry_run() {
        for step in &plan {
            step.say(&tool.report, Outcome::WouldFlip, None);
        }
        state.suppose(entry(direction, &plan));
        return Ok(());
    }
    if plan.is_empty() {
        return Ok(());
    }
    if check {
        check::check(tool, &state.store, &plan)?;
        refuse_moved(&plan)?;
    }
    pause("activate.checked", &tool.interrupt);
    tool.interrupt.check()?;

    let entry = entry(direction, &plan);
    let journal = Journal { entry, changes: plan.iter().map(|step| step.change.clone()).collect() };
    journal.write(&state.store)?;
    pause("activate.begun", &tool.interrupt);
    flip_links(tool, state, &plan)?;
    pause("activate.flipped", &tool.interrupt);
    if let Err(error) = state.history.append(&state.store, journal.entry) {
        return Err(undo::put_back(tool, state, &plan, &[], &format!("the history cannot be written: {error}")));
    }
    for step in &plan {
        step.say(&tool.report, Outcome::Flipped, None);
    }
    pause("activate.recorded", &tool.interrupt);
    // It is done: a signal that came during the last steps must not keep the reload from running.
    let late = tool.interrupt.take();
    let reloaded = reload::reload(tool, &state.store);
    pause("activate.reloaded", &tool.interrupt);
    reload::finish(tool, &state.store, reloaded)?;
    late.map_or(Ok(()), |signal| {
        tool.report.note("the signal came when every link was flipped");
        Err(Error::Interrupted(signal))
    })
}

fn entry(direction: Direction, plan: &[Step]) -> Entry {
    let flips = plan.iter().map(|step| step.flip.clone()).collect();
    Entry::now(match direction {
        Direction::Activate => What::Activate { flips },
        Direction::Rollback => What::Rollback { flips },
    })
}

/// A check may take minutes. What somebody else has flipped meanwhile belongs into the history first: a prune and the next
/// rollback go by it.
fn refuse_moved(plan: &[Step]) -> Result<()> {
    plan.iter().find(|step| !step.change.is_undone()).map_or(Ok(()), |step| {
        let name = &step.flip.instance;
        Err(Error::Refused(format!("{name} has been flipped by somebody else during the check; nothing was flipped")))
    })
}

fn flip_links(tool: &Tool, state: &mut State, plan: &[Step]) -> Result<()> {
    for (done, step) in plan.iter().enumerate() {
        let flipped = docroot::flip(&step.change.link, &step.change.new);
        if let Err(error) = flipped {
            let Flip { instance, link, .. } = &step.flip;
            let cause = format!("{instance} ({}) could not be flipped: {error}", link.display());
            step.say(&tool.report, Outcome::Failed, Some(error.to_string()));
            return Err(undo::put_back(tool, state, &plan[..done], &plan[done + 1..], &cause));
        }
        pause(&format!("activate.flip.{}", done + 1), &tool.interrupt);
        if let Some(signal) = tool.interrupt.signal() {
            return Err(match undo::put_back(tool, state, &plan[..=done], &plan[done + 1..], "stopped by a signal") {
                Error::PutBack { .. } => Error::Interrupted(signal),
                error => error,
            });
        }
    }
    undo::sync(&tool.report, plan.iter().map(|step| &step.change));
    Ok(())
}
