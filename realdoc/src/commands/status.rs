//! Status: what is, beside what is recorded.
//!
//! Owns: the document of `status --json` and its form for people. Must not: change anything, or wait for a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use crate::config::Config;
use crate::drain::{Counts, Files};
use crate::error::{Context, Error, Result};
use crate::fs::tree;
use crate::state::State;
use crate::state::instances::Instances;
use crate::state::link::{self, Place, Target};
use crate::state::lock::{self, Holder};
use crate::tool::Tool;

mod text;

/// The state of a releases directory.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The releases directory.
    pub directory: PathBuf,
    /// Who is changing it now.
    pub busy: Option<Holder>,
    /// Whether an activation was interrupted, which the next command that changes something puts right.
    pub interrupted: bool,
    /// Whether the reload command has not been run since links were flipped, or has failed.
    pub reload_owed: bool,
    /// What could not be read.
    pub problems: Vec<String>,
    /// The instances.
    pub instances: Vec<InstanceStatus>,
    /// What matches a group's pattern and is no instance.
    pub ignored: Vec<IgnoredStatus>,
    /// The releases.
    pub releases: Vec<ReleaseStatus>,
    /// Why it is unknown which requests run in which release, if it is.
    pub requests_unknown: Option<String>,
    /// The room in PHP's OPcache.
    pub opcache: OpcacheStatus,
}

/// One instance.
#[derive(Debug, Serialize)]
pub struct InstanceStatus {
    /// Its name.
    pub name: String,
    /// Its link.
    pub link: PathBuf,
    /// Whether its link leads to a directory.
    pub ok: bool,
    /// Where the link really leads: a release's name, or another path.
    pub target: Option<String>,
    /// Whether it was one of a group, which does not reach it any more.
    pub missed: bool,
    /// What is wrong with the link.
    pub problem: Option<String>,
    /// Since when it leads there.
    pub since: Option<Timestamp>,
    /// Where a rollback goes.
    pub previous: Option<String>,
    /// Where it leads by the history.
    pub recorded: Option<String>,
    /// Whether it leads elsewhere than recorded.
    pub drift: bool,
}

/// Something that matches a group's pattern and is no instance.
#[derive(Debug, Serialize)]
pub struct IgnoredStatus {
    /// Its path; what is not UTF-8 in it is replaced, because JSON has no room for it.
    pub path: String,
    /// Why it is none.
    pub reason: String,
}

/// One release.
#[derive(Debug, Serialize)]
pub struct ReleaseStatus {
    /// Its name.
    pub name: String,
    /// Its commit, if this tool staged it.
    pub commit: Option<String>,
    /// The tag, branch or commit that was asked for.
    pub reference: Option<String>,
    /// Since when it is there.
    pub since: Timestamp,
    /// The room it takes on disk.
    pub bytes: u64,
    /// Its files named `*.php`.
    pub php_files: u64,
    /// The instances whose link leads to it.
    pub used_by: Vec<String>,
    #[serde(skip)]
    used_by_text: String,
    /// How many requests run in it now; none if that is unknown.
    pub requests: Option<u64>,
    /// Whether it is one of the slots, whose names do not say what is in them.
    pub slot: bool,
    /// Whether there is a record of it which cannot be read.
    pub damaged: bool,
    /// Whether it is marked bad.
    pub bad: bool,
    /// Why.
    pub bad_reason: Option<String>,
}

/// The room in PHP's OPcache.
#[derive(Debug, Serialize)]
pub struct OpcacheStatus {
    /// The PHP files of everything that is live.
    pub php_files: u64,
    /// What is configured.
    pub max_accelerated_files: u64,
    /// What PHP makes of it: the next larger of certain primes.
    pub room: u64,
    /// Whether there are more files than room.
    pub full: bool,
}

/// Prints the status.
///
/// # Errors
/// As [`status`], or it cannot be written.
pub fn print(tool: &Tool, check: bool) -> Result<()> {
    let status = status(&tool.config, &State::look(&tool.config, true)?)?;
    if tool.report.is_json() {
        let text = serde_json::to_string(&status).context("write", Path::new("the status"))?;
        tool.report.print(&format!("{text}\n"))?;
    } else {
        tool.report.print(&status.text())?;
    }
    let faults = status.faults();
    if check && !faults.is_empty() { Err(Error::Unhealthy(faults.join("; "))) } else { Ok(()) }
}

