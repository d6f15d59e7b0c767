//! A link on a path, and the path behind links.

use crate::config::sections::Mapping;
use crate::path::{led, rest_under};

/// A symlink on the way along a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkHop {
    /// The path of the link: absolute, and without another link in it. (In readlink mode, without one below the start
    /// of the search.)
    pub link: Vec<u8>,
    /// The text of the link, as `readlink(2)` returns it.
    pub text: Vec<u8>,
    /// The real path of the target in realpath mode, the text made absolute in readlink mode; the root is `/` or empty.
    /// `None` if the walk did not reach the target, or if the rules do not admit the target.
    pub target: Option<Vec<u8>>,
}

/// A path that was led through links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    /// The path behind the links.
    pub path: Vec<u8>,
    /// The number of bytes at the end of `path` that no link has changed.
    pub tail: usize,
}

impl Led {
    /// Leads an absolute path through links, each with its target, in the order of the walk. `None` if the path lies
    /// under none of them.
    pub fn through<'l>(path: &[u8], links: impl IntoIterator<Item = (&'l [u8], &'l [u8])>) -> Option<Self> {
        // A link of a walk lies behind the links before it, so one pass is enough.
        links.into_iter().fold(None, |so_far: Option<Self>, (link, target)| {
            let (current, tail) = so_far.as_ref().map_or((path, path.len()), |led| (&led.path[..], led.tail));
            let Some(rest) = rest_under(current, link) else { return so_far };
            let tail = tail.min(rest.len());
            Some(Self { path: led(current, link, target)?, tail })
        })
    }

    /// The configured directory and the real one that `path` and the path behind the links continue from. `path` must
    /// be the path that was led.
    pub fn mapping(&self, path: &[u8]) -> Mapping {
        Mapping::new(path, &self.path, self.tail)
    }
}
