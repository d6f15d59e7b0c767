//! Faults on demand, for the tests.
//!
//! Owns: the request header that makes a hook panic. Must not: be in a release build; it is behind the feature
//! `fault-injection`.

use crate::httpd::{Request, Root};
use crate::module::Realdoc;

/// Panics if the client asks for a panic in the hook of this name.
pub fn trigger(request: Request<'_, '_>, hook: &str) {
    if is_asked(request, hook) {
        panic!("fault injected into {hook}");
    }
}

/// Lets the cleanup of a request panic, if the client asks for that.
pub fn arm_cleanup<'r>(request: Request<'_, 'r>, root: Root<'r>) {
    if is_asked(request, "cleanup") {
        root.own::<Realdoc, _>(PanicAtEnd);
    }
}

struct PanicAtEnd;

impl Drop for PanicAtEnd {
    fn drop(&mut self) {
        panic!("fault injected into cleanup");
    }
}

/// Whether the client asks for a panic in the hook of this name.
fn is_asked(request: Request<'_, '_>, hook: &str) -> bool {
    request.header(c"X-Realdoc-Panic").is_some_and(|value| value.to_bytes() == hook.as_bytes())
}
