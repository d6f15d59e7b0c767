//! What must hold in every order, and what must be found when one side is sabotaged.

use super::explore::explore;
use super::{Change, Request, Scenario, Tool, USUAL};

fn holds(name: &str, scenario: &Scenario) {
    let outcome = explore(name, scenario);
    assert_eq!(outcome.lost, None, "a release was removed under a request");
    // Else it would show nothing.
    assert!(outcome.served > 0 && outcome.schedules > 100, "{outcome:?}");
    let may_enter = scenario.is_warm && scenario.has_entry && !scenario.is_computed;
    assert!(outcome.entered > 0 || !may_enter, "no request entered without a lookup: {outcome:?}");
}

/// The exploration is strong enough to see what the sabotage breaks.
fn fails(name: &str, scenario: &Scenario) {
    let outcome = explore(name, scenario);
    assert!(outcome.lost.is_some(), "the sabotage was not found: {outcome:?}");
}

const LOOKS_FIRST: &[Request] = &[Request::LooksFirst];
const LOOKS_TOO_SHORT: &[Request] = &[Request::LooksTooShort];
const WINDOWS: [u64; 3] = [0, 7, 18];

#[test]
fn requests_that_remember() {
    for window in WINDOWS {
        holds(&format!("two warm requests, a window of {window} steps"), &Scenario { window, ..USUAL });
        let scenario = Scenario { window, requests: &[Request::Honest], interruptions: 4, ..USUAL };
        holds(&format!("a warm request, a window of {window} steps"), &scenario);
    }
}

/// By [`docroot::Docroot::enter`].
#[test]
fn requests_that_enter_at_once() {
    for window in WINDOWS {
        let requests = &[Request::Enters, Request::Enters];
        holds(&format!("two that enter at once, a window of {window} steps"), &Scenario { window, requests, ..USUAL });
    }
}

/// What is presumed is of a lookup that another has overtaken.
#[test]
fn requests_that_presume_the_release_before() {
    let flip_back: &[Change] = &[Change::Link("/c", Some("/1")), Change::Link("/c", Some("/2"))];
    for flips in [&[], flip_back] {
        for window in [0, 18, 30] {
            let name = format!("a stale presumption, {} flips, a window of {window} steps", flips.len());
            holds(&name, &Scenario { window, flips, is_stale: true, ..USUAL });
        }
        let requests = &[Request::BelievesPresumed];
        fails("a stale presumption, believed", &Scenario { flips, is_stale: true, requests, ..USUAL });
        let requests = &[Request::Honest, Request::BelievesPresumed];
        let scenario = Scenario { window: 7, flips, is_stale: true, requests, ..USUAL };
        fails("a stale presumption, believed for 7 steps", &scenario);
    }
}

#[test]
fn requests_of_a_new_process() {
    for window in WINDOWS {
        let scenario = Scenario { window, has_entry: false, ..USUAL };
        holds(&format!("two requests without an entry, a window of {window} steps"), &scenario);
        let scenario = Scenario { is_warm: false, ..scenario };
        holds(&format!("two cold requests, a window of {window} steps"), &scenario);
        let scenario = Scenario { requests: &[Request::Honest], interruptions: 3, ..scenario };
        holds(&format!("a cold request, a window of {window} steps"), &scenario);
    }
}

/// Each request needs a lookup.
#[test]
fn computed_docroots() {
    for window in WINDOWS {
        let scenario = Scenario { window, is_computed: true, has_entry: false, ..USUAL };
        holds(&format!("two requests of a computed docroot, a window of {window} steps"), &scenario);
    }
    let requests = LOOKS_TOO_SHORT;
    fails("the same, looking too short", &Scenario { is_computed: true, has_entry: false, requests, ..USUAL });
}

#[test]
fn a_flip_and_back_and_away() {
    let flips = &[Change::Link("/c", Some("/2")), Change::Link("/c", Some("/1")), Change::Link("/c", Some("/2"))];
    for window in WINDOWS {
        let scenario = Scenario { window, flips, ..USUAL };
        holds(&format!("a flip and back and away, a window of {window} steps"), &scenario);
    }
}

#[test]
fn an_entry_that_is_used_again() {
    let scenario = Scenario { reuses: true, requests: &[Request::Honest], ..USUAL };
    for window in [0, 60] {
        let scenario = Scenario { window, ..scenario.clone() };
        holds(&format!("an entry that is used again, a window of {window} steps"), &scenario);
        fails("the same without generations", &Scenario { ids_are_stale: true, ..scenario });
    }
}

/// The link leads out of the releases, and requests go on with the last good one.
#[test]
fn the_last_good_release() {
    let scenario = Scenario { releases: Some("/[139]"), requests: &[Request::Honest], interruptions: 3, ..USUAL };
    for window in WINDOWS {
        holds(&format!("the last good release, a window of {window} steps"), &Scenario { window, ..scenario.clone() });
    }
    fails("the same without asking", &Scenario { requests: &[Request::IgnoresClaim], ..scenario.clone() });
    // What the first has found is what the second remembers.
    for window in WINDOWS {
        let scenario = Scenario { window, requests: USUAL.requests, interruptions: 2, ..scenario.clone() };
        holds(&format!("two requests and the last good release, a window of {window} steps"), &scenario);
    }
}

/// A process that claims its slot when a reader has passed by.
#[test]
fn a_process_that_comes_late() {
    let scenario = Scenario {
        window: 18,
        has_entry: false,
        claims_late: true,
        requests: &[Request::Honest],
        interruptions: 3,
        ..USUAL
    };
    let outcome = explore("a process that comes late", &scenario);
    assert_eq!(outcome.lost, None);
    fails("the same, believing its parent", &Scenario { requests: &[Request::BelievesParent], ..scenario });
}

#[test]
fn looking_first_is_found() {
    for window in WINDOWS {
        fails("looking first", &Scenario { window, requests: LOOKS_FIRST, interruptions: 3, ..USUAL });
    }
}

#[test]
fn looking_too_short_is_found() {
    fails("looking too short", &Scenario { is_warm: false, requests: LOOKS_TOO_SHORT, ..USUAL });
}

#[test]
fn a_reader_without_patience_is_found() {
    fails(
        "a tool that ignores the window",
        &Scenario { window: 18, tool: Tool::IgnoresWindow, requests: &[Request::Honest], ..USUAL },
    );
}

#[test]
fn a_reader_in_the_wrong_order_is_found() {
    let scenario = Scenario { is_warm: false, requests: &[Request::Honest], interruptions: 3, ..USUAL };
    holds("a reader by hand", &Scenario { tool: Tool::ByHand, ..scenario.clone() });
    fails("a reader that reads the counters first", &Scenario { tool: Tool::CountersFirst, ..scenario });
}
