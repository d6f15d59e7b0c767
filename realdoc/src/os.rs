//! Processes and signals.

pub mod account;
pub mod failpoint;
pub mod holders;
pub mod interrupt;
pub mod limit;
pub mod process;
pub mod stopped;
