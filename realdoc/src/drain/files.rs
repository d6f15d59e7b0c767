//! The files in which processes of httpd count the requests of releases.
//!
//! Owns: which files there are, and what it means that one is missing. Must not: wait.

use std::path::{Path, PathBuf};

use docroot::inuse::{Reader, Release, Snapshot};
use globset::Glob;

use super::usage::Use;
use crate::config::{self, NAME, USUAL};
use crate::error::{Error, Result};

/// The files of requests, as they are now.
#[derive(Clone, Debug)]
pub enum Files {
    /// All of them.
    Counted(Vec<Reader>),
    /// There are none, and none has to be there: whether an httpd counts is not known.
    Uncounted(String),
    /// One of them cannot be read, or is missing and should not be.
    Unreadable(String),
}

/// What all files say at one moment.
#[derive(Debug)]
pub struct Counts(Result<Vec<Snapshot>, String>);

impl Files {
    /// Opens the files that are named, or those that distributions have.
    #[must_use]
    pub fn open(config: &config::Drain) -> Self {
        let (paths, none) = match config.named() {
            Some(paths) => (paths, "[drain] files names none".to_owned()),
            None => (usual(), format!("there is no {NAME} in {}; RealdocInUse makes it", USUAL.join(", "))),
        };
        Self::of(&paths, none)
    }

    /// Opens these files. `none` says what it means if there is none of them.
    #[must_use]
    pub fn of(paths: &[PathBuf], none: String) -> Self {
        if paths.is_empty() {
            return Self::Uncounted(none);
        }
        let open = |path: &PathBuf| Reader::open(path).map_err(|unknown| format!("{}: {unknown}", path.display()));
        match paths.iter().map(open).collect() {
            Ok(readers) => Self::Counted(readers),
            Err(why) => Self::Unreadable(why),
        }
    }

    /// Fails if requests are not counted, for a command that is to wait for them.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn required(&self) -> Result<()> {
        match self {
            Self::Counted(_) => Ok(()),
            Self::Uncounted(why) | Self::Unreadable(why) => {
                Err(Error::Unknown(format!("the requests of httpd are unknown: {why}")))
            }
        }
    }

    /// What the files say now.
    #[must_use]
    pub fn now(&self) -> Counts {
        Counts(match self {
            Self::Counted(readers) => {
                readers.iter().map(|reader| reader.snapshot().map_err(|why| why.to_string())).collect()
            }
            Self::Uncounted(why) | Self::Unreadable(why) => Err(why.clone()),
        })
    }
}

impl Counts {
    /// Why nothing is known, if that is so.
    #[must_use]
    pub fn unknown(&self) -> Option<String> {
        self.0.as_ref().err().cloned()
    }

    /// The requests of a release, or of any directory. That there are none says nothing of the next moment.
    #[must_use]
    pub fn of(&self, path: &Path) -> Use {
        let release = match Release::at(path) {
            Ok(release) => release,
            Err(error) => return Use::Unknown(error.to_string()),
        };
        match &self.0 {
            Err(why) => Use::Unknown(why.clone()),
            Ok(snapshots) => match snapshots.iter().map(|snapshot| snapshot.running(&release)).sum() {
                0 => Use::Free,
                running => Use::Requests(running),
            },
        }
    }
}

/// The files that are where distributions have them. What cannot be searched has none that is ours.
fn usual() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in USUAL {
        let (directory, name) = pattern.rsplit_once('/').unwrap_or_default();
        let Ok(glob) = Glob::new(name).map(|glob| glob.compile_matcher()) else { continue };
        let entries = Path::new(directory).read_dir().into_iter().flatten().flatten();
        let files = entries.filter(|entry| glob.is_match(entry.file_name())).map(|entry| entry.path().join(NAME));
        found.extend(files.filter(|file| file.symlink_metadata().is_ok()));
    }
    found
}
