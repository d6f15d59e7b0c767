//! The checks of docroot's own tests (`docroot/tests/model`), for the fuzz targets.
//!
//! Owns: nothing but the way to the files. Must not: hold a check; one that only the fuzzer knows is in no test run.

#[path = "../../docroot/tests/model/assets.rs"]
pub mod assets;
#[path = "../../docroot/tests/model/bytes.rs"]
pub mod bytes;
#[path = "../../docroot/tests/model/directives.rs"]
pub mod directives;
#[path = "../../docroot/tests/model/files.rs"]
pub mod files;
#[path = "../../docroot/tests/model/generate.rs"]
pub mod generate;
#[path = "../../docroot/tests/model/pattern.rs"]
pub mod pattern;
#[path = "../../docroot/tests/model/reroot.rs"]
pub mod reroot;
#[path = "../../docroot/tests/model/resolution.rs"]
pub mod resolution;
