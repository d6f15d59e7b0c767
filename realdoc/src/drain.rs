//! Waiting until nobody uses a release, so that it may be removed or overwritten.
//!
//! Owns: the order of the steps. Must not: remove anything.
//!
//! 1. With the lock: no link that is known leads to the release.
//! 2. The release is claimed, which whoever works in it without httpd holds off (`flock -s RELEASE command`).
//! 3. Without the lock, because it may take long: the window of httpd's processes passes (`RealpathEvery`), and their
//!    counts of the release come to zero.
//! 4. With the lock again: every link is the one that it was in step 1. If one was flipped meanwhile, all begins anew.
//!
//! What is not known is not zero: without a file that httpd counts in, a release is [`Use::Unknown`].

mod files;
mod usage;
mod wait;

pub use files::{Counts, Files};
pub use usage::Use;
pub use wait::{Draining, Ended, Time, expect_free, wait, wait_unlocked};
