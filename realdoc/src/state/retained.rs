//! The manifest that tells httpd which releases are retained for their assets.
//!
//! Owns: which releases are in it, and `.realdoc/retained`. Must not: look at links; what is live comes from the history.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use docroot::assets::ASKED_MAX;
use docroot::assets::file::path_in;
use docroot::assets::manifest::{self, Manifest};
use jiff::{SignedDuration, Timestamp};

use super::history::History;
use super::releases::Store;
use crate::config::Slots;
use crate::error::Result;
use crate::fs::durable;

/// The number of releases in the manifest: httpd asks no more, besides the one that is live.
const RETAINED_MAX: usize = ASKED_MAX + 1;

/// What the configuration says of retained releases.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How long a release is retained after it was last live.
    pub keep_for: Duration,
    /// The directories that take turns. What is in one that is not live may be another release by now.
    pub slots: Slots,
}

/// The releases that are retained, the newest first: those that are live by the history, then those that were live not long
/// ago. No release that is marked bad or is not there.
#[must_use]
pub fn names(history: &History, store: &Store, terms: &Terms, now: Timestamp) -> Vec<String> {
    let keep_for = SignedDuration::try_from(terms.keep_for).unwrap_or(SignedDuration::MAX);
    let recent = history.live_since().filter(|&(_, at)| now.duration_since(at) < keep_for);
    // Each with whether it is live, and when it came to be, or last was.
    let mut known: BTreeMap<String, (bool, Timestamp)> =
        recent.map(|(name, at)| (name.to_owned(), (false, at))).collect();
    for visit in history.links().filter_map(|link| history.recorded(link)) {
        let live = (true, visit.since);
        known.entry(visit.target).and_modify(|last| *last = (*last).max(live)).or_insert(live);
    }
    let is_usable = |name: &str, is_live: bool| {
        (is_live || !terms.slots.has(name))
            && manifest::is_name(name.as_bytes())
            && history.is_bad(name).is_none()
            && store.path_of(name).symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
    };
    let mut order: Vec<_> = known.into_iter().filter(|(name, (is_live, _))| is_usable(name, *is_live)).collect();
    order.sort_by(|(_, a), (_, b)| b.cmp(a));
    order.into_iter().map(|(name, _)| name).take(RETAINED_MAX).collect()
}

/// Writes the manifest, unless it says this already.
///
/// # Errors
/// What the file system says; the manifest is then as it was.
pub fn write(store: &Store, names: &[String], without: &BTreeSet<&str>) -> Result<()> {
    let names = names.iter().filter(|name| !without.contains(name.as_str()));
    let text = Manifest::text(names.map(|name| name.as_bytes()));
    let path = path_in(store.directory());
    if fs::read(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        let_in(directory);
    }
    // httpd ignores a manifest that others may write, and the umask may keep httpd from reading it.
    durable::write_with_mode(&path, &text, 0o644)
}

/// Lets httpd find the manifest, whatever the umask was.
fn let_in(directory: &Path) {
    let Ok(metadata) = directory.metadata() else { return };
    let mode = metadata.permissions().mode() & 0o7777;
    // Where somebody else owns the directory, httpd says what it cannot read.
    let _ = fs::set_permissions(directory, Permissions::from_mode(mode | 0o011));
}
