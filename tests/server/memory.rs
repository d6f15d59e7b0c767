//! Memory of the server processes: bounded, whatever happens how often.
//!
//! Owns: growth with requests and flips. Must not: test growth with host names (see `hosts`) or restarts (see `restart`).

use harness::{FlipMode, Flipper, Httpd, Load, Memory, Mpm, on_each_mpm};

use crate::ssi;

fn requests_and_flips(mpm: Mpm) {
    let site = ssi::site("");
    let children = mpm.fewest_children();
    let httpd = Httpd::start(&site, mpm, &ssi::config("current").children(children, 16));
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let load = Load::new(&ssi::pages());
    load.run(&httpd.url(""), &flipper).assert_whole();
    let before = Memory::of_children(&httpd, children);
    load.run(&httpd.url(""), &flipper).assert_whole();
    let after = Memory::of_children(&httpd, children);
    println!("{before:?} to {after:?}");
    after.assert_flat_since(&before);
}

on_each_mpm!(under_flips, requests_and_flips);
