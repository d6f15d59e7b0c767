//! `activate`: links flipped to a release.

use crate::activation::{self, Direction, Flipped, Move};
use crate::cli::{Change, Flipping, Selection};
use crate::commands::{drain, probe};
use crate::drain::Time;
use crate::error::{Error, Result};
use crate::state::State;
use crate::state::instances::Missed;
use crate::state::selection::{Selected, member_of};
use crate::tool::Tool;

/// Flips the instances that are named to a release.
///
/// # Errors
/// Whatever can go wrong; every link is then as it was, except with [`Error::ReloadFailed`], [`Error::Mixed`],
/// [`Error::Partial`], and a signal that came after the flip.
pub fn run(tool: &Tool, release: &str, instances: &Selection, flipping: &Flipping, change: Change) -> Result<()> {
    let (mut state, _) = activation::begin(tool, change.dry_run, change.wait)?;
    let name = state.store.find(release)?.name;
    drain::require(tool, flipping.drain)?;
    let activated = activate(tool, &mut state, &name, instances, flipping)?;
    let (has_failed, ids) = (activated.has_failed(), activated.ids());
    let finished = activated.finish(tool, &state);
    if has_failed {
        return finished;
    }
    let drained = drain::after_flip(tool, &mut state, &ids, flipping.drain.map(|time| Time::for_requests(time.0)));
    drain::finish(tool, finished, drained)
}

/// As [`run`], for a release whose name is known; in a dry run it need not exist.
///
/// # Errors
/// As [`activation::flip`].
pub fn activate(
    tool: &Tool,
    state: &mut State,
    name: &str,
    instances: &Selection,
    flipping: &Flipping,
) -> Result<Activated> {
    refuse_bad(state, name)?;
    let Selected { instances, missed } = select(tool, state, instances)?;
    let moves: Vec<Move> = instances.into_iter().map(|instance| Move { instance, to: name.to_owned() }).collect();
    for missed in &missed {
        tool.report.warn(missed.to_string());
    }
    let mut flipped = activation::flip(tool, state, Direction::Activate, moves, flipping)?;
    if !flipped.flipped.is_empty() && flipped.error.is_none() && !state.is_dry_run() {
        flipped.error = probe::probe(tool, state, name, &mut flipped).err();
    }
    Ok(Activated { name: name.to_owned(), flipped, missed })
}

/// Which links a command is about.
///
/// # Errors
/// A name that is none, or a group that cannot be read.
pub fn select(tool: &Tool, state: &mut State, instances: &Selection) -> Result<Selected> {
    let found = state.instances(&tool.config, &tool.report)?;
    let mut selected = Selected::default();
    let mut known = Vec::new();
    for name in &instances.to {
        match member_of(&tool.config, name).filter(|_| instances.create) {
            Some(member) if !found.list.contains(&member) => selected.instances.push(member),
            _ => known.push(name.clone()),
        }
    }
    if known.is_empty() && !selected.instances.is_empty() {
        return Ok(selected);
    }
    let Selected { instances, missed } = found.select(&known, instances.all)?;
    selected.instances.extend(instances);
    selected.missed.extend(missed);
    Ok(selected)
}

/// Fails if there are links that a command was about and did not reach.
///
/// # Errors
/// [`Error::Partial`].
pub(super) fn missed(missed: &[Missed], done: &str) -> Result<()> {
    let left: Vec<_> = missed.iter().map(ToString::to_string).collect();
    if left.is_empty() { Ok(()) } else { Err(Error::Partial { done: done.to_owned(), left: left.join("; ") }) }
}

/// What has become of the links.
#[derive(Debug)]
#[must_use]
pub struct Activated {
    name: String,
    flipped: Flipped,
    missed: Vec<Missed>,
}

impl Activated {
    /// Whether something went wrong after the flip, so that there is something else to do than to go on.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.flipped.error.is_some()
    }

    /// The activation, if links were flipped and lead there.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.flipped.id.iter().cloned().collect()
    }

    /// Says the sum.
    ///
    /// # Errors
    /// What went wrong after the flip; [`Error::Partial`] if not all links were reached.
    pub fn finish(self, tool: &Tool, state: &State) -> Result<()> {
        let Self { name, flipped, missed } = self;
        flipped.say_sum(tool, state, missed.len());
        let done = flipped.flipped.len() + flipped.already;
        match flipped.error {
            Some(error) => Err(error),
            None => self::missed(&missed, &format!("{done} lead to {name}")),
        }
    }
}

pub(super) fn refuse_bad(state: &State, name: &str) -> Result<()> {
    let Some(reason) = state.history.is_bad(name) else {
        return Ok(());
    };
    let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    Err(Error::Refused(format!("{name} is marked bad{reason}; `realdoc mark-bad --clear {name}` takes the mark back")))
}
