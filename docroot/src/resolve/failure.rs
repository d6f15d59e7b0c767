//! Why a docroot could not be resolved.
//!
//! Owns: the causes, their wording, and the paths that a failure covers. Must not: decide what is served instead.

use std::ffi::CStr;
use std::fmt;

use crate::config::releases::Releases;
use crate::os::system::Errno;
use crate::path::{folded, rest_under};
use crate::resolve::hop::{Led, LinkHop};

/// Why a docroot could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    at: Vec<u8>,
    cause: Cause,
    /// Links that lead nowhere, or where the rules do not admit them.
    astray: Vec<Vec<u8>>,
    /// Links that the rules admit, but that should have led into a release with this docroot. Another docroot may prove
    /// that they lead into one.
    unproven: Vec<Vec<u8>>,
    /// Admitted links on the way to those, each with its target.
    passed: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    System(Errno),
    OutsideReleases,
    /// A link behind the first one leads out of the releases, in a mode that follows only the first.
    AnotherLink,
}

impl Failure {
    pub(crate) fn new(at: &[u8], errno: Errno) -> Self {
        Self::of(at, Cause::System(errno))
    }

    /// The failure of a docroot in readlink mode with a second link that leads out of the releases, to `at`.
    pub(crate) fn another_link(at: &[u8]) -> Self {
        Self::of(at, Cause::AnotherLink)
    }

    /// The failure of a docroot that leads to `at`, out of the releases.
    pub(crate) fn outside_releases(at: &[u8]) -> Self {
        Self::of(at, Cause::OutsideReleases)
    }

    fn of(at: &[u8], cause: Cause) -> Self {
        let at = if at.is_empty() { b"/".to_vec() } else { at.to_vec() };
        Self { at, cause, astray: Vec::new(), unproven: Vec::new(), passed: Vec::new() }
    }

    /// The same failure with the links to blame: `hops` are those that the walk had met. The link `entering`, the last
    /// that the docroot itself goes through, was to lead into a release.
    pub(crate) fn judged(mut self, hops: &[LinkHop], entering: Option<usize>, releases: Option<&Releases>) -> Self {
        for (index, LinkHop { link, target, .. }) in hops.iter().enumerate() {
            let admitted = target.as_ref().filter(|target| releases.is_some_and(|releases| releases.admits(target)));
            match admitted {
                None => self.astray.push(link.clone()),
                Some(_) if entering.is_some_and(|entering| index >= entering) => self.unproven.push(link.clone()),
                Some(target) => self.passed.push((link.clone(), target.clone())),
            }
        }
        self
    }

    /// Whether the failure covers `path`: it lies under the configured `docroot`, under the missing component on the
    /// way there, or under a link that leads astray. `is_proven` tells whether another docroot goes through a link into
    /// a release. `path` must be in httpd's spelling; `docroot` may be computed, in any spelling.
    pub fn covers(&self, path: &[u8], docroot: &CStr, is_proven: impl Fn(&[u8]) -> bool) -> bool {
        let missing = self.errno().map(|_| &self.at[..]);
        let astray = self.astray.iter().map(Vec::as_slice);
        let unproven = self.unproven.iter().map(Vec::as_slice).filter(|link| !is_proven(link));
        let folded = folded(docroot.to_bytes());
        let mut directories = astray.chain(unproven).chain(missing).chain([docroot.to_bytes(), &folded]);
        directories.any(|directory| rest_under(path, directory).is_some())
    }

    /// Leads an absolute path through the admitted links, although the docroot behind them failed; `None` if it lies
    /// under none of them.
    pub fn lead(&self, path: &[u8]) -> Option<Led> {
        Led::through(path, self.passed.iter().map(|(link, target)| (&link[..], &target[..])))
    }

    /// The error of the operating system; `None` if the rules refuse the docroot.
    pub fn errno(&self) -> Option<Errno> {
        match self.cause {
            Cause::System(errno) => Some(errno),
            Cause::OutsideReleases | Cause::AnotherLink => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = String::from_utf8_lossy(&self.at);
        match self.cause {
            Cause::System(errno) => write!(f, "{at}: {errno}"),
            Cause::OutsideReleases => write!(f, "{at}: is outside RealdocReleases"),
            Cause::AnotherLink => {
                write!(f, "{at}: is outside RealdocReleases, by a link behind the first")
            }
        }
    }
}

impl std::error::Error for Failure {}
