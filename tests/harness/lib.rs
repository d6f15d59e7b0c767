//! The harness of the server tests and of the demo: private httpd and php-fpm processes, sites whose releases
//! flip, load on them, and the verdict on every response.
//!
//! Owns: how a test gets a server, traffic and an answer. Must not: hold a test or an expectation about one feature.
//!
//! Rules that every part keeps:
//! - a test owns its directory, its ports and its processes, and leaves nothing behind;
//! - nothing waits for time to pass, only for a state, with a deadline;
//! - a server that crashed or logged an undeclared error fails its test, whatever the responses were;
//! - a real part that is not installed fails the test and names the package, it never skips it.

pub mod browser;
mod cgid;
pub mod client;
pub mod config;
pub mod count;
pub mod document;
pub mod error_log;
mod file;
pub mod flipper;
pub mod fpm;
pub mod host_names;
pub mod httpd;
pub mod installation;
pub mod load;
pub mod memcheck;
pub mod memory;
pub mod module;
pub mod mpm;
mod once;
pub mod opcache;
pub mod page;
pub mod process;
pub mod raw;
pub mod readiness;
pub mod release;
pub mod repository;
pub mod shim;
pub mod site;
pub mod tool;
pub mod visitors;

pub use client::{Client, Protocol, Response};
pub use config::Config;
pub use flipper::{FlipMode, Flipper};
pub use fpm::Fpm;
pub use httpd::{Httpd, Refusal};
pub use load::{Load, Tally};
pub use memory::Memory;
pub use module::Module;
pub use mpm::Mpm;
pub use opcache::Opcache;
pub use page::{Page, Verdict};
pub use release::Release;
pub use repository::Repository;
pub use site::Site;
pub use tool::Tool;
pub use visitors::{Record, Visit, Visitors};
