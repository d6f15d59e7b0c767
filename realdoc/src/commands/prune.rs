//! Pruning: old releases removed.
//!
//! Owns: which releases may go, and the steps in which they do. Must not: guess. A link that cannot be looked at stops
//! it, because any release could be live there.
//!
//! A release goes by being renamed to a hidden name first, so that no crash leaves a part of one under a release's
//! name. Then every link is looked at once more: whoever flipped one by hand meanwhile gets the release back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process;

use jiff::{SignedDuration, Timestamp};

use crate::activation;
use crate::cli::Change;
use crate::config::{Config, Span};
use crate::drain::{self, Draining, Files, Time, Use};
use crate::error::{Error, Result};
use crate::fs::durable;
use crate::fs::tree::{self, Size};
use crate::os::account;
use crate::os::failpoint::pause;
use crate::report::{Event, age};
use crate::state::State;
use crate::state::hold;
use crate::state::instances::Instances;
use crate::state::link::{self, Target};
use crate::state::releases::{Release, Store, TRASH_PREFIX};
use crate::state::watched::{self, Watched, watched};
use crate::tool::Tool;

/// What a prune goes by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How many releases to keep in all.
    pub keep: usize,
    /// Whether releases may go that this tool did not stage.
    pub adopted: bool,
    /// Whether to say of the others why they stay.
    pub explain: bool,
    /// For how long to wait for the requests that run in what may go. Without, none is waited for.
    pub drain: Option<Time>,
}

/// Removes what no instance needs.
///
/// # Errors
/// As [`prune`].
pub fn run(tool: &Tool, keep: Option<usize>, adopted: bool, drain: Option<Span>, change: Change) -> Result<()> {
    if drain.is_some() {
        Files::open(&tool.config.drain).required()?;
    }
    let (mut state, _) = activation::begin(tool, change.dry_run, change.wait)?;
    let keep = keep.unwrap_or(tool.config.releases.keep);
    let drain = drain.map(|time| Time::for_requests(time.0));
    prune(tool, &mut state, Rules { keep, adopted, explain: true, drain })
}

/// As [`run`], at the end of a command. The lock is let go.
///
/// # Errors
/// A link or a release that cannot be looked at, or a history that cannot be read whole; then nothing is removed. A release
/// that cannot be removed; then the others are. [`Error::InUse`] if requests were to be waited for and have not ended.
pub fn prune(tool: &Tool, state: &mut State, rules: Rules) -> Result<()> {
    if let Some(problem) = state.history.problems().first() {
        return Err(Error::Refused(format!("nothing is removed, because what was live cannot be told: {problem}")));
    }
    let mut trash: Vec<Trash> = Vec::new();
    if !state.is_dry_run() {
        let leftovers = state.store.leftovers()?.into_iter();
        trash.extend(leftovers.map(|path| Trash { name: None, path }));
    }
    let mut failure = None;
    let kept = bury_all(tool, state, rules, &mut trash, &mut failure);
    if kept.is_ok() {
        // What has not gone after all.
        state.try_to_retain(&tool.report);
    }
    // Nobody has to wait for thousands of files.
    state.unlock();
    if !trash.is_empty() {
        // Before the first file goes: no power cut brings a part of a release back under its name.
        durable::sync_directory(state.store.directory())?;
    }
    for trash in trash {
        tool.interrupt.check()?;
        if let Err(error) = remove(tool, &trash) {
            tool.report.warn(error.to_string());
            failure = failure.or(Some(error));
        }
    }
    let kept = kept?;
    failure.map_or(Ok(()), Err)?;
    if rules.drain.is_some() && !state.is_dry_run() { drain::expect_free(&kept) } else { Ok(()) }
}

