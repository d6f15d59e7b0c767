//! A file system in memory that walks paths as the kernel does: on inodes, one component at a time.
//!
//! Owns: the tree, and a simple model of symlink resolution. Must not: use docroot's own path handling, or the model
//! would agree with its mistakes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::CStr;

use docroot::{Errno, FileId, Status, System, Timestamp};

/// `path_resolution(7)`.
const LINKS_MAX: usize = 40;
const NAME_MAX: usize = 255;

pub const ROOT: usize = 0;

#[derive(Clone, Debug)]
pub enum Node {
    Directory {
        parent: usize,
        name: Vec<u8>,
        entries: BTreeMap<Vec<u8>, usize>,
        /// Nobody may search it.
        closed: bool,
    },
    File,
    Link(Vec<u8>),
}

/// A link that a walk has met: the directory it is in, and its name there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    pub directory: usize,
    pub name: Vec<u8>,
    /// Whether it is part of the path itself and not of another link's text.
    pub is_outermost: bool,
}

#[derive(Clone, Debug)]
struct Tree {
    /// By inode number. A free number is given out again at once, as file systems do.
    nodes: Vec<Option<(Node, i64)>>,
    clock: i64,
}

/// The file system.
#[derive(Debug)]
pub struct Files(RefCell<Tree>);

/// With nothing but its root.
impl Default for Files {
    fn default() -> Self {
        let root = Node::Directory { parent: ROOT, name: Vec::new(), entries: BTreeMap::new(), closed: false };
        Self(RefCell::new(Tree { nodes: vec![Some((root, 10))], clock: 10 }))
    }
}

impl Files {
    /// The next step of the clock that files are stamped with.
    pub fn tick(&self) {
        self.0.borrow_mut().clock += 1;
    }

    pub fn node(&self, inode: usize) -> Node {
        self.0.borrow().node(inode).clone()
    }

    pub fn directories(&self) -> Vec<usize> {
        let tree = self.0.borrow();
        let is_directory = |inode: &usize| matches!(tree.nodes[*inode], Some((Node::Directory { .. }, _)));
        (0..tree.nodes.len()).filter(is_directory).collect()
    }

    /// All links, each by its directory and name.
    pub fn links(&self) -> Vec<(usize, Vec<u8>)> {
        let mut links = Vec::new();
        for directory in self.directories() {
            let Node::Directory { entries, .. } = self.node(directory) else { continue };
            let names = entries.into_iter().filter(|(_, inode)| matches!(self.node(*inode), Node::Link(_)));
            links.extend(names.map(|(name, _)| (directory, name)));
        }
        links
    }

    /// Adds an entry; an existing one stays. Says whether it was added.
    pub fn add(&self, directory: usize, name: &[u8], node: Node) -> bool {
        self.0.borrow_mut().add(directory, name, node)
    }

    pub fn make_directory(&self, parent: usize, name: &[u8], closed: bool) -> bool {
        let node = Node::Directory { parent, name: name.to_vec(), entries: BTreeMap::new(), closed };
        self.add(parent, name, node)
    }

    /// `rename(2)` of a new link over anything but a directory.
    pub fn flip(&self, directory: usize, name: &[u8], text: &[u8]) {
        let mut tree = self.0.borrow_mut();
        tree.remove(directory, name);
        tree.add(directory, name, Node::Link(text.to_vec()));
    }

    /// Removes an entry, a directory with all that is in it.
    pub fn remove(&self, directory: usize, name: &[u8]) {
        self.0.borrow_mut().remove(directory, name);
    }

    /// Moves a directory to another place, if there is nothing and it is not inside itself.
    pub fn rename(&self, inode: usize, to: usize, name: &[u8]) {
        self.0.borrow_mut().rename(inode, to, name);
    }

    /// Where a path leads, and the links met on the way in the order of the walk.
    pub fn walk(&self, path: &[u8]) -> Result<(usize, Vec<Met>), i32> {
        let tree = self.0.borrow();
        let mut met = Vec::new();
        let inode = tree.walk(ROOT, path, true, &mut met, true)?;
        Ok((inode, met))
    }

    /// Where the text of a link leads, all links followed.
    pub fn walk_link(&self, met: &Met) -> Result<usize, i32> {
        let tree = self.0.borrow();
        tree.walk(met.directory, &met.name, true, &mut Vec::new(), true)
    }

    /// The only path of a directory that has no link in it; the root's is empty.
    pub fn path_of(&self, directory: usize) -> Vec<u8> {
        self.0.borrow().path_of(directory)
    }

    pub fn path_of_link(&self, met: &Met) -> Vec<u8> {
        [&self.path_of(met.directory)[..], b"/", &met.name].concat()
    }

    /// `realpath(3)` of a directory.
    pub fn realpath(&self, path: &[u8]) -> Result<Vec<u8>, i32> {
        let (inode, _) = self.walk(path)?;
        match self.node(inode) {
            Node::Directory { .. } => Ok(self.path_of(inode)),
            _ => Err(libc::ENOTDIR),
        }
    }

