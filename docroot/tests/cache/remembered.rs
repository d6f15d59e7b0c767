//! Requests that need no lookup: those in a window, and those for which a check is enough.
//!
//! Owns: that their answers are those of a lookup, and the cost in memory. Must not: use computed docroots.

use std::sync::Arc;
use std::time::Duration;

use docroot::{Cache, Docroot, Rules};

use crate::fake::Fake;
use crate::{at, only_releases, release, seconds};

const WINDOW: u64 = 2_000_000_000;

/// An entry of a cache, for rules.
fn configured(rules: &Rules) -> (Cache, Arc<Docroot>) {
    let mut cache = Cache::default();
    let rules = cache.rules(rules);
    let docroot = cache.configured(c"/srv/current", rules).unwrap();
    (cache, docroot)
}

/// The remembered answer at this millisecond.
fn remembered(docroot: &Docroot, milliseconds: u64) -> Option<&str> {
    docroot.remembered(at(milliseconds), WINDOW).map(|resolution| resolution.docroot().to_str().unwrap())
}

#[test]
fn nothing_is_remembered_ahead_of_the_first_look_or_without_a_window() {
    let (files, (_cache, docroot)) = (Fake::new(), configured(&Rules::default()));
    assert_eq!(remembered(&docroot, 0), None);
    docroot.lookup(&files, at(0), Duration::ZERO);
    assert_eq!(remembered(&docroot, 0), Some("/srv/releases/1"));
    assert_eq!(docroot.remembered(at(0), 0), None);
}

#[test]
fn the_window_is_that_of_looks() {
    let (files, (_cache, docroot)) = (Fake::new(), configured(&Rules::default()));
    docroot.lookup(&files, at(0), seconds(2));
    files.flip("releases/2");
    assert_eq!(remembered(&docroot, 1_999), Some("/srv/releases/1"));
    assert_eq!(remembered(&docroot, 2_000), None);
    docroot.lookup(&files, at(2_000), seconds(2));
    assert_eq!(remembered(&docroot, 3_999), Some("/srv/releases/2"));
    // A clock that was set back ends it.
    assert_eq!(remembered(&docroot, 1_999), None);
}

#[test]
fn a_look_that_found_nothing_new_prolongs_it() {
    let (files, (_cache, docroot)) = (Fake::new(), configured(&Rules::default()));
    docroot.lookup(&files, at(0), Duration::from_millis(100));
    files.calls();
    docroot.lookup(&files, at(900), Duration::from_millis(100));
    assert_eq!(files.calls(), 1, "it must not have walked");
    assert_eq!(remembered(&docroot, 2_899), Some("/srv/releases/1"));
    assert_eq!(remembered(&docroot, 2_900), None);
}

#[test]
fn while_resolving_fails_only_what_is_served_is_remembered() {
    let (files, (_cache, docroot)) = (Fake::new(), configured(&Rules::default()));
    docroot.lookup(&files, at(0), seconds(2));
    files.unlink("/srv/current");
    docroot.lookup(&files, at(2_000), seconds(2));
    assert_eq!(remembered(&docroot, 2_001), Some("/srv/releases/1"), "the last good one");
    files.remove("/srv/releases/1");
    assert_eq!(release(&docroot.lookup(&files, at(4_000), seconds(2))), "as configured");
    assert_eq!(remembered(&docroot, 4_001), None);
    files.flip("releases/2");
    docroot.lookup(&files, at(6_000), seconds(2));
    assert_eq!(remembered(&docroot, 6_001), Some("/srv/releases/2"));
}

#[test]
fn what_is_refused_is_not_remembered() {
    let (files, (_cache, docroot)) = (Fake::new(), configured(&only_releases()));
    docroot.lookup(&files, at(0), seconds(2));
    files.remove("/srv/releases/1");
    files.flip("../etc");
    files.make("/etc", 77);
    assert_eq!(release(&docroot.lookup(&files, at(2_000), seconds(2))), "refused");
    assert_eq!(remembered(&docroot, 2_001), None);
}

#[test]
fn requests_may_hold_on_to_an_old_release_and_flips_back_take_no_memory() {
    let (files, (_cache, docroot)) = (Fake::new(), configured(&Rules::default()));
    docroot.lookup(&files, at(0), seconds(2));
    let first = docroot.remembered(at(0), WINDOW).unwrap();
    let mut ids = Vec::new();
    for flip in 1..1_000 {
        files.flip(&format!("releases/{}", 1 + flip % 2));
        ids.extend(docroot.lookup(&files, at(flip), Duration::ZERO).answer.id());
    }
    assert_eq!(first.docroot(), c"/srv/releases/1");
    assert_eq!(ids.len(), 999);
    ids.sort_by_key(|id| format!("{id:?}"));
    ids.dedup();
    assert_eq!(ids.len(), 2, "two releases");
    files.flip("releases/1");
    docroot.lookup(&files, at(1_000), Duration::ZERO);
    assert!(std::ptr::eq(docroot.remembered(at(1_000), WINDOW).unwrap(), first));
}

