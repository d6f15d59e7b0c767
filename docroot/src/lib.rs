//! Docroots that are symlinks: where they lead, a cache that all threads of a process share, and the atomic flip.
//!
//! - `config`: the directives' values and settings, and the `<Directory>` sections that follow a link.
//! - `resolve`: the walks of both modes, and their outcome.
//! - `cache`: how long a lookup counts, what is served while resolution fails, and when a failure is reported.
//! - `inuse`: which releases have requests, in memory that processes share.
//! - `assets`: the assets of the releases before.
//! - `os`: the system calls. `unsafe` is here and in `inuse/os.rs` only.
//!
//! Knows how httpd spells sections and times, but links to no web server. Must not: log, or read a clock by itself;
//! time is an argument.
//!
//! # The words
//!
//! A *docroot* is the configured directory that httpd maps URLs into. A walk from `/` to the docroot meets *links*; a
//! link leads to its *target*. The *resolved docroot* is the docroot with its links followed, in the directory tree of
//! a *release*. A *flip* replaces a link by `rename(2)`, which is atomic.
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

pub mod assets;
mod cache;
mod config;
mod escape;
mod flip;
pub mod inuse;
mod os;
mod path;
mod resolve;
mod terminated;

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
pub use config::settings::{InUseFile, Settings};
pub use config::values::{parse_every, parse_in_use, parse_readlink, parse_releases, parse_switch};
pub use config::{sections, wildcard};
pub use escape::escape;
pub use flip::flip;
pub use os::linux::Os;
pub use os::system::{Errno, FileId, Moment, Status, System, Timestamp};
pub use path::{folded, rest_under};
pub use resolve::failure::Failure;
pub use resolve::hop::{Led, LinkHop};
pub use resolve::resolution::Resolution;
pub use resolve::survey::survey;
pub use resolve::surveyor::Surveyor;
pub use terminated::Terminated;
