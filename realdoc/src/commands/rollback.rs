//! `rollback`: links back to where they led before.
//!
//! Owns: which target an instance goes back to. Must not: flip (`activation` does), or go by names and times; only the
//! history knows what an instance ran before. It is never refused as a whole: whoever can go back goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::activation::{self, Direction, Flipped, Left, Move, PutBack};
use crate::cli::{Change, Flipping, Selection};
use crate::commands::drain;
use crate::drain::Time;
use crate::error::{Error, Result};
use crate::state::State;
use crate::state::history::Flip;
use crate::state::instances::{Instance, Instances};
use crate::state::link::{self, Place};
use crate::state::releases::Release;
use crate::tool::Tool;

/// Which links go back, and where to.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which links.
    pub instances: Selection,
    /// Only those that lead to this release.
    pub from: Option<String>,
    /// To this release, which each of them must have run.
    pub release: Option<String>,
    /// What this activation has flipped.
    pub of: Option<String>,
    /// How to flip.
    pub flipping: Flipping,
}

/// Flips links back, each to what it ran before, or all to one release that they ran.
///
/// # Errors
/// As [`activation::flip`]; [`Error::Partial`] if some go back and others cannot, [`Error::NotFound`] if none has anything
/// to go back to.
pub fn rollback(tool: &Tool, wanted: &Wanted, change: Change) -> Result<()> {
    let (mut state, put_back) = activation::begin_whatever(tool, change.dry_run, change.wait, true)?;
    let put_back = put_back.unwrap_or_else(|error| {
        tool.report.warn(error.to_string());
        state.journal.activation = None;
        PutBack::new()
    });
    let flipped = match &wanted.of {
        None => go_back(tool, &mut state, &put_back, wanted)?,
        Some(id) => take_back(tool, &mut state, id, &wanted.flipping)?,
    };
    flipped.say_sum(tool, &state, 0);
    let ids: Vec<String> = flipped.id.iter().cloned().collect();
    let has_failed = flipped.error.is_some();
    let would_flip = change.dry_run && !flipped.flipped.is_empty();
    let finished = finish(flipped);
    if would_flip {
        return drain::finish(tool, finished, drain::require(tool, wanted.flipping.drain));
    }
    if has_failed || ids.is_empty() {
        return finished;
    }
    let time = wanted.flipping.drain.map(|time| Time::for_requests(time.0));
    drain::finish(tool, finished, drain::after_flip(tool, &mut state, &ids, time))
}

/// What a rollback ends with.
fn finish(flipped: Flipped) -> Result<()> {
    let Flipped { flipped, already, left, error, .. } = flipped;
    let done = flipped.len() + already;
    let reasons = |separator: &str| Left::reasons(&left, separator);
    match error {
        Some(Error::ReloadFailed { command, ending, .. }) if !left.is_empty() => {
            return Err(Error::ReloadFailed { command, ending, left: format!("; not: {}", reasons("; ")) });
        }
        Some(error) => return Err(error),
        None if left.is_empty() => return Ok(()),
        None => {}
    }
    if done > 0 {
        return Err(Error::Partial { done: format!("{done} went back"), left: reasons("; ") });
    }
    if left.iter().all(|left| matches!(left.error, Error::NotFound(_))) {
        return Err(Error::NotFound(reasons("\n")));
    }
    let all = Error::Refused(reasons("\n"));
    // Its exit code says that the check is what to look at, or to skip.
    let check = left.into_iter().map(|left| left.error).find(|error| matches!(error, Error::CheckFailed(_)));
    Err(check.unwrap_or(all))
}

fn go_back(tool: &Tool, state: &mut State, put_back: &PutBack, wanted: &Wanted) -> Result<Flipped> {
    let Wanted { instances, from, release, flipping, .. } = wanted;
    let found = Instances::find(&tool.config, &state.store, &state.history);
    state.take_note(&found, &tool.report);
    let all = instances.all || (from.is_some() && instances.to.is_empty());
    let chosen = match found.select(&instances.to, all) {
        // The name may be that of a group which cannot be read.
        Err(error) => return Err(found.strict().err().unwrap_or(error)),
        Ok(chosen) => chosen,
    };
    let from = from.as_deref().map(|text| origin(state, &chosen.instances, text)).transpose()?;
    let release = release.as_deref().map(|text| state.store.find(text)).transpose()?;
    if let Some(release) = &release
        && let Some(obstacle) = state.obstacle(&release.name)
    {
        return Err(Error::Refused(format!("{} {obstacle}", release.name)));
    }
    let mut moves = Vec::new();
    let mut left = Vec::new();
    if all {
        left.extend(found.unreadable.iter().map(|(group, error)| {
            let (instance, link) = (group.clone(), tool.config.releases.directory.as_path().to_owned());
            Left { instance, link, from: None, to: None, error: Error::Refused(error.to_string()) }
        }));
    }
    if from.is_none() {
        left.extend(chosen.missed.into_iter().map(Left::missed));
    }
    let mut pairs: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    // What is passed over, and by whom.
    let mut passed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for instance in chosen.instances {
        let name = instance.name.clone();
        // Whoever finds a deploy half-done wants to be where it began, and not yet another step further back.
        if release.is_none() && put_back.contains(&instance.link) {
            tool.report.note(format!("{name}: the interrupted activation is put back, and that was its rollback"));
            continue;
        }
        let place = link::look(&state.store, &instance.link);
        let now = place.as_ref().ok().and_then(Place::id);
        if from.as_ref().is_some_and(|from| now.as_ref() != Some(from)) {
            continue;
        }
        let target = place.and_then(|_| match &release {
            Some(release) => to_named(state, &instance, release),
            None => to_previous(state, &instance, now.as_deref(), &mut passed),
        });
        match target {
            Ok(to) => {
                let now = now.unwrap_or_else(|| "no link".to_owned());
                pairs.entry((now, to.clone())).or_default().push(name);
                moves.push(Move { instance, to });
            }
            Err(error) => left.push(Left { instance: name, link: instance.link, from: now, to: None, error }),
        }
    }
    if let Some(from) = &from
        && moves.is_empty()
        && left.is_empty()
    {
        tool.report.note(format!("nothing leads to {from}"));
    }
    for (release, names) in &passed {
        let names = &names.iter().map(String::as_str).collect::<Vec<_>>();
        let why = state.obstacle(release).unwrap_or_default();
        tool.report.note(format!("{}: not back to {release}, which {why}", found.describe(names)));
    }
    for ((from, to), names) in &pairs {
        let names = &names.iter().map(String::as_str).collect::<Vec<_>>();
        tool.report.step("plan", format!("going back: {from} -> {to}: {}", found.describe(names)));
    }
    let mut origins: Vec<_> = pairs.keys().map(|(from, _)| from).collect();
    origins.dedup();
    if origins.len() > 1 {
        tool.report.note("they lead to different releases; `--from RELEASE` takes back only those that lead to one");
    }
    Left::say_all(&left, &tool.report);
    let mut flipped = activation::flip(tool, state, Direction::Rollback, moves, flipping)?;
    flipped.left.splice(0..0, left);
    Ok(flipped)
}

