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

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::durable;
use crate::os::failpoint::pause;
use crate::report::{Event, Outcome};
use crate::session::Session;
use crate::state::history::{Entry, Flip, What};
use crate::state::instances::Instance;
use crate::state::journal::{Change, Journal};
use crate::state::link::{self, Place, Target};

/// Whether links go forward or back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// To a release.
    Activate,
    /// To where they led before.
    Rollback,
}

/// A link and where it shall lead.
#[derive(Clone, Debug)]
pub struct Move {
    /// The link.
    pub instance: Instance,
    /// A release's name, or an absolute path outside the releases directory.
    pub to: String,
}

/// Flips the instances that are named to a release.
///
/// # Errors
/// Whatever can go wrong; every link is then as it was, except with [`Error::ReloadFailed`] and [`Error::Mixed`].
pub fn activate(session: &mut Session, release: &str, to: &[String], all: bool) -> Result<()> {
    let name = session.store.find(release)?.name;
    activate_named(session, &name, to, all)
}

/// As [`activate`], for a release whose name is known; in a dry run it need not exist.
///
/// # Errors
/// As [`activate`].
pub fn activate_named(session: &mut Session, name: &str, to: &[String], all: bool) -> Result<()> {
    if let Some(reason) = session.history.is_bad(name) {
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        return Err(Error::Refused(format!(
            "{name} is marked bad{reason}; `realdoc mark-bad --clear {name}` takes the mark back"
        )));
    }
    let instances = session.instances()?.select(to, all)?;
    let moves = instances.into_iter().map(|instance| Move { instance, to: name.to_owned() }).collect();
    flip(session, Direction::Activate, moves, true)
}

