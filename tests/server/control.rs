//! The same load without the module: it must mix or fail, or the other tests prove nothing.
//!
//! Owns: the proof that the checks can fail. Must not: load the module.

use harness::{FlipMode, Flipper, Httpd, Load, Mpm, on_each_mpm};

use crate::ssi;

fn mixes(mpm: Mpm) {
    let site = ssi::site("");
    let httpd = Httpd::start_without_module(&site, mpm, &ssi::config("current"));
    // The errors of parts that another release does not have.
    httpd.expect_error("[include:error]");
    httpd.expect_error("[core:error]");
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let tally = Load::new(&ssi::pages()).run(&httpd.url(""), &flipper);
    println!("{tally}\n{}", tally.examples.join("\n"));
    assert!(tally.flips > 0 && tally.overlapped > 0, "{tally}");
    assert!(tally.mixed > 0, "without the module nothing is mixed: {tally}");
}

on_each_mpm!(without_module, mixes);
