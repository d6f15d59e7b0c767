//! The values of the directives, against a description of what is valid.
//!
//! Owns: nothing but the entry; the check is docroot's own (`docroot/tests/model`), and so are its regression tests.
//! Must not: check anything that a test run does not.

#![no_main]

use docroot_fuzz::directives;

libfuzzer_sys::fuzz_target!(|data: &[u8]| directives::check(data));
