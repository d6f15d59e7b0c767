//! The time at which httpd configures itself.
//!
//! Owns: the proof that there is one thread. Must not: outlive the call that httpd made.

use std::marker::PhantomData;

use super::pool::Pool;

/// The proof that httpd is configuring itself, in its only thread: no request is served meanwhile. `'s` lasts as long as
/// that configuration.
///
/// Each hook that httpd runs for that gets one, and lends it to the functions that write what requests read. It can be
/// neither copied nor sent to another thread.
///
/// To C it is the pool of the configuration. The type tells that pool from the other pools that httpd hands to hooks.
#[repr(transparent)]
pub struct Configuring<'s> {
    pool: Pool<'s>,
    /// `'s` can be neither lengthened nor shortened.
    life: PhantomData<fn(&'s ()) -> &'s ()>,
}

impl<'s> Configuring<'s> {
    /// Makes the proof.
    ///
    /// # Safety
    /// httpd has called a function of ours to configure itself, and the proof is dropped before that function returns.
    /// `pool` is the pool of the configuration, which lives for `'s`.
    pub unsafe fn new(pool: Pool<'s>) -> Self {
        Self { pool, life: PhantomData }
    }

    /// The pool of the configuration.
    pub fn pool(&self) -> Pool<'s> {
        self.pool
    }
}