/// Looks at everything.
///
/// # Errors
/// A state that cannot be read. A link that cannot be looked at is no error, but shown.
pub fn status(config: &Config, state: &State) -> Result<Status> {
    let State { store, history, .. } = state;
    let busy = lock::holder(store)?;
    let interrupted = busy.is_none() && state.journal.is_interrupted();
    let reload_owed = config.commands.reload.is_some() && state.journal.reload.is_some();
    let found = Instances::find(config, store, history);
    let mut problems = state.problems.clone();
    problems.extend(store.alias());
    problems.extend(found.unreadable.iter().map(|(group, error)| format!("{group}: {error}")));
    let mut used_by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut elsewhere = BTreeSet::new();
    let mut instances = Vec::new();
    let missed = found.missed.iter().map(|missed| (&missed.instance, Some(&missed.reason)));
    for (instance, missed) in found.list.iter().map(|instance| (instance, None)).chain(missed) {
        let place = link::look(store, &instance.link);
        if let Ok(Place::Link(link)) = &place {
            match &link.target {
                Target::Release { name, .. } => {
                    used_by.entry(name.clone()).or_default().push(instance.name.clone());
                }
                Target::Elsewhere(path) => {
                    elsewhere.insert(path.clone());
                }
                Target::Gone { .. } | Target::Nowhere(_) => {}
            }
        }
        let mut status = instance_status(state, &instance.name, &instance.link, place);
        if let Some(reason) = missed {
            status.ok = false;
            status.missed = true;
            status.problem = Some(reason.clone());
        }
        instances.push(status);
    }
    instances.sort_by(|a, b| a.name.cmp(&b.name));
    let counts = Files::open(&config.drain).now();
    let releases = release_statuses(config, state, &counts, &found, used_by)?;
    let mut php_files =
        releases.iter().filter(|release| !release.used_by.is_empty()).map(|release| release.php_files).sum();
    for path in elsewhere {
        php_files += tree::measure(&path)?.php_files;
    }
    let max_accelerated_files = config.opcache.max_accelerated_files;
    let room = opcache_room(max_accelerated_files);
    let ignored = found
        .ignored
        .into_iter()
        .map(|other| IgnoredStatus { path: other.path.display().to_string(), reason: other.reason })
        .collect();
    Ok(Status {
        directory: store.directory().to_owned(),
        busy,
        interrupted,
        reload_owed,
        problems,
        instances,
        ignored,
        releases,
        requests_unknown: counts.unknown(),
        opcache: OpcacheStatus { php_files, max_accelerated_files, room, full: php_files > room },
    })
}

fn instance_status(state: &State, name: &str, link: &Path, place: Result<Place>) -> InstanceStatus {
    let recorded = state.history.recorded(link);
    let mut since = None;
    let mut problem = None;
    let mut target = None;
    match place {
        Ok(Place::Link(link)) => {
            target = link.target.id();
            since = Some(link.since);
            match link.target {
                Target::Gone { name } => problem = Some(link::lost(&state.store, &name).to_owned()),
                Target::Nowhere(reason) => problem = Some(reason),
                Target::Release { .. } | Target::Elsewhere(_) => {}
            }
        }
        Ok(Place::Empty) => problem = Some("no link".to_owned()),
        Ok(Place::Taken(what)) => problem = Some(format!("{what}, no link")),
        Err(error) => problem = Some(error.to_string()),
    }
    let (previous, _) = state.previous(link, target.as_deref());
    let drift = recorded.as_ref().is_some_and(|visit| Some(&visit.target) != target.as_ref());
    if let Some(visit) = recorded.as_ref().filter(|_| !drift) {
        since = Some(visit.since);
    }
    InstanceStatus {
        name: name.to_owned(),
        link: link.to_owned(),
        ok: problem.is_none(),
        missed: false,
        target,
        problem,
        since,
        previous,
        recorded: recorded.map(|visit| visit.target),
        drift,
    }
}

fn release_statuses(
    config: &Config,
    state: &State,
    counts: &Counts,
    found: &Instances,
    mut used_by: BTreeMap<String, Vec<String>>,
) -> Result<Vec<ReleaseStatus>> {
    let mut releases = Vec::new();
    for release in state.store.releases()? {
        let size = tree::measure(&release.path)?;
        let bad = state.history.is_bad(&release.name);
        let used_by = used_by.remove(&release.name).unwrap_or_default();
        let names: Vec<&str> = used_by.iter().map(String::as_str).collect();
        releases.push(ReleaseStatus {
            used_by_text: found.describe(&names),
            since: release.since(),
            bytes: size.bytes,
            php_files: size.php_files,
            used_by,
            requests: counts.of(&release.path).requests(),
            slot: config.releases.slots.has(&release.name),
            damaged: release.is_damaged,
            bad: bad.is_some(),
            bad_reason: bad.flatten().map(str::to_owned),
            commit: release.record.as_ref().map(|record| record.commit.clone()),
            reference: release.record.map(|record| record.reference),
            name: release.name,
        });
    }
    releases.sort_by_key(|release| std::cmp::Reverse(release.since));
    Ok(releases)
}

/// How many files OPcache really has room for: it sizes its table by the next of these primes, within its limits.
fn opcache_room(max_accelerated_files: u64) -> u64 {
    const PRIMES: [u64; 12] = [223, 463, 983, 1979, 3907, 7963, 16_229, 32_531, 65_407, 130_987, 262_237, 524_521];
    const LARGEST: u64 = 1_048_793;
    PRIMES.into_iter().find(|&prime| prime >= max_accelerated_files).unwrap_or(LARGEST)
}

impl Status {
    /// What somebody should look after.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.problems.clone();
        for InstanceStatus { name, problem, drift, recorded, .. } in &self.instances {
            if let Some(problem) = problem {
                faults.push(format!("{name}: {problem}"));
            }
            if *drift {
                faults.push(format!("{name}: drift: {} is recorded", recorded.as_deref().unwrap_or("nothing")));
            }
        }
        if self.interrupted {
            faults.push("an activation was interrupted".to_owned());
        } else if self.reload_owed {
            faults.push("a reload is owed".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcache_rounds_up_to_its_primes() {
        assert_eq!(opcache_room(1), 223);
        assert_eq!(opcache_room(10_000), 16_229);
        assert_eq!(opcache_room(16_229), 16_229);
        assert_eq!(opcache_room(16_230), 32_531);
        assert_eq!(opcache_room(9_999_999), 1_048_793);
    }
}
