//! The cache under many threads: every interleaving of a few lookups with flips, and a stress of real threads.
//!
//! Owns: the invariants of each interleaving. Must not: depend on luck, except in the stress.
//!
//! `INTERRUPTIONS=9 make test-schedules` interrupts more often than usual, and
//! `STRESS_SECONDS=60 cargo test -p docroot --test concurrency stress` stresses for longer.

#![cfg(not(miri))]

mod inuse;
mod orders;
mod scheduler;
mod stress;
mod world;

use std::ffi::CString;
use std::path::Path;

use docroot::{Answer, Mode};

use scheduler::{Done, Scenario, USUAL, a_few, explore};
use world::{Change, Unit, World};

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("a path")
}

/// Each answer, and each link of its chain, was true at a step inside the lookup, or less than the window before.
fn is_fresh(scenario: &Scenario, world: &World, done: &[Done]) {
    for lookup in done {
        let from = (lookup.began + 1).saturating_sub(scenario.window.max(1));
        let Answer::Resolved(resolution) = &lookup.answer else {
            let was_gone = world.had("/c", from, lookup.ended, |text, _| text.is_none());
            assert!(was_gone, "thread {} at {}..{}: {:?}", lookup.thread, lookup.began, lookup.ended, lookup.answer);
            continue;
        };
        assert!(!resolution.links().is_empty());
        for hop in resolution.links() {
            let path = str::from_utf8(&hop.link).expect("text");
            let target = str::from_utf8(hop.target.as_ref().expect("a target")).expect("text");
            // A link's text leads to its target through the links behind it.
            let leads =
                |text: &str| resolution.reroot(text.as_bytes()).map_or(text == target, |led| led == target.as_bytes());
            // While a link is away, where it led before is served.
            let fits = world.had(path, from, lookup.ended, |text, before| text.or(before).is_some_and(leads));
            assert!(
                fits,
                "thread {} at {}..{}: {path} -> {target} is too old: {:?}",
                lookup.thread,
                lookup.began,
                lookup.ended,
                world.links.borrow()[path]
            );
        }
        let whole = resolution.reroot(scenario.docroot.as_bytes()).expect("under its links");
        assert_eq!(whole, resolution.docroot().to_bytes(), "a torn chain");
    }
}

fn explore_fresh(name: &str, scenario: &Scenario) {
    explore(name, scenario, |world, done| is_fresh(scenario, world, done));
}

const ONE_FLIP: &[&[Change]] = &[&[Change::Link("/c", Some("/2"))]];
const FLIP_AND_BACK: &[&[Change]] = &[&[Change::Link("/c", Some("/2")), Change::Link("/c", Some("/1"))]];

#[test]
fn two_cold_looks() {
    explore_fresh("two cold looks, two flips", &USUAL);
}

#[test]
fn two_warm_looks() {
    explore_fresh("two warm looks, two flips", &Scenario { is_warm: true, interruptions: a_few(), ..USUAL });
}

#[test]
fn a_look_after_a_look() {
    let scenario = Scenario { is_warm: true, lookers: &[2, 1], flippers: ONE_FLIP, interruptions: a_few(), ..USUAL };
    explore_fresh("two warm looks and one, one flip", &scenario);
}

#[test]
fn two_flippers() {
    let flippers: &[&[Change]] = &[&[Change::Link("/c", Some("/2"))], &[Change::Link("/c", Some("/3"))]];
    explore_fresh(
        "two warm looks, two flippers",
        &Scenario { is_warm: true, flippers, interruptions: a_few(), ..USUAL },
    );
}

#[test]
fn a_flip_and_back() {
    explore_fresh("two warm looks, a flip and back", &Scenario { is_warm: true, flippers: FLIP_AND_BACK, ..USUAL });
}

#[test]
fn windows() {
    for (name, flippers) in [("one flip", ONE_FLIP), ("a flip and back", FLIP_AND_BACK), ("two flips", USUAL.flippers)]
    {
        for window in [1, 7, 18] {
            let scenario =
                Scenario { window, is_warm: true, lookers: &[2, 1], flippers, interruptions: a_few(), ..USUAL };
            explore_fresh(&format!("two looks and one, {name}, a window of {window} steps"), &scenario);
        }
    }
}

