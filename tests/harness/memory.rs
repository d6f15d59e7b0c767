//! The memory of an httpd's children, at one moment and at a later one.
//!
//! Owns: how much a child may grow that has had everything in use. Must not: put load on the server.

use crate::httpd::Httpd;
use crate::process::private_memory;

/// What the allocator and httpd's pools may take on top once everything was in use.
const GROWTH: u64 = 2 * 1024 * 1024;

/// The children of a server at one moment, each with its private memory in bytes.
#[derive(Clone, Debug)]
pub struct Memory(Vec<(u32, u64)>);

impl Memory {
    /// Of the children as they are now, which must be that many.
    ///
    /// # Panics
    /// If there never are that many.
    #[must_use]
    pub fn of_children(httpd: &Httpd, count: usize) -> Self {
        Self(httpd.all_children(count).into_iter().map(|pid| (pid, private_memory(pid).unwrap_or(0))).collect())
    }

    /// Asserts that the children are the same as before, and about as large. `before`, everything must have been in use.
    ///
    /// # Panics
    /// If one is another or has grown.
    pub fn assert_flat_since(&self, before: &Self) {
        for ((pid, before), (after_pid, after)) in before.0.iter().zip(&self.0) {
            assert_eq!(pid, after_pid, "the children are the same");
            assert!(after.saturating_sub(*before) < GROWTH, "child {pid} grew from {before} to {after}");
        }
    }
}
