//! Random configurations: with the module, everything is answered as without it, wherever the link leads.
//!
//! Owns: how many cases are tried, what they must have exercised, and the report of a fault. Must not: decide what is
//! right (see `oracle`).
//!
//! What one run does: hosts with random `<Directory>` sections, `.htaccess` files, aliases and links stand in a server
//! with the module and in one without. The links flip, the server with the module is restarted now and then, and after
//! each step all hosts are asked for the same in both. A header that each section appends to tells which sections were
//! merged, in which order, and how often.
//!
//! Differences that are meant to be:
//! - While a docroot is not there, a process goes on with the last good one, so the answer is that of an earlier step.
//! - `RealdocReleases` refuses (403, 404, 503) where the docroot is in no release.
//! - A rewrite rule in a section may be refused instead of run, never be passed by.
//! - What is said of a real path applies to it with the module alone; there, what is denied without stays denied.
//!
//! `SEED=7 CASES=200000 cargo test -p realdoc-tests --test server sections_random::random::event -- --nocapture`
//! tries seed 7 and as many after it as give so many cases; `HOSTS=1` makes each seed one host, `SHOWN=0` leaves out what
//! takes a while: to make the faults smaller that are shown. `SELF_TEST=1` compares httpd with itself,
//! and `ONLY=/page.html` shows only faults of which kind, colon and path have that in them.

mod batch;
mod host;
mod opening;
mod oracle;
pub mod rng;
mod shrink;
mod tree;
mod wildcard;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;

use harness::{Mpm, on_each_mpm};

use batch::{Failure, Tally, configuration};
use host::{Case, REQUESTS};
use oracle::Outcome;
use rng::Rng;
use tree::STEPS;

/// Trees in one pair of servers.
const HOSTS: usize = 40;

/// Faults that are made smaller and shown whole.
const SHOWN: usize = 3;

fn number(variable: &str, default: usize) -> usize {
    env::var(variable).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

fn cases_of(seed: usize, hosts: usize) -> Vec<Case> {
    let mut rng = Rng::new(seed as u64);
    let mut cases: Vec<Case> = (0..hosts).map(|_| Case::random(&mut rng)).collect();
    if batch::is_self_test() {
        // Nobody refuses anything there.
        cases.iter_mut().flat_map(|case| &mut case.hosts).for_each(|host| host.releases.clear());
    }
    cases
}

fn random(mpm: Mpm) {
    let hosts = number("HOSTS", HOSTS);
    // Each MPM has seeds of its own, unless one is asked for.
    let first = number("SEED", 100 * (1 + mpm as usize));
    let wanted = number("CASES", HOSTS * STEPS.len() * REQUESTS.len());
    let mut tally = Tally::default();
    let mut report = String::new();
    let mut seen = BTreeSet::new();
    let mut by_kind: BTreeMap<String, usize> = BTreeMap::new();
    for seed in first.. {
        let cases = cases_of(seed, hosts);
        let found = batch::run(&cases, mpm);
        for failure in &found.failures {
            let case = &cases[failure.case];
            *by_kind.entry(kind(case, failure)).or_default() += 1;
        }
        // What is served that must not be comes first.
        let mut worst: Vec<&Failure> = found.failures.iter().collect();
        worst.sort_by_key(|failure| (!failure.why.starts_with("served"), cases[failure.case].hosts[failure.host].arm));
        let only = env::var("ONLY").unwrap_or_default();
        worst.retain(|failure| format!("{}: {}", kind(&cases[failure.case], failure), failure.request).contains(&only));
        for failure in worst {
            if seen.len() < number("SHOWN", SHOWN) && seen.insert(failure.why) {
                describe(&mut report, seed, mpm, &cases[failure.case], failure);
            }
        }
        tally.add(found);
        if tally.cases() >= wanted {
            break;
        }
    }
    println!(
        "{}: {} cases from seed {first} on: {:?}; statuses {:?}; sections {:?}; {} flips to other depths",
        mpm.name(),
        tally.cases(),
        tally.outcomes,
        tally.statuses,
        tally.applied,
        tally.flips_to_other_depths
    );
    let failures = tally.failures.len();
    assert!(failures == 0, "{failures} of {} cases differ: {by_kind:#?}\n{report}", tally.cases());
    if hosts >= HOSTS && !batch::is_self_test() {
        assert_exercised(&tally);
    }
}

/// A run that proves nothing is none.
fn assert_exercised(tally: &Tally) {
    let all_forms = ["Plain", "Wildcard", "Regex"];
    let places = ["Above", "At", "Below", "denied"];
    for (form, place) in all_forms.iter().flat_map(|form| places.map(|place| (form, place))) {
        // No expression is written for what is above the link and for nothing below it.
        let key = format!("{form} {place}");
        let count = tally.applied.get(&key).copied().unwrap_or_default();
        assert!(count >= 5, "{key}: {count} of {:?}", tally.applied);
    }
    for outcome in [Outcome::Same, Outcome::LastGood, Outcome::Refused] {
        assert!(tally.outcomes.get(&outcome).is_some_and(|count| *count >= 50), "{outcome:?} of {:?}", tally.outcomes);
    }
    for status in [200, 403] {
        assert!(tally.statuses.get(&status).is_some_and(|count| *count >= 500), "{status} of {:?}", tally.statuses);
    }
    assert!(tally.flips_to_other_depths >= 30, "{} flips to other depths", tally.flips_to_other_depths);
}

fn kind(case: &Case, failure: &Failure) -> String {
    let host = &case.hosts[failure.host];
    let guard = if host.releases.is_empty() { "no RealdocReleases" } else { "RealdocReleases" };
    format!("{:?}, {guard}: {}", host.arm, failure.why)
}

/// The smallest case that fails in this way, in all that is needed to try it by hand.
fn describe(report: &mut String, seed: usize, mpm: Mpm, case: &Case, failure: &Failure) {
    let (small, found) = match shrink::shrink(case, failure, mpm) {
        Some((small, found)) => (small, found),
        None => (case.clone(), failure.clone()),
    };
    let _ = write!(
        report,
        "\nSEED={seed}, tree {} on {}: {}\n{}asked for {:?} at step {} ({:?})\n--- with\n{}\n{}\n--- without\n{}\n{}\n",
        failure.case,
        mpm.name(),
        found.why,
        configuration(&small),
        found.request,
        found.step,
        STEPS[found.step],
        found.with.head,
        found.with.body,
        found.without.head,
        found.without.body,
    );
}

on_each_mpm!(random, random);