/// Takes its name from every release that may go, once nobody uses it. Returns those that are in use, and stay.
fn bury_all(
    tool: &Tool,
    state: &mut State,
    rules: Rules,
    trash: &mut Vec<Trash>,
    failure: &mut Option<Error>,
) -> Result<Vec<Draining>> {
    let files = Files::open(&tool.config.drain);
    let time = rules.drain.unwrap_or_else(|| Time::for_window(tool.config.drain.timeout.0));
    let mut explain = rules.explain;
    let (mut failed, mut waited) = (BTreeSet::new(), BTreeSet::new());
    let mut drainings: Vec<Draining> = Vec::new();
    loop {
        let instances = state.instances(&tool.config, &tool.report)?;
        let links = watched(state, &instances);
        let Choice { mut go, stay } = choose(tool, state, &instances, &links, rules)?;
        for (release, reason) in stay {
            // It has come to be needed while its requests were waited for.
            if waited.remove(&release.name) || explain {
                tool.report.say(&Event::Kept { release: &release.name, reason });
            }
        }
        explain = false;
        if state.is_dry_run() {
            for release in &go {
                if let Err(error) = say_what_would_be(tool, &files, release) {
                    tool.report.warn(error.to_string());
                    *failure = Some(error);
                }
            }
            return Ok(Vec::new());
        }
        go.retain(|release| !failed.contains(&release.name));
        // What has come to be needed is not waited for any more.
        drainings.retain(|draining| go.iter().any(|release| release.name == draining.name));
        // Before it is asked who uses them: no request comes to do so by the manifest.
        state.retain_without(&go.iter().map(|release| release.name.as_str()).collect())?;
        for release in &go {
            tool.interrupt.check()?;
            let begun = drainings.iter().position(|draining| draining.name == release.name);
            let subdirectory = tool.config.releases.subdirectory.as_path();
            let mut draining = match begun {
                Some(index) => drainings.swap_remove(index),
                None => Draining::new(&release.name, &release.path, subdirectory),
            };
            let seen = draining.poll(&files)?;
            if *seen != Use::Free && !is_uncounted(&files, &draining) {
                drainings.push(draining);
                continue;
            }
            match bury(tool, state, release, &links) {
                Ok(buried) => trash.push(buried),
                Err(error) => {
                    tool.report.warn(error.to_string());
                    failed.insert(release.name.clone());
                    *failure = Some(error);
                }
            }
        }
        if !drainings.iter().any(|draining| time.waits_for(&draining.seen)) {
            break;
        }
        waited.extend(drainings.iter().map(|draining| draining.name.clone()));
        drain::wait_unlocked(tool, state, &files, &mut drainings, time)?;
    }
    drainings.sort_by(|a, b| a.name.cmp(&b.name));
    for Draining { name, seen, .. } in &drainings {
        match seen {
            Use::Unknown(_) => tool.report.warn(format!("{name} is kept: {}", seen.reason())),
            _ => tool.report.say(&Event::Kept { release: name, reason: seen.reason() }),
        }
    }
    Ok(drainings)
}

/// Whether the time since a release was live is all that there is to go by, because no httpd counts.
fn is_uncounted(files: &Files, draining: &Draining) -> bool {
    matches!(files, Files::Uncounted(_)) && draining.is_claimed()
}

/// What a dry run says of a release that may go.
fn say_what_would_be(tool: &Tool, files: &Files, release: &Release) -> Result<()> {
    let Release { name, path, .. } = release;
    tree::refuse_mounts(path)?;
    let seen = match (hold::alone(path, tool.config.releases.subdirectory.as_path())?, files) {
        (Err(holder), _) => Use::Held(holder),
        (Ok(_), Files::Uncounted(_)) => Use::Free,
        (Ok(_), files) => files.now().of(path),
    };
    tool.report.say(&match seen {
        Use::Free => Event::Pruned { release: name, bytes: measure(tool, name, path)?, dry_run: true },
        seen => Event::Kept { release: name, reason: seen.reason() },
    });
    Ok(())
}

/// What has no name of a release any more.
struct Trash {
    /// The name that it had; none for what an interrupted command has left.
    name: Option<String>,
    path: PathBuf,
}

/// What becomes of the releases.
#[derive(Default)]
struct Choice {
    go: Vec<Release>,
    /// Each with the reason.
    stay: Vec<(Release, String)>,
}

/// Which path that the configuration names lies in the directory: such a release is never removed.
fn holds(config: &Config, directory: &Path) -> Option<String> {
    let real = directory.canonicalize().ok()?;
    let holds = |path: &Path| path.canonicalize().is_ok_and(|path| path.starts_with(&real));
    if holds(&config.shared_directory()) {
        return Some("the shared directory is in it".to_owned());
    }
    let repository = config.git.source_path().is_some_and(|path| holds(&path));
    repository.then(|| "the repository is in it".to_owned())
}