/// The release that links are to leave, by its name or the beginning of it. It may be gone: one that somebody has removed at
/// night is what links have to leave most of all. Or what they lead to was never a release.
///
/// A tag may have several builds. Those that no link leads to are not meant.
fn origin(state: &State, instances: &[Instance], text: &str) -> Result<String> {
    let now: BTreeSet<String> =
        instances.iter().filter_map(|instance| link::look(&state.store, &instance.link).ok()?.id()).collect();
    if now.contains(text) {
        return Ok(text.to_owned());
    }
    let beginning = format!("{text}-");
    let is_build = |name: &str| {
        let release = state.store.release(name).ok().flatten();
        let is_of = release.and_then(|release| release.record).is_some_and(|record| record.is_of(text));
        is_of || name.starts_with(&beginning)
    };
    let live: Vec<&str> = now.iter().map(String::as_str).filter(|name| is_build(name)).collect();
    match live[..] {
        [] => {}
        [name] => return Ok(name.to_owned()),
        _ => return Err(Error::Usage(format!("{text} could be {}; say which", live.join(" or ")))),
    }
    match state.store.find(text) {
        Ok(release) => Ok(release.name),
        // None of them is live.
        Err(Error::Usage(_)) => Ok(text.to_owned()),
        Err(error) => {
            let flips = state.history.entries().iter().flat_map(|entry| entry.flips());
            let was_live =
                flips.filter_map(|flip| flip.to.as_deref()).any(|name| name == text || name.starts_with(&beginning));
            if was_live { Ok(text.to_owned()) } else { Err(error) }
        }
    }
}

/// Takes back what one activation has flipped, and nobody has flipped since.
///
/// # Errors
/// [`Error::NotFound`] if there was no such activation; as [`activation::flip`].
pub fn take_back(tool: &Tool, state: &mut State, id: &str, flipping: &Flipping) -> Result<Flipped> {
    let entry = state.history.entries().iter().find(|entry| entry.id == id && !entry.flips().is_empty());
    let entry =
        entry.ok_or_else(|| Error::NotFound(format!("there is no activation {id}; `realdoc log` shows them")))?;
    let mut moves = Vec::new();
    let mut left = Vec::new();
    for Flip { instance: name, link, from, to, .. } in entry.flips().to_vec() {
        let now = link::look(&state.store, &link);
        if now.as_ref().is_ok_and(|place| place.id() != to) {
            tool.report.note(format!("{name}: does not lead to where this activation has led it"));
            continue;
        }
        let obstacle = match &from {
            None => Some(format!("{name} had no link before")),
            Some(from) if state.history.is_overwritten_since(from, id) => {
                Some(format!("{name}: another release is in {from} now"))
            }
            Some(from) => state.obstacle(from).map(|obstacle| format!("{name}: {from} {obstacle}")),
        };
        match (obstacle, from) {
            (None, Some(to)) => moves.push(Move { instance: Instance { name, group: None, link }, to }),
            (obstacle, _) => {
                let error = Error::NotFound(obstacle.unwrap_or_default());
                left.push(Left { instance: name, link, from: to, to: None, error });
            }
        }
    }
    Left::say_all(&left, &tool.report);
    let mut flipped = activation::flip(tool, state, Direction::Rollback, moves, flipping)?;
    flipped.left.splice(0..0, left);
    Ok(flipped)
}

/// To a release that the instance must have run.
fn to_named(state: &State, instance: &Instance, release: &Release) -> Result<String> {
    let was_there = state.history.way(&instance.link).iter().any(|visit| visit.target == release.name);
    let error = || Error::NotFound(format!("{} has never led to {}; use activate", instance.name, release.name));
    if was_there { Ok(release.name.clone()) } else { Err(error()) }
}

/// To what the instance ran before.
fn to_previous(
    state: &State,
    instance: &Instance,
    now: Option<&str>,
    passed: &mut BTreeMap<String, Vec<String>>,
) -> Result<String> {
    let Instance { name, link, .. } = instance;
    let (target, over) = state.previous(link, now);
    for release in over {
        passed.entry(release).or_default().push(name.clone());
    }
    target.ok_or_else(|| {
        Error::NotFound(format!(
            "{name} has nothing to go back to; `realdoc activate RELEASE --to {name}` leads it elsewhere"
        ))
    })
}
