//! `RealdocReleases` over time: which docroots are refused, and which paths a refusal covers.
//!
//! Must not: test the patterns.

use std::time::Duration;

use docroot::{Answer, Cache, Docroot, Event, Mode, Rules};

use crate::fake::{Fake, MISSING};
use crate::{at, is_reported, only_releases, release, seconds};

#[test]
fn a_link_out_of_the_releases_is_refused() {
    let files = Fake::new();
    files.make("/etc", 50);
    files.flip("/etc");
    let docroot = Docroot::new("/srv/current".as_ref(), only_releases()).unwrap();
    let lookup = docroot.lookup(&files, at(0), Duration::ZERO);
    assert_eq!(release(&lookup), "refused");
    let Some(Event::Failed { failure, report: Some(_), .. }) = lookup.event.as_deref() else {
        panic!("{:?}", lookup.event);
    };
    assert_eq!(failure.to_string(), "/etc: is outside RealdocReleases");

    files.flip("releases/1");
    assert_eq!(release(&docroot.lookup(&files, at(1), Duration::ZERO)), "/srv/releases/1");
    files.flip("/etc");
    for millisecond in [2, 3, 2_000] {
        let lookup = docroot.lookup(&files, at(millisecond), Duration::ZERO);
        assert_eq!(release(&lookup), "/srv/releases/1", "the last good release goes on");
    }
    files.remove("/srv/releases/1");
    let lookup = docroot.lookup(&files, at(2_001), Duration::ZERO);
    let Answer::Refused(failure) = lookup.answer else {
        panic!("{:?}", lookup.answer);
    };
    assert_eq!(failure.errno(), None);
    for (path, covered) in [("/srv/current/x", true), ("/srv/current", true), ("/srv/current2", false), ("/etc", false)]
    {
        assert_eq!(failure.covers(path.as_bytes(), docroot.path(), |_| false), covered, "{path}");
    }
}

#[test]
fn a_link_that_may_lead_into_releases_only_is_never_left_to_be_followed_again() {
    let files = Fake::new();
    files.make("/etc", 50);
    let docroot = Docroot::new("/srv/current/public".as_ref(), only_releases()).unwrap();
    // The docroot is missing where the link leads; another path under the link might be there.
    for text in ["/etc", "releases/3"] {
        files.flip(text);
        let lookup = docroot.lookup(&files, at(0), Duration::ZERO);
        let Answer::Refused(failure) = lookup.answer else {
            panic!("{text}: {:?}", lookup.answer);
        };
        assert_eq!(failure.errno(), Some(MISSING));
        assert!(failure.covers(b"/srv/current/static/passwd", docroot.path(), |_| false));
    }
}

#[test]
fn computed_docroots_that_do_not_resolve_do_not_flood_the_log() {
    let files = Fake::new();
    files.make("/etc", 50);
    files.make("/srv/hosts", 51);
    let mut cache = Cache::default();
    let rules = cache.rules(&only_releases());
    let mut reports = 0;
    for host in 0..1_000_u64 {
        let path = format!("/srv/hosts/{host}");
        if host % 2 == 0 {
            files.link(&path, "/etc");
        }
        let path = std::ffi::CString::new(path).unwrap();
        let (_, lookup) = cache.computed(&path, rules, &files, at(host * 15), Duration::ZERO).unwrap();
        assert_eq!(release(&lookup), "refused");
        reports += usize::from(is_reported(lookup));
    }
    assert_eq!(reports, 2, "in fifteen seconds");
    assert_eq!(cache.computed_len(), 0);
}

#[test]
fn a_docroot_without_links_is_not_judged() {
    let files = Fake::new();
    files.make("/etc", 50);
    let docroot = Docroot::new("/etc".as_ref(), only_releases()).unwrap();
    assert_eq!(release(&docroot.lookup(&files, at(0), Duration::ZERO)), "/etc");
}

#[test]
fn a_release_has_a_name() {
    let files = Fake::new();
    for rules in [Rules::default(), only_releases()] {
        let docroot = Docroot::new("/srv/current".as_ref(), rules).unwrap();
        let lookup = docroot.lookup(&files, at(0), Duration::ZERO);
        assert_eq!(lookup.answer.resolved().unwrap().release(), Some(c"1"));
    }
    let docroot = Docroot::new("/srv/releases/1".as_ref(), only_releases()).unwrap();
    let lookup = docroot.lookup(&files, at(0), Duration::ZERO);
    assert_eq!(lookup.answer.resolved().unwrap().release(), None, "no link, no release");
}

