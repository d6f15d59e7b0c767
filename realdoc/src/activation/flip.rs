//! The flip of many links.

use std::collections::BTreeSet;

use super::check::check as run_check;
use super::plan::{Direction, Left, Move, Step, plan, say_all};
use super::prepare::prepare;
use super::readable::check as check_readable;
use super::recover::relock;
use super::reload::reload;
use super::undo::{put_back, sync};
use crate::cli::Flipping;
use crate::error::{Error, Result};
use crate::os::failpoint::pause;
use crate::report::{Event, Outcome};
use crate::state::State;
use crate::state::history::{Entry, Flip};
use crate::state::hold::Hold;
use crate::state::journal::{Activation, OwedReload};
use crate::state::releases::Release;
use crate::tool::Tool;

/// What has become of the links.
#[derive(Debug, Default)]
#[must_use]
pub struct Flipped {
    /// The instances that were flipped, and lead there still.
    pub flipped: Vec<String>,
    /// How many were flipped and do not lead there any more, because the probe failed.
    pub taken_back: usize,
    /// How many led there before.
    pub already: usize,
    /// The others; only after a rollback.
    pub left: Vec<Left>,
    /// Its entry in the history, if there is one.
    pub id: Option<String>,
    /// What went wrong when the links were flipped: the reload, the probe, a signal.
    pub error: Option<Error>,
}

impl Flipped {
    /// Says what has become of the links, in one line. Once for each activation, however the command ends, because a
    /// rollback of it goes by the id.
    pub fn say_sum(&self, tool: &Tool, state: &State, missed: usize) {
        let seconds = tool.started.elapsed().as_secs_f64();
        tool.report.say(&Event::Sum {
            flipped: self.flipped.len(),
            already: self.already,
            taken_back: self.taken_back,
            failed: self.left.len() + missed,
            seconds: (seconds * 1000.0).round() / 1000.0,
            changed: !self.flipped.is_empty() && !state.is_dry_run(),
            id: self.id.clone(),
            dry_run: state.is_dry_run(),
        });
    }
}

/// Flips links: an activation all or none, a rollback all that can be.
///
/// # Errors
/// Whatever can go wrong before the links are flipped; every link is then as it was, except with [`Error::Mixed`].
pub fn flip(
    tool: &Tool,
    state: &mut State,
    direction: Direction,
    moves: Vec<Move>,
    flipping: &Flipping,
) -> Result<Flipped> {
    let (plan, left) = plan(tool, state, moves);
    let left = leave(tool, direction, left)?;
    let (already, plan): (Vec<_>, Vec<_>) = plan.into_iter().partition(|step| step.already);
    say_all(&tool.report, &already, Outcome::Already);
    let mut flipped = Flipped { already: already.len(), left, ..Flipped::default() };
    if state.is_dry_run() {
        // It has not staged what it would stage.
        let is_there = |step: &&Step| step.flip.to.as_deref().is_some_and(|to| state.store.path_of(to).exists());
        let there: Vec<Step> = plan.iter().filter(is_there).cloned().collect();
        check_readable(tool, &state.store, direction, &there)?;
        say_all(&tool.report, &plan, Outcome::WouldFlip);
        flipped.flipped = names(&plan);
        state.suppose(entry(direction, &plan));
        return Ok(flipped);
    }
    let _holds = hold(state, &plan);
    check_readable(tool, &state.store, direction, &plan)?;
    if direction == Direction::Activate {
        prepare_all(tool, state, &plan)?;
    }
    let plan = checked(tool, state, direction, plan, !flipping.skip_check, &mut flipped.left)?;
    pause("activate.checked", &tool.interrupt);
    tool.interrupt.check()?;
    if plan.is_empty() {
        // One that was interrupted is anybody's to run; one that has failed, of whoever wants the links where they are.
        if state.journal.reload.as_ref().is_some_and(|reload| !reload.failed || flipped.already > 0) {
            flipped.error = reload(tool, state).err();
        }
        return Ok(flipped);
    }
    let entry = Entry { why: flipping.why.clone(), ..entry(direction, &plan) };
    let id = entry.id.clone();
    let (done, stuck) = flip_and_record(tool, state, direction, entry, plan)?;
    flipped.id = Some(id).filter(|_| !done.is_empty());
    flipped.flipped = done;
    flipped.left.extend(stuck);
    // It is done: a signal that came during the last steps must not keep the reload from running.
    let late = tool.interrupt.take();
    if !flipped.flipped.is_empty() {
        flipped.error = reload(tool, state).err();
    }
    if let Some(signal) = late {
        tool.report.note("the signal came when every link was flipped");
        flipped.error.get_or_insert(Error::Interrupted(signal));
    }
    Ok(flipped)
}

/// An activation is refused if a link cannot be flipped; a rollback leaves that link.
pub(super) fn leave(tool: &Tool, direction: Direction, left: Vec<Left>) -> Result<Vec<Left>> {
    if direction == Direction::Rollback {
        Left::say_all(&left, &tool.report);
        return Ok(left);
    }
    match &left[..] {
        [] => Ok(left),
        _ => {
            let mut obstacles: Vec<_> = left.iter().map(|left| left.error.to_string()).collect();
            obstacles.dedup();
            Err(Error::Refused(obstacles.join("\n")))
        }
    }
}

/// What a prune by somebody else must not take away until the links lead there.
fn hold(state: &State, plan: &[Step]) -> Vec<Hold> {
    let targets: BTreeSet<_> = plan.iter().filter_map(|step| step.flip.to.as_deref()).collect();
    // What is not there has been refused.
    targets.into_iter().filter_map(|target| state.store.hold(&state.store.path_of(target)).ok()).collect()
}

