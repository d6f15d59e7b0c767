//! Pruning: old releases removed.
//!
//! Owns: which releases may go, and the steps in which they do. Must not: guess. A link that cannot be looked at stops
//! it, because any release could be live there.
//!
//! A release goes by being renamed to a hidden name first, so that no crash leaves a part of one under a release's
//! name. Then every link is looked at once more: whoever flipped one by hand meanwhile gets the release back.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::durable;
use crate::error::{Error, Result};
use crate::fault::pause;
use crate::instances::Instance;
use crate::link::{self, Target};
use crate::report::{Event, age};
use crate::rollback;
use crate::session::Session;
use crate::stage;
use crate::store::{Release, TRASH_PREFIX};
use crate::tree;

/// What a prune goes by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How many releases to keep in all.
    pub keep: usize,
    /// Whether releases may go that this tool did not stage.
    pub adopted: bool,
    /// Whether to say of the others why they stay.
    pub explain: bool,
}

/// Removes what no instance needs.
///
/// # Errors
/// A link or a release that cannot be looked at; then nothing is removed. A release that cannot be removed; then the
/// others are.
pub fn prune(session: &mut Session, rules: Rules) -> Result<()> {
    let instances = session.instances()?.list;
    let Choice { go, stay } = choose(session, &instances, rules)?;
    for (release, reason) in stay.into_iter().filter(|_| rules.explain) {
        session.report.say(&Event::Kept { release: &release.name, reason });
    }
    let mut failure = None;
    for release in go {
        session.interrupt.check()?;
        if let Err(error) = remove(session, &release, &instances) {
            session.report.warn(error.to_string());
            failure = Some(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

/// What becomes of the releases.
#[derive(Default)]
struct Choice {
    go: Vec<Release>,
    /// Each with the reason.
    stay: Vec<(Release, String)>,
}

fn choose(session: &Session, instances: &[Instance], rules: Rules) -> Result<Choice> {
    let mut live: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut needed: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for instance in instances {
        let now = link::look(&session.store, &instance.link)?.id();
        let (previous, _) = rollback::previous(session, &instance.link, now.as_deref());
        for (map, target) in [(&mut live, now), (&mut needed, previous)] {
            if let Some(target) = target {
                map.entry(target).or_default().push(&instance.name);
            }
        }
    }
    let now = Timestamp::now();
    let rest = SignedDuration::try_from(session.config.releases.prune_after.0).unwrap_or(SignedDuration::MAX);
    let is_recent = |time: Timestamp| now.duration_since(time) < rest;
    let Choice { mut go, mut stay } = Choice::default();
    let mut may_go = Vec::new();
    for release in session.store.releases()? {
        let name = &release.name;
        let last_live = session.history.last_live(name);
        let reason = if let Some(users) = live.get(name) {
            format!("live on {}", users.join(", "))
        } else if let Some(users) = needed.get(name) {
            format!("a rollback of {} goes there", users.join(", "))
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
    let mut room = rules.keep.saturating_sub(stay.len());
    for (_, release) in may_go {
        if room > 0 && session.history.is_bad(&release.name).is_none() {
            room -= 1;
            stay.push((release, format!("one of the {} to keep", rules.keep)));
        } else {
            go.push(release);
        }
    }
    Ok(Choice { go, stay })
}

fn remove(session: &Session, release: &Release, instances: &[Instance]) -> Result<()> {
    let Release { name, path, .. } = release;
    let Session { store, interrupt, dry_run, .. } = session;
    tree::refuse_mounts(path)?;
    let bytes = tree::measure(path)?.bytes;
    if !dry_run {
        let trash = store.directory().join(format!("{TRASH_PREFIX}{name}"));
        let led: Vec<bool> = instances.iter().map(|instance| leads(session, instance)).collect();
        stage::rename(path, &trash)?;
        pause("prune.moved", interrupt);
        for (instance, led) in instances.iter().zip(led) {
            let place = link::look(store, &instance.link);
            let gone = Target::Gone { name: name.clone() };
            let misses_it = place.is_ok_and(|place| place.link().is_some_and(|link| link.target == gone));
            if misses_it || (led && !leads(session, instance)) {
                stage::rename(&trash, path)?;
                return Err(Error::Refused(format!("{name} is kept: {} has just come to need it", instance.name)));
            }
        }
        store.remove_record(name)?;
        durable::sync_directory(store.directory())?;
        pause("prune.forgotten", interrupt);
        let spinner = session.report.spinner(format!("removing {name}"));
        tree::remove(&trash)?;
        drop(spinner);
        pause("prune.removed", interrupt);
    }
    session.report.say(&Event::Pruned { release: name, bytes, dry_run: *dry_run });
    Ok(())
}

/// Whether the link leads to anything that is there.
fn leads(session: &Session, instance: &Instance) -> bool {
    link::look(&session.store, &instance.link).is_ok_and(|place| {
        place.link().is_some_and(|link| matches!(link.target, Target::Release { .. } | Target::Elsewhere(_)))
    })
}