#[test]
fn an_earlier_link_may_lead_to_where_releases_are_and_nowhere_else() {
    let files = Fake::new();
    files.make("/srv/evil", 60);
    files.make("/srv/evil/static", 61);
    files.make("/srv/releases/1/public", 62);
    let rules = only_releases();
    let docroot = Docroot::new("/srv/current/public".as_ref(), rules.clone()).unwrap();
    // The docroot ends in a release, but other paths under its first link would not.
    files.flip("evil");
    files.link("/srv/evil/public", "/srv/releases/1/public");
    let Answer::Refused(failure) = docroot.lookup(&files, at(0), Duration::ZERO).answer else {
        panic!("a detour is refused");
    };
    assert!(failure.covers(b"/srv/current/static/x", docroot.path(), |_| false));

    files.link("/www", "/srv");
    let docroot = Docroot::new("/www/current/public".as_ref(), rules.clone()).unwrap();
    files.flip("releases/1");
    assert_eq!(release(&docroot.lookup(&files, at(0), Duration::ZERO)), "/srv/releases/1/public");

    // A docroot that leads nowhere is no reason to refuse its neighbours behind the same earlier link, if one of them
    // proves that the link leads to releases. Else nobody has judged where the neighbours are.
    let docroot = Docroot::new("/www/none".as_ref(), rules).unwrap();
    let Answer::Refused(failure) = docroot.lookup(&files, at(0), Duration::ZERO).answer else {
        panic!("what is missing is not left to be followed again");
    };
    assert!(
        failure.covers(b"/www/none/x", docroot.path(), |_| false)
            && failure.covers(b"/srv/none/x", docroot.path(), |_| false)
    );
    assert!(!failure.covers(b"/www/current/x", docroot.path(), |link| link == b"/www"));
    assert!(failure.covers(b"/www/current/x", docroot.path(), |_| false));
}

#[test]
fn a_link_that_was_to_lead_into_a_release_covers_what_is_below_it() {
    let files = Fake::new();
    files.make("/srv/releases/1/up", 60);
    // Each may be where a link leads, but there is no docroot in it.
    for target in ["/", "/srv", "/srv/releases", "releases/1/up"] {
        files.flip(target);
        let docroot = Docroot::new("/srv/current/public".as_ref(), only_releases()).unwrap();
        let Answer::Refused(failure) = docroot.lookup(&files, at(0), seconds(30)).answer else {
            panic!("there is nothing to serve in {target}");
        };
        assert!(failure.covers(b"/srv/current/etc/hostname", docroot.path(), |_| false), "{target}");
        assert_eq!(failure.lead(b"/srv/current/etc/hostname"), None, "{target}");
    }
    // One on the way to it was judged, and leads by itself.
    files.link("/www", "/srv");
    let docroot = Docroot::new("/www/current/public".as_ref(), only_releases()).unwrap();
    let Answer::Refused(failure) = docroot.lookup(&files, at(0), seconds(30)).answer else {
        panic!("there is nothing to serve");
    };
    assert!(failure.covers(b"/srv/current/x", docroot.path(), |_| false));
    assert!(!failure.covers(b"/www/static/x", docroot.path(), |_| false));
    assert_eq!(failure.lead(b"/www/static/x").map(|led| led.path).as_deref(), Some(&b"/srv/static/x"[..]));
}

#[test]
fn a_missing_link_covers_all_that_is_below_it() {
    let files = Fake::new();
    files.unlink("/srv/current");
    let docroot = Docroot::new("/srv/current/public".as_ref(), only_releases()).unwrap();
    let Answer::Refused(failure) = docroot.lookup(&files, at(0), seconds(30)).answer else {
        panic!("it could appear at any time");
    };
    assert!(failure.covers(b"/srv/current/static/x", docroot.path(), |_| false));
}

#[test]
fn the_last_good_release_is_judged_again() {
    let files = Fake::new();
    files.make("/outside", 70);
    let docroot = Docroot::new("/srv/current".as_ref(), only_releases()).unwrap();
    docroot.lookup(&files, at(0), Duration::ZERO);
    files.remove("/srv/releases/1");
    files.link("/srv/releases/1", "/outside");
    files.unlink("/srv/current");
    assert_eq!(release(&docroot.lookup(&files, at(1), Duration::ZERO)), "refused");
}

#[test]
fn readlink_mode_takes_no_text_that_climbs_out() {
    let files = Fake::new();
    let mode = Mode::Readlink { from: None };
    let docroot = Docroot::new("/srv/current".as_ref(), Rules { mode, ..only_releases() }).unwrap();
    for text in ["releases/1/../../../outside", "releases/../outside", "releases/.."] {
        files.flip(text);
        files.make(&format!("/srv/{text}"), 90);
        assert_eq!(release(&docroot.lookup(&files, at(0), Duration::ZERO)), "refused", "{text}");
    }
    files.flip("releases/1");
    assert_eq!(release(&docroot.lookup(&files, at(1), Duration::ZERO)), "/srv/releases/1");
}
