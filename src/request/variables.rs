//! The variables that applications and `LogFormat` get.

use std::ffi::CStr;

use docroot::Resolution;

use crate::config::directives::Site;
use crate::httpd::{Request, Text};

/// The docroot as configured or computed.
const DOCUMENT_ROOT: &CStr = c"REALDOC_DOCUMENT_ROOT";
/// The name of the release.
const RELEASE: &CStr = c"REALDOC_RELEASE";

/// Adds the variables to a request that cannot have them yet. An internal redirect starts with a table of its own, in
/// which httpd has renamed the variables of the request before.
#[inline(always)]
pub fn add<'r>(request: Request<'r>, site: &'r Site<'r>, resolution: Option<&'r Resolution>) {
    // The release first, so that the resolution need not be saved across a call.
    if let Some(release) = resolution.and_then(Resolution::release_terminated) {
        request.add_variable(RELEASE, release.into());
    }
    request.add_variable(DOCUMENT_ROOT, site.configured());
}

/// Replaces the variables by those of another docroot.
pub fn set<'r>(request: Request<'r>, docroot: Text<'r>, resolution: Option<&'r Resolution>) {
    request.set_variable(DOCUMENT_ROOT, docroot);
    match resolution.and_then(Resolution::release_terminated) {
        Some(release) => request.set_variable(RELEASE, release.into()),
        None => request.unset_variable(RELEASE),
    }
}

/// Removes the variables.
pub fn unset(request: Request<'_>) {
    request.unset_variable(DOCUMENT_ROOT);
    request.unset_variable(RELEASE);
}
