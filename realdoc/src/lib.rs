//! `realdoc`: releases from git, shared by many docroot symlinks.
//!
//! Owns: everything that the binary does; the binary only calls it. Must not: contain `unsafe`, or a second
//! implementation of the flip ([`docroot::flip`] is it).
//!
//! # The words
//!
//! An *instance* is a named link, usually the docroot of a site. It leads to its *target*, a *release*: a directory in
//! the *releases directory*. *Staging* makes a release, *activation* flips links to it, *rollback* flips them back.
//!
//! # What holds at any moment
//!
//! - A directory with a release's name is a whole release: it gets its name by one rename, after it is on disk, and
//!   loses it by another before it is removed.
//! - A link leads to a whole release: it is replaced by `rename(2)`, and what a link leads to is never removed.
//! - Of an activation, either all links lead to the release, or the next command puts all of them right: what it is
//!   about to do is on disk before the first link is flipped.
//! - A lock is the kernel's, and ends with its holder. None that a flip needs is held while something runs that may take
//!   long.

#![forbid(unsafe_code)]

pub mod activation;
pub mod cli;
pub mod commands;
pub mod config;
pub mod drain;
pub mod error;
pub mod fs;
pub mod git;
pub mod os;
pub mod report;
pub mod state;
pub mod tool;
