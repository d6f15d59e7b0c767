//! Processes and signals.

pub mod account;
pub mod failpoint;
pub mod interrupt;
pub mod limit;
pub mod process;
