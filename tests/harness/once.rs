//! What is built or found once in this process, however many tests ask for it.
//!
//! Owns: that all of them get the same thing, or the same error. Must not: know what it is.

use std::sync::OnceLock;

use anyhow::{Result, bail};

/// A place for such a thing: a `static`.
pub(crate) struct Once<T>(OnceLock<Result<T, String>>);

impl<T> Once<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The thing, which `make` makes for the first who asks.
    pub(crate) fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        match self.0.get_or_init(|| make().map_err(|error| format!("{error:#}"))) {
            Ok(thing) => Ok(thing),
            Err(message) => bail!("{message}"),
        }
    }
}
