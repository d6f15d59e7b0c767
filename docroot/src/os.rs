//! The operating system: a trait, and Linux behind it.

pub mod linux;
pub mod system;