#[test]
fn windows_of_slow_threads() {
    // So slow that a walk is due at each lookup, and that a late thread looks like a clock set back.
    for window in [1, 4, 7] {
        let scenario =
            Scenario { unit: Unit(600_000_000), window, is_warm: true, lookers: &[1, 1], flippers: ONE_FLIP, ..USUAL };
        explore_fresh(&format!("two slow looks, one flip, a window of {window} steps"), &scenario);
    }
}

#[test]
fn three_lookers() {
    let scenario = Scenario {
        is_warm: true,
        lookers: &[1, 1, 1],
        flippers: ONE_FLIP,
        interruptions: a_few().map(|few| few - 1),
        ..USUAL
    };
    explore_fresh("three warm looks, one flip", &scenario);
}

#[test]
fn chains() {
    let scenario =
        Scenario { links: &[("/c", "/l"), ("/l", "/1")], flippers: &[&[Change::Link("/l", Some("/2"))]], ..USUAL };
    explore_fresh("two cold looks along a chain, its end flipped", &scenario);
    let flippers: &[&[Change]] = &[&[Change::Link("/c", Some("/3"))]];
    explore_fresh("two warm looks along a chain, its start flipped", &Scenario { is_warm: true, flippers, ..scenario });
}

#[test]
fn readlink_mode() {
    let scenario = Scenario {
        mode: Mode::Readlink { from: None },
        links: &[("/c", "/l"), ("/l", "/1")],
        flippers: &[&[Change::Link("/c", Some("/2")), Change::Link("/c", Some("/l"))]],
        ..USUAL
    };
    explore_fresh("two cold looks at the first of two links, a flip and back", &scenario);
}

#[test]
fn computed_docroots() {
    let scenario = Scenario { is_computed: true, window: 4, flippers: ONE_FLIP, ..USUAL };
    explore_fresh("two cold looks at a computed docroot, one flip, a window of 4 steps", &scenario);
}

#[test]
fn computed_docroots_again() {
    let scenario =
        Scenario { is_computed: true, flippers: ONE_FLIP, lookers: &[2, 1], interruptions: a_few(), ..USUAL };
    explore_fresh("two cold looks and one at a computed docroot, one flip", &scenario);
}

/// `rm` and `ln`: no request is lost, and each gets the last target.
#[test]
fn a_link_that_is_made_anew() {
    let flippers: &[&[Change]] = &[&[Change::Link("/c", None), Change::Link("/c", Some("/2"))]];
    let scenario = Scenario { flippers, is_warm: true, interruptions: a_few(), ..USUAL };
    explore("two warm looks, the link removed and made anew", &scenario, |world, done| {
        assert!(done.iter().all(|lookup| lookup.answer.resolved().is_some()), "a lookup was lost");
        is_fresh(&scenario, world, done);
    });
}

/// A link that is away for a moment, and its release with it.
const AWAY: &[&[Change]] = &[&[
    Change::All(&[Change::Link("/c", None), Change::Directory("/1", false)]),
    Change::All(&[Change::Directory("/1", true), Change::Link("/c", Some("/1"))]),
]];

#[test]
fn failures_end() {
    let scenario = Scenario { window: 1, is_warm: true, flippers: AWAY, interruptions: a_few(), ..USUAL };
    explore_fresh("two warm looks, away and back, a window of 1 step", &scenario);
}

#[test]
fn no_window_prolongs_a_failure() {
    let scenario =
        Scenario { window: 7, is_warm: true, lookers: &[2, 1], flippers: AWAY, interruptions: a_few(), ..USUAL };
    explore_fresh("two warm looks and one, away and back, a window of 7 steps", &scenario);
}

/// Out of the releases: nothing outside is ever answered.
#[test]
fn the_guard_holds() {
    let scenario = Scenario {
        releases: Some("/[12]"),
        flippers: &[&[Change::Link("/c", Some("/3"))]],
        is_warm: true,
        interruptions: a_few(),
        ..USUAL
    };
    explore("two warm looks, out of the releases", &scenario, |_, done| {
        for lookup in done {
            let resolution = lookup.answer.resolved().expect("the last good is there");
            assert!(resolution.docroot() == c"/1", "{resolution:?}");
        }
    });
}
