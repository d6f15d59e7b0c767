//! The operating system: the calls that resolution needs, as a trait, and Linux behind it.

pub mod linux;
pub mod system;
