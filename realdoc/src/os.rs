//! Processes and signals.

pub mod failpoint;
pub mod interrupt;
pub mod limit;
pub mod process;
