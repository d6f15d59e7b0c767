//! The policy while resolution fails: the fallback, the reports and the recovery.

use std::time::Duration;

use docroot::{Answer, Docroot, Event, Lookup};

use crate::fake::Fake;
use crate::{at, docroot, is_pending, is_reported, release, seconds};

#[test]
fn a_link_that_is_missing_for_a_moment_loses_no_request() {
    let (files, docroot) = (Fake::new(), docroot());
    docroot.lookup(&files, at(0), Duration::ZERO);
    files.unlink("/srv/current");
    let lookup = docroot.lookup(&files, at(1), Duration::ZERO);
    assert_eq!(release(&lookup), "/srv/releases/1");
    assert!(is_reported(lookup));
    files.flip("releases/2");
    let lookup = docroot.lookup(&files, at(2), Duration::ZERO);
    assert_eq!(release(&lookup), "/srv/releases/2");
    let Some(Event::Resolved { before: Some(before), recovery: Some(_), .. }) = lookup.event.as_deref() else {
        panic!("{:?}", lookup.event);
    };
    assert_eq!(before.docroot().to_str(), Ok("/srv/releases/1"));
}

#[test]
fn a_deleted_release_is_not_served() {
    let (files, docroot) = (Fake::new(), docroot());
    docroot.lookup(&files, at(0), Duration::ZERO);
    files.unlink("/srv/current");
    files.remove("/srv/releases/1");
    assert_eq!(release(&docroot.lookup(&files, at(1), Duration::ZERO)), "as configured");
    files.make("/srv/releases/1", 1);
    assert_eq!(release(&docroot.lookup(&files, at(2), Duration::ZERO)), "/srv/releases/1", "it is back");
}

#[test]
fn a_docroot_that_never_resolved_is_left_as_configured() {
    let (files, docroot) = (Fake::new(), docroot());
    files.flip("releases/3");
    let lookup = docroot.lookup(&files, at(0), Duration::ZERO);
    assert_eq!(release(&lookup), "as configured");
    let Some(Event::Failed { failure, fallback: Answer::AsConfigured, report: Some(_) }) = lookup.event.as_deref()
    else {
        panic!("{:?}", lookup.event);
    };
    assert_eq!(failure.to_string(), "/srv/releases/3: No such file or directory");
}

#[test]
fn a_failure_counts_for_the_window_too() {
    let (files, docroot) = (Fake::new(), docroot());
    files.unlink("/srv/current");
    docroot.lookup(&files, at(0), seconds(2));
    files.calls();
    files.flip("releases/1");
    assert_eq!(release(&docroot.lookup(&files, at(1_000), seconds(2))), "as configured");
    assert_eq!(files.calls(), 0);
    assert_eq!(release(&docroot.lookup(&files, at(2_000), seconds(2))), "/srv/releases/1");
}

#[test]
fn each_cause_is_reported_once_and_again_after_ten_seconds() {
    let (files, docroot) = (Fake::new(), docroot());
    files.unlink("/srv/current");
    let reports = |files: &Fake, from: u64, to: u64| {
        (from..to).step_by(10).filter(|&time| is_reported(docroot.lookup(files, at(time), Duration::ZERO))).count()
    };
    assert_eq!(reports(&files, 0, 10_000), 1);
    assert_eq!(reports(&files, 10_000, 20_000), 1);
    files.flip("releases/3");
    assert_eq!(reports(&files, 20_000, 29_000), 1, "another cause");
}

/// A lookup with a failure to report, which is dropped instead.
fn withdraw(files: &Fake, docroot: &Docroot, time: u64) {
    let lookup = docroot.lookup(files, at(time), Duration::ZERO);
    assert!(is_pending(&lookup), "{:?}", lookup.event);
}

/// Whether a lookup has a recovery to report. The recovery counts as logged then.
fn recovers(lookup: Lookup) -> bool {
    let Some(Event::Resolved { recovery: Some(report), .. }) = lookup.event.map(|event| *event) else { return false };
    report.commit();
    true
}

