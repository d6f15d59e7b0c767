//! Resolution, the cache and its fallbacks on generated trees, against the model.
//!
//! Owns: nothing but the entry; the check is docroot's own (`docroot/tests/model`), and so are its regression tests.
//! Must not: check anything that a test run does not.

#![no_main]

use docroot_fuzz::resolution;

libfuzzer_sys::fuzz_target!(|data: &[u8]| resolution::check(data));
