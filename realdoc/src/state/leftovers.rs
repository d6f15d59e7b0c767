//! What killed commands have left in the releases directory.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::fs::durable;
use crate::state::releases::{RETIRED, STAGING_PREFIX, Store, TRASH_PREFIX};

impl Store {
    /// What commands left behind that were killed while they made a release: the release on its way, records of releases
    /// that never got their name. Only with the lock for it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn staging_leftovers(&self, was_live: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
        let mut leftovers = names_with(self.directory(), STAGING_PREFIX)?;
        let records = self.state("releases");
        for entry in fs::read_dir(&records).context("read", &records)? {
            let path = entry.context("read", &records)?.path();
            let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
            if path.to_string_lossy().ends_with(RETIRED) || self.path_of(name).is_dir() {
                continue;
            }
            if was_live(name) {
                // Somebody has removed the release by hand.
                self.retire(name)?;
            } else {
                leftovers.push(path);
            }
        }
        Ok(leftovers)
    }

    /// What commands left behind that were killed while they changed something else: releases on their way out, files of the
    /// state that never got their name. Only with the lock for it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let mut leftovers = names_with(self.directory(), TRASH_PREFIX)?;
        leftovers.extend(names_with(&self.state(""), durable::NEW_PREFIX)?);
        Ok(leftovers)
    }
}

/// What in the directory has a name that begins so.
fn names_with(directory: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).context("read", directory)? {
        let name = entry.context("read", directory)?.file_name();
        if name.as_encoded_bytes().starts_with(prefix.as_bytes()) {
            found.push(directory.join(name));
        }
    }
    Ok(found)
}
