//! What a process of httpd leaves in the file of requests, without httpd.
//!
//! Owns: one slot of a file. Must not: know the tool.

use std::path::Path;
use std::time::Duration;

use docroot::Os;
use docroot::inuse::{EntryCell, File, Process, Release, Slot, Ticket};

/// A process that counts requests: this one.
pub struct Httpd {
    slot: Slot,
    /// It owns the descriptor, and with it the lock.
    _file: File,
}

impl Httpd {
    pub fn start(file: &Path) -> Self {
        Self::with_window(file, Duration::ZERO)
    }

    /// One that looks at the links every so often.
    pub fn with_window(file: &Path, window: Duration) -> Self {
        let file = File::create(file).unwrap();
        let slot = file.claim(&Process::current(), Os::now(), window, 1).unwrap();
        Self { slot, _file: file }
    }

    /// A request begins in the release.
    pub fn begin(&self, release: &Path) -> Ticket {
        self.slot.look().enter(&Release::at(release).unwrap(), &EntryCell::new(), 0)
    }

    pub fn end(&self, request: Ticket) {
        self.slot.leave(request);
    }
}
