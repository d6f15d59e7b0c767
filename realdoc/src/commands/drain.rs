//! `drain`: waiting until nobody uses a release, for whoever removes it; and the same after a flip.
//!
//! Owns: which directories are waited for. Must not: wait for one that a link leads to, which would come into use again at
//! any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::activation;
use crate::config::{self, Config, Span};
use crate::drain::{self, Draining, Files, Time};
use crate::error::{Context, Error, Result};
use crate::os::interrupt::Interrupt;
use crate::report::Report;
use crate::state::State;
use crate::state::releases::Store;
use crate::state::watched::{self, watched};
use crate::tool::Tool;

/// What to wait for, and how.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Releases, or directories by their path.
    pub targets: Vec<PathBuf>,
    /// How long to wait.
    pub timeout: Option<Span>,
    /// The files of requests, instead of those of the configuration.
    pub files: Vec<PathBuf>,
    /// Whether to wait for the lock.
    pub wait: bool,
}

impl Wanted {
    /// Whether each target is a path, so that no configuration is needed.
    #[must_use]
    pub fn are_paths(&self) -> bool {
        self.targets.iter().all(|target| is_path(target))
    }

    fn files(&self, config: &config::Drain) -> Files {
        if self.files.is_empty() { Files::open(config) } else { Files::of(&self.files, String::new()) }
    }
}

/// A name has no slash in it.
fn is_path(target: &Path) -> bool {
    target.as_os_str().as_encoded_bytes().contains(&b'/')
        || !matches!(target.components().next(), Some(Component::Normal(_)))
}

/// A directory that is to become free.
#[derive(Clone, Debug)]
struct Target {
    name: String,
    /// Without links in it.
    path: PathBuf,
}

/// Waits until all targets are free.
///
/// # Errors
/// [`Error::InUse`] after the time, [`Error::Unknown`] if no httpd counts, [`Error::Refused`] if a link leads there.
pub fn run(tool: Option<&Tool>, report: Report, interrupt: &Interrupt, wanted: &Wanted) -> Result<()> {
    let config = tool.map(|tool| tool.config.drain.clone()).unwrap_or_default();
    let files = wanted.files(&config);
    let time = Time::for_requests(wanted.timeout.unwrap_or(config.timeout).0);
    let state = tool.map(|tool| Ok((tool, begin(tool, wanted)?))).transpose()?;
    let (targets, drainings) = match state {
        Some((tool, Some(mut state))) => {
            let find = |target: &PathBuf| find(Some(&state.store), target);
            let targets = wanted.targets.iter().map(find).collect::<Result<Vec<_>>>()?;
            files.required()?;
            let drainings = drain_targets(tool, &mut state, &files, &targets, time)?;
            (targets, drainings)
        }
        _ => {
            let targets = wanted.targets.iter().map(|target| find(None, target)).collect::<Result<Vec<_>>>()?;
            files.required()?;
            let mut drainings: Vec<_> = targets.iter().map(|target| target.drain(Path::new(""))).collect();
            let stores: Vec<Store> = targets.iter().filter_map(Target::store).collect();
            let yields = || stores.iter().any(Store::is_hold_wanted);
            while drain::wait(report, interrupt, &files, &mut drainings, time, yields)? == drain::Ended::Yielded {
                drainings = targets.iter().map(|target| target.drain(Path::new(""))).collect();
            }
            (targets, drainings)
        }
    };
    drain::expect_free(&drainings)?;
    for Target { name, .. } in targets {
        report.result(&format!("{name} is free"));
    }
    Ok(())
}

/// The state, if there is one: a path may be another tool's release.
fn begin(tool: &Tool, wanted: &Wanted) -> Result<Option<State>> {
    match activation::begin(tool, false, wanted.wait) {
        Err(Error::NotFound(_)) if wanted.are_paths() => Ok(None),
        state => Ok(Some(state?.0)),
    }
}

fn find(store: Option<&Store>, target: &Path) -> Result<Target> {
    if let (Some(store), false) = (store, is_path(target)) {
        let release = store.find(&target.to_string_lossy())?;
        let path = release.path.canonicalize().context("look at", &release.path)?;
        return Ok(Target { name: release.name, path });
    }
    let named: PathBuf = target.components().collect();
    let metadata =
        named.symlink_metadata().map_err(|_| Error::NotFound(format!("there is no directory {}", target.display())))?;
    if metadata.is_symlink() {
        return Err(Error::Usage(format!(
            "{} is a link; name the directory that it used to lead to",
            target.display()
        )));
    }
    if !metadata.is_dir() {
        return Err(Error::Usage(format!("{} is no directory", target.display())));
    }
    let path = named.canonicalize().context("look at", &named)?;
    let release = store.and_then(|store| store.split(&path)).filter(|(_, rest)| rest.as_os_str().is_empty());
    Ok(Target { name: release.map_or_else(|| path.display().to_string(), |(name, _)| name), path })
}

