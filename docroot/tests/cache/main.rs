//! The cache over time: freshness and cost here, failures, refusals and remembered answers in the other files.
//!
//! Owns: tests that set the time, on a file system in memory. Must not: sleep, or depend on real file systems.

mod counted;
mod directories;
mod failures;
mod fake;
mod guard;
mod remembered;

use std::time::Duration;

use docroot::{Answer, COMPUTED_MAX, Cache, Docroot, Event, Lookup, Mode, Moment, Releases, Rules};

use fake::{Fake, Interleaved};

fn at(milliseconds: u64) -> Moment {
    // Far from zero, so that the clock can be set back.
    Moment::from_nanoseconds((10_000_000 + milliseconds) * 1_000_000)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn docroot() -> Docroot {
    Docroot::new("/srv/current".as_ref(), Rules::default()).unwrap()
}

fn release(lookup: &Lookup) -> &str {
    match &lookup.answer {
        Answer::Resolved(resolution) => resolution.docroot().to_str().unwrap(),
        Answer::AsConfigured => "as configured",
        Answer::Refused(_) => "refused",
    }
}

/// Whether a lookup has a failure to report. The failure counts as logged then.
fn is_reported(lookup: Lookup) -> bool {
    let Some(Event::Failed { report: Some(report), .. }) = lookup.event.map(|event| *event) else { return false };
    report.commit();
    true
}

/// Whether a lookup has a failure to report, which nobody has logged yet.
fn is_pending(lookup: &Lookup) -> bool {
    matches!(lookup.event.as_deref(), Some(Event::Failed { report: Some(_), .. }))
}

fn only_releases() -> Rules {
    let mut releases = Releases::default();
    releases.add(b"/srv/releases/*").unwrap();
    Rules { mode: Mode::Realpath, releases: Some(releases) }
}

#[test]
fn a_window_costs_nothing_and_ends() {
    let (files, docroot) = (Fake::new(), docroot());
    assert_eq!(release(&docroot.lookup(&files, at(0), seconds(2))), "/srv/releases/1");
    files.calls();
    files.flip("releases/2");
    let lookup = docroot.lookup(&files, at(1_999), seconds(2));
    assert_eq!((release(&lookup), files.calls()), ("/srv/releases/1", 0));
    assert!(lookup.event.is_none());
    assert_eq!(release(&docroot.lookup(&files, at(2_000), seconds(2))), "/srv/releases/2");
}

#[test]
fn a_window_begins_when_the_look_begins() {
    let (files, docroot) = (Fake::new(), docroot());
    for start in [0, 500, 1_000, 1_500] {
        docroot.lookup(&files, at(start), Duration::from_millis(500));
    }
    files.flip("releases/2");
    assert_eq!(release(&docroot.lookup(&files, at(1_999), Duration::from_millis(500))), "/srv/releases/1");
    assert_eq!(release(&docroot.lookup(&files, at(2_000), Duration::from_millis(500))), "/srv/releases/2");
}

#[test]
fn without_a_window_each_look_costs_one_call_and_sees_every_flip() {
    for (path, mode) in [
        ("/srv/current", Mode::Realpath),
        ("/srv/current", Mode::Readlink { from: None }),
        ("/srv/releases/1", Mode::Realpath),
    ] {
        let files = Fake::new();
        let docroot = Docroot::new(path.as_ref(), Rules { mode, releases: None }).unwrap();
        docroot.lookup(&files, at(0), Duration::ZERO);
        files.calls();
        for millisecond in 1..900 {
            docroot.lookup(&files, at(millisecond), Duration::ZERO);
            assert_eq!(files.calls(), 1, "{path}");
        }
    }
    let (files, docroot) = (Fake::new(), docroot());
    for (millisecond, number) in [1, 2, 1, 2, 2, 1].into_iter().enumerate() {
        files.flip(&format!("releases/{number}"));
        let lookup = docroot.lookup(&files, at(millisecond as u64), Duration::ZERO);
        assert_eq!(release(&lookup), format!("/srv/releases/{number}"));
    }
}

#[test]
fn flips_of_any_link_of_a_chain_are_seen_with_one_call() {
    let files = Fake::new();
    files.flip("A");
    files.link("/srv/A", "releases/1");
    let docroot = docroot();
    assert_eq!(release(&docroot.lookup(&files, at(0), Duration::ZERO)), "/srv/releases/1");
    files.calls();
    docroot.lookup(&files, at(1), Duration::ZERO);
    assert_eq!(files.calls(), 1);
    files.link("/srv/A", "releases/2");
    assert_eq!(release(&docroot.lookup(&files, at(2), Duration::ZERO)), "/srv/releases/2");
}

#[test]
fn a_directory_that_takes_over_an_inode_is_not_mistaken() {
    let files = Fake::new();
    files.flip("A");
    files.link("/srv/A", "releases/7");
    // Made in this very step of the clock.
    files.make("/srv/releases/7", 70);
    let docroot = docroot();
    assert_eq!(release(&docroot.lookup(&files, at(0), Duration::ZERO)), "/srv/releases/7");
    // Still in the same step: gone, and its inode number given to another release.
    files.remove("/srv/releases/7");
    files.make("/srv/releases/8", 70);
    files.link("/srv/A", "releases/8");
    assert_eq!(release(&docroot.lookup(&files, at(1), Duration::ZERO)), "/srv/releases/8");
    // A step later such a thing cannot happen any more, and one call is enough.
    files.0.borrow_mut().clock += 1;
    docroot.lookup(&files, at(2), Duration::ZERO);
    files.calls();
    docroot.lookup(&files, at(3), Duration::ZERO);
    assert_eq!(files.calls(), 1);
}

#[test]
fn what_one_call_cannot_see_is_seen_within_a_second() {
    let (files, docroot) = (Fake::new(), docroot());
    docroot.lookup(&files, at(0), Duration::ZERO);
    // The releases move away, and a link stands in their place: the docroot's own link is as it was.
    files.make("/data", 90);
    files.make("/data/1", 91);
    files.remove("/srv/releases");
    files.link("/srv/releases", "/data");
    docroot.lookup(&files, at(999), Duration::ZERO);
    assert_eq!(release(&docroot.lookup(&files, at(1_000), Duration::ZERO)), "/data/1");
}

#[test]
fn a_clock_that_steps_back_ends_the_window() {
    let (files, docroot) = (Fake::new(), docroot());
    docroot.lookup(&files, at(7_200_000), seconds(2));
    files.flip("releases/2");
    assert_eq!(release(&docroot.lookup(&files, at(3_600_000), seconds(2))), "/srv/releases/2");
    files.calls();
    docroot.lookup(&files, at(3_600_001), seconds(2));
    assert_eq!(files.calls(), 0, "and another one begins");
}

#[test]
fn a_look_that_began_earlier_and_ended_later_does_not_win() {
    let every = Duration::from_millis(100);
    // The slow thread walks first, and only checks the witness the second time.
    for warm in [false, true] {
        let (files, docroot) = (Fake::new(), docroot());
        if warm {
            docroot.lookup(&files, at(0), every);
        }
        let slow = Interleaved::new(&files, &docroot, |files, docroot| {
            files.flip("releases/2");
            assert_eq!(release(&docroot.lookup(files, at(210), every)), "/srv/releases/2");
        });
        let lookup = docroot.lookup(&slow, at(200), every);
        assert_eq!(release(&lookup), "/srv/releases/1", "that was true after it began");
        assert!(slow.is_done(), "the other thread ran");
        assert_eq!(release(&docroot.lookup(&files, at(220), every)), "/srv/releases/2", "warm: {warm}");
        // Nor did the late thread prolong anything.
        files.flip("releases/1");
        assert_eq!(release(&docroot.lookup(&files, at(310), every)), "/srv/releases/1", "warm: {warm}");
    }
}

#[test]
fn a_failure_that_began_earlier_and_ended_later_does_not_win() {
    let (files, docroot) = (Fake::new(), docroot());
    let every = Duration::from_millis(100);
    files.remove("/srv/releases/1");
    let slow = Interleaved::new(&files, &docroot, |files, docroot| {
        files.make("/srv/releases/1", 7);
        assert_eq!(release(&docroot.lookup(files, at(210), every)), "/srv/releases/1");
    });
    let lookup = docroot.lookup(&slow, at(200), every);
    assert!(slow.is_done(), "the other thread ran");
    assert_eq!(release(&lookup), "/srv/releases/1", "what the other has found is the last good by now");
    assert!(lookup.event.is_none(), "a failure that is over is no event: {:?}", lookup.event);
}

/// A lookup checks the last good release before it serves it, and another thread may find a newer one meanwhile.
#[test]
fn a_failure_goes_on_with_what_was_good_last_when_it_ended() {
    let (files, docroot) = (Fake::new(), docroot());
    let every = Duration::from_millis(100);
    docroot.lookup(&files, at(0), every);
    files.unlink("/srv/current");
    let slow = Interleaved::new(&files, &docroot, |files, docroot| {
        files.flip("releases/2");
        assert_eq!(release(&docroot.lookup(files, at(190), every)), "/srv/releases/2");
    });
    // The link is missing in two calls; the third call checks the release that was good.
    let slow = slow.after(2);
    let lookup = docroot.lookup(&slow, at(200), every);
    assert!(slow.is_done(), "the other thread ran");
    assert_eq!(release(&lookup), "/srv/releases/2");
    assert_eq!(release(&docroot.lookup(&files, at(299), every)), "/srv/releases/2", "for the rest of the window");
}

#[test]
fn a_failure_is_not_prolonged_by_a_look_that_saw_none() {
    let (files, docroot) = (Fake::new(), docroot());
    let every = Duration::from_millis(100);
    docroot.lookup(&files, at(0), every);
    let slow = Interleaved::new(&files, &docroot, |files, docroot| {
        files.unlink("/srv/current");
        files.remove("/srv/releases/1");
        assert!(docroot.lookup(files, at(150), every).answer.resolved().is_none());
        files.flip("releases/2");
    });
    assert_eq!(
        release(&docroot.lookup(&slow, at(200), every)),
        "/srv/releases/1",
        "what it saw was true after it began"
    );
    assert!(slow.is_done(), "the other thread ran");
    assert_eq!(release(&docroot.lookup(&files, at(260), every)), "/srv/releases/2", "the failure's window is over");
}

#[test]
fn a_flip_is_an_event_once() {
    let (files, docroot) = (Fake::new(), docroot());
    let is_flip = |lookup: Lookup| matches!(lookup.event.as_deref(), Some(Event::Resolved { before: Some(_), .. }));
    assert!(!is_flip(docroot.lookup(&files, at(0), Duration::ZERO)), "the first lookup is none");
    files.flip("releases/2");
    assert!(is_flip(docroot.lookup(&files, at(1), Duration::ZERO)));
    assert!(!is_flip(docroot.lookup(&files, at(2), Duration::ZERO)));
    assert!(!is_flip(docroot.lookup(&files, at(1_500), Duration::ZERO)), "a walk that finds the same is none");
}

#[test]
fn old_resolutions_stay_valid_and_leave_when_nobody_holds_them() {
    let (files, docroot) = (Fake::new(), docroot());
    let first = docroot.lookup(&files, at(0), Duration::ZERO).answer.resolved().unwrap().clone();
    let witness = std::sync::Arc::downgrade(&first);
    files.flip("releases/2");
    docroot.lookup(&files, at(1), Duration::ZERO);
    assert_eq!(first.docroot().to_str(), Ok("/srv/releases/1"));
    drop(first);
    assert!(witness.upgrade().is_none(), "memory does not grow with flips");
}

#[test]
fn configured_docroots_are_shared_by_path_and_rules() {
    let mut cache = Cache::default();
    let (real, judged) = (cache.rules(&Rules::default()), cache.rules(&only_releases()));
    let first = cache.configured(c"/srv/current", real).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &cache.configured(c"/srv/current", real).unwrap()));
    assert!(!std::sync::Arc::ptr_eq(&first, &cache.configured(c"/srv/current", judged).unwrap()));
    assert!(!std::sync::Arc::ptr_eq(&first, &cache.configured(c"/srv/other", real).unwrap()));
    assert!(cache.configured(c"srv/current", real).is_err());
    assert_eq!(cache.all_configured().len(), 3);
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn computed_docroots_are_remembered_if_they_resolve_and_up_to_a_bound() {
    let files = Fake::new();
    let mut cache = Cache::default();
    let rules = cache.rules(&Rules::default());
    let lookup = |path: &str, time: u64| {
        let path = std::ffi::CString::new(path).unwrap();
        cache.computed(&path, rules, &files, at(time), seconds(2)).unwrap()
    };
    for host in 0..10_000 {
        let (_, lookup) = lookup(&format!("/srv/hosts/{host}"), 0);
        assert_eq!(release(&lookup), "as configured");
    }
    assert_eq!(cache.computed_len(), 0, "what does not resolve takes no entry");

    let (first, _) = lookup("/srv/current", 0);
    files.calls();
    let (again, _) = lookup("/srv/current", 1);
    assert!(std::sync::Arc::ptr_eq(&first, &again));
    assert_eq!(files.calls(), 0, "a window is a window");

    for host in 0..COMPUTED_MAX as u64 + 10 {
        files.make(&format!("/srv/{host}"), 1_000 + host);
        lookup(&format!("/srv/{host}"), 2);
        lookup("/srv/current", 2);
    }
    assert_eq!(cache.computed_len(), COMPUTED_MAX);
    let (again, _) = lookup("/srv/current", 3);
    assert!(std::sync::Arc::ptr_eq(&first, &again), "what is used stays");
}

