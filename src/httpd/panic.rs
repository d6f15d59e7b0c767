//! The wall between httpd and a panic.
//!
//! Owns: catching panics at every function that httpd calls, and the line in the error log. Must not: know what the
//! functions do. A panic that unwound into C would be undefined behaviour, or end the process and with it the
//! requests of all its other threads.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use crate::httpd::{Level, Server, log};

/// Runs `body`; if it panics, the result is `fallback`.
///
/// What `body` was changing may be left half done. All that is shared lies behind `parking_lot` locks, whose holders
/// call nothing that can panic in the middle of a change.
pub fn guard<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(payload) => {
            // The drop of a payload is foreign code and may panic as well, and out here nobody would catch that.
            std::mem::forget(payload);
            fallback
        }
    }
}

/// Makes panics appear in httpd's error log. The hook belongs to this module's own copy of the standard library, so
/// that other modules in Rust are not touched by it, and leaves with it when httpd unloads the module.
pub fn install() {
    panic::set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    log!(Server::NONE, Level::Critical, "mod_realdoc panicked, which is a bug: {panic}");
}
