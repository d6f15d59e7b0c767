//! The file system as a request sees it.
//!
//! Owns: that the coroutine of the request is known as the one that runs when a call returns. Must not: know what is
//! counted.

use std::ffi::CStr;

use corosensei::Yielder;
use docroot::{Errno, Status, System, Timestamp};

use super::memory::resumed;
use crate::world::{Seen, World};

/// The world, seen from one coroutine.
pub struct View<'w> {
    world: &'w World,
    yielder: &'w Yielder<(), ()>,
    seen: Seen<'w>,
    /// A link and its text, which is not seen to change: sabotage.
    frozen: Option<(&'static str, Option<&'static str>)>,
}

impl<'w> View<'w> {
    pub fn new(world: &'w World, yielder: &'w Yielder<(), ()>) -> Self {
        Self { world, yielder, seen: Seen::new(world, yielder), frozen: None }
    }

    /// A view in which a link has the text of this moment for ever.
    pub fn frozen(self, link: &'static str) -> Self {
        let frozen = Some((link, self.world.text(link)));
        Self { frozen, ..self }
    }

    fn after<T>(&self, result: T) -> T {
        resumed(Some(self.yielder));
        result
    }
}

impl System for View<'_> {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        self.after(self.seen.read_link(path))
    }

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        let has_text = self.after(self.seen.has_text(path, text));
        match self.frozen {
            Some((link, frozen)) if link.as_bytes() == path.to_bytes() => frozen.map(str::as_bytes) == Some(text),
            _ => has_text,
        }
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        self.after(self.seen.status(path))
    }

    fn file_clock(&self) -> Timestamp {
        self.seen.file_clock()
    }
}
