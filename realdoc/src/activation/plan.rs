//! What an activation is going to do, link by link.
//!
//! Owns: the reasons to refuse one before anything changes. Must not: change anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::report::{Event, Outcome, Report};
use crate::state::State;
use crate::state::history::{Flip, What};
use crate::state::instances::{Instance, Missed};
use crate::state::journal::Change;
use crate::state::link::{self, Place, Target};
use crate::tool::Tool;

/// Whether links go forward or back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// To a release.
    Activate,
    /// To where they led before.
    Rollback,
}

impl Direction {
    /// What the history calls it.
    pub(super) fn of(self, flips: Vec<Flip>) -> What {
        match self {
            Self::Activate => What::Activate { flips },
            Self::Rollback => What::Rollback { flips },
        }
    }
}

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

/// How many links that go the same way are named each.
const FEW: usize = 10;

/// Says what has become of links. Many that go the same way are one line, for people.
pub(super) fn say_all(report: &Report, steps: &[Step], outcome: Outcome) {
    let mut ways: BTreeMap<_, Vec<&Step>> = BTreeMap::new();
    for step in steps {
        ways.entry((step.flip.from.as_deref(), step.flip.to.as_deref())).or_default().push(step);
    }
    for ((from, to), steps) in ways {
        if report.wants_each() || steps.len() <= FEW {
            steps.iter().for_each(|step| step.say(report, outcome, None));
            continue;
        }
        let (from, to) = (from.unwrap_or("no link"), to.unwrap_or("no link"));
        report.result(&match outcome {
            Outcome::Already => format!("already {to}: {} links", steps.len()),
            Outcome::WouldFlip => format!("would flip {from} -> {to}: {} links", steps.len()),
            _ => format!("{from} -> {to}: {} links", steps.len()),
        });
    }
}

/// A link that stays where it is, and why.
#[derive(Debug)]
pub struct Left {
    /// The instance.
    pub instance: String,
    /// Its link.
    pub link: PathBuf,
    /// Where it leads, if that is known.
    pub from: Option<String>,
    /// Where it was to lead.
    pub to: Option<String>,
    /// What keeps it.
    pub error: Error,
}

impl Left {
    pub(super) fn of(step: Step, error: Error) -> Self {
        let Flip { instance, link, from, to, .. } = step.flip;
        Self { instance, link, from, to, error }
    }

    /// What a command was about and does not reach.
    #[must_use]
    pub fn missed(missed: Missed) -> Self {
        let error = Error::Refused(missed.to_string());
        let Instance { name, link, .. } = missed.instance;
        Self { instance: name, link, from: None, to: None, error }
    }

    /// Says which links stay. Many that stay for the same reason are one line, for people.
    pub fn say_all(all: &[Self], report: &Report) {
        let mut ways: BTreeMap<_, Vec<&Self>> = BTreeMap::new();
        for left in all {
            ways.entry((&left.from, &left.to, left.error.to_string())).or_default().push(left);
        }
        for ((from, _, error), lefts) in ways {
            match from {
                Some(from) if lefts.len() > FEW && !report.wants_each() => {
                    report.result(&format!("untouched, still {from}: {} links: {error}", lefts.len()));
                }
                _ => lefts.iter().for_each(|left| left.say(report)),
            }
        }
    }

    /// Why links stay, each reason once, and not more of them than somebody reads.
    #[must_use]
    pub fn reasons(all: &[Self], separator: &str) -> String {
        let mut reasons: Vec<String> = all.iter().map(|left| left.error.to_string()).collect();
        reasons.dedup();
        let more = reasons.len().saturating_sub(FEW);
        reasons.truncate(FEW);
        reasons.extend((more > 0).then(|| format!("and {more} more")));
        reasons.join(separator)
    }

    /// Says that it stays.
    fn say(&self, report: &Report) {
        let Self { instance, link, from, to, error } = self;
        if from.is_none() {
            return report.warn(error.to_string());
        }
        let (from, to, error) = (from.as_deref(), to.as_deref(), Some(error.to_string()));
        report.say(&Event::Flip { instance, link, from, to, outcome: Outcome::Untouched, error });
    }
}

/// Looks at every link. What cannot go well is found here, with all its reasons at once.
pub(super) fn plan(tool: &Tool, state: &State, moves: Vec<Move>) -> (Vec<Step>, Vec<Left>) {
    let mut plan = Vec::new();
    let mut left = Vec::new();
    for Move { instance, to } in moves {
        let place = link::look(&state.store, &instance.link);
        let from = place.as_ref().ok().and_then(Place::id);
        match place.and_then(|place| step(tool, state, &instance, &place, &to)) {
            Ok(step) => plan.push(step),
            Err(error) => {
                let Instance { name, link, .. } = instance;
                left.push(Left { instance: name, link, from, to: Some(to), error });
            }
        }
    }
    (plan, left)
}

fn step(tool: &Tool, state: &State, instance: &Instance, place: &Place, to: &str) -> Result<Step> {
    let store = &state.store;
    let subdirectory = tool.config.releases.subdirectory.as_path();
    let Instance { name, link, .. } = instance;
    let is_path = to.starts_with('/');
    let new = if is_path { PathBuf::from(to) } else { store.target_of(to, subdirectory) };
    // A dry run has not staged what it would stage.
    let is_supposed = state.is_dry_run() && !store.path_of(to).exists();
    if !new.is_dir() && !is_supposed {
        let hint = "; [releases] subdirectory says that links lead there";
        let is_hint = !is_path && store.path_of(to).is_dir();
        return Err(Error::Refused(format!("{} is no directory{}", new.display(), if is_hint { hint } else { "" })));
    }
    if let Place::Taken(what) = place {
        return Err(Error::Refused(format!(
            "{} ({name}) is {what}, no link, and is not replaced; `realdoc init` says how to move it",
            link.display()
        )));
    }
    if !link.parent().is_some_and(Path::is_dir) {
        return Err(Error::Refused(format!("the directory of {} ({name}) does not exist", link.display())));
    }
    let target = place.link().map(|link| &link.target);
    let real = new.canonicalize().ok();
    let supposed = state.supposed(link);
    let already = match target {
        _ if supposed.is_some() => supposed == Some(to),
        Some(Target::Release { name, path }) => name == to && Some(path) == real.as_ref(),
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
    let from = supposed.map(str::to_owned).or_else(|| place.id());
    let flip = Flip { instance: name.clone(), link: link.clone(), from, to: Some(to.to_owned()), since: None };
    Ok(Step { flip, change: Change { link: link.clone(), old, new }, already })
}
