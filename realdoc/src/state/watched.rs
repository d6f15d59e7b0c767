//! Every link that is known, and which releases the links need.
//!
//! Owns: that a release is live if any link leads there, instance or not. Must not: change a link.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::state::State;
use crate::state::instances::{Instance, Instances};
use crate::state::link::{self, Hop, Place};
use crate::state::releases::Store;

/// A link that may lead to a release.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The name of the instance, or the path of a link that is none.
    pub name: String,
    /// The link.
    pub link: PathBuf,
    /// Whether it is an instance.
    pub is_instance: bool,
}

/// Every link that is known: the instances; what the patterns of the groups match besides; and what was an instance
/// once. A link does not lead elsewhere because a line of the configuration was removed.
#[must_use]
pub fn watched(state: &State, instances: &Instances) -> Vec<Watched> {
    let instance =
        |Instance { name, link, .. }: &Instance| Watched { name: name.clone(), link: link.clone(), is_instance: true };
    let other = |link: &Path| Watched { name: link.display().to_string(), link: link.to_owned(), is_instance: false };
    let mut links: Vec<Watched> = instances.list.iter().map(instance).collect();
    links.extend(instances.ignored.iter().map(|ignored| other(&ignored.path)));
    for link in state.history.links() {
        if !links.iter().any(|watched| watched.link == link) {
            links.push(other(link));
        }
    }
    links
}

impl Watched {
    /// The releases that the link needs to lead where it leads.
    ///
    /// # Errors
    /// An instance that cannot be looked at.
    pub fn needs(&self, state: &State) -> Result<BTreeSet<String>> {
        let Self { link, is_instance, .. } = self;
        if let Some(target) = state.supposed(link) {
            return Ok(BTreeSet::from([target.to_owned()]));
        }
        let place = match link::look(&state.store, link) {
            Err(error) if *is_instance => return Err(error),
            // Nobody would ever put right what stands in the way of a link that the configuration does not name.
            place => place.ok(),
        };
        let is_lost = place.is_none() || !link.parent().is_some_and(Path::is_dir);
        if !is_instance && is_lost {
            // Not mounted at the moment, perhaps.
            return Ok(state.history.recorded(link).map(|visit| visit.target).into_iter().collect());
        }
        let id = place.as_ref().and_then(Place::id);
        let through = place.as_ref().and_then(Place::link).map(|link| link.through.clone()).unwrap_or_default();
        Ok(through.into_iter().chain(id).collect())
    }
}

impl Watched {
    /// All links on the way: the same as long as none of them is flipped, not even back to where it led.
    #[must_use]
    pub fn hops(&self, store: &Store) -> Vec<Hop> {
        link::hops(store, &self.link)
    }
}

/// The releases, and other targets, that links need, each with the names of the links.
///
/// # Errors
/// An instance that cannot be looked at: any release could be live there.
pub fn live<'w>(state: &State, links: &'w [Watched]) -> Result<BTreeMap<String, Vec<&'w str>>> {
    let mut live: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for watched in links {
        for target in watched.needs(state)? {
            live.entry(target).or_default().push(&watched.name);
        }
    }
    Ok(live)
}
