//! Files and directory trees.

pub mod access;
pub mod durable;
pub mod shared;
pub mod tree;
pub mod unpack;
