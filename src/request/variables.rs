//! The variables that applications and `LogFormat` get.

use std::ffi::CStr;

use docroot::Resolution;

use crate::config::server::Site;
use crate::httpd::{Request, Text};
use crate::request::pin::text;

/// The docroot as configured or computed.
const DOCUMENT_ROOT: &CStr = c"REALDOC_DOCUMENT_ROOT";
/// The name of the release.
const RELEASE: &CStr = c"REALDOC_RELEASE";
/// The name of the release that an asset comes from.
const ASSET_RELEASE: &CStr = c"REALDOC_ASSET_RELEASE";

/// Adds the variables to a request that cannot have them yet. An internal redirect starts with a table of its own, in
/// which httpd has renamed the variables of the request before.
#[inline(always)]
pub fn add<'r>(request: Request<'_, 'r>, site: &'r Site<'r>, resolution: Option<&'r Resolution>) {
    let Some(variables) = request.variables() else { return };
    // The release first, so that the resolution need not be saved across a call.
    if let Some(release) = resolution.and_then(release_of) {
        variables.add(RELEASE, release);
    }
    variables.add(DOCUMENT_ROOT, site.configured());
}

/// Replaces the variables by those of another docroot.
pub fn set<'r>(request: Request<'_, 'r>, docroot: Text<'r>, resolution: Option<&'r Resolution>) {
    let Some(variables) = request.variables() else { return };
    variables.set(DOCUMENT_ROOT, docroot);
    match resolution.and_then(release_of) {
        Some(release) => variables.set(RELEASE, release),
        None => variables.unset(RELEASE),
    }
}

/// Names the release that an asset comes from, or none.
pub fn set_asset_release<'r>(request: Request<'_, 'r>, release: Option<&'r CStr>) {
    let Some(variables) = request.variables() else { return };
    match release {
        Some(release) => variables.set(ASSET_RELEASE, release.into()),
        None => variables.unset(ASSET_RELEASE),
    }
}

/// Removes the variables.
pub fn unset(request: Request<'_, '_>) {
    let Some(variables) = request.variables() else { return };
    variables.unset(DOCUMENT_ROOT);
    variables.unset(RELEASE);
}

#[inline]
fn release_of(resolution: &Resolution) -> Option<Text<'_>> {
    resolution.release_terminated().map(text)
}
