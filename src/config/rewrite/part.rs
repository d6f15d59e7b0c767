//! The parts of texts that mod_rewrite expands.

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Written out.
    Literal(Vec<u8>),
    /// The name of the file.
    File,
    /// The docroot.
    Docroot,
    /// What the pattern of the rule has captured: `$1`.
    OfRule(u8),
    /// What a condition has captured: `%1`.
    OfCondition(u8),
    /// The same for both paths.
    Same,
    /// The path of the URL, which is the same for both paths and begins with a slash.
    Uri,
    /// May contain a path.
    Unknown,
}
