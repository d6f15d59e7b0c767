//! The links of docroots, while the configuration is checked.
//!
//! Owns: which docroots are walked then, and that no directory is looked at in vain: with thousands of virtual hosts
//! this is most of what the module adds to a start. Must not: know what a link means for a proxy.

use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use docroot::{
    Answer, Docroot, Errno, LinkHop, Mode, Moment, Os, Releases, Rules, Status, System, Timestamp, rest_under, survey,
    survey_from,
};

use crate::config::arguments::Arguments;
use crate::config::directives::RulesOf;
use crate::config::proxies::Proxies;
use crate::config::warnings::Warnings;
use crate::httpd::{Definition, Server};

/// Warns of what cannot follow the links.
///
/// # Safety
/// Only while the configuration is being checked, before there are threads.
pub unsafe fn check<'s>(main: Server<'s>, warnings: &mut Warnings) {
    let mut proxies = Proxies::default();
    let mut arguments = Arguments::default();
    // Not those of the walks, which would have less use of what they know.
    let files = Neighbours::default();
    // SAFETY: the caller's promise.
    unsafe {
        Definition::each(|definition| {
            proxies.add(definition);
            arguments.add(definition, |path| files.has_link(path));
        });
    }
    let mut walks = Walks::default();
    for server in main.with_virtual_hosts() {
        let is_concerned = |_: &Rules| proxies.concern(server) || arguments.concern(server);
        if let Some(hops) = walks.server(server, is_concerned) {
            proxies.warn(server, &hops, warnings);
            arguments.warn(server, &hops, warnings);
        }
        if let Some(warning) = walks.refused(server) {
            warnings.add(warning);
        }
    }
}

/// Walks the docroots of one server after another.
#[derive(Default)]
pub struct Walks {
    rules_of: RulesOf,
    files: Neighbours,
}

impl Walks {
    /// The links on the way to the docroot of a server. Nothing where docroots are left alone, where it is no path that
    /// can be walked, and where by its rules nobody is `concerned`.
    pub fn server(&mut self, server: Server<'_>, concerned: impl FnOnce(&Rules) -> bool) -> Option<Vec<LinkHop>> {
        let rules = self.rules_of.server(server).filter(|rules| concerned(rules))?;
        let docroot = server.configured_document_root().filter(|docroot| docroot.to_bytes().first() == Some(&b'/'))?;
        Some(self.files.survey(docroot, rules))
    }

    /// What is to be said of a server's docroot whose link leads outside of the releases at present.
    fn refused(&mut self, server: Server<'_>) -> Option<String> {
        let rules = self.rules_of.server(server).filter(|rules| rules.releases.is_some())?;
        let path = server.configured_document_root()?;
        let docroot = Docroot::new(Path::new(OsStr::from_bytes(path.to_bytes())), rules.clone()).ok()?;
        let now = Moment::from_nanoseconds(0);
        let look = if begins_anywhere(rules) {
            docroot.lookup(&Os, now, Duration::ZERO)
        } else {
            docroot.lookup(&self.files, now, Duration::ZERO)
        };
        let Answer::Refused(failure) = look.answer else { return None };
        // What is missing may come with the first deploy.
        failure.errno().is_none().then(|| {
            let hints: String = rules.releases.iter().flat_map(Releases::patterns).filter_map(linked_pattern).collect();
            format!(
                "DocumentRoot {} of {}: every request is answered with 503 as long as it leads there ({failure}){hints}",
                path.to_string_lossy(),
                server.description()
            )
        })
    }
}

/// What to write in place of a pattern that goes through a link, since the paths that it is compared with are real ones.
fn linked_pattern(pattern: &CStr) -> Option<String> {
    let pattern = Path::new(OsStr::from_bytes(pattern.to_bytes()));
    let is_plain = |part: &Path| !docroot::wildcard::is_pattern(part.as_os_str().as_bytes());
    let plain = pattern.ancestors().find(|ancestor| is_plain(ancestor))?;
    let real = plain.canonicalize().ok().filter(|real| real != plain)?;
    let real = real.join(pattern.strip_prefix(plain).ok()?);
    Some(format!("; RealdocReleases {} goes through a link, write {}", pattern.display(), real.display()))
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
    fn survey(&self, docroot: &CStr, rules: &Rules) -> Vec<LinkHop> {
        if begins_anywhere(rules) {
            return survey(&Os, docroot, rules);
        }
        let path = docroot.to_bytes();
        survey_from(self, &path[..self.real_above(path)], docroot, rules)
    }

    /// Whether there is a link on the way along a path, its end included. One that does not exist has none from there on.
    fn has_link(&self, path: &[u8]) -> bool {
        let real = self.real_above(path);
        let ends = (1..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]);
        for end in ends.filter(|&end| end > real) {
            match CString::new(&path[..end]).map(|part| self.read_link(&part)) {
                Ok(Ok(_)) => return true,
                Ok(Err(errno)) if Err(errno) == NO_LINK => {}
                _ => return false,
            }
        }
        false
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

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        Os.has_text(path, text)
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        Os.status(path)
    }

    fn file_clock(&self) -> Timestamp {
        Os.file_clock()
    }
}
