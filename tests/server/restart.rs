//! Graceful restarts, which unload the module and load it again, under load and flips.
//!
//! Owns: the change of generations. Must not: test configuration changes.

use std::time::Duration;

use harness::{FlipMode, Flipper, Httpd, Load, Mpm, Protocol, on_each_mpm};

use crate::ssi;

const RESTARTS: usize = 5;

fn under_load(mpm: Mpm) {
    let site = ssi::site("public");
    let httpd = Httpd::start(&site, mpm, &ssi::config("current/public"));
    let flipper = Flipper::start(&site, FlipMode::Rename);
    // A kept-alive connection may be closed by a restart at the very moment that it is used again: that is HTTP.
    let load = Load::new(&ssi::pages()).protocol(Protocol::Http1NewConnections).lasts(Duration::from_millis(2500));
    let mut restarts = 0;
    let tally = load.run_while(&httpd.url(""), &flipper, |_, requests| {
        // Between two of them, some requests.
        if restarts < RESTARTS && requests >= 40 * (restarts as u64 + 1) {
            httpd.graceful_restart();
            restarts += 1;
        }
    });
    tally.assert_whole_and_fresh();
    assert_eq!(restarts, RESTARTS);
}

on_each_mpm!(graceful, under_load);
