//! Graceful restarts, which unload the module and load it again, under load and flips.
//!
//! Owns: the change of generations, and what it leaves in the parent. Must not: test configuration changes (see
//! `lifecycle`).

use std::time::Duration;

use harness::process::{open_files, private_memory};
use harness::{FlipMode, Flipper, Httpd, Load, Mpm, Protocol, Site, Tally, on_each_mpm};

use crate::ssi;

/// Restarts that bring what has to be in use into use.
const WARM_UP: usize = 3;

/// Requests between two restarts.
const BETWEEN: u64 = 20;

/// What the parent may take in pages more than without the module, once and not for each restart.
const ONCE: u64 = 64 * 1024;

/// What httpd says when the old generation and the new one are many together.
const REACHED: &str = "server reached MaxRequestWorkers setting";

/// What the parent has.
#[derive(Clone, Copy, Debug)]
struct Usage {
    memory: u64,
    descriptors: usize,
}

fn usage(httpd: &Httpd) -> Usage {
    Usage {
        memory: private_memory(httpd.pid()).expect("a running httpd"),
        descriptors: open_files(httpd.pid()).expect("a running httpd"),
    }
}

/// Restarts a server under load and flips, and returns what its parent had before and afterwards.
fn restart(site: &Site, httpd: &Httpd, restarts: usize) -> (Tally, Usage, Usage) {
    let flipper = Flipper::start(site, FlipMode::Rename);
    // A kept-alive connection may be closed by a restart at the very moment that it is used again: that is HTTP.
    let load = Load::new(&ssi::small_pages())
        .protocol(Protocol::Http1NewConnections)
        .bounds(BETWEEN * (restarts + 1) as u64, Duration::from_secs(60 + 5 * restarts as u64));
    for _ in 0..WARM_UP {
        httpd.graceful_restart();
    }
    let before = usage(httpd);
    let mut done = 0;
    let tally = load.run_until(&httpd.url(""), &flipper, |_, requests| {
        if done < restarts && requests >= BETWEEN * (done as u64 + 1) {
            httpd.graceful_restart();
            done += 1;
        }
        done == restarts
    });
    assert_eq!(done, restarts);
    flipper.stop();
    site.flip(0);
    (tally, before, usage(httpd))
}

fn survives(mpm: Mpm, restarts: usize) {
    let site = ssi::small_site();
    let config = ssi::config("current");
    let without = Httpd::start_without_module(&site, mpm, &config);
    // What httpd itself says of parts that are gone with their release.
    for text in ["[include:error]", "[core:error]", REACHED] {
        without.expect_error(text);
    }
    let (_, control_before, control_after) = restart(&site, &without, restarts);
    without.finish();

    let httpd = Httpd::start(&site, mpm, &config);
    httpd.expect_error(REACHED);
    let (tally, before, after) = restart(&site, &httpd, restarts);
    tally.assert_whole_and_fresh();
    println!(
        "{}: {restarts} restarts: parent with the module {before:?} to {after:?}, without {control_before:?} to {control_after:?}",
        mpm.name()
    );
    // One is the file of requests.
    assert_eq!(after.descriptors, control_after.descriptors + 1, "descriptors of the parent");
    let grown = |before: Usage, after: Usage| after.memory.saturating_sub(before.memory);
    let (with, without) = (grown(before, after), grown(control_before, control_after));
    assert!(with <= without + ONCE, "the parent grew by {with} with the module and by {without} without");
}

fn some(mpm: Mpm) {
    survives(mpm, 5);
}

on_each_mpm!(graceful, some);

fn many(mpm: Mpm) {
    survives(mpm, 200);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn two_hundred_on_prefork() {
    many(Mpm::Prefork);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn two_hundred_on_worker() {
    many(Mpm::Worker);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn two_hundred_on_event() {
    many(Mpm::Event);
}
