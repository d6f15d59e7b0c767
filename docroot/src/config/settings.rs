//! What the directives of one server set, with defaults and inheritance.

use std::path::PathBuf;
use std::time::Duration;

use crate::assets::prefixes::Prefixes;
use crate::config::releases::Releases;
use crate::config::rules::{Mode, Rules};

/// The settings of one server or virtual host; `None` is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `Realdoc`: whether docroots are resolved at all.
    pub enabled: Option<bool>,
    /// `RealpathEvery`: how long a lookup counts.
    pub every: Option<Duration>,
    /// `UseReadlink`: how far links are followed.
    pub mode: Option<Mode>,
    /// `RealdocReleases`: where links may lead; `Some(None)` is anywhere (`Off`).
    pub releases: Option<Option<Releases>>,
    /// `RealdocAssets`: the prefixes of assets; `Some(None)` is none (`Off`).
    pub assets: Option<Option<Prefixes>>,
    /// `RealdocInUse`: where requests are counted. Of the server config only.
    pub in_use: Option<InUseFile>,
}

/// The value of `RealdocInUse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InUseFile {
    /// In a file where the server keeps such files.
    #[default]
    On,
    /// Nowhere.
    Off,
    /// In this file.
    At(PathBuf),
}

impl Settings {
    /// The settings of a virtual host that sets `self` in a server that sets `server`.
    #[must_use]
    pub fn over(&self, server: &Self) -> Self {
        Self {
            enabled: self.enabled.or(server.enabled),
            every: self.every.or(server.every),
            mode: self.mode.clone().or_else(|| server.mode.clone()),
            releases: self.releases.clone().or_else(|| server.releases.clone()),
            in_use: self.in_use.clone().or_else(|| server.in_use.clone()),
            assets: self.assets.clone().or_else(|| server.assets.clone()),
        }
    }

    /// Whether docroots are resolved; they are unless `Realdoc Off` says otherwise.
    pub fn enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// How long a lookup counts; by default not at all, so that each request has its own.
    pub fn every(&self) -> Duration {
        self.every.unwrap_or(Duration::ZERO)
    }

    /// The prefixes of assets, if releases are retained for any.
    pub fn assets(&self) -> Option<&Prefixes> {
        self.assets.as_ref().and_then(Option::as_ref)
    }

    /// Whether `RealdocAssets` lacks the `RealdocReleases` that say where the retained releases may be.
    pub fn lacks_releases(&self) -> bool {
        self.enabled() && self.assets().is_some() && self.releases.clone().flatten().is_none()
    }

    /// How docroots are resolved; by default their links are followed to the end, wherever they lead.
    pub fn rules(&self) -> Rules {
        Rules { mode: self.mode.clone().unwrap_or_default(), releases: self.releases.clone().flatten() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::parse_releases;

    #[test]
    fn a_virtual_host_inherits_what_it_does_not_set() {
        let server = Settings {
            enabled: Some(false),
            every: Some(Duration::from_secs(2)),
            mode: Some(Mode::Readlink { from: None }),
            releases: Some(Some(Releases::default())),
            in_use: Some(InUseFile::Off),
            assets: Prefixes::parse(&[b"/build/"]).map(Some).unwrap(),
        };
        assert_eq!(Settings::default().over(&server), server);
        let host = Settings {
            enabled: Some(true),
            every: Some(Duration::ZERO),
            mode: Some(Mode::Realpath),
            releases: parse_releases(&[b"Off"]).map(Some).unwrap(),
            in_use: Some(InUseFile::On),
            assets: Prefixes::parse(&[b"Off"]).map(Some).unwrap(),
        };
        assert_eq!(host.over(&server), host, "and may set any of them back");
        let nothing = Settings::default();
        assert!(nothing.enabled() && nothing.every() == Duration::ZERO && nothing.rules() == Rules::default());
        assert!(nothing.assets().is_none());
    }

    #[test]
    fn assets_need_releases() {
        let assets = Settings { assets: Prefixes::parse(&[b"/build/"]).map(Some).unwrap(), ..Settings::default() };
        let releases = Settings { releases: parse_releases(&[b"/srv/*"]).map(Some).unwrap(), ..Settings::default() };
        assert!(assets.lacks_releases() && !releases.lacks_releases() && !Settings::default().lacks_releases());
        assert!(!assets.over(&releases).lacks_releases());
        let off = Settings { releases: parse_releases(&[b"Off"]).map(Some).unwrap(), ..Settings::default() };
        assert!(off.over(&assets.over(&releases)).lacks_releases());
        let none = Settings { assets: Prefixes::parse(&[b"Off"]).map(Some).unwrap(), ..Settings::default() };
        assert!(!none.over(&assets).lacks_releases());
        assert!(
            !Settings { enabled: Some(false), ..assets }.lacks_releases(),
            "a server that is left alone needs nothing"
        );
    }
}
