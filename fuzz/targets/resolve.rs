//! Resolution, the cache and its fallbacks on generated trees, against the model.
//!
//! Owns: nothing but the entry; the check is docroot's own (`docroot/tests/model`), and so are its regression tests.
//! Must not: check anything that a test run does not.

#![no_main]

#[path = "../../docroot/tests/model/bytes.rs"]
#[allow(dead_code, reason = "shared with the other targets")]
mod bytes;
#[path = "../../docroot/tests/model/files.rs"]
#[allow(dead_code, reason = "shared with the other targets")]
mod files;
#[path = "../../docroot/tests/model/generate.rs"]
#[allow(dead_code, reason = "shared with the other targets")]
mod generate;
#[path = "../../docroot/tests/model/pattern.rs"]
#[allow(dead_code, reason = "shared with the other targets")]
mod pattern;
#[path = "../../docroot/tests/model/resolution.rs"]
#[allow(dead_code, reason = "shared with the other targets")]
mod resolution;

libfuzzer_sys::fuzz_target!(|data: &[u8]| resolution::check(data));
