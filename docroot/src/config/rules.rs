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
