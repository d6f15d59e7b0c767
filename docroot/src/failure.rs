//! Why a docroot could not be resolved.
//!
//! Owns: the causes, their wording, and which paths a failure concerns. Must not: decide what is served instead; that is
//! `known.rs`.

use std::ffi::CStr;
use std::fmt;

use crate::path::{folded, led, rest_under};
use crate::resolve::{Link, Resolution, Rules};
use crate::system::Errno;

/// Why a docroot could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    at: Vec<u8>,
    cause: Cause,
    /// The links that it is the fault of.
    links: Vec<Vec<u8>>,
    /// Links that lead above the releases, which is a fault unless another docroot goes through them into a release.
    above: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    System(Errno),
    OutsideReleases,
}

impl Failure {
    pub(crate) fn new(at: &[u8], errno: Errno) -> Self {
        let at = if at.is_empty() { b"/".to_vec() } else { at.to_vec() };
        Self { at, cause: Cause::System(errno), links: Vec::new(), above: Vec::new() }
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

    /// The failure of `docroot`, which led to `resolution`.
    pub(crate) fn outside_releases(docroot: &CStr, resolution: &Resolution, rules: &Rules) -> Self {
        let at = resolution.docroot().to_bytes().to_vec();
        let links = resolution.links();
        // A link may lead to a directory above the releases if a later one leads into one of them. If none does, that
        // was for the last one to do.
        let blamed = match resolution.release() {
            Some(_) => &[],
            None => &links[last_on_the_way(docroot, &links)..],
        };
        let above = blamed.iter().map(|link| link.path().to_bytes().to_vec()).collect();
        Self { at, cause: Cause::OutsideReleases, links: Vec::new(), above }
            .behind(links.iter().map(|link| (link.path().to_bytes(), Some(link.target().to_bytes()))), rules)
    }

    /// Whether `path` lies under the configured `docroot`, under what is missing on the way there, or under a link that
    /// led astray, so that the failure is its own. `is_proven` tells of a link whether another docroot goes through it
    /// into a release. `path` must be written as httpd writes the names of files; `docroot` may have been computed, and
    /// written in any way.
    pub fn covers(&self, path: &[u8], docroot: &CStr, is_proven: impl Fn(&[u8]) -> bool) -> bool {
        let missing = self.errno().map(|_| &self.at[..]);
        let links = self.links.iter().map(Vec::as_slice);
        let above = self.above.iter().map(Vec::as_slice).filter(|link| !is_proven(link));
        let folded = folded(docroot.to_bytes());
        let mut directories = links.chain(above).chain(missing).chain([docroot.to_bytes(), &folded]);
        directories.any(|directory| rest_under(path, directory).is_some())
    }

    /// How far the walk had come.
    pub(crate) fn at(&self) -> &[u8] {
        &self.at
    }

    /// What the operating system said; nothing if it was not the one to refuse.
    pub fn errno(&self) -> Option<Errno> {
        match self.cause {
            Cause::System(errno) => Some(errno),
            Cause::OutsideReleases => None,
        }
    }
}

/// Which is the last of `links` that `docroot` itself goes through. Those behind it were met in its text.
fn last_on_the_way(docroot: &CStr, links: &[Link<'_>]) -> usize {
    let mut path = folded(docroot.to_bytes());
    let mut last = 0;
    for (index, link) in links.iter().enumerate() {
        if let Some(next) = led(&path, link.path().to_bytes(), link.target().to_bytes()) {
            last = index;
            path = folded(&next);
        }
    }
    last
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
