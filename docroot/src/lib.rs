//! Docroots that are symlinks: what they lead to, a cache that remembers it safely across threads, and the atomic
//! flip that moves them.
//!
//! Owns: the settings of the directives, the resolution of links, the freshness rules, the policy when resolving
//! fails, [`flip()`], and how names of files are shown to people. Must not: know a web server, log, read a clock on its
//! own (time is an argument), or contain `unsafe` outside the system calls in `sys.rs`.
//!
//! # The words
//!
//! A *docroot* is the directory that URLs are mapped into, as configured. Walking it from `/`, one meets *links*; a
//! link leads to its *target*. The docroot with the links followed is the *resolved docroot*, and the tree that it
//! lies in is the *release*. A *flip* replaces a link by `rename(2)`, which is atomic.
//!
//! # How it is used
//!
//! ```
//! use docroot::{Docroot, Os, Rules};
//! use std::time::Duration;
//!
//! # let dir = tempfile::tempdir()?;
//! # let at = |name: &str| dir.path().canonicalize().unwrap().join(name);
//! # std::fs::create_dir(at("release-1"))?;
//! # std::fs::create_dir(at("release-2"))?;
//! docroot::flip(&at("current"), "release-1".as_ref())?;
//!
//! let docroot = Docroot::new(&at("current"), Rules::default())?;
//! let request = docroot.lookup(&Os, Os::now(), Duration::ZERO).answer;
//!
//! docroot::flip(&at("current"), "release-2".as_ref())?;
//!
//! // The request in progress keeps its release; the next one gets the new release.
//! assert_eq!(request.resolved().unwrap().docroot().to_bytes(), at("release-1").as_os_str().as_encoded_bytes());
//! let next = docroot.lookup(&Os, Os::now(), Duration::ZERO).answer;
//! assert_eq!(next.resolved().unwrap().docroot().to_bytes(), at("release-2").as_os_str().as_encoded_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod config;
mod escape;
mod flip;
mod os;
mod path;
mod resolve;

pub use cache::answer::{Answer, Served};
pub use cache::docroot::{Docroot, NotAbsolute};
pub use cache::failures::PendingReport;
pub use cache::lookup::{Event, Lookup, Stats};
pub use cache::retained::RetainedId;
pub use cache::{COMPUTED_MAX, Cache};
pub use config::arguments::paths_in;
pub use config::invalid::Invalid;
pub use config::releases::Releases;
pub use config::rules::{Mode, Rules};
pub use config::settings::Settings;
pub use config::values::{parse_every, parse_readlink, parse_releases, parse_switch};
pub use config::{sections, wildcard};
pub use escape::escape;
pub use flip::flip;
pub use os::linux::Os;
pub use os::system::{Errno, FileId, Moment, Status, System, Timestamp};
pub use path::{folded, rest_under};
pub use resolve::failure::Failure;
pub use resolve::hop::{Led, LinkHop};
pub use resolve::packed::Terminated;
pub use resolve::resolution::Resolution;
pub use resolve::survey::{survey, survey_from};
