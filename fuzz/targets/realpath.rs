//! Resolution on real files, against `realpath(3)`.
//!
//! Owns: nothing but the entry; the check is docroot's own (`docroot/tests/model`), and so are its regression tests.
//! Must not: check anything that a test run does not.

#![no_main]

use docroot_fuzz::resolution;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    resolution::check_on_disk(data);
});
