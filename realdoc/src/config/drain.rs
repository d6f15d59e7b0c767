//! `[drain]`: where httpd says which releases are in use, and how long to wait for its requests.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::value::{AbsolutePath, Span};

/// Below `/run`, as distributions name it: `RealdocInUse` is in `DefaultRuntimeDir`, also that of a second httpd.
pub const USUAL: [&str; 3] = ["/run/apache2*", "/run/httpd*", "/run/httpd/*"];
/// The name of the file by default.
pub const NAME: &str = "realdoc.inuse";

/// `[drain]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// The files of requests. Without: those that are where distributions have them.
    pub files: Option<Vec<AbsolutePath>>,
    /// How long to wait for requests, unless the command line says so.
    pub timeout: Span,
}

impl Default for Drain {
    fn default() -> Self {
        Self { files: None, timeout: Span(Duration::from_secs(30)) }
    }
}

impl Drain {
    /// The files that are named; none if those are meant that are there.
    #[must_use]
    pub fn named(&self) -> Option<Vec<PathBuf>> {
        Some(self.files.as_ref()?.iter().map(|file| file.as_path().to_owned()).collect())
    }
}
