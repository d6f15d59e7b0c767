//! Where other paths and `<Directory>` sections are led, against the model.
//!
//! Owns: nothing but the entry; the check is docroot's own (`docroot/tests/model`), and so are its regression tests.
//! Must not: check anything that a test run does not.

#![no_main]

use docroot_fuzz::reroot;

libfuzzer_sys::fuzz_target!(|data: &[u8]| reroot::check(data));