/// Flips links, all or none.
///
/// # Errors
/// As [`activate`].
pub fn flip(session: &mut Session, direction: Direction, moves: Vec<Move>, check: bool) -> Result<()> {
    let plan = plan(session, moves)?;
    let (already, plan): (Vec<_>, Vec<_>) = plan.into_iter().partition(|step| step.already);
    for step in &already {
        step.say(session, Outcome::Already, None);
    }
    if session.dry_run {
        for step in &plan {
            step.say(session, Outcome::WouldFlip, None);
        }
        session.suppose(entry(direction, &plan));
        return Ok(());
    }
    if plan.is_empty() {
        return Ok(());
    }
    if check {
        check_releases(session, &plan)?;
        refuse_moved(&plan)?;
    }
    pause("activate.checked", &session.interrupt);
    session.interrupt.check()?;

    let entry = entry(direction, &plan);
    let journal = Journal { entry, changes: plan.iter().map(|step| step.change.clone()).collect() };
    journal.write(&session.store)?;
    pause("activate.begun", &session.interrupt);
    flip_links(session, &plan)?;
    pause("activate.flipped", &session.interrupt);
    if let Err(error) = session.history.append(&session.store, journal.entry) {
        return Err(put_back(session, &plan, &[], &format!("the history cannot be written: {error}")));
    }
    for step in &plan {
        step.say(session, Outcome::Flipped, None);
    }
    pause("activate.recorded", &session.interrupt);
    // It is done: a signal that came during the last steps must not keep the reload from running.
    let late = session.interrupt.take();
    let reloaded = reload(session);
    pause("activate.reloaded", &session.interrupt);
    finish(session, reloaded)?;
    late.map_or(Ok(()), |signal| {
        session.report.note("the signal came when every link was flipped");
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

/// One link of a plan.
struct Step {
    flip: Flip,
    change: Change,
    already: bool,
}

impl Step {
    fn say(&self, session: &Session, outcome: Outcome, error: Option<String>) {
        let Flip { instance, link, from, to, .. } = &self.flip;
        let (from, to) = (from.as_deref(), to.as_deref());
        session.report.say(&Event::Flip { instance, link, from, to, outcome, error });
    }
}

/// Looks at every link; what cannot go well is refused here, with all its reasons at once.
fn plan(session: &Session, moves: Vec<Move>) -> Result<Vec<Step>> {
    let store = &session.store;
    let subdirectory = session.config.releases.subdirectory.as_path();
    let mut plan = Vec::new();
    let mut obstacles = Vec::new();
    for Move { instance, to } in moves {
        let Instance { name, link, .. } = instance;
        let is_path = to.starts_with('/');
        let new = if is_path { PathBuf::from(&to) } else { store.target_of(&to, subdirectory) };
        // A dry run has not staged what it would stage.
        let is_supposed = session.dry_run && !store.path_of(&to).exists();
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
            session.report.warn(format!(
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

/// Runs the check command in every release that a link of the plan goes to.
fn check_releases(session: &Session, plan: &[Step]) -> Result<()> {
    let Some(line) = &session.config.commands.check else {
        return Ok(());
    };
    let names: BTreeSet<&str> = plan.iter().filter_map(|step| step.flip.to.as_deref()).collect();
    for name in names {
        let instances: Vec<&str> = plan
            .iter()
            .filter(|step| step.flip.to.as_deref() == Some(name))
            .map(|step| step.flip.instance.as_str())
            .collect();
        // Joined to an absolute path, that is the path: a tree outside the releases is checked too.
        let directory = session.store.path_of(name);
        session.report.step("check", format!("checking {name}: {line}"));
        let instances = instances.join(" ");
        let variables: [(&str, &OsStr); 3] = [
            ("REALDOC_RELEASE", name.as_ref()),
            ("REALDOC_RELEASE_DIR", directory.as_ref()),
            ("REALDOC_INSTANCES", instances.as_ref()),
        ];
        let status = session.shell(line, &directory, &variables)?;
        if !status.success() {
            return Err(Error::CheckFailed { release: name.to_owned(), command: line.clone(), status });
        }
    }
    Ok(())
}

/// A check may take minutes. What somebody else has flipped meanwhile belongs into the history first: a prune and the next
/// rollback go by it.
fn refuse_moved(plan: &[Step]) -> Result<()> {
    plan.iter().find(|step| !step.change.is_undone()).map_or(Ok(()), |step| {
        let name = &step.flip.instance;
        Err(Error::Refused(format!("{name} has been flipped by somebody else during the check; nothing was flipped")))
    })
}

fn flip_links(session: &mut Session, plan: &[Step]) -> Result<()> {
    for (done, step) in plan.iter().enumerate() {
        let flipped = docroot::flip(&step.change.link, &step.change.new);
        if let Err(error) = flipped {
            let Flip { instance, link, .. } = &step.flip;
            let cause = format!("{instance} ({}) could not be flipped: {error}", link.display());
            step.say(session, Outcome::Failed, Some(error.to_string()));
            return Err(put_back(session, &plan[..done], &plan[done + 1..], &cause));
        }
        pause(&format!("activate.flip.{}", done + 1), &session.interrupt);
        if let Some(signal) = session.interrupt.signal() {
            return Err(match put_back(session, &plan[..=done], &plan[done + 1..], "stopped by a signal") {
                Error::PutBack { .. } => Error::Interrupted(signal),
                error => error,
            });
        }
    }
    sync(session, plan.iter().map(|step| &step.change));
    Ok(())
}

/// Puts links back that were flipped, and says what became of each.
fn put_back(session: &mut Session, flipped: &[Step], untouched: &[Step], cause: &str) -> Error {
    note_that_it_was_live(session, flipped);
    let mut stuck = false;
    for step in flipped.iter().rev() {
        match step.change.put_back() {
            Ok(_) => step.say(session, Outcome::PutBack, None),
            Err(error) => {
                stuck = true;
                step.say(session, Outcome::Stuck, Some(error.to_string()));
            }
        }
        pause("activate.putting-back", &session.interrupt);
    }
    for step in untouched {
        step.say(session, Outcome::Untouched, None);
    }
    sync(session, flipped.iter().map(|step| &step.change));
    let cause = cause.to_owned();
    if stuck {
        // The journal stays, for the next command.
        return Error::Mixed { cause };
    }
    match Journal::remove(&session.store) {
        Ok(()) => Error::PutBack { cause },
        Err(error) => Error::PutBack { cause: format!("{cause}; {error}") },
    }
}

/// Requests run in what the links have led to, if only for a moment: a prune is to know.
fn note_that_it_was_live(session: &mut Session, flipped: &[Step]) {
    let back = |flip: &Flip| Flip { from: flip.to.clone(), to: flip.from.clone(), ..flip.clone() };
    let flips: Vec<_> = flipped.iter().map(|step| back(&step.flip)).collect();
    if flips.is_empty() {
        return;
    }
    // On a full disk the links are put back all the same.
    if let Err(error) = session.history.append(&session.store, Entry::now(What::PutBack { flips })) {
        session.report.warn(format!("where links have led for a moment is not recorded: {error}"));
    }
}

/// Makes the flips survive a power cut. They are done whether or not this works.
fn sync<'a>(session: &Session, changes: impl Iterator<Item = &'a Change>) {
    let directories: BTreeSet<&Path> = changes.filter_map(|change| change.link.parent()).collect();
    for directory in directories {
        if let Err(error) = durable::sync_directory(directory) {
            session.report.warn(format!("a power cut now may undo a flip: {error}"));
        }
    }
}

fn reload(session: &Session) -> Result<()> {
    let Some(line) = &session.config.commands.reload else {
        return Ok(());
    };
    session.report.step("reload", format!("reloading: {line}"));
    let status = session.shell(line, session.store.directory(), &[])?;
    if status.success() { Ok(()) } else { Err(Error::ReloadFailed { command: line.clone(), status }) }
}

/// The end of an activation: the journal goes, unless the reload is still to be run.
fn finish(session: &Session, reloaded: Result<()>) -> Result<()> {
    if let Err(Error::Interrupted(_)) = reloaded {
        session.report.note("every link is flipped; the reload was interrupted, and the next command runs it");
    } else {
        Journal::remove(&session.store)?;
    }
    reloaded
}

/// Puts right what a killed activation left. Only with the lock.
///
/// # Errors
/// [`Error::Mixed`] if a link can be neither left nor put back.
pub fn recover(session: &mut Session) -> Result<()> {
    let Some(journal) = Journal::load(&session.store)? else {
        return Ok(());
    };
    for change in &journal.changes {
        change.remove_unborn();
    }
    let recorded = session.history.has(&journal.entry.id);
    let complete = recorded || journal.changes.iter().all(|change| change.is_made().unwrap_or(false));
    let plan: Vec<Step> = journal
        .entry
        .flips()
        .iter()
        .zip(&journal.changes)
        .map(|(flip, change)| Step { flip: flip.clone(), change: change.clone(), already: false })
        .collect();
    if !complete {
        session.report.note("an activation was interrupted before every link was flipped; putting back the others");
        let made = |step: &Step| step.change.is_made().unwrap_or(true);
        let made: Vec<Step> = plan.into_iter().filter(made).collect();
        return match put_back(session, &made, &[], "an interrupted activation") {
            Error::PutBack { .. } => {
                if matches!(journal.entry.what, What::Activate { .. }) {
                    let undone = journal.changes.into_iter().filter(Change::is_undone);
                    session.put_back = undone.map(|change| change.link).collect();
                }
                Ok(())
            }
            error => Err(error),
        };
    }
    session.report.note("an activation was interrupted when every link was flipped; finishing it");
    if !recorded {
        sync(session, journal.changes.iter());
        session.history.append(&session.store, journal.entry)?;
    }
    for step in &plan {
        step.say(session, Outcome::Flipped, None);
    }
    let reloaded = reload(session);
    match finish(session, reloaded) {
        // The command that is about to begin has another purpose.
        Err(error @ Error::ReloadFailed { .. }) => {
            session.report.warn(error.to_string());
            Ok(())
        }
        result => result,
    }
}
