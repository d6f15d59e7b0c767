//! Where a docroot leads: the walks of both modes, what they find, and why they fail.

pub mod failure;
pub mod readlink;
pub mod realpath;
pub mod resolution;
