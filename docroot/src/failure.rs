//! Why a docroot could not be resolved.
//!
//! Owns: the causes, their wording, and which paths a failure concerns. Must not: decide what is served instead; that is
//! `cache.rs`.

use std::ffi::CStr;
use std::fmt;

use crate::path::rest_under;
use crate::resolve::{Resolution, Rules};
use crate::system::Errno;

/// Why a docroot could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    at: Vec<u8>,
    cause: Cause,
    /// The links that it is the fault of.
    links: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    System(Errno),
    OutsideReleases,
}

impl Failure {
    pub(crate) fn new(at: &[u8], errno: Errno) -> Self {
        let at = if at.is_empty() { b"/".to_vec() } else { at.to_vec() };
        Self { at, cause: Cause::System(errno), links: Vec::new() }
    }

    /// The failure of a docroot whose walk had met `links`, each with its target if it had got there. What lies under
    /// a link that leads where it may is not concerned.
    pub(crate) fn behind<'l>(
        self,
        links: impl IntoIterator<Item = (&'l [u8], Option<&'l [u8]>)>,
        rules: &Rules,
    ) -> Self {
        let strays = |target: Option<&[u8]>| match (target, &rules.releases) {
            (Some(target), Some(releases)) => !releases.admits(target),
            _ => true,
        };
        let links = links.into_iter().filter(|(_, target)| strays(*target)).map(|(link, _)| link.to_vec()).collect();
        Self { links, ..self }
    }

    pub(crate) fn outside_releases(resolution: &Resolution, rules: &Rules) -> Self {
        let at = resolution.docroot().to_bytes().to_vec();
        Self { at, cause: Cause::OutsideReleases, links: Vec::new() }.behind(
            resolution.links().iter().map(|link| (link.path().to_bytes(), Some(link.target().to_bytes()))),
            rules,
        )
    }

    /// Whether `path` lies under the configured `docroot`, under what is missing on the way there, or under a link that
    /// led astray, so that the failure is its own.
    pub fn covers(&self, path: &[u8], docroot: &CStr) -> bool {
        let missing = self.errno().map(|_| &self.at[..]);
        let links = self.links.iter().map(Vec::as_slice);
        links.chain(missing).chain([docroot.to_bytes()]).any(|directory| rest_under(path, directory).is_some())
    }

    /// What the operating system said; nothing if it was not the one to refuse.
    pub fn errno(&self) -> Option<Errno> {
        match self.cause {
            Cause::System(errno) => Some(errno),
            Cause::OutsideReleases => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = String::from_utf8_lossy(&self.at);
        match self.cause {
            Cause::System(errno) => write!(f, "{at}: {errno}"),
            Cause::OutsideReleases => write!(f, "{at}: is outside RealdocReleases"),
        }
    }
}

impl std::error::Error for Failure {}
