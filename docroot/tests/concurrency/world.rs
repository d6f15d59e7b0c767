//! A file system in memory whose history is known, as one thread at a time sees it.
//!
//! Owns: the state at each step. Must not: choose which thread goes on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::CStr;

use corosensei::Yielder;
use docroot::{Errno, FileId, Moment, Status, System, Timestamp};

/// One step of the scheduler takes as long.
#[derive(Clone, Copy)]
pub struct Unit(pub u64);

/// Values, each since a step.
pub type History<T> = Vec<(u64, T)>;

/// A file system whose every change is remembered with its step.
pub struct World {
    unit: Unit,
    pub step: Cell<u64>,
    /// The text of each link, and since when; no text is no link.
    pub links: RefCell<BTreeMap<&'static str, History<Option<&'static str>>>>,
    /// Whether each directory exists, and since when.
    directories: RefCell<BTreeMap<&'static str, History<bool>>>,
}

/// A change that a flipper makes in one step.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    Link(&'static str, Option<&'static str>),
    Directory(&'static str, bool),
    /// Several at once: a directory above them moves.
    All(&'static [Change]),
}

impl World {
    pub fn new(unit: Unit, links: &[(&'static str, &'static str)], directories: &[&'static str]) -> Self {
        Self {
            unit,
            step: Cell::new(0),
            links: RefCell::new(links.iter().map(|&(link, text)| (link, vec![(0, Some(text))])).collect()),
            directories: RefCell::new(directories.iter().map(|&path| (path, vec![(0, true)])).collect()),
        }
    }

    pub fn now(&self) -> Moment {
        Moment::from_nanoseconds((1_000_000 + self.step.get()) * self.unit.0)
    }

    pub fn change(&self, change: Change) {
        let step = self.step.get();
        match change {
            Change::Link(link, text) => self.links.borrow_mut().entry(link).or_default().push((step, text)),
            Change::Directory(path, is_there) => {
                self.directories.borrow_mut().entry(path).or_default().push((step, is_there));
            }
            Change::All(changes) => changes.iter().for_each(|&change| self.change(change)),
        }
    }

    /// The text of a link now, if it is one.
    pub fn text(&self, link: &str) -> Option<&'static str> {
        self.links.borrow().get(link).and_then(|history| history.last()).and_then(|&(_, text)| text)
    }

    pub fn is_directory(&self, path: &str) -> bool {
        self.directories.borrow().get(path).and_then(|history| history.last()).is_some_and(|&(_, is_there)| is_there)
    }

    /// Where a path leads now.
    fn follow(&self, path: &str) -> Option<String> {
        let mut at = String::new();
        let mut ahead: Vec<String> = path.split('/').rev().filter(|name| !name.is_empty()).map(str::to_owned).collect();
        while let Some(name) = ahead.pop() {
            at = at + "/" + &name;
            if let Some(text) = self.text(&at) {
                at.clear();
                ahead.extend(text.split('/').rev().filter(|name| !name.is_empty()).map(str::to_owned));
            } else if !self.is_directory(&at) {
                return None;
            }
        }
        Some(at)
    }

    /// Whether `link` had a text for which `holds` at a step from `from` to `to`. The text before comes with it.
    pub fn had(
        &self,
        link: &str,
        from: u64,
        to: u64,
        holds: impl Fn(Option<&'static str>, Option<&'static str>) -> bool,
    ) -> bool {
        let links = self.links.borrow();
        let history = &links[link];
        (0..history.len()).any(|index| {
            let (since, text) = history[index];
            let before = index.checked_sub(1).and_then(|before| history[before].1);
            let until = history.get(index + 1).map_or(u64::MAX, |&(step, _)| step);
            since <= to && until > from && holds(text, before)
        })
    }
}

/// The world as a looker sees it, with points around each call where other threads may go on.
pub struct Seen<'w> {
    world: &'w World,
    yielder: &'w Yielder<(), ()>,
    /// Whether the state of the cache was read since the last call.
    has_read: Cell<bool>,
}

impl<'w> Seen<'w> {
    pub fn new(world: &'w World, yielder: &'w Yielder<(), ()>) -> Self {
        Self { world, yielder, has_read: Cell::new(true) }
    }

    /// A call with a point behind it, and one before it if the state of the cache was read since the last call.
    fn call<T>(&self, call: impl FnOnce() -> T) -> T {
        if self.has_read.take() {
            self.yielder.suspend(());
        }
        let result = call();
        self.yielder.suspend(());
        result
    }

    /// An error ends a walk, which reads the state of the cache for the fallback.
    fn failing<T>(&self, result: Result<T, Errno>) -> Result<T, Errno> {
        self.has_read.set(result.as_ref().is_err_and(|errno| *errno != Errno(libc::EINVAL)));
        result
    }
}

impl System for Seen<'_> {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        let result = self.call(|| {
            let path = path.to_str().expect("text");
            match self.world.text(path) {
                Some(text) => Ok(text.as_bytes().to_vec()),
                None if self.world.is_directory(path) => Err(Errno(libc::EINVAL)),
                None => Err(Errno(libc::ENOENT)),
            }
        });
        self.failing(result)
    }

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        self.call(|| self.world.text(path.to_str().expect("text")).is_some_and(|now| now.as_bytes() == text))
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        let result = self.call(|| {
            let real = self.world.follow(path.to_str().expect("text")).ok_or(Errno(libc::ENOENT))?;
            let inode = real.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
            let changed = Timestamp { seconds: 1, nanoseconds: 0 };
            Ok(Status { is_directory: true, id: FileId { device: 1, inode, changed } })
        });
        self.failing(result)
    }

    fn file_clock(&self) -> Timestamp {
        Timestamp { seconds: 2, nanoseconds: 0 }
    }
}
