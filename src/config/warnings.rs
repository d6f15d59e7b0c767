//! Warnings about the configuration.
//!
//! Owns: logging each warning once, when there is a log. Must not: decide what deserves a warning.
//!
//! Warnings are found while httpd checks its configuration. At a start httpd has then detached from the terminal, and not
//! opened its logs yet, so the warnings are kept until it has.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::httpd::{Level, Server, is_starting};
use crate::module::log;

/// The warnings of one configuration, each once: a directive of the main server concerns every virtual host.
#[derive(Default)]
pub struct Warnings {
    lines: Vec<String>,
    known: HashSet<String>,
}

/// Warnings to log once the logs are open.
static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Warnings {
    /// Adds a warning, unless it is there already.
    pub fn add(&mut self, line: String) {
        if self.known.insert(line.clone()) {
            self.lines.push(line);
        }
    }

    /// Logs the warnings at once if httpd only checks its configuration; at a start keeps them for [`log_kept`].
    pub fn log_or_keep(self, main: Server<'_>) {
        if is_starting() {
            *kept() = self.lines;
        } else {
            log_all(main, &self.lines);
        }
    }
}

/// Logs the kept warnings, now that the logs are open.
pub fn log_kept(main: Server<'_>) {
    let lines = std::mem::take(&mut *kept());
    log_all(main, &lines);
}

fn kept() -> MutexGuard<'static, Vec<String>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn log_all(main: Server<'_>, lines: &[String]) {
    for line in lines {
        log!(main, Level::Warning, "{line}");
    }
}
