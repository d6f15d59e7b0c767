//! Where a docroot leads: the walks of both modes, what they find, and why they fail.

pub mod attachment;
pub mod failure;
pub mod hop;
pub mod packed;
pub mod readlink;
pub mod realpath;
pub mod resolution;
pub mod resolver;
pub mod survey;
pub mod surveyor;
