//! Where a link leads.
//!
//! Owns: looking at one link and naming what it leads to. Must not: change a link.

use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use docroot::{Errno, Os, Rules, Status, System};
use jiff::Timestamp;

use crate::error::{Context, Result};
use crate::state::releases::Store;

/// What is at a link path.
#[derive(Clone, Debug)]
pub enum Place {
    /// Nothing; a flip makes a link.
    Empty,
    /// A link.
    Link(Link),
    /// Something that is no link, and is never replaced: "a directory", "a file".
    Taken(&'static str),
}

/// A link.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its own text, which puts it back exactly.
    pub text: PathBuf,
    /// When it was made.
    pub since: Timestamp,
    /// Where it leads.
    pub target: Target,
    /// The releases that one comes through on the way there; without one of them it leads nowhere.
    pub through: Vec<String>,
}

/// Where a link leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// To a release, to a directory in one, or through one: a directory in a release may itself be a link out of it.
    Release {
        /// The release.
        name: String,
        /// Where the link leads in the end.
        path: PathBuf,
    },
    /// To a release that is not there anymore.
    Gone {
        /// The release that was there.
        name: String,
    },
    /// Out of the releases directory.
    Elsewhere(PathBuf),
    /// Nowhere, and why.
    Nowhere(String),
}

impl Target {
    /// How the history names it: a release by its name, anything else by its path.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        match self {
            Self::Release { name, .. } | Self::Gone { name } => Some(name.clone()),
            Self::Elsewhere(path) => path.to_str().map(str::to_owned),
            Self::Nowhere(_) => None,
        }
    }

    /// The release it leads to, if that is there.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        match self {
            Self::Release { name, .. } => Some(name),
            _ => None,
        }
    }
}

impl Place {
    /// The link, if there is one.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        match self {
            Self::Link(link) => Some(link),
            _ => None,
        }
    }

    /// Where the link leads, as the history names it.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.link().and_then(|link| link.target.id())
    }
}

/// What is at `link` now.
///
/// # Errors
/// If it cannot be told: a directory that may not be searched, a link whose way may not be followed.
pub fn look(store: &Store, link: &Path) -> Result<Place> {
    let metadata = match fs::symlink_metadata(link) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Place::Empty),
        Err(error) => return Err(error).context("look at", link),
    };
    if !metadata.is_symlink() {
        return Ok(Place::Taken(if metadata.is_dir() { "a directory" } else { "a file" }));
    }
    let text = fs::read_link(link).context("read", link)?;
    let since = Timestamp::try_from(metadata.modified().context("look at", link)?).unwrap_or_default();
    let (through, end) = walk(store, link);
    let target = match link.canonicalize() {
        Ok(path) => match through.last() {
            Some(name) => Target::Release { name: name.clone(), path },
            None => Target::Elsewhere(path),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => match through.last() {
            Some(name) => Target::Gone { name: name.clone() },
            None => Target::Nowhere(format!("{} does not exist", end.display())),
        },
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(error).context("follow", link);
        }
        Err(error) => Target::Nowhere(error.to_string()),
    };
    Ok(Place::Link(Link { text, since, target, through }))
}

/// What is wrong with a link to this release that reaches nothing.
#[must_use]
pub fn lost(store: &Store, release: &str) -> &'static str {
    if store.path_of(release).is_dir() {
        "the release is there, but has nothing where the link leads"
    } else {
        "the release is not there anymore"
    }
}

/// The releases that one comes through on the way from `/`, following every link, and where the way ends.
fn walk(store: &Store, link: &Path) -> (Vec<String>, PathBuf) {
    let Way { releases, end, .. } = way(store, link);
    (releases, end)
}

fn way(store: &Store, link: &Path) -> Way {
    let observer = Observer { store, way: RefCell::default() };
    if let Ok(link) = CString::new(link.as_os_str().as_bytes()) {
        docroot::survey(&observer, &link, &Rules::default());
    }
    observer.way.into_inner()
}

/// A link that one comes through: its path, device and inode, and when it was made. A flip makes another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hop(PathBuf, [u64; 2], [i64; 2]);