fn choose(tool: &Tool, state: &State, instances: &Instances, links: &[Watched], rules: Rules) -> Result<Choice> {
    let live = watched::live(state, links)?;
    let mut needed: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for watched in links {
        if watched.is_instance {
            let now = match state.supposed(&watched.link) {
                None => link::look(&state.store, &watched.link)?.id(),
                target => target.map(str::to_owned),
            };
            let (previous, _) = state.previous(&watched.link, now.as_deref());
            if let Some(target) = previous {
                needed.entry(target).or_default().push(&watched.name);
            }
        }
    }
    let now = Timestamp::now();
    let rest = SignedDuration::try_from(tool.config.releases.prune_after.0).unwrap_or(SignedDuration::MAX);
    let is_recent = |time: Timestamp| now.duration_since(time) < rest;
    let retained = if tool.config.assets.keep_for.is_some() { state.retained() } else { Vec::new() };
    let Choice { mut go, mut stay } = Choice::default();
    let mut may_go = Vec::new();
    for release in state.store.releases()? {
        let name = &release.name;
        let last_live = state.history.last_live(name);
        let reason = if let Some(users) = live.get(name) {
            format!("live on {}", instances.describe(users))
        } else if let Some(users) = needed.get(name) {
            format!("a rollback of {} goes there", instances.describe(users))
        } else if tool.config.releases.slots.has(name) {
            "a slot; the next release goes there".to_owned()
        } else if retained.contains(name) {
            "httpd may serve its assets".to_owned()
        } else if let Some(what) = holds(&tool.config, &release.path) {
            what
        } else if release.record.is_none() && !rules.adopted {
            "not staged by realdoc; --adopted lets it go".to_owned()
        } else if let Some(time) = last_live.filter(|&time| is_recent(time)) {
            format!("was live {} ago; requests may still run in it", age(time))
        } else if is_recent(release.since()) {
            format!("staged {} ago", age(release.since()))
        } else {
            may_go.push((last_live.max(Some(release.since())), release));
            continue;
        };
        stay.push((release, reason));
    }
    // The youngest first; what is bad is of no use, however young.
    may_go.sort_by(|(a, _), (b, _)| b.cmp(a));
    // A release that a dry run only says it would stage.
    let coming: BTreeSet<_> = state.supposed_targets().filter(|name| !state.store.path_of(name).is_dir()).collect();
    let mut room = rules.keep.saturating_sub(stay.len() + coming.len());
    for (_, release) in may_go {
        if room > 0 && state.history.is_bad(&release.name).is_none() {
            room -= 1;
            stay.push((release, format!("one of the {} to keep", rules.keep)));
        } else {
            go.push(release);
        }
    }
    Ok(Choice { go, stay })
}

/// Takes its name from a release, which the caller has claimed.
fn bury(tool: &Tool, state: &State, release: &Release, links: &[Watched]) -> Result<Trash> {
    let Release { name, path, .. } = release;
    let store = &state.store;
    tree::refuse_mounts(path)?;
    let trash = store.directory().join(format!("{TRASH_PREFIX}{}-{name}", process::id()));
    let led: Vec<bool> = links.iter().map(|watched| leads(store, &watched.link)).collect();
    durable::rename(path, &trash)?;
    pause("prune.moved", &tool.interrupt);
    for (watched, led) in links.iter().zip(led) {
        let place = link::look(store, &watched.link);
        let gone = Target::Gone { name: name.clone() };
        let misses_it = place.is_ok_and(|place| place.link().is_some_and(|link| link.target == gone));
        if misses_it || (led && !leads(store, &watched.link)) {
            durable::rename(&trash, path)?;
            return Err(Error::Refused(format!("{name} is kept: {} has just come to need it", watched.name)));
        }
    }
    store.retire(name)?;
    pause("prune.forgotten", &tool.interrupt);
    Ok(Trash { name: Some(name.clone()), path: trash })
}

/// How big a release is. What in it belongs to others is said.
fn measure(tool: &Tool, name: &str, path: &Path) -> Result<u64> {
    let Size { bytes, foreign, .. } = tree::measure(path)?;
    for (uid, (count, example)) in foreign {
        let (plural, user) = (if count == 1 { "" } else { "s" }, account::name_of(uid));
        tool.report.warn(format!(
            "{name} has {count} file{plural} of {user}, such as {}, which go with it; what an application writes belongs into \
             [shared] paths",
            example.display()
        ));
    }
    Ok(bytes)
}

fn remove(tool: &Tool, trash: &Trash) -> Result<()> {
    let Trash { name, path } = trash;
    pause("prune.removing", &tool.interrupt);
    let bytes = name.as_ref().map_or(Ok(0), |name| measure(tool, name, path))?;
    let spinner = tool.report.spinner(format!("removing {}", name.as_deref().unwrap_or("leftovers")));
    tree::remove(path)?;
    drop(spinner);
    if let Some(release) = name {
        pause("prune.removed", &tool.interrupt);
        tool.report.say(&Event::Pruned { release, bytes, dry_run: false });
    }
    Ok(())
}

/// Whether the link leads to anything that is there.
fn leads(store: &Store, link: &Path) -> bool {
    link::look(store, link).is_ok_and(|place| {
        place.link().is_some_and(|link| matches!(link.target, Target::Release { .. } | Target::Elsewhere(_)))
    })
}
