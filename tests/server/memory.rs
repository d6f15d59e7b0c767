//! Memory of the server processes: bounded, whatever happens how often.
//!
//! Owns: growth with requests and flips. Must not: test growth with host names (see `hosts`) or restarts (see `restart`).

use harness::process::private_memory;
use harness::{FlipMode, Flipper, Httpd, Load, Mpm, on_each_mpm};

use crate::ssi;

/// What the allocator and httpd's pools may take on top once everything was in use.
const GROWTH: u64 = 2 * 1024 * 1024;

/// One child where one can serve all connections, so that each run loads the same process.
pub fn children(mpm: Mpm) -> usize {
    if mpm.is_threaded() { 1 } else { mpm.usual_children().start }
}

fn requests_and_flips(mpm: Mpm) {
    let site = ssi::site("");
    let httpd = Httpd::start(&site, mpm, &ssi::config("current").children(children(mpm), 16));
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let load = Load::new(&ssi::pages());
    let memory = || -> Vec<(u32, u64)> {
        let children = httpd.all_children(children(mpm));
        children.into_iter().map(|pid| (pid, private_memory(pid).unwrap_or(0))).collect()
    };
    load.run(&httpd.url(""), &flipper).assert_whole();
    let before = memory();
    load.run(&httpd.url(""), &flipper).assert_whole();
    let after = memory();
    println!("{before:?} to {after:?}");
    for ((pid, before), (after_pid, after)) in before.iter().zip(&after) {
        assert_eq!(pid, after_pid, "the children are the same");
        assert!(after.saturating_sub(*before) < GROWTH, "child {pid} grew from {before} to {after}");
    }
}

on_each_mpm!(under_flips, requests_and_flips);
