//! The manifests that a process has read.
//!
//! Owns: when a manifest is read again, and when an error is new. Must not: hold its lock during a system call.

use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::assets::file::{self, FileError, Identity};
use crate::assets::manifest::Manifest;
use crate::os::system::Timestamp;

/// The number of directories of releases whose manifest a process remembers; the least recently used one is evicted.
const REMEMBERED_MAX: usize = 1024;

/// The manifests of a process, keyed by the directory of the releases.
pub struct Manifests {
    known: Mutex<LruCache<Box<[u8]>, Known>>,
}

/// The last look at a manifest.
#[derive(Clone)]
struct Known {
    /// None if there was no manifest, or it could not be identified.
    identity: Option<Identity>,
    result: Result<Arc<Manifest>, FileError>,
    is_settled: bool,
}

/// The manifest of a directory, and an error that the process has not reported yet.
#[derive(Debug)]
pub struct Retained {
    /// The retained releases. Empty if there is no manifest, or it is ignored.
    pub manifest: Arc<Manifest>,
    /// Why the manifest is ignored, if that is new.
    pub error: Option<FileError>,
}

impl Default for Manifests {
    fn default() -> Self {
        // A bounded one would allocate all at once.
        Self { known: Mutex::new(LruCache::unbounded()) }
    }
}

impl Manifests {
    /// The manifest of a directory of releases. One system call if the manifest is unchanged. `file_clock` is the present
    /// time of the clock that file systems stamp files with.
    pub fn look(&self, releases: &[u8], file_clock: Timestamp) -> Retained {
        let identity = file::identify(releases);
        let known = self.known.lock().get(releases).cloned();
        let new = match (identity, &known) {
            (Ok(None), _) => Known { identity: None, result: Ok(Arc::default()), is_settled: false },
            (Ok(Some(identity)), Some(known)) if known.is_settled && known.identity == Some(identity) => {
                return Retained { manifest: known.manifest(), error: None };
            }
            (Ok(Some(identity)), _) => match file::read(releases) {
                Ok((identity, manifest)) => Known {
                    identity: Some(identity),
                    result: Ok(Arc::new(manifest)),
                    is_settled: identity.is_settled(file_clock),
                },
                Err(error) => Known {
                    identity: Some(identity),
                    is_settled: error.is_of_file() && identity.is_settled(file_clock),
                    result: Err(error),
                },
            },
            (Err(error), _) => Known { identity: None, result: Err(error), is_settled: false },
        };
        self.remember(releases, new)
    }

    fn remember(&self, releases: &[u8], new: Known) -> Retained {
        let mut known = self.known.lock();
        let manifest = new.manifest();
        // Another thread may have reported the same error meanwhile.
        let last = known.get(releases);
        let is_known = last.is_some_and(|last| last.result == new.result && last.identity == new.identity);
        let error = new.result.as_ref().err().filter(|_| !is_known).cloned();
        match known.get_mut(releases) {
            Some(last) => *last = new,
            // Directories without a manifest cost no memory.
            None if new.identity.is_none() && error.is_none() => {}
            None => {
                known.put(releases.into(), new);
                while known.len() > REMEMBERED_MAX {
                    known.pop_lru();
                }
            }
        }
        Retained { manifest, error }
    }
}

impl Known {
    fn manifest(&self) -> Arc<Manifest> {
        self.result.as_ref().map(Arc::clone).unwrap_or_default()
    }
}
