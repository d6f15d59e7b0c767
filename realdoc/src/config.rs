//! `realdoc.toml`: where it is found, what may stand in it, and errors with line and column.
//!
//! Owns: the keys and their checks. Must not: look at anything else than the configuration file itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};

mod assets;
mod drain;
mod places;
mod value;

pub use assets::Assets;
pub use drain::{Drain, NAME, USUAL};
pub use places::{PLACES, find};
pub use value::{
    AbsolutePath, DirectoryMode, InstanceName, LinkPattern, SharedPath, Slots, Span, Step, Subdirectory, stands_for,
};

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the code comes from.
    pub git: Git,
    /// Where it goes.
    pub releases: Releases,
    /// What all releases have in common.
    #[serde(default)]
    pub shared: Shared,
    /// What is run on the way.
    #[serde(default)]
    pub commands: Commands,
    /// How long what is run may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Who has to get at what is deployed.
    #[serde(default)]
    pub httpd: Httpd,
    /// How to wait for requests.
    #[serde(default)]
    pub drain: Drain,
    /// How long httpd may serve the assets of earlier releases.
    #[serde(default)]
    pub assets: Assets,
    /// What PHP's OPcache has room for.
    #[serde(default)]
    pub opcache: Opcache,
    /// The links: a name and a path each, or a name and a pattern of paths.
    #[serde(default)]
    pub instances: BTreeMap<InstanceName, LinkPattern>,
}

/// `[git]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// A URL that `git fetch` understands, or the path of a repository on this machine.
    pub source: String,
    /// Whether to fetch before a reference is looked up.
    #[serde(default = "yes")]
    pub fetch: bool,
    /// Whether the releases contain the submodules.
    #[serde(default)]
    pub submodules: bool,
}

/// `[releases]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Releases {
    /// The directory that holds a directory for each release.
    pub directory: AbsolutePath,
    /// How many releases to keep in all.
    #[serde(default = "five")]
    pub keep: usize,
    /// How long a release is kept after it was last live.
    #[serde(default = "ten_minutes")]
    pub prune_after: Span,
    /// The directory inside a release that the links lead to; empty for the release itself.
    #[serde(default)]
    pub subdirectory: Subdirectory,
    /// The permissions of the directories in a release; files get them without the right to execute.
    pub mode: Option<DirectoryMode>,
    /// The group that a release belongs to.
    pub group: Option<String>,
    /// The directories that take turns, for `UseReadlink`; none if each release has a directory of its own.
    #[serde(default)]
    pub slots: Slots,
}

/// `[shared]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// The directory that the shared paths really are in; by default `shared` beside the releases directory.
    pub directory: Option<AbsolutePath>,
    /// Paths in a release that become links to the same path in the shared directory.
    #[serde(default)]
    pub paths: Vec<SharedPath>,
    /// Whose a shared directory is that is made: `USER` or `USER:GROUP`.
    pub owner: Option<String>,
    /// The permissions of a shared directory that is made.
    pub mode: Option<DirectoryMode>,
}

/// `[commands]`: each a line for `/bin/sh`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// Run one after the other inside a new release, before it gets its name.
    #[serde(default)]
    pub build: Vec<String>,
    /// Run once in a release at its final path, before it goes live for the first time.
    #[serde(default)]
    pub prepare: Vec<String>,
    /// Run inside the release before a link is flipped to it; failure stops the flip.
    pub check: Option<String>,
    /// Run after the check, before an activation flips links: requests that fill caches.
    pub warm: Option<String>,
    /// Run after an activation and its reload, again and again; failure takes the activation back.
    pub probe: Option<String>,
    /// For how long it is run again.
    #[serde(default = "half_a_minute")]
    pub probe_for: Span,
    /// Run when a command that changes something has failed.
    pub on_failure: Option<String>,
    /// Run once after the links are flipped.
    pub reload: Option<String>,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            build: Vec::new(),
            prepare: Vec::new(),
            check: None,
            warm: None,
            reload: None,
            probe: None,
            probe_for: half_a_minute(),
            on_failure: None,
        }
    }
}

