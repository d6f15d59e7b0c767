//! Files and directory trees.

pub mod durable;
pub mod shared;
pub mod tree;
