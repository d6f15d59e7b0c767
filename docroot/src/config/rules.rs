//! How a docroot is resolved.

use std::ffi::CString;

use crate::config::releases::Releases;

/// How far links are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Follow all links to the real directory, as `realpath(3)` does.
    #[default]
    Realpath,
    /// Replace the first link by its text, once.
    Readlink {
        /// The first path that may be the link; the search begins at `/` if this is no ancestor of the docroot.
        from: Option<CString>,
    },
}

/// How a docroot is resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// How far its links are followed.
    pub mode: Mode,
    /// Where its links may lead; `None` is anywhere.
    pub releases: Option<Releases>,
}

impl Rules {
    /// Whether a walk reads all of a path from the root on. Else the path above the start may have links that no walk
    /// reads.
    pub fn begin_at_root(&self) -> bool {
        !matches!(self.mode, Mode::Readlink { from: Some(_) })
    }
}