/// `[timeouts]`: whatever takes longer is ended with everything that it has started; 0 is for ever.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Each call of git: a fetch, a submodule's checkout, an export.
    pub git: Span,
    /// Each command that builds or prepares.
    pub build: Span,
    /// The check command, for one release.
    pub check: Span,
    /// The command that warms, for one release.
    pub warm: Span,
    /// The reload command.
    pub reload: Span,
    /// Each run of the probe.
    pub probe: Span,
    /// The command that tells of a failure.
    pub on_failure: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |minutes: u64| Span(Duration::from_secs(60 * minutes));
        Self {
            git: minutes(10),
            build: minutes(60),
            check: minutes(5),
            warm: minutes(5),
            reload: minutes(2),
            probe: Span(Duration::from_secs(10)),
            on_failure: minutes(1),
        }
    }
}

/// `[httpd]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Httpd {
    /// The user that httpd runs as, and what it runs PHP as.
    pub user: Option<String>,
}

/// `[opcache]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opcache {
    /// `opcache.max_accelerated_files` of the PHP that serves the instances.
    #[serde(default = "ten_thousand")]
    pub max_accelerated_files: u64,
}

impl Default for Opcache {
    fn default() -> Self {
        Self { max_accelerated_files: ten_thousand() }
    }
}

fn yes() -> bool {
    true
}

fn five() -> usize {
    5
}

/// PHP's own default.
fn ten_thousand() -> u64 {
    10_000
}

fn half_a_minute() -> Span {
    Span(Duration::from_secs(30))
}