#[test]
fn a_docroot_that_the_configuration_does_not_name_is_not_kept() {
    let files = Fake::new();
    let mut cache = Cache::default();
    let rules = cache.rules(&Rules::default());
    let (docroot, lookup) = cache.computed(c"/srv/current", rules, &files, at(0), seconds(2)).unwrap();
    assert_eq!((release(&lookup), lookup.answer.id()), ("/srv/releases/1", None));
    assert_eq!(remembered(&docroot, 1), None);
}

/// The checked answer at this millisecond.
fn checked<'d>(files: &Fake, docroot: &'d Docroot, milliseconds: u64) -> Option<&'d str> {
    docroot.checked(files, at(milliseconds), 0).map(|resolution| resolution.docroot().to_str().unwrap())
}

#[test]
fn a_check_finds_what_a_look_would_with_one_call() {
    let (files, (_cache, docroot)) = (Fake::new(), configured(&Rules::default()));
    assert_eq!(checked(&files, &docroot, 0), None, "nobody has looked yet");
    docroot.lookup(&files, at(0), Duration::ZERO);
    files.calls();
    assert_eq!(checked(&files, &docroot, 999), Some("/srv/releases/1"));
    assert_eq!(files.calls(), 1);
    // A walk is due once a second, and a window is not for a check.
    assert_eq!(checked(&files, &docroot, 1_000), None);
    assert_eq!(docroot.checked(&files, at(1), WINDOW), None);
    assert_eq!(files.calls(), 0);
    files.flip("releases/2");
    assert_eq!(checked(&files, &docroot, 999), None, "a flip");
    docroot.lookup(&files, at(999), Duration::ZERO);
    assert_eq!(checked(&files, &docroot, 1_998), Some("/srv/releases/2"));
    // A lookup that only confirms the answer is no walk.
    docroot.lookup(&files, at(1_500), Duration::from_millis(1));
    assert_eq!(checked(&files, &docroot, 1_999), None);
}

#[test]
fn while_resolving_fails_a_check_finds_nothing() {
    let (files, (_cache, docroot)) = (Fake::new(), configured(&Rules::default()));
    docroot.lookup(&files, at(0), Duration::ZERO);
    files.remove("/srv/releases/1");
    files.make("/srv/releases/1", 99);
    files.unlink("/srv/current");
    assert_eq!(checked(&files, &docroot, 1), None);
    assert_eq!(release(&docroot.lookup(&files, at(1), Duration::ZERO)), "/srv/releases/1", "the last good one");
    // The link is back, but nobody has walked: the recovery must be reported.
    files.flip("releases/1");
    assert_eq!(checked(&files, &docroot, 2), None);
    docroot.lookup(&files, at(2), Duration::ZERO);
    assert_eq!(checked(&files, &docroot, 3), Some("/srv/releases/1"));
}

#[test]
fn a_check_of_a_chain_reads_the_text_of_each_link_or_finds_nothing() {
    let files = Fake::new();
    files.make("/shared", 50);
    files.make("/other", 51);
    files.link("/srv/releases/1/public", "/shared");
    let mut cache = Cache::default();
    let rules = cache.rules(&Rules::default());
    let docroot = cache.configured(c"/srv/current/public", rules).unwrap();
    docroot.lookup(&files, at(0), Duration::ZERO);
    files.calls();
    assert_eq!(checked(&files, &docroot, 1), Some("/shared"), "it ends outside of what the first link leads to");
    assert_eq!(files.calls(), 2);
    files.link("/srv/releases/1/public", "/other");
    assert_eq!(checked(&files, &docroot, 1), None);

    files.flip("/srv/other");
    files.link("/srv/other", "/other");
    let docroot = cache.configured(c"/srv/current", rules).unwrap();
    files.0.borrow_mut().clock += 1;
    docroot.lookup(&files, at(0), Duration::ZERO);
    files.calls();
    assert_eq!(checked(&files, &docroot, 1), None, "one stat will tell, which is for a lookup");
    assert_eq!(release(&docroot.lookup(&files, at(1), Duration::ZERO)), "/other");
    assert_eq!(files.calls(), 1);
}