#[test]
fn the_stats_count_walks_and_failures() {
    let (files, docroot) = (Fake::new(), docroot());
    assert!(docroot.stats().answer.is_none());
    docroot.lookup(&files, at(0), Duration::ZERO);
    files.flip("releases/2");
    docroot.lookup(&files, at(5), Duration::ZERO);
    files.unlink("/srv/current");
    docroot.lookup(&files, at(6), Duration::ZERO);
    let record = docroot.stats();
    assert_eq!((record.walks, record.failures, record.since), (3, 1, Some(at(5))));
}

#[test]
fn flips_show_even_where_releases_share_a_directory() {
    let files = Fake::new();
    files.make("/srv/shared", 80);
    files.link("/srv/releases/1/public", "/srv/shared");
    files.link("/srv/releases/2/public", "/srv/shared");
    let docroot = Docroot::new("/srv/current/public".as_ref(), Rules::default()).unwrap();
    let led = |time: u64| {
        let lookup = docroot.lookup(&files, at(time), Duration::ZERO);
        lookup.answer.resolved().unwrap().reroot(b"/srv/current/static").unwrap()
    };
    assert_eq!(led(0), b"/srv/releases/1/static");
    files.flip("releases/2");
    assert_eq!(led(1), b"/srv/releases/2/static");
}

#[test]
fn a_link_may_lead_to_the_root() {
    let files = Fake::new();
    files.make("/", 40);
    files.link("/root", "/");
    files.link("/e", "/srv");
    let docroot = Docroot::new("/root/e".as_ref(), Rules::default()).unwrap();
    let lookup = docroot.lookup(&files, at(0), Duration::ZERO);
    let reroot = |path: &[u8]| lookup.answer.resolved().unwrap().reroot(path).unwrap();
    assert_eq!(reroot(b"/root/e/x"), b"/srv/x", "through both links");
    assert_eq!(reroot(b"/root/other"), b"/other");
    assert_eq!(reroot(b"/root"), b"/");
}