fn ten_minutes() -> Span {
    Span(Duration::from_secs(600))
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Config`] with line and column if it cannot be used.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                Error::NotFound(format!("there is no configuration {}", path.display()))
            } else {
                Error::Io { doing: "read", path: path.to_owned(), source: error }
            }
        })?;
        let config = Self::parse(&text).map_err(|message| {
            // The message begins with the position and shows the line.
            Error::Config(format!("{}: {}", path.display(), message.trim_end()))
        })?;
        // The parent of a bare name is "", which is no path to anything.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(config.relative_to(directory.unwrap_or(Path::new("."))))
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| plain(&error.to_string()))?;
        let mut links = BTreeMap::new();
        for (name, pattern) in &config.instances {
            if let Some(other) = links.insert(pattern.as_str(), name) {
                return Err(format!("[instances] {other} and {name} are both the link {}", pattern.as_str()));
            }
            // A flip would cut off the releases, and the tool from its state.
            if pattern.as_path().is_some_and(|link| config.releases.directory.as_path().starts_with(link)) {
                return Err(format!("[instances] {name}: the releases would be below the link {}", pattern.as_str()));
            }
        }
        Ok(config)
    }

    /// A repository path that is written relative is relative to the configuration file.
    fn relative_to(mut self, directory: &Path) -> Self {
        if let Some(path) = self.git.source_path().filter(|path| path.is_relative()) {
            let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
            self.git.source = directory.join(path).to_string_lossy().into_owned();
        }
        self
    }

    /// The directory of the shared paths.
    #[must_use]
    pub fn shared_directory(&self) -> PathBuf {
        self.shared.directory.as_ref().map_or_else(
            || self.releases.directory.as_path().parent().unwrap_or(Path::new("/")).join("shared"),
            |directory| directory.as_path().to_owned(),
        )
    }
}

impl Git {
    /// The source as a path, if it is written as one: beginning with `/` or `.`.
    #[must_use]
    pub fn source_path(&self) -> Option<PathBuf> {
        self.source.starts_with(['/', '.']).then(|| PathBuf::from(&self.source))
    }
}

/// A parser's message in words for people who write configurations.
fn plain(message: &str) -> String {
    let words = [
        ("TOML parse error at line", "line"),
        ("unknown field", "there is no key"),
        ("missing field", "it needs the key"),
        ("invalid type: ", "this is the "),
        ("invalid value: ", "this is the "),
        ("duplicate key", "a second key"),
        (", expected a sequence", "; it must be a list, as in [\"...\"]"),
        (", expected a string", "; it must be text in quotes"),
        (", expected a boolean", "; it must be true or false"),
        (", expected usize", "; it must be a number from 0 on"),
        (", expected u64", "; it must be a number from 0 on"),
        (", expected one of ", "; there are "),
        (", expected ", "; it must be "),
    ];
    words.iter().fold(message.to_owned(), |message, (jargon, plain)| message.replace(jargon, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "[git]\nsource = \"/srv/app.git\"\n[releases]\ndirectory = \"/srv/app/releases\"\n";

    #[test]
    fn little_is_needed_and_the_rest_has_defaults() {
        let config = Config::parse(LEAST).unwrap();
        assert_eq!(config.releases.keep, 5);
        assert_eq!(config.releases.prune_after.0, Duration::from_secs(600));
        assert_eq!(config.shared_directory(), Path::new("/srv/app/shared"));
        assert_eq!(config.opcache.max_accelerated_files, 10_000);
        assert!(config.git.fetch && !config.git.submodules && config.instances.is_empty());
    }

    /// The message for `LEAST` with `lines` after it.
    fn error(lines: &str) -> String {
        Config::parse(&format!("{LEAST}{lines}")).unwrap_err()
    }

    #[test]
    fn what_cannot_be_used_is_an_error_with_line_and_column() {
        for (lines, place, says) in [
            ("kep = 3", "line 5, column 1", "there is no key `kep`"),
            ("keep = \"3\"", "line 5, column 8", "this is the string \"3\"; it must be a number from 0 on"),
            ("keep = -1", "line 5, column 8", "this is the integer `-1`; it must be a number from 0 on"),
            ("prune_after = \"soon\"", "line 5, column 15", "no span of time"),
            ("prune_after = \"1d\"", "line 5, column 15", "hours, minutes and seconds"),
            ("prune_after = \"-1min\"", "line 5, column 15", "negative"),
            ("prune_after = 10", "line 5, column 15", "this is the integer `10`; it must be text in quotes"),
            ("subdirectory = \"../x\"", "line 5, column 16", ".."),
            ("[shared]\npaths = [\"a\", \"/b\"]", "line 6, column 9", "relative"),
            ("[shared]\npaths = [\"a/../b\"]", "line 6, column 9", ".."),
            ("[shared]\ndirectory = \"shared\"", "line 6, column 13", "absolute"),
            ("[commands]\nbuild = \"make\"", "line 6, column 9", "it must be a list"),
            ("[instances]\nshop = \"www/shop\"", "line 6, column 8", "absolute"),
            ("[instances]\nshop = \"/var/www/[\"", "line 6, column 8", "unclosed"),
            ("[instances]\n\"a b\" = \"/var/www/a\"", "line 6, column 1", "name"),
            ("[instance]\n", "line 5, column 2", "there is no key `instance`"),
        ] {
            let message = error(lines);
            assert!(message.contains(place), "{lines}: {message}");
            assert!(message.contains(says), "{lines}: {message}");
        }
    }

    #[test]
    fn two_names_for_one_link_are_refused() {
        let message = error("[instances]\na = \"/var/www/a\"\nb = \"/var/www//a/\"");
        assert!(message.contains("a and b are both the link /var/www/a"), "{message}");
    }

    #[test]
    fn a_link_above_the_releases_is_refused() {
        for link in ["/srv/app", "/srv/app/releases"] {
            let message = error(&format!("[instances]\na = \"{link}\""));
            assert!(
                message.contains(&format!("[instances] a: the releases would be below the link {link}")),
                "{message}"
            );
        }
    }

    #[test]
    fn a_relative_source_is_relative_to_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("realdoc.toml");
        fs::write(&file, LEAST.replace("/srv/app.git", "./app.git")).unwrap();
        let config = Config::load(&file).unwrap();
        assert_eq!(Path::new(&config.git.source), dir.path().canonicalize().unwrap().join("./app.git"));
    }
}
