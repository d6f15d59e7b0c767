//! The links of docroots, while the configuration is checked.
//!
//! Owns: which docroots are walked then, and that no directory is looked at in vain: with thousands of virtual hosts
//! this is most of what the module adds to a start. Must not: know what a link means for a section or a proxy.

use std::cell::RefCell;
use std::ffi::CStr;

use docroot::{
    Errno, Mode, Os, Passage, Rules, Status, System, Terminated, Timestamp, missing_link, passages, passages_from,
    rest_under,
};

use crate::directives::RulesOf;
use crate::httpd::{Definition, Pool, Server};
use crate::proxies::{self, Proxies};
use crate::sections::{self, Sections};
use crate::warnings::Warnings;

/// Lets the sections of all servers follow their links, and warns of what cannot.
///
/// # Safety
/// Only while the configuration is being checked, before there are threads.
pub unsafe fn check<'s>(pool: Pool<'s>, main: Server<'s>, warnings: &mut Warnings) {
    let mut sections = Sections::default();
    let mut proxies = Proxies::default();
    let names = [&sections::DIRECTIVES[..], &proxies::DIRECTIVES[..]].concat();
    // SAFETY: the caller's promise.
    for definition in unsafe { Definition::all(&names) } {
        sections.add(definition);
        proxies.add(definition);
    }
    let mut walks = Walks::new(main);
    for server in main.with_virtual_hosts() {
        let concerned = |rules: &Rules| sections.concern(server, rules) || proxies.concern(server);
        if let Some((rules, passages)) = walks.server(server, concerned, || !sections.computes_docroots(server)) {
            sections.follow(server, rules, &passages, pool, warnings);
            proxies.warn(server, &passages, warnings);
        }
    }
}

/// Walks the docroots of one server after another.
pub struct Walks<'s> {
    /// The docroot of the main server, or the default that it has if none is stated. A virtual host without one of its
    /// own has the same string.
    main: Option<&'s CStr>,
    rules_of: RulesOf,
    files: Neighbours,
}

impl<'s> Walks<'s> {
    /// No walk yet.
    pub fn new(main: Server<'s>) -> Self {
        Self { main: main.configured_document_root(), rules_of: RulesOf::default(), files: Neighbours::default() }
    }

    /// The rules of a server, and the links on the way to its docroot. One that is missing is among them if the server
    /// is a virtual host with a docroot of its own, and this docroot `is_used`. Nothing where docroots are left alone,
    /// where it is no path that can be walked, and where by these rules nobody is `concerned`.
    pub fn server(
        &mut self,
        server: Server<'_>,
        concerned: impl FnOnce(&Rules) -> bool,
        is_used: impl FnOnce() -> bool,
    ) -> Option<(&Rules, Vec<Passage>)> {
        let rules = self.rules_of.server(server).filter(|rules| concerned(rules))?;
        let docroot = server.configured_document_root().filter(|docroot| docroot.to_bytes().first() == Some(&b'/'))?;
        let mut passages = self.files.passages(docroot, rules);
        let is_own = self.main.map(CStr::as_ptr) != Some(docroot.as_ptr());
        if is_own && !leads_into_releases(&passages, rules) && is_used() {
            passages.extend(self.files.missing_link(docroot, rules));
        }
        Some((rules, passages))
    }
}

/// Whether there is a link that leads into a release, or nowhere while it may lead into releases only.
fn leads_into_releases(passages: &[Passage], rules: &Rules) -> bool {
    rules.releases.as_ref().is_none_or(|releases| {
        passages
            .iter()
            .any(|passage| passage.target.as_deref().is_none_or(|target| releases.release_of(target).is_some()))
    })
}

/// The operating system, which is not asked again about directories that are those of a virtual host before: the ones
/// above its docroot, and a release that its docroot leads to as well.
#[derive(Default)]
struct Neighbours {
    /// Paths in which there is no link, the one that was of use last in front: as a rule one that docroots are in, and
    /// one that they lead to. With more of them, most starts would only compare more.
    real: RefCell<[Vec<u8>; 2]>,
}

impl Neighbours {
    fn passages(&self, docroot: &CStr, rules: &Rules) -> Vec<Passage> {
        if begins_anywhere(rules) {
            return passages(&Os, docroot, rules);
        }
        let path = docroot.to_bytes();
        passages_from(self, &path[..self.real_above(path)], docroot, rules)
    }

    fn missing_link(&self, docroot: &CStr, rules: &Rules) -> Option<Passage> {
        if begins_anywhere(rules) { missing_link(&Os, docroot, rules) } else { missing_link(self, docroot, rules) }
    }

    /// How much of a path is known to have no link in it.
    fn real_above(&self, path: &[u8]) -> usize {
        let mut all = self.real.borrow_mut();
        let [first, second] = all.each_ref().map(|real| common_directory(path, real));
        if second > first {
            all.rotate_right(1);
        }
        first.max(second)
    }

    /// Whether a path is known to be no link, and to have none in it.
    fn knows(&self, path: &[u8]) -> bool {
        let mut all = self.real.borrow_mut();
        let place = all.iter().position(|real| rest_under(real, path).is_some());
        if let Some(place) = place {
            all[..=place].rotate_right(1);
        }
        place.is_some()
    }

    /// Notes that a path is no link, in the place of one that it goes on from, or of the one that was of no use for
    /// longest.
    fn note(&self, path: &[u8]) {
        let mut all = self.real.borrow_mut();
        let place = all.iter().position(|real| rest_under(path, real).is_some()).unwrap_or(all.len() - 1);
        all[..=place].rotate_right(1);
        all[0].clear();
        all[0].extend_from_slice(path);
    }
}

/// Whether looking for links begins where the rules say; what is above that place may be anything.
fn begins_anywhere(rules: &Rules) -> bool {
    matches!(rules.mode, Mode::Readlink { from: Some(_) })
}

/// What reading a path says that is no link.
const NO_LINK: Result<Vec<u8>, Errno> = Err(Errno(libc::EINVAL));

/// How long the path of the last directory is that both paths have above their ends.
fn common_directory(path: &[u8], other: &[u8]) -> usize {
    let mut slashes = (0..other.len()).rev().filter(|&at| other[at] == b'/');
    slashes.find(|&at| path.starts_with(&other[..=at])).unwrap_or(0)
}

impl System for Neighbours {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        if self.knows(path.to_bytes()) {
            return NO_LINK;
        }
        let text = Os.read_link(path);
        if text == NO_LINK {
            self.note(path.to_bytes());
        }
        text
    }

    fn has_text(&self, path: Terminated<'_>, text: &[u8]) -> bool {
        Os.has_text(path, text)
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        Os.status(path)
    }

    fn file_clock(&self) -> Timestamp {
        Os.file_clock()
    }
}
