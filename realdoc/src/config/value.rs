//! Values of the configuration that are more than a string or a number.
//!
//! Owns: their checks, made while the file is parsed, so that every complaint has a line and a column. Must not: look
//! at the file system.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use globset::{Glob, GlobMatcher};
use serde::Deserialize;

/// An absolute path without `.`, `..` and doubled slashes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct AbsolutePath(PathBuf);

impl AbsolutePath {
    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl TryFrom<String> for AbsolutePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let path = Path::new(&text);
        if !path.is_absolute() {
            return Err(format!("\"{text}\" is no absolute path"));
        }
        if path.components().any(|component| component == Component::ParentDir) {
            return Err(format!("\"{text}\" has a `..` in it; write the path without"));
        }
        let path: PathBuf = path.components().collect();
        if path.parent().is_none() {
            return Err("/ cannot be meant".to_owned());
        }
        Ok(Self(path))
    }
}

/// The components of a path that is relative and stays below where it starts.
fn relative(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if path.is_absolute() {
        return Err(format!("\"{text}\" must be relative to the release"));
    }
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(format!("\"{text}\" has a `..` in it and could leave the release"));
    }
    Ok(path.components().filter(|component| *component != Component::CurDir).collect())
}

/// A directory inside a release, or the release itself.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct Subdirectory(PathBuf);

impl Subdirectory {
    /// The path; empty for the release itself.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl TryFrom<String> for Subdirectory {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        relative(&text).map(Self)
    }
}

/// A path in a release that all releases share; a slash at its end says that it is a directory.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct SharedPath {
    path: PathBuf,
    directory: bool,
}

impl SharedPath {
    /// The path, relative to the release and to the shared directory alike.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.path
    }

    /// Whether it is written as a directory, which is made when it is missing.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.directory
    }
}

impl TryFrom<String> for SharedPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let path = relative(&text)?;
        if path.as_os_str().is_empty() {
            return Err("a shared path cannot be the release itself".to_owned());
        }
        Ok(Self { path, directory: text.ends_with('/') })
    }
}

/// Permissions of a directory: `"755"`. Files get them without the right to execute.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct DirectoryMode(u32);

impl DirectoryMode {
    /// The permissions, without `setgid` and its like.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl TryFrom<String> for DirectoryMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(&text);
        let bits = u32::from_str_radix(digits, 8).ok().filter(|_| digits.len() == 3);
        let bits = bits.ok_or_else(|| format!("\"{text}\" is no mode of a directory, like \"755\" or \"750\""))?;
        if bits & 0o700 != 0o700 {
            return Err(format!("\"{text}\": the mode must let the owner read, write and enter"));
        }
        if bits & 0o002 != 0 {
            return Err(format!("\"{text}\": everybody on this machine could write what is served"));
        }
        Ok(Self(bits))
    }
}

/// The names of directories that take turns: `["A", "B"]`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(try_from = "Vec<String>")]
pub struct Slots(Vec<String>);

impl Slots {
    /// The names; empty if each release has a directory of its own.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether a directory is one of them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|slot| slot == name)
    }
}

impl TryFrom<Vec<String>> for Slots {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        for (index, name) in names.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(plain) {
                return Err(format!("\"{name}\" is no name of a slot: letters, digits, `.`, `_` and `-`"));
            }
            if names[..index].contains(name) {
                return Err(format!("there are two slots \"{name}\""));
            }
        }
        if names.len() == 1 {
            return Err("one slot is live, and then there is none to stage into; name two or more".to_owned());
        }
        Ok(Self(names))
    }
}

/// A span of time: `"10min"`, `"90 s"`, `"1h 30m"`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let span: jiff::SignedDuration = text.parse().map_err(|_| {
            format!("\"{text}\" is no span of time in hours, minutes and seconds, like \"10min\" or \"1h 30m\"")
        })?;
        Duration::try_from(span).map(Self).map_err(|_| format!("\"{text}\" is negative"))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

/// The name of an instance or of a group: letters, digits, `.`, `_`, `-`, not beginning with `-`.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct InstanceName(String);

impl InstanceName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for InstanceName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.is_empty() || text.starts_with('-') || !text.chars().all(allowed) {
            return Err(format!("\"{text}\" is no name: letters, digits, `.`, `_` and `-`"));
        }
        Ok(Self(text))
    }
}

/// A link path, or a pattern that many link paths match.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct LinkPattern {
    text: String,
    steps: Vec<Step>,
}

/// One component of a [`LinkPattern`].
#[derive(Clone, Debug)]
pub enum Step {
    /// A name to go down to.
    Name(String),
    /// All names that match.
    Wildcard(GlobMatcher),
}

impl LinkPattern {
    /// The pattern without doubled slashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The components.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What the wildcards stand for, if the path matches.
    #[must_use]
    pub fn matches(&self, path: &Path) -> Option<Vec<String>> {
        let names: Vec<&str> = path.to_str()?.strip_prefix('/')?.split('/').collect();
        if names.len() != self.steps.len() {
            return None;
        }
        let mut wildcards = Vec::new();
        for (step, name) in self.steps.iter().zip(names) {
            match step {
                Step::Name(wanted) if wanted == name => {}
                Step::Wildcard(glob) if stands_for(glob, OsStr::new(name)) => wildcards.push(name.to_owned()),
                _ => return None,
            }
        }
        Some(wildcards)
    }

    /// The path in which the wildcards stand for these names, if they can.
    #[must_use]
    pub fn filled(&self, names: &[&str]) -> Option<PathBuf> {
        let mut names = names.iter();
        let mut path = PathBuf::from("/");
        for step in &self.steps {
            match step {
                Step::Name(name) => path.push(name),
                Step::Wildcard(glob) => {
                    let name = names.next().filter(|name| !matches!(**name, "" | "." | ".."))?;
                    path.push(Some(name).filter(|name| stands_for(glob, OsStr::new(name)))?);
                }
            }
        }
        names.next().is_none().then_some(path)
    }

    /// The path, if it has no wildcard.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        let literal = self.steps.iter().all(|step| matches!(step, Step::Name(_)));
        literal.then(|| Path::new(&self.text))
    }
}

/// Whether a wildcard stands for a name. As in a shell: not for a dot at the beginning, where a flip has its new link.
#[must_use]
pub fn stands_for(glob: &GlobMatcher, name: &OsStr) -> bool {
    let hidden = name.as_encoded_bytes().starts_with(b".");
    (!hidden || glob.glob().glob().starts_with('.')) && glob.is_match(name)
}

impl TryFrom<String> for LinkPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = AbsolutePath::try_from(text)?.0.to_string_lossy().into_owned();
        let steps = text[1..]
            .split('/')
            .map(|component| {
                if component.contains(['*', '?', '[', '{']) {
                    let glob = Glob::new(component).map_err(|error| format!("\"{text}\": {error}"))?;
                    Ok(Step::Wildcard(glob.compile_matcher()))
                } else {
                    Ok(Step::Name(component.to_owned()))
                }
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { text, steps })
    }
}
