//! What a request does: it begins or inherits, is pinned, and is mapped to a file.

pub mod log;
pub mod map;
pub mod pin;
pub mod refuse;
pub mod rewrite;
pub mod sections;
