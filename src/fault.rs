//! Faults on demand, for the tests.
//!
//! Owns: the request header that makes a hook panic. Must not: be in a release build; it is behind the feature
//! `fault-injection`.

use crate::httpd::Request;

/// Panics if the client asks for a panic in the hook of this name.
pub fn strike(request: Request<'_>, hook: &str) {
    if is_asked(request, hook) {
        panic!("fault injected into {hook}");
    }
}

/// Whether the client asks for a panic in the hook of this name.
pub fn is_asked(request: Request<'_>, hook: &str) -> bool {
    request.header(c"X-Realdoc-Panic").is_some_and(|value| value.to_bytes() == hook.as_bytes())
}
