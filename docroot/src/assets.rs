//! Assets of the releases before: which URLs ask for them, which releases are retained, and which file answers.
//!
//! - `prefixes`: the URL prefixes of `RealdocAssets`.
//! - `manifest`: the text of `.realdoc/retained`.
//! - `file`: that file on disk, and when it is trusted.
//! - `manifests`: the manifests that a process has read.
//! - `candidates`: the files of retained releases for a path.
//! - `kinds`: the content types and the filters that a plain file may have.
//!
//! Must not: know a request, or log.

pub mod candidates;
pub mod file;
pub mod kinds;
pub mod manifest;
pub mod manifests;
pub mod prefixes;

/// The number of retained releases that a request asks for a file, besides the release that it is pinned to.
pub const ASKED_MAX: usize = 8;
