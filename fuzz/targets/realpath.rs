//! Resolution on real files, against `realpath(3)`.
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

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let dir = tempfile::tempdir().expect("a directory");
    resolution::check_on_disk(data, &dir.path().canonicalize().expect("its path"));
});
