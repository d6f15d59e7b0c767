//! How a docroot is resolved.

use std::ffi::CString;

use crate::config::releases::Releases;

/// How far links are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// All of them, to the real directory, as `realpath(3)` does.
    #[default]
    Realpath,
    /// The first one only, which is replaced by its own text, once.
    Readlink {
        /// Where to start looking, this path included; from `/` if it is no ancestor of the docroot.
        from: Option<CString>,
    },
}

/// How a docroot is resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// How far its links are followed.
    pub mode: Mode,
    /// Where they may lead; anywhere if that is not set.
    pub releases: Option<Releases>,
}
