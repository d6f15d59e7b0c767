//! What every command works with, whatever it does.

use std::time::Instant;

use crate::config::Config;
use crate::os::interrupt::Interrupt;
use crate::report::Report;

/// The surroundings of a command.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The configuration.
    pub config: Config,
    /// Where to say things.
    pub report: Report,
    /// Whether to stop.
    pub interrupt: Interrupt,
    /// When the command began.
    pub started: Instant,
}
