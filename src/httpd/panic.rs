//! The wall between httpd and a panic.
//!
//! Owns: catching panics at every function that httpd calls. Must not: know what the
//! functions do. A panic that unwound into C would be undefined behaviour, or end the process and with it the
//! requests of all its other threads.

use std::panic::{self, AssertUnwindSafe};

/// Runs `body`; if it panics, the result is `fallback`.
///
/// What `body` was changing may be left half done. All that is shared lies behind locks, whose holders call nothing that
/// can panic in the middle of a change.
pub fn catch_panic<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(payload) => {
            // The drop of a payload is foreign code and may panic as well, and out here nobody would catch that.
            std::mem::forget(payload);
            fallback
        }
    }
}
