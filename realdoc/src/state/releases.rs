//! The releases directory: the releases in it and the hidden state beside them.
//!
//! Owns: the names of everything in that directory, and which directory is which release. Must not: create or remove a
//! release (`stage` and `prune` do), or look at links.
//!
//! # What is in it
//!
//! | name | what |
//! |---|---|
//! | `NAME/` | a whole release |
//! | `.realdoc/lock` | locked while links are flipped, the history is written, releases are taken away |
//! | `.realdoc/stage.lock` | locked while a release is made |
//! | `.realdoc/wanted` | locked by whoever must not wait until somebody has waited for requests |
//! | `.realdoc/releases/NAME.json` | which commit a release is; a release without one was not staged by this tool |
//! | `.realdoc/releases/NAME.gone` | there was a release of this name; it is not used again |
//! | `.realdoc/history.jsonl` | every flip and every mark, in order |
//! | `.realdoc/retained` | the releases whose assets httpd may serve, the newest first; httpd reads it |
//! | `.realdoc/journal` | the activation that is going on, or that a crash left half-done; a reload that is owed |
//! | `.realdoc/repository` | what has been fetched |
//! | `.realdoc-staging-*`, `.realdoc-trash-*` | a release on its way in, or out |

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::fs::durable;

/// What the name of a release that is being staged begins with.
pub const STAGING_PREFIX: &str = ".realdoc-staging-";
/// What the name of a release that is being removed begins with.
pub const TRASH_PREFIX: &str = ".realdoc-trash-";
const STATE: &str = ".realdoc";
/// What the name of a record ends with whose release has been removed.
pub const RETIRED: &str = ".gone";

/// The releases directory.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
    real: PathBuf,
}

/// A release.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its name: the last component of its path.
    pub name: String,
    /// Its directory, spelled as in the configuration.
    pub path: PathBuf,
    /// What is known of it, if this tool staged it.
    pub record: Option<Record>,
    /// Whether there is a record of it which cannot be read.
    pub is_damaged: bool,
    /// When its directory was last changed; stands in for the time of staging where that is unknown.
    pub changed: Timestamp,
}

/// What is known of a release that this tool staged.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// The commit, in full.
    pub commit: String,
    /// The tag, branch or commit that was asked for.
    pub reference: String,
    /// Other tags and branches that were asked for later and stood for the same commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// When it got its name.
    pub staged: Timestamp,
    /// Whether it has been prepared; none if there was nothing to prepare when it was staged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<bool>,
}

impl Record {
    /// Whether it was staged from this tag or branch.
    #[must_use]
    pub fn is_of(&self, reference: &str) -> bool {
        self.reference == reference || self.also.iter().any(|other| other == reference)
    }
}

impl Release {
    /// Whether something has to be done before it goes live.
    #[must_use]
    pub fn needs_preparation(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.prepared == Some(false))
    }

    /// When it was staged, as far as that is known.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.record.as_ref().map_or(self.changed, |record| record.staged)
    }
}

