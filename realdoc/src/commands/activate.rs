//! `activate`: links flipped to a release.

use crate::activation::{self, Direction, Flipped, Move};
use crate::cli::{Change, Selection};
use crate::error::{Error, Result};
use crate::state::State;
use crate::state::selection::{Selected, member_of};
use crate::tool::Tool;

/// Flips the instances that are named to a release.
///
/// # Errors
/// Whatever can go wrong; every link is then as it was, except with [`Error::ReloadFailed`] and [`Error::Mixed`].
pub fn run(tool: &Tool, release: &str, instances: &Selection, check: bool, change: Change) -> Result<()> {
    let (mut state, _) = activation::begin(tool, change.dry_run, change.wait)?;
    let name = state.store.find(release)?.name;
    activate(tool, &mut state, &name, instances, check)?.result()
}

/// As [`run`], for a release whose name is known; in a dry run it need not exist.
///
/// # Errors
/// As [`run`].
pub fn activate(tool: &Tool, state: &mut State, name: &str, instances: &Selection, check: bool) -> Result<Reached> {
    refuse_bad(state, name)?;
    let Selected { instances, missed } = select(tool, state, instances)?;
    let moves = instances.into_iter().map(|instance| Move { instance, to: name.to_owned() }).collect();
    for missed in &missed {
        tool.report.warn(missed.to_string());
    }
    let Flipped { done, .. } = activation::flip(tool, state, Direction::Activate, moves, check)?;
    let missed: Vec<_> = missed.iter().map(ToString::to_string).collect();
    Ok(if missed.is_empty() {
        Reached::All
    } else {
        Reached::Some(Error::Partial { done: format!("{done} lead to {name}"), left: missed.join("; ") })
    })
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

/// Whether all links that a command was about lead to the release now.
#[derive(Debug)]
#[must_use]
pub enum Reached {
    /// All of them.
    All,
    /// Not all; the error says which not.
    Some(Error),
}

impl Reached {
    /// Fails unless all were reached.
    ///
    /// # Errors
    /// [`Error::Partial`].
    pub fn result(self) -> Result<()> {
        match self {
            Self::All => Ok(()),
            Self::Some(error) => Err(error),
        }
    }
}

fn refuse_bad(state: &State, name: &str) -> Result<()> {
    let Some(reason) = state.history.is_bad(name) else {
        return Ok(());
    };
    let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    Err(Error::Refused(format!("{name} is marked bad{reason}; `realdoc mark-bad --clear {name}` takes the mark back")))
}