    /// The text of the link at `path`.
    pub fn text(&self, path: &[u8]) -> Result<Vec<u8>, i32> {
        let tree = self.0.borrow();
        match tree.node(tree.walk(ROOT, path, false, &mut Vec::new(), true)?) {
            Node::Link(text) => Ok(text.clone()),
            _ => Err(libc::EINVAL),
        }
    }
}

impl Tree {
    fn node(&self, inode: usize) -> &Node {
        &self.nodes[inode].as_ref().expect("an inode in use").0
    }

    fn entries(&mut self, directory: usize) -> &mut BTreeMap<Vec<u8>, usize> {
        let now = self.clock;
        match &mut self.nodes[directory] {
            Some((Node::Directory { entries, .. }, changed)) => {
                *changed = now;
                entries
            }
            _ => panic!("a directory"),
        }
    }

    fn add(&mut self, directory: usize, name: &[u8], node: Node) -> bool {
        if self.entries(directory).contains_key(name) {
            return false;
        }
        let inode = self.nodes.iter().position(Option::is_none).unwrap_or_else(|| {
            self.nodes.push(None);
            self.nodes.len() - 1
        });
        self.nodes[inode] = Some((node, self.clock));
        self.entries(directory).insert(name.to_vec(), inode);
        true
    }

    fn remove(&mut self, directory: usize, name: &[u8]) {
        let Some(inode) = self.entries(directory).remove(name) else { return };
        if let Some((Node::Directory { entries, .. }, _)) = &self.nodes[inode] {
            for name in entries.keys().cloned().collect::<Vec<_>>() {
                self.remove(inode, &name);
            }
        }
        self.nodes[inode] = None;
    }

    fn rename(&mut self, inode: usize, to: usize, new: &[u8]) {
        let mut above = to;
        while above != inode && above != ROOT {
            let Node::Directory { parent, .. } = self.node(above) else { return };
            above = *parent;
        }
        if above == inode || self.entries(to).contains_key(new) {
            return;
        }
        let now = self.clock;
        let Some((Node::Directory { parent, name, .. }, changed)) = &mut self.nodes[inode] else { return };
        *changed = now;
        let (old_parent, old_name) = (std::mem::replace(parent, to), std::mem::replace(name, new.to_vec()));
        self.entries(old_parent).remove(&old_name);
        self.entries(to).insert(new.to_vec(), inode);
    }

    fn path_of(&self, directory: usize) -> Vec<u8> {
        match self.node(directory) {
            _ if directory == ROOT => Vec::new(),
            Node::Directory { parent, name, .. } => [&self.path_of(*parent)[..], b"/", name].concat(),
            _ => panic!("a directory"),
        }
    }

    fn walk(
        &self,
        start: usize,
        path: &[u8],
        follows_last: bool,
        met: &mut Vec<Met>,
        is_outermost: bool,
    ) -> Result<usize, i32> {
        let mut at = if path.first() == Some(&b'/') { ROOT } else { start };
        let names: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
        let ends_in_slash = path.last() == Some(&b'/');
        for (index, &name) in names.iter().enumerate() {
            let Node::Directory { parent, entries, closed, .. } = self.node(at) else {
                return Err(libc::ENOTDIR);
            };
            // The kernel would refuse dots too; `realpath(3)`, which is the measure, does not ask it about them.
            if *closed && !matches!(name, b"." | b"..") {
                return Err(libc::EACCES);
            }
            if name.len() > NAME_MAX {
                return Err(libc::ENAMETOOLONG);
            }
            if name == b"." {
                continue;
            }
            if name == b".." {
                at = *parent;
                continue;
            }
            let child = *entries.get(name).ok_or(libc::ENOENT)?;
            let is_last = index + 1 == names.len() && !ends_in_slash;
            at = match self.node(child) {
                Node::Link(text) if follows_last || !is_last => {
                    if met.len() == LINKS_MAX {
                        return Err(libc::ELOOP);
                    }
                    met.push(Met { directory: at, name: name.to_vec(), is_outermost });
                    self.walk(at, text, true, met, false)?
                }
                _ => child,
            };
        }
        if ends_in_slash && !matches!(self.node(at), Node::Directory { .. }) {
            return Err(libc::ENOTDIR);
        }
        Ok(at)
    }
}

impl System for Files {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        self.text(path.to_bytes()).map_err(Errno)
    }

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        self.text(path.to_bytes()).is_ok_and(|now| now == text)
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        let (inode, _) = self.walk(path.to_bytes()).map_err(Errno)?;
        let tree = self.0.borrow();
        let (node, changed) = tree.nodes[inode].as_ref().expect("an inode in use");
        let changed = Timestamp { seconds: *changed, nanoseconds: 0 };
        let id = FileId { device: 1, inode: inode as u64, changed };
        Ok(Status { is_directory: matches!(node, Node::Directory { .. }), id })
    }

    fn file_clock(&self) -> Timestamp {
        Timestamp { seconds: self.0.borrow().clock, nanoseconds: 0 }
    }
}