impl Target {
    fn drain(&self, subdirectory: &Path) -> Draining {
        Draining::new(&self.name, &self.path, subdirectory)
    }

    /// The releases directory that it is in, if it is one of this tool's.
    fn store(&self) -> Option<Store> {
        Store::open(self.path.parent()?).ok().filter(|store| store.state("").is_dir())
    }

    /// The links that lead there, or to something in it.
    fn is_live_on<'w>(&self, store: &Store, live: &BTreeMap<String, Vec<&'w str>>) -> Vec<&'w str> {
        let lead_there = live.iter().filter(|(to, _)| {
            // Joined to an absolute path, that is the path.
            let to = store.path_of(to);
            let to = to.canonicalize().unwrap_or(to);
            to.starts_with(&self.path) || self.path.starts_with(&to)
        });
        lead_there.flat_map(|(_, names)| names.iter().copied()).collect()
    }
}

/// Waits for targets to which no link leads.
fn drain_targets(
    tool: &Tool,
    state: &mut State,
    files: &Files,
    targets: &[Target],
    time: Time,
) -> Result<Vec<Draining>> {
    let mut drainings: Vec<Draining> = Vec::new();
    loop {
        let instances = state.instances(&tool.config, &tool.report)?;
        let links = watched(state, &instances);
        let live = watched::live(state, &links)?;
        for target in targets {
            let names = target.is_live_on(&state.store, &live);
            if !names.is_empty() {
                let Target { name, .. } = target;
                return Err(Error::Refused(format!("{name} is live on {}", instances.describe(&names))));
            }
        }
        if drainings.is_empty() {
            drainings = targets.iter().map(|target| target.drain(subdirectory(&tool.config))).collect();
        }
        for draining in &mut drainings {
            draining.poll(files)?;
        }
        if !drainings.iter().any(|draining| time.waits_for(&draining.seen)) {
            return Ok(drainings);
        }
        drain::wait_unlocked(tool, state, files, &mut drainings, time)?;
    }
}

fn subdirectory(config: &Config) -> &Path {
    config.releases.subdirectory.as_path()
}

/// Refuses a command that is to wait for requests after its flip, if nobody counts them.
///
/// # Errors
/// [`Error::Unknown`].
pub fn require(tool: &Tool, drain: Option<Span>) -> Result<()> {
    if drain.is_some() { Files::open(&tool.config.drain).required() } else { Ok(()) }
}

/// Waits for the requests in what links led to before these activations. What another link still leads to is not waited
/// for.
///
/// # Errors
/// [`Error::InUse`], [`Error::Unknown`]. The links are flipped.
pub fn after_flip(tool: &Tool, state: &mut State, activations: &[String], time: Option<Time>) -> Result<()> {
    let Some(time) = time.filter(|_| !state.is_dry_run()) else { return Ok(()) };
    let files = Files::open(&tool.config.drain);
    files.required()?;
    let entries = state.history.entries().iter().filter(|entry| activations.contains(&entry.id));
    let mut left: BTreeSet<String> =
        entries.flat_map(|entry| entry.flips()).filter_map(|flip| flip.from.clone()).collect();
    left.retain(|from| state.store.path_of(from).is_dir());
    // A reload or a probe may have let it go.
    state.unlock();
    activation::relock(tool, state)?;
    loop {
        let targets = not_live(tool, state, &mut left)?;
        match drain_targets(tool, state, &files, &targets, time) {
            // Somebody has flipped a link back.
            Err(Error::Refused(_)) => {}
            drainings => {
                return drain::expect_free(&drainings?).map_err(|error| match error {
                    Error::InUse(why) => Error::InUse(format!(
                        "the links are flipped, but {why}; `realdoc drain {}` waits on",
                        left.iter().cloned().collect::<Vec<_>>().join(" ")
                    )),
                    error => error,
                });
            }
        }
    }
}

/// What a command ends with that has waited for requests after its flip. That links were not reached comes first.
///
/// # Errors
/// One of both.
pub fn finish(tool: &Tool, finished: Result<()>, drained: Result<()>) -> Result<()> {
    match (finished, drained) {
        (Err(finished), Err(drained)) => {
            tool.report.warn(drained.to_string());
            Err(finished)
        }
        (finished, drained) => finished.and(drained),
    }
}

/// Those that no link leads to. The others are told, once.
fn not_live(tool: &Tool, state: &mut State, left: &mut BTreeSet<String>) -> Result<Vec<Target>> {
    let instances = state.instances(&tool.config, &tool.report)?;
    let links = watched(state, &instances);
    let live = watched::live(state, &links)?;
    let mut targets = Vec::new();
    left.retain(|from| {
        let path = state.store.path_of(from);
        let Ok(path) = path.canonicalize() else { return false };
        let target = Target { name: from.clone(), path };
        let names = target.is_live_on(&state.store, &live);
        if names.is_empty() {
            targets.push(target);
        } else {
            tool.report.note(format!("{from} is not waited for: it is live on {}", instances.describe(&names)));
        }
        names.is_empty()
    });
    Ok(targets)
}
