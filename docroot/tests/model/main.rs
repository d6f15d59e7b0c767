//! The library against a model of it that is too simple to be wrong, on generated trees and values.
//!
//! Owns: the runs that need no fuzzer: the fuzzer's seeds and findings (`fuzz/seeds`, `fuzz/found`), and as many random
//! cases as a test run has time for. Must not: depend on the time, the machine or luck; the seeds are fixed.
//!
//! `MODEL_CASES=1000000 cargo test -p docroot --test model` runs more random cases than usual.

// Miri has neither fnmatch(3) nor stat(2).
#![cfg(not(miri))]

mod assets;
mod bytes;
mod directives;
mod files;
mod generate;
mod pattern;
mod reroot;
mod resolution;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use resolution::Compared;

type Check = fn(&[u8]);

/// The number of random cases of a test.
fn cases(usual: u64) -> u64 {
    std::env::var("MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

fn check_random(usual: u64, check: Check) {
    for seed in 0..cases(usual) {
        check_one(&format!("seed {seed}"), &bytes::random(seed, 32 + (seed % 8) as usize * 24), check);
    }
}

/// Names the case that fails.
fn check_one<T>(name: &str, data: &[u8], check: impl Fn(&[u8]) -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(|| check(data)))
        .unwrap_or_else(|_| panic!("{name}, which are the bytes {data:?}"))
}

/// The fuzzer's seeds and findings.
fn check_kept(target: &str, check: Check) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let mut checked = 0;
    for directory in ["seeds", "found"] {
        let Ok(entries) = fs::read_dir(fuzz.join(directory).join(target)) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            check_one(&path.display().to_string(), &fs::read(&path).expect("a case"), check);
            checked += 1;
        }
    }
    assert!(checked > 0, "there are seeds");
}

#[test]
fn resolution_is_as_in_the_model() {
    check_random(8_000, resolution::check);
}

#[test]
fn other_paths_are_led_as_in_the_model() {
    check_random(8_000, reroot::check);
}

#[test]
fn directives_take_what_is_valid() {
    check_random(8_000, directives::check);
}

/// Calls a check with all strings of up to so many parts.
fn check_all(parts: &[&[u8]], longest: u32, check: Check) {
    for length in 0..=longest {
        for number in 0..parts.len().pow(length) {
            let choices = (0..length).map(|place| number / parts.len().pow(place) % parts.len());
            check_one("a string", &choices.flat_map(|choice| parts[choice]).copied().collect::<Vec<u8>>(), check);
        }
    }
}

#[test]
fn assets_of_all_short_strings() {
    check_all(&[b"/", b".", b"a", b"?", b"\0", b" ", b"Off"], 6, assets::check);
    check_all(&[b"/", b".", b"a", b"%", b"2", b"e", b"f", b"5c", b"00", b"\\"], 5, assets::check);
    check_all(&[b"\n", b"\r", b".", b"a", b"\xef\xbb\xbf", b"\xef", b"\x7f", &[b'b'; 254]], 5, assets::check);
}

#[test]
fn resolution_is_realpath() {
    let (mut paths, mut failures) = (0, 0);
    for seed in 0..cases(500) {
        match check_one(&format!("seed {seed}"), &bytes::random(seed, 200), resolution::check_on_disk) {
            Compared::Path => paths += 1,
            Compared::Failure => failures += 1,
            Compared::Nothing => {}
        }
    }
    assert!(paths > 100 && failures > 100, "{paths} paths and {failures} failures");
}

#[test]
fn kept_cases_of_resolution() {
    check_kept("resolve", resolution::check);
}

#[test]
fn kept_cases_of_realpath() {
    check_kept("realpath", |data| {
        resolution::check_on_disk(data);
    });
}

#[test]
fn kept_cases_of_reroot() {
    check_kept("reroot", reroot::check);
}

#[test]
fn kept_cases_of_directives() {
    check_kept("directives", directives::check);
}