/// Prepares what is about to go live for the first time. The lock is let go meanwhile.
fn prepare_all(tool: &Tool, state: &mut State, plan: &[Step]) -> Result<()> {
    let names: BTreeSet<&str> = plan.iter().filter_map(|step| step.flip.to.as_deref()).collect();
    for name in names {
        let Some(release) = state.store.release(name)?.filter(Release::needs_preparation) else { continue };
        state.unlock();
        prepare(tool, &state.store, &release)?;
        relock(tool, state)?;
    }
    Ok(())
}

/// What is left of the plan after the checks. They may take minutes: what somebody else has flipped meanwhile belongs into
/// the history first, because a prune and the next rollback go by it.
pub(super) fn checked(
    tool: &Tool,
    state: &mut State,
    direction: Direction,
    plan: Vec<Step>,
    check: bool,
    left: &mut Vec<Left>,
) -> Result<Vec<Step>> {
    if !check || plan.is_empty() {
        return Ok(plan);
    }
    let mut failed = run_check(tool, state, direction, &plan)?;
    if direction == Direction::Activate
        && let Some((_, failed)) = failed.pop_first()
    {
        return Err(Error::CheckFailed(failed));
    }
    let mut go = Vec::new();
    let mut stay = Vec::new();
    for step in plan {
        let to = step.flip.to.as_deref().unwrap_or_default();
        if let Some(failed) = failed.get(to) {
            let error = Error::CheckFailed(failed.clone());
            stay.push(Left::of(step, error));
        } else if step.change.is_undone() {
            go.push(step);
        } else {
            let name = &step.flip.instance;
            let cause = format!("{name} has been flipped by somebody else during the check; nothing was flipped");
            stay.push(Left::of(step, Error::Refused(cause)));
        }
    }
    left.extend(leave(tool, direction, stay)?);
    Ok(go)
}

fn names(plan: &[Step]) -> Vec<String> {
    plan.iter().map(|step| step.flip.instance.clone()).collect()
}

/// Steps 3 to 5. Returns which links are flipped, and those that could not be.
fn flip_and_record(
    tool: &Tool,
    state: &mut State,
    direction: Direction,
    entry: Entry,
    plan: Vec<Step>,
) -> Result<(Vec<String>, Vec<Left>)> {
    let changes = plan.iter().map(|step| step.change.clone()).collect();
    state.journal.activation = Some(Activation { entry: entry.clone(), changes });
    if let Err(error) = state.write_journal() {
        state.journal.activation = None;
        if direction == Direction::Activate {
            return Err(error);
        }
        // Without it a rollback that is killed within the next milliseconds is half-done.
        tool.report.warn(format!("{error}; going back without a journal"));
    }
    pause("activate.begun", &tool.interrupt);
    let (done, stuck) = flip_links(tool, state, direction, plan)?;
    pause("activate.flipped", &tool.interrupt);
    let id = entry.id.clone();
    let flips = done.iter().map(|step| step.flip.clone()).collect();
    let recorded = state.record(Entry { what: direction.of(flips), ..entry });
    state.try_to_retain(&tool.report);
    let activation = state.journal.activation.take();
    if tool.config.commands.reload.is_some() && !done.is_empty() {
        state.journal.reload = Some(OwedReload { of: id.clone(), failed: false });
    }
    let written = state.write_journal();
    match (recorded, written) {
        (Ok(()), Ok(())) => {}
        (Err(error), Ok(())) => tool.report.warn(format!("{error}; the journal keeps the entry until there is room")),
        (Ok(()), Err(error)) => tool.report.warn(error.to_string()),
        (Err(error), Err(_)) if direction == Direction::Activate => {
            state.journal.activation = activation;
            state.journal.reload = None;
            state.journal.unrecorded.retain(|entry| entry.id != id);
            return Err(put_back(tool, state, &done, &[], &format!("the history cannot be written: {error}")));
        }
        (Err(error), Err(_)) => tool.report.warn(format!("{error}; the next command finds what was flipped")),
    }
    say_all(&tool.report, &done, Outcome::Flipped);
    pause("activate.recorded", &tool.interrupt);
    Ok((names(&done), stuck))
}

fn entry(direction: Direction, plan: &[Step]) -> Entry {
    Entry::now(direction.of(plan.iter().map(|step| step.flip.clone()).collect()))
}

/// Returns what is flipped, and what could not be.
fn flip_links(tool: &Tool, state: &mut State, direction: Direction, plan: Vec<Step>) -> Result<(Vec<Step>, Vec<Left>)> {
    let mut done: Vec<Step> = Vec::new();
    let mut stuck = Vec::new();
    let mut plan = plan.into_iter();
    while let Some(step) = plan.next() {
        if let Err(error) = docroot::flip(&step.change.link, &step.change.new) {
            let Flip { instance, link, .. } = &step.flip;
            let cause = format!("{instance} ({}) could not be flipped: {error}", link.display());
            step.say(&tool.report, Outcome::Failed, Some(error.to_string()));
            if direction == Direction::Activate {
                let untouched: Vec<_> = plan.collect();
                return Err(put_back(tool, state, &done, &untouched, &cause));
            }
            stuck.push(Left::of(step, Error::Refused(cause)));
            continue;
        }
        done.push(step);
        pause(&format!("activate.flip.{}", done.len()), &tool.interrupt);
        if let Some(signal) = tool.interrupt.signal() {
            let untouched: Vec<_> = plan.collect();
            return Err(match put_back(tool, state, &done, &untouched, "stopped by a signal") {
                Error::PutBack { .. } => Error::Interrupted(signal),
                error => error,
            });
        }
    }
    sync(&tool.report, done.iter().map(|step| &step.change));
    Ok((done, stuck))
}