impl Store {
    /// The releases directory, which must exist.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not exist.
    pub fn open(directory: &Path) -> Result<Self> {
        let real = directory.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::NotFound(format!(
                "the releases directory {} does not exist; `realdoc init` makes it",
                directory.display()
            )),
            _ => Error::Io { doing: "open", path: directory.to_owned(), source: error },
        })?;
        if !real.is_dir() {
            return Err(Error::Refused(format!("{} is no directory", directory.display())));
        }
        Ok(Self { directory: directory.to_owned(), real })
    }

    /// Makes the directories for the state.
    ///
    /// # Errors
    /// What the file system says.
    pub fn prepare(&self) -> Result<()> {
        let records = self.state("releases");
        fs::create_dir_all(&records).context("create", &records)
    }

    /// The directory as it is written in the configuration.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether this is the releases directory, or one above it.
    #[must_use]
    pub fn is_below(&self, directory: &Path) -> bool {
        directory.canonicalize().is_ok_and(|directory| self.real.starts_with(directory))
    }

    /// A file of the state.
    #[must_use]
    pub fn state(&self, name: &str) -> PathBuf {
        self.directory.join(STATE).join(name)
    }

    /// The path of a release, spelled as in the configuration.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What a link to a release leads to: the release, or the directory in it that the configuration names.
    #[must_use]
    pub fn target_of(&self, name: &str, subdirectory: &Path) -> PathBuf {
        let path = self.path_of(name);
        // Joined to nothing, a path would get a slash at its end.
        if subdirectory.as_os_str().is_empty() { path } else { path.join(subdirectory) }
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.state("releases").join(format!("{name}.json"))
    }

    /// The releases, sorted by name.
    ///
    /// # Errors
    /// What the file system says, or a record that is damaged.
    pub fn releases(&self) -> Result<Vec<Release>> {
        let mut releases = Vec::new();
        for entry in fs::read_dir(&self.directory).context("read", &self.directory)? {
            let name = entry.context("read", &self.directory)?.file_name();
            // Another encoding than UTF-8 cannot be recorded; such a directory is left alone by everything.
            let Some(name) = name.to_str() else { continue };
            releases.extend(self.release(name)?);
        }
        releases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(releases)
    }

    /// The release of that name, if there is one.
    ///
    /// # Errors
    /// What the file system says, or a record that is damaged.
    pub fn release(&self, name: &str) -> Result<Option<Release>> {
        if !is_release_name(OsStr::new(name)) {
            return Ok(None);
        }
        let path = self.path_of(name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => metadata,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("look at", &path),
        };
        let changed = metadata.modified().context("look at", &path)?;
        let changed = Timestamp::try_from(changed).unwrap_or_default();
        let (record, is_damaged) = self.record(name)?;
        Ok(Some(Release { name: name.to_owned(), record, is_damaged, path, changed }))
    }

    /// What is known of a release. A record that is damaged is none, so that the release is treated as one that is not ours.
    fn record(&self, name: &str) -> Result<(Option<Record>, bool)> {
        let path = self.record_path(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((None, false)),
            Err(error) => return Err(error).context("read", &path),
        };
        let record = serde_json::from_slice(&text).ok();
        let is_damaged = record.is_none();
        Ok((record, is_damaged))
    }

    /// Records what a release is. Before the release gets its name: a release without a record is not ours.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_record(&self, name: &str, record: &Record) -> Result<()> {
        let path = self.record_path(name);
        let text = serde_json::to_vec_pretty(record).context("write", &path)?;
        durable::write(&path, &text)
    }

    /// Whether there is a record of this release.
    #[must_use]
    pub fn has_record(&self, name: &str) -> bool {
        self.record_path(name).exists()
    }

    /// Takes the record of a release away, and remembers that its name is used up. That needs no room on disk.
    ///
    /// # Errors
    /// What the file system says.
    pub fn retire(&self, name: &str) -> Result<()> {
        let (path, retired) = (self.record_path(name), self.retired_path(name));
        match fs::rename(&path, &retired) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // It was not ours.
                let _ = File::create(&retired);
                Ok(())
            }
            result => result.context("rename", &path),
        }
    }

    /// Whether there was a release of this name.
    #[must_use]
    pub fn is_retired(&self, name: &str) -> bool {
        self.retired_path(name).exists()
    }

    fn retired_path(&self, name: &str) -> PathBuf {
        self.state("releases").join(format!("{name}{RETIRED}"))
    }

    /// What httpd has to be told of this directory, if it is reached through a link: releases have real paths there.
    #[must_use]
    pub fn alias(&self) -> Option<String> {
        (self.real != self.directory).then(|| {
            format!(
                "{} leads to {real}: httpd needs the real path, `RealdocReleases {real}/*`",
                self.directory.display(),
                real = self.real.display()
            )
        })
    }

    /// The release that a person means: its name, the tag or branch it was staged from, or the beginning of its commit.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Usage`] if it could be several.
    pub fn find(&self, text: &str) -> Result<Release> {
        if let Some(release) = self.release(text)? {
            return Ok(release);
        }
        let releases = self.releases()?;
        let is_meant = |release: &Release, how: fn(&Record, &str) -> bool| {
            release.record.as_ref().is_some_and(|record| how(record, text))
        };
        let mut found: Vec<&Release> = releases.iter().filter(|release| is_meant(release, Record::is_of)).collect();
        if found.is_empty() && text.len() >= 4 {
            found = releases
                .iter()
                .filter(|release| is_meant(release, |record, text| record.commit.starts_with(text)))
                .collect();
        }
        match found[..] {
            [release] => Ok(release.clone()),
            [] => {
                let names: Vec<_> = releases.iter().map(|release| release.name.as_str()).collect();
                Err(Error::NotFound(format!(
                    "there is no release {text} in {}; `realdoc stage {text}` may make one{}",
                    self.directory.display(),
                    if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) }
                )))
            }
            _ => {
                let names: Vec<_> = found.iter().map(|release| release.name.as_str()).collect();
                Err(Error::Usage(format!("{text} could be {}; say which", names.join(" or "))))
            }
        }
    }

    /// If `path`, without links, is a release or inside one: the release's name and the rest of the path.
    #[must_use]
    pub fn split(&self, path: &Path) -> Option<(String, PathBuf)> {
        let below = path.strip_prefix(&self.real).or_else(|_| path.strip_prefix(&self.directory)).ok()?;
        let mut components = below.components();
        let name = components.next()?.as_os_str();
        if !is_release_name(name) {
            return None;
        }
        Some((name.to_str()?.to_owned(), components.as_path().to_owned()))
    }
}

