//! What an activation is going to do, link by link.
//!
//! Owns: the reasons to refuse one before anything changes. Must not: change anything.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::report::{Event, Outcome, Report};
use crate::state::State;
use crate::state::history::Flip;
use crate::state::instances::Instance;
use crate::state::journal::Change;
use crate::state::link::{self, Place, Target};
use crate::tool::Tool;

/// A link and where it shall lead.
#[derive(Clone, Debug)]
pub struct Move {
    /// The link.
    pub instance: Instance,
    /// A release's name, or an absolute path outside the releases directory.
    pub to: String,
}

/// One link of a plan.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) flip: Flip,
    pub(super) change: Change,
    /// Whether the link leads there before.
    pub(super) already: bool,
}

impl Step {
    pub(super) fn say(&self, report: &Report, outcome: Outcome, error: Option<String>) {
        let Flip { instance, link, from, to, .. } = &self.flip;
        let (from, to) = (from.as_deref(), to.as_deref());
        report.say(&Event::Flip { instance, link, from, to, outcome, error });
    }
}

/// Looks at every link; what cannot go well is refused here, with all its reasons at once.
pub(super) fn plan(tool: &Tool, state: &State, moves: Vec<Move>) -> Result<Vec<Step>> {
    let store = &state.store;
    let subdirectory = tool.config.releases.subdirectory.as_path();
    let mut plan = Vec::new();
    let mut obstacles = Vec::new();
    for Move { instance, to } in moves {
        let Instance { name, link, .. } = instance;
        let is_path = to.starts_with('/');
        let new = if is_path { PathBuf::from(&to) } else { store.target_of(&to, subdirectory) };
        // A dry run has not staged what it would stage.
        let is_supposed = state.is_dry_run() && !store.path_of(&to).exists();
        if !new.is_dir() && !is_supposed {
            let mut obstacle = format!("{} is no directory", new.display());
            if !is_path && store.path_of(&to).is_dir() {
                obstacle += "; [releases] subdirectory says that links lead there";
            }
            obstacles.push(obstacle);
            continue;
        }
        let place = link::look(store, &link)?;
        if let Place::Taken(what) = place {
            obstacles.push(format!(
                "{} ({name}) is {what}, no link, and is not replaced; `realdoc init` says how to move it",
                link.display()
            ));
            continue;
        }
        if !link.parent().is_some_and(Path::is_dir) {
            obstacles.push(format!("the directory of {} ({name}) does not exist", link.display()));
            continue;
        }
        let target = place.link().map(|link| &link.target);
        let real = new.canonicalize().ok();
        let already = match target {
            Some(Target::Release { name, path }) => *name == to && Some(path) == real.as_ref(),
            Some(Target::Elsewhere(path)) => Some(path) == real.as_ref(),
            _ => false,
        };
        if let Some(Target::Release { name: release, path }) = target
            && !is_path
            && store.target_of(release, subdirectory).canonicalize().ok().as_ref() != Some(path)
        {
            tool.report.warn(format!(
                "{name} leads to {} and not to \"{}\" in {release}, as [releases] subdirectory says",
                path.display(),
                subdirectory.display()
            ));
        }
        let old = place.link().map(|link| link.text.clone());
        let flip = Flip { instance: name, link: link.clone(), from: place.id(), to: Some(to), since: None };
        plan.push(Step { flip, change: Change { link, old, new }, already });
    }
    obstacles.dedup();
    if obstacles.is_empty() { Ok(plan) } else { Err(Error::Refused(obstacles.join("\n"))) }
}