#[test]
fn a_failure_that_nobody_logged_is_reported_by_the_next_walk() {
    let (files, docroot) = (Fake::new(), docroot());
    let lookup = |time| docroot.lookup(&files, at(time), Duration::ZERO);
    files.unlink("/srv/current");
    for time in 0..3 {
        withdraw(&files, &docroot, time);
    }
    files.flip("releases/1");
    assert!(!recovers(lookup(3)), "nobody logged the failure");
    files.unlink("/srv/current");
    withdraw(&files, &docroot, 4);
    assert!(is_reported(lookup(5)));
    assert!(!is_reported(lookup(6)), "it is logged now");
    files.flip("releases/1");
    assert!(recovers(lookup(7)));
}

#[test]
fn a_recovery_that_nobody_logged_is_reported_by_the_next_walk() {
    let (files, docroot) = (Fake::new(), docroot());
    let lookup = |time| docroot.lookup(&files, at(time), Duration::ZERO);
    files.unlink("/srv/current");
    assert!(is_reported(lookup(0)));
    files.flip("releases/1");
    drop(lookup(1));
    files.flip("releases/2");
    assert!(recovers(lookup(2)), "the recovery was not logged");
}

#[test]
fn a_recovery_is_reported_if_only_the_reminder_was_withdrawn() {
    let (files, docroot) = (Fake::new(), docroot());
    let lookup = |time| docroot.lookup(&files, at(time), Duration::ZERO);
    files.unlink("/srv/current");
    assert!(is_reported(lookup(0)));
    for time in 10_000..10_003 {
        withdraw(&files, &docroot, time);
    }
    files.flip("releases/1");
    assert!(recovers(lookup(10_003)), "it was logged at first");
    // Another cause, which nobody logged.
    files.flip("releases/absent");
    withdraw(&files, &docroot, 10_004);
    files.flip("releases/1");
    assert!(!recovers(lookup(10_005)), "the cause before has ended");
}

#[test]
fn a_withdrawn_report_leaves_later_claims_alone() {
    let (files, docroot) = (Fake::new(), docroot());
    let lookup = |time| docroot.lookup(&files, at(time), Duration::ZERO);
    files.unlink("/srv/current");
    let first = lookup(0);
    assert!(is_pending(&first) && is_reported(lookup(10_000)), "the reminder is due");
    // A long request, which ends now.
    drop(first);
    assert!(!is_reported(lookup(10_001)), "another one has logged it");
}

#[test]
fn a_withdrawn_report_leaves_the_recovery_of_another_failure() {
    let (files, docroot) = (Fake::new(), docroot());
    let lookup = |time| docroot.lookup(&files, at(time), Duration::ZERO);
    files.unlink("/srv/current");
    let first = lookup(0);
    files.flip("releases/1");
    lookup(1);
    files.flip("releases/absent");
    assert!(is_reported(lookup(2)));
    assert!(is_pending(&first));
    // A long request, which ends now.
    drop(first);
    files.flip("releases/1");
    assert!(recovers(lookup(3)), "another failure was logged");
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn a_link_that_comes_and_goes_does_not_flood_the_log() {
    let (files, docroot) = (Fake::new(), docroot());
    let (mut failures, mut recoveries) = (0, 0);
    for time in 0..9_000 {
        match time % 3 {
            0 => files.unlink("/srv/current"),
            1 => files.flip(&format!("releases/{}", 100 + time % 60)),
            _ => files.flip("releases/1"),
        }
        let lookup = docroot.lookup(&files, at(time), Duration::ZERO);
        if matches!(lookup.event.as_deref(), Some(Event::Resolved { .. })) {
            recoveries += usize::from(recovers(lookup));
        } else {
            failures += usize::from(is_reported(lookup));
        }
    }
    assert_eq!(failures, 4, "of twenty causes that come in turns");
    assert!((1..=4).contains(&recoveries), "{recoveries}: a recovery is reported only if its failure was");
}
