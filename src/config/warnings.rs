//! What is said of the configuration.
//!
//! Owns: that each warning is said once, and at a time at which somebody reads it. Must not: decide what is worth a
//! warning.
//!
//! Warnings are found while httpd checks its configuration. When it starts, nobody reads at that moment: it has let go
//! of the terminal and has not opened its logs yet. So they are said when it has.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::httpd::{Level, Server, is_starting, log};

/// The warnings of one configuration, each once: a line of the main server concerns every virtual host.
#[derive(Default)]
pub struct Warnings {
    lines: Vec<String>,
    known: HashSet<String>,
}

/// What is to be said as soon as the logs are open.
static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Warnings {
    /// Adds a warning, if it is a new one.
    pub fn add(&mut self, line: String) {
        if self.known.insert(line.clone()) {
            self.lines.push(line);
        }
    }

    /// Says them at once where httpd was asked to check its configuration, else when [`tell_kept`] is called.
    pub fn tell_or_keep(self, main: Server<'_>) {
        if is_starting() {
            *kept() = self.lines;
        } else {
            tell(main, &self.lines);
        }
    }
}

/// Says what was kept, now that the logs are open.
pub fn tell_kept(main: Server<'_>) {
    let lines = std::mem::take(&mut *kept());
    tell(main, &lines);
}

fn kept() -> MutexGuard<'static, Vec<String>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(main: Server<'_>, lines: &[String]) {
    for line in lines {
        log!(main, Level::Warning, "{line}");
    }
}