/// Whether a release can have this name.
fn is_release_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    !name.is_empty() && !name.starts_with(b".") && !name.contains(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.prepare().unwrap();
        (dir, store)
    }

    fn stage(store: &Store, name: &str, reference: &str, commit: &str) {
        fs::create_dir(store.path_of(name)).unwrap();
        let record = Record {
            commit: commit.to_owned(),
            reference: reference.to_owned(),
            also: Vec::new(),
            staged: Timestamp::now(),
            prepared: None,
        };
        store.write_record(name, &record).unwrap();
    }

    #[test]
    fn a_release_is_found_by_name_reference_and_commit() {
        let (_dir, store) = store();
        stage(&store, "v1-aaaa1", "v1", "aaaa1000");
        stage(&store, "main-aaaa2", "main", "aaaa2000");
        stage(&store, "main-bbbb", "main", "bbbb0000");
        assert_eq!(store.find("v1-aaaa1").unwrap().name, "v1-aaaa1");
        assert_eq!(store.find("v1").unwrap().name, "v1-aaaa1");
        assert_eq!(store.find("aaaa2").unwrap().name, "main-aaaa2");
        let several = store.find("main").unwrap_err();
        assert_eq!(several.to_string(), "main could be main-aaaa2 or main-bbbb; say which");
        assert_eq!(store.find("aaaa").unwrap_err().exit_code(), 2);
        let none = store.find("v2").unwrap_err();
        assert!(none.to_string().ends_with("there are main-aaaa2, main-bbbb, v1-aaaa1"), "{none}");
        assert_eq!(none.exit_code(), 3);
    }

    #[test]
    fn only_visible_directories_are_releases() {
        let (dir, store) = store();
        stage(&store, "v1", "v1", "aaaa");
        fs::create_dir(dir.path().join(format!("{STAGING_PREFIX}x"))).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("v1", dir.path().join("stable")).unwrap();
        let names: Vec<_> = store.releases().unwrap().into_iter().map(|release| release.name).collect();
        assert_eq!(names, ["v1"]);
        for odd in ["", ".", "..", "../x", "a/b", ".realdoc"] {
            assert!(store.release(odd).unwrap().is_none(), "{odd}");
        }
    }

    #[test]
    fn a_path_is_split_into_release_and_rest() {
        let (dir, store) = store();
        let real = dir.path().canonicalize().unwrap();
        assert_eq!(store.split(&real.join("v1/public")), Some(("v1".to_owned(), "public".into())));
        assert_eq!(store.split(&real.join("v1")), Some(("v1".to_owned(), PathBuf::new())));
        for other in [real.clone(), real.join(".realdoc/lock"), "/".into(), real.join("../x")] {
            assert_eq!(store.split(&other), None, "{}", other.display());
        }
    }
}
