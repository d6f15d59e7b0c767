//! Rollback: links back to where they led before; and the marks that keep a rollback away from a bad release.
//!
//! Owns: which target an instance goes back to. Must not: flip (`activate` does), or go by names and times; only the
//! history knows what an instance ran before.

use crate::commands::activate::{self, Direction, Move};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::state::history::{Entry, History, What};
use crate::state::link;
use crate::state::releases::Store;

/// Flips the instances that are named back, each to what it ran before, or all to one release that they ran.
///
/// # Errors
/// As [`activate::activate`]; [`Error::NotFound`] if one of them has nothing to go back to.
pub fn rollback(session: &mut Session, to: &[String], all: bool, release: Option<&str>, check: bool) -> Result<()> {
    let instances = session.instances()?.select(to, all)?;
    let release = release.map(|text| session.store.find(text)).transpose()?;
    let mut moves = Vec::new();
    let mut obstacles = Vec::new();
    for instance in instances {
        // Whoever finds a deploy half-done wants to be where it began, and not yet another step further back.
        if release.is_none() && session.put_back.contains(&instance.link) {
            let name = &instance.name;
            session.report.note(format!("{name}: the interrupted activation is put back, and that was its rollback"));
            continue;
        }
        let target = if let Some(release) = &release {
            let was_there = session.history.way(&instance.link).iter().any(|visit| visit.target == release.name);
            if let Some(obstacle) = obstacle(&session.store, &session.history, &release.name) {
                return Err(Error::Refused(format!("{} {obstacle}", release.name)));
            }
            if !was_there {
                obstacles.push(format!("{} has never led to {}; use activate", instance.name, release.name));
                continue;
            }
            release.name.clone()
        } else {
            let now = link::look(&session.store, &instance.link)?.id();
            let (target, passed) = previous(session, &instance.link, now.as_deref());
            for passed in passed {
                let why = obstacle(&session.store, &session.history, &passed).unwrap_or_default();
                session.report.note(format!("{}: not back to {passed}, which {why}", instance.name));
            }
            let Some(target) = target else {
                obstacles.push(format!("{} has nothing to go back to", instance.name));
                continue;
            };
            target
        };
        moves.push(Move { instance, to: target });
    }
    if !obstacles.is_empty() {
        return Err(Error::NotFound(obstacles.join("\n")));
    }
    activate::flip(session, Direction::Rollback, moves, check)
}

/// Where a rollback of the link leads, and what it passes over.
#[must_use]
pub fn previous(session: &Session, link: &std::path::Path, now: Option<&str>) -> (Option<String>, Vec<String>) {
    let usable = |target: &str| obstacle(&session.store, &session.history, target).is_none();
    session.history.previous(link, now, usable)
}

/// Why no rollback can lead to this target, if none can.
#[must_use]
pub fn obstacle(store: &Store, history: &History, target: &str) -> Option<String> {
    if let Some(reason) = history.is_bad(target) {
        return Some(reason.map_or("is marked bad".to_owned(), |reason| format!("is marked bad: {reason}")));
    }
    // Joined to an absolute path, that is the path.
    let there = store.path_of(target).is_dir();
    (!there).then(|| "is not there anymore".to_owned())
}

/// Marks a release, or takes the mark back.
///
/// # Errors
/// [`Error::NotFound`] if there is no such release, or the history cannot be written.
pub fn mark(session: &mut Session, release: &str, reason: Option<&str>, clear: bool) -> Result<()> {
    let release = session.store.find(release)?.name;
    let is_bad = session.history.is_bad(&release).is_some();
    let done = match (clear, session.dry_run) {
        (false, false) => "is marked bad",
        (false, true) => "would be marked bad",
        (true, _) if !is_bad => "is not marked bad",
        (true, false) => "is not marked bad anymore",
        (true, true) => "would not be marked bad anymore",
    };
    if !session.dry_run && (!clear || is_bad) {
        let what = if clear {
            What::MarkGood { release: release.clone() }
        } else {
            What::MarkBad { release: release.clone(), reason: reason.map(str::to_owned) }
        };
        session.history.append(&session.store, Entry::now(what))?;
    }
    session.report.note(format!("{release} {done}"));
    if clear {
        return Ok(());
    }
    for instance in session.instances()?.list {
        let place = link::look(&session.store, &instance.link)?;
        if place.link().and_then(|link| link.target.release()) == Some(release.as_str()) {
            let name = &instance.name;
            session.report.warn(format!("{name} leads to it: `realdoc rollback --to {name}` goes back"));
        }
    }
    Ok(())
}