/// All links that one comes through on the way from `/`. They are the same as long as none was flipped.
#[must_use]
pub fn hops(store: &Store, link: &Path) -> Vec<Hop> {
    way(store, link).hops
}

/// A way from `/`.
#[derive(Default)]
struct Way {
    releases: Vec<String>,
    end: PathBuf,
    hops: Vec<Hop>,
}

/// The operating system under a walk of the library, which reads each component of the path as if it were a link. Those
/// that are none are noted.
struct Observer<'s> {
    store: &'s Store,
    way: RefCell<Way>,
}

impl System for Observer<'_> {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        let file = Path::new(OsStr::from_bytes(path.to_bytes()));
        // Before the text: a flip in between is seen as one that comes later.
        let made = fs::symlink_metadata(file).ok();
        let text = Os.read_link(path);
        let Way { releases, end, hops } = &mut *self.way.borrow_mut();
        if text.is_ok() {
            hops.extend(
                made.map(|link| Hop(file.to_owned(), [link.dev(), link.ino()], [link.ctime(), link.ctime_nsec()])),
            );
        } else {
            *end = file.to_owned();
            if let Some((name, _)) = self.store.split(end)
                && releases.last() != Some(&name)
            {
                releases.push(name);
            }
        }
        text
    }

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        Os.has_text(path, text)
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        Os.status(path)
    }

    fn file_clock(&self) -> docroot::Timestamp {
        Os.file_clock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_kind_of_place_is_told_from_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("releases/v1/public")).unwrap();
        fs::create_dir(root.join("other")).unwrap();
        let store = Store::open(&root.join("releases")).unwrap();
        let target = |name: &str, text: &str| {
            let link = root.join(name);
            symlink(text, &link).unwrap();
            look(&store, &link).unwrap().link().unwrap().target.clone()
        };
        let release = |rest: &str| {
            let path = root.join("releases/v1").join(rest).canonicalize().unwrap();
            Target::Release { name: "v1".to_owned(), path }
        };
        assert_eq!(target("a", "releases/v1"), release(""));
        assert_eq!(target("b", "releases/v1/public"), release("public"));
        assert_eq!(target("c", "./a"), release(""), "a link to a link leads where that one leads");
        symlink(root.join("other"), root.join("releases/v1/out")).unwrap();
        symlink("v1/out", root.join("releases/hop")).unwrap();
        assert_eq!(target("j", "releases/v1/out"), release("out"), "through a release counts");
        assert_eq!(target("k", "releases/hop/../other/."), release("out"), "however it gets there");
        assert_eq!(target("d", "releases/../releases/v0/public"), Target::Gone { name: "v0".to_owned() });
        assert_eq!(target("e", "other"), Target::Elsewhere(root.join("other")));
        assert_eq!(target("f", "releases"), Target::Elsewhere(root.join("releases")));
        assert!(matches!(target("g", "g"), Target::Nowhere(_)), "a loop");
        assert!(matches!(target("h", "none"), Target::Nowhere(_)));
        assert!(matches!(look(&store, &root.join("i")).unwrap(), Place::Empty));
        assert!(matches!(look(&store, &root.join("other")).unwrap(), Place::Taken("a directory")));
    }

    #[test]
    fn a_flip_and_back_is_seen_wherever_it_is_on_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("releases/v1")).unwrap();
        fs::create_dir_all(root.join("releases/v2")).unwrap();
        let store = Store::open(&root.join("releases")).unwrap();
        symlink("hop", root.join("a")).unwrap();
        symlink("releases/v1", root.join("hop")).unwrap();
        let link = root.join("a");
        let before = hops(&store, &link);
        assert_eq!(before.len(), 2);
        assert_eq!(hops(&store, &link), before);
        docroot::flip(&root.join("hop"), "releases/v2".as_ref()).unwrap();
        docroot::flip(&root.join("hop"), "releases/v1".as_ref()).unwrap();
        assert_ne!(hops(&store, &link), before);
    }

    #[test]
    fn what_cannot_be_looked_at_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(look(&store, &file.join("link")).is_err());
    }
}
