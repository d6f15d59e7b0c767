//! A file system in memory that counts calls, and one in which another thread interrupts a lookup.
//!
//! Owns: the files. Must not: follow a link, except in `status`, as the kernel would.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;

use docroot::{Docroot, Errno, FileId, Status, System, Timestamp};

pub const MISSING: Errno = Errno(libc::ENOENT);
const NO_LINK: Errno = Errno(libc::EINVAL);

/// Links and directories by their full path. Following is the code under test's own business, except in `status`.
#[derive(Default)]
pub struct Files {
    links: HashMap<String, String>,
    /// Each directory, with its inode number and change time.
    directories: HashMap<String, (u64, i64)>,
    pub clock: i64,
    calls: usize,
}

#[derive(Default)]
pub struct Fake(pub RefCell<Files>);

impl Fake {
    /// `/srv/current -> releases/1`, with two releases, long untouched.
    pub fn new() -> Self {
        let fake = Self::default();
        {
            let mut files = fake.0.borrow_mut();
            files.clock = 1_000;
            for (inode, path) in ["/srv", "/srv/releases", "/srv/releases/1", "/srv/releases/2"].iter().enumerate() {
                files.directories.insert((*path).to_owned(), (inode as u64, 10));
            }
        }
        fake.flip("releases/1");
        fake
    }

    pub fn flip(&self, text: &str) {
        self.link("/srv/current", text);
    }

    pub fn link(&self, path: &str, text: &str) {
        self.0.borrow_mut().links.insert(path.to_owned(), text.to_owned());
    }

    pub fn unlink(&self, path: &str) {
        self.0.borrow_mut().links.remove(path);
    }

    pub fn make(&self, path: &str, inode: u64) {
        let mut files = self.0.borrow_mut();
        let now = files.clock;
        files.directories.insert(path.to_owned(), (inode, now));
    }

    pub fn remove(&self, path: &str) {
        self.0.borrow_mut().directories.remove(path);
    }

    /// The calls made since it was last asked.
    pub fn calls(&self) -> usize {
        std::mem::take(&mut self.0.borrow_mut().calls)
    }
}

impl Files {
    fn follow(&self, path: &str) -> Option<(u64, i64)> {
        let mut path = path.to_owned();
        for _ in 0..9 {
            let Some((link, text)) =
                self.links.iter().find(|(link, _)| path == **link || path.starts_with(&format!("{link}/")))
            else {
                return self.directories.get(&path).copied();
            };
            let base = if text.starts_with('/') { "" } else { &link[..=link.rfind('/').unwrap()] };
            path = format!("{base}{text}{}", &path[link.len()..]);
        }
        None
    }
}

impl System for Fake {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        let mut files = self.0.borrow_mut();
        files.calls += 1;
        let path = path.to_str().unwrap();
        match files.links.get(path) {
            Some(text) => Ok(text.clone().into_bytes()),
            None if files.directories.contains_key(path) => Err(NO_LINK),
            None => Err(MISSING),
        }
    }

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        self.read_link(path).is_ok_and(|now| now == text)
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        let mut files = self.0.borrow_mut();
        files.calls += 1;
        let (inode, changed) = files.follow(path.to_str().unwrap()).ok_or(MISSING)?;
        let changed = Timestamp { seconds: changed, nanoseconds: 0 };
        Ok(Status { is_directory: true, id: FileId { device: 1, inode, changed } })
    }

    fn file_clock(&self) -> Timestamp {
        Timestamp { seconds: self.0.borrow().clock, nanoseconds: 0 }
    }
}

type OtherThread<'f> = Box<dyn FnOnce(&Fake, &Docroot) + 'f>;

/// While this file system resolves for one thread, another thread does a whole lookup.
pub struct Interleaved<'f> {
    files: &'f Fake,
    docroot: &'f Docroot,
    other: RefCell<Option<OtherThread<'f>>>,
    /// How many moments there are before the one at which it does.
    before: Cell<usize>,
}

impl<'f> Interleaved<'f> {
    /// A file system for the lookup of one thread, during which another one does `other`.
    pub fn new(files: &'f Fake, docroot: &'f Docroot, other: impl FnOnce(&Fake, &Docroot) + 'f) -> Self {
        Self { files, docroot, other: RefCell::new(Some(Box::new(other))), before: Cell::new(0) }
    }

    /// Interrupts after so many moments, and not at the first.
    pub fn after(self, moments: usize) -> Self {
        self.before.set(moments);
        self
    }

    /// Whether the other thread has done it.
    pub fn is_done(&self) -> bool {
        self.other.borrow().is_none()
    }

    fn interrupt(&self) {
        if let Some(before) = self.before.get().checked_sub(1) {
            self.before.set(before);
        } else if let Some(other) = self.other.take() {
            other(self.files, self.docroot);
        }
    }
}

impl System for Interleaved<'_> {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        let text = self.files.read_link(path);
        // Not in the middle of a walk that goes on.
        if text == Err(MISSING) {
            self.interrupt();
        }
        text
    }

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        let has = self.files.has_text(path, text);
        self.interrupt();
        has
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        let status = self.files.status(path);
        self.interrupt();
        status
    }

    fn file_clock(&self) -> Timestamp {
        self.files.file_clock()
    }
}
