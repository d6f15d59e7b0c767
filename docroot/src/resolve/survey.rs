//! The links on the way to a docroot, for checks of the configuration.

use std::ffi::CStr;

use crate::config::rules::{Mode, Rules};
use crate::os::system::System;
use crate::path::rest_under;
use crate::resolve::hop::LinkHop;
use crate::resolve::readlink::{Found, first_link};
use crate::resolve::realpath::Walk;

/// The links on the way to a docroot, as far as a walk gets. A link has no target if it leads nowhere, or where the
/// rules do not admit it. A missing component is not taken for a link.
pub fn survey(system: &impl System, docroot: &CStr, rules: &Rules) -> Vec<LinkHop> {
    survey_from(system, b"", docroot, rules)
}

/// [`survey`] that does not read the components up to `real`, a directory without a link in its path. Has no effect on
/// a docroot that is not below `real`, or where the rules say where the search begins.
pub fn survey_from(system: &impl System, real: &[u8], docroot: &CStr, rules: &Rules) -> Vec<LinkHop> {
    let path = docroot.to_bytes();
    let mut hops = match &rules.mode {
        Mode::Readlink { from } => {
            let start = from.as_deref().map_or(real, CStr::to_bytes);
            match first_link(system, path, start) {
                Ok(Found::Link { hop, .. }) => vec![hop],
                Ok(Found::Canonical(_)) | Err(_) => Vec::new(),
            }
        }
        Mode::Realpath => {
            let rest = rest_under(path, real).unwrap_or(path);
            let mut walk = Walk::from(system, path.len() - rest.len(), path);
            // A failure shows in the hops: those that the walk did not reach the end of have no target.
            let _ = walk.run();
            walk.links
        }
    };
    if let Some(releases) = &rules.releases {
        for hop in &mut hops {
            hop.target = hop.target.take().filter(|target| releases.admits(target));
        }
    }
    hops
}
