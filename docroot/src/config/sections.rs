//! `<Directory>` sections that follow a link.
//!
//! Owns: which sections apply to a real path because they apply to the configured one, and in which order. Must not:
//! know what a section contains.
//!
//! httpd walks a path from the root. At each level it merges the sections for that directory in the order of the
//! configuration, and then the directory's `.htaccess`. It walks the real path of a request that was led from
//! `/srv/app/current` to `/srv/app/releases/42`. So the request gets a list of sections in which those of the
//! configured path stand at the real one:
//!
//! ```text
//! configured:  /  /srv  /srv/app  /srv/app/current                      /srv/app/current/private
//! real:        /  /srv  /srv/app  /srv/app/releases  /srv/app/releases/42  /srv/app/releases/42/private
//! ```
//!
//! - Sections for directories above both paths stay in place.
//! - Sections for the configured path alone, down to the link, move to the link's target, in their order.
//! - Sections below the link move as deep below the target.
//! - Sections for the real path alone stay, as the last of their depth: they win.

use crate::config::wildcard;
use crate::path::{components, leading, rest_under};

/// A configured directory and the real directory that links led it to, with the same files below.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// The path in the configuration, without a trailing slash.
    pub configured: Vec<u8>,
    /// The real path; the root is empty.
    pub real: Vec<u8>,
}

impl Mapping {
    /// The mapping of a path that was led, without the last `tail` bytes of both, which no link has changed.
    pub(crate) fn new(configured: &[u8], real: &[u8], tail: usize) -> Self {
        let cut = |path: &[u8]| {
            let path = &path[..path.len().saturating_sub(tail)];
            path.strip_suffix(b"/").unwrap_or(path).to_vec()
        };
        Self { configured: cut(configured), real: cut(real) }
    }

    /// The configured name of a path below the real one; `None` for another path.
    pub fn configured_name(&self, path: &[u8]) -> Option<Vec<u8>> {
        rest_under(path, &self.real).map(|rest| [&self.configured, rest].concat())
    }

    /// The mapping of a path that `before` has led, and then `self`.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        if let Some(rest) = rest_under(&self.configured, &before.real) {
            Self { configured: [&before.configured, rest].concat(), real: self.real }
        } else if let Some(rest) = rest_under(&before.real, &self.configured) {
            Self { configured: before.configured.clone(), real: [&self.real, rest].concat() }
        } else {
            self
        }
    }

    /// The directories on the way to both paths, the root (which is empty) first, without the configured path itself.
    pub fn common_directories(&self) -> impl Iterator<Item = &[u8]> {
        let common = self.common().min(depth(&self.configured).saturating_sub(1));
        (0..=common).filter_map(|depth| leading(&self.configured, depth))
    }

    /// The number of directories that both paths begin with.
    fn common(&self) -> usize {
        components(&self.configured).zip(components(&self.real)).take_while(|(one, other)| one == other).count()
    }
}

/// The path of a section, in httpd's form.
#[derive(Clone, Copy, Debug)]
pub struct Pattern<'s> {
    /// Without a trailing slash; the root is empty.
    pub path: &'s [u8],
    /// Whether it has wildcards.
    pub is_wildcard: bool,
}

impl Pattern<'_> {
    /// Whether its beginning, as deep as `path`, stands for `path`.
    fn begins_at(self, path: &[u8]) -> bool {
        leading_raw(self.path, depth(path)).is_some_and(|beginning| self.stands_for(beginning, path))
    }

    fn stands_for(self, beginning: &[u8], path: &[u8]) -> bool {
        if self.is_wildcard { wildcard::matches(beginning, path) } else { beginning == path }
    }

    /// Whether it stands for this very directory.
    pub fn is_for(self, directory: &[u8]) -> bool {
        depth(self.path) == depth(directory) && self.stands_for(self.path, directory)
    }

    /// Whether it stands for a directory on the way to `path`, for `path`, or for a path that may be below.
    pub fn meets(self, path: &[u8]) -> bool {
        if depth(self.path) <= depth(path) { self.is_on_the_way(path) } else { self.begins_at(path) }
    }

    /// Whether it stands for a directory on the way to `path`, or for `path`.
    pub fn is_on_the_way(self, path: &[u8]) -> bool {
        leading(path, depth(self.path)).is_some_and(|directory| self.stands_for(self.path, directory))
    }
}

/// One step of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The section of this number, in its place.
    Section(usize),
    /// The section of this number, at another path.
    Led {
        /// The number of the section.
        section: usize,
        /// The path, without a trailing slash.
        path: Vec<u8>,
        /// Whether the path is a pattern.
        is_wildcard: bool,
    },
    /// The `.htaccess` of a directory above the link that is not on the way to the real path.
    Htaccess {
        /// The directory as configured.
        directory: Vec<u8>,
    },
}

/// The steps of the merge for paths below the real one. `sections` are those of the configuration with a plain path or
/// wildcards, in httpd's order.
pub fn follow(sections: &[Pattern<'_>], mapping: &Mapping) -> Vec<Step> {
    let common = mapping.common();
    let (configured_depth, real_depth) = (depth(&mapping.configured), depth(&mapping.real));
    let mut steps: Vec<(Key, Step)> = Vec::new();
    for (number, section) in sections.iter().enumerate() {
        let own_depth = depth(section.path);
        let key = |depth, group| Key { depth, group, written: own_depth, is_htaccess: false };
        let (is_configured, is_real) = (section.meets(&mapping.configured), section.meets(&mapping.real));
        if own_depth <= common {
            if is_configured {
                steps.push((key(own_depth, Group::Common), Step::Section(number)));
            }
        } else if is_configured && own_depth <= configured_depth {
            let path = mapping.real.clone();
            steps.push((key(real_depth, Group::Led), Step::Led { section: number, path, is_wildcard: false }));
        } else if is_configured {
            let is_below_real = is_real && own_depth > real_depth;
            if is_below_real && configured_depth == real_depth {
                steps.push((key(own_depth, Group::Led), Step::Section(number)));
                continue;
            }
            let rest = &section.path[leading_raw(section.path, configured_depth).map_or(0, <[u8]>::len)..];
            let depth = real_depth + own_depth - configured_depth;
            steps.push((key(depth, Group::Led), led(number, *section, &mapping.real, rest)));
            // A wildcard may stand for other directories below the real path too.
            if is_below_real {
                steps.push((key(own_depth, Group::Real), Step::Section(number)));
            }
        } else if is_real {
            steps.push((key(own_depth, Group::Real), Step::Section(number)));
        }
    }
    // If the link leads back to a directory above it, httpd reads the `.htaccess` of that directory again.
    let is_back = common == real_depth && common < configured_depth;
    let mut above = &mapping.configured[..];
    while let Some(slash) = above.iter().rposition(|&byte| byte == b'/') {
        above = &above[..slash];
        let written = depth(above);
        if written < common + usize::from(!is_back) {
            break;
        }
        let key = Key { depth: real_depth, group: Group::Led, written, is_htaccess: true };
        steps.push((key, Step::Htaccess { directory: above.to_vec() }));
    }
    // A stable sort: steps with equal keys keep their order.
    steps.sort_by_key(|(key, _)| *key);
    steps.into_iter().map(|(_, step)| step).collect()
}

/// The order of the steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    depth: usize,
    group: Group,
    /// The depth in the configuration.
    written: usize,
    /// httpd merges a directory's `.htaccess` after its sections.
    is_htaccess: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Common,
    Led,
    Real,
}

/// The step of a section for `rest` below the configured path, moved to `rest` below `real`.
fn led(number: usize, section: Pattern<'_>, real: &[u8], rest: &[u8]) -> Step {
    let is_wildcard = section.is_wildcard && rest.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'));
    let real = if is_wildcard { wildcard::escape(real) } else { real.to_vec() };
    Step::Led { section: number, path: [&real, rest].concat(), is_wildcard }
}

/// The depth of a directory, by its slashes, as httpd counts; the root has depth zero.
fn depth(path: &[u8]) -> usize {
    path.iter().filter(|&&byte| byte == b'/').count()
}

/// The beginning of a path with `depth` slashes, up to the next slash.
fn leading_raw(path: &[u8], depth: usize) -> Option<&[u8]> {
    let mut slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(at, _)| at).skip(depth);
    match slashes.next() {
        Some(end) => Some(&path[..end]),
        None => (self::depth(path) == depth).then_some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(path: &str) -> Pattern<'_> {
        let path = path.strip_suffix('/').unwrap_or(path).as_bytes();
        Pattern { path, is_wildcard: wildcard::is_pattern(path) }
    }

    /// The steps as text: the number of the section, and its place if the section moves.
    fn steps(configured: &str, real: &str, sections: &[&str]) -> Vec<String> {
        let mapping = Mapping { configured: configured.into(), real: real.into() };
        let sections: Vec<_> = sections.iter().map(|path| pattern(path)).collect();
        let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        let show = |step| match step {
            Step::Section(number) => number.to_string(),
            Step::Led { section, path, is_wildcard: false } => format!("{section} at {}", text(&path)),
            Step::Led { section, path, .. } => format!("{section} matches {}", text(&path)),
            Step::Htaccess { directory } => format!("{}/.htaccess", text(&directory)),
        };
        follow(&sections, &mapping).into_iter().map(show).collect()
    }

    #[test]
    fn sections_stand_at_the_real_path() {
        let sections = ["/", "/srv", "/srv/app", "/srv/x", "/srv/app/current", "/srv/app/current/a/b"];
        assert_eq!(
            steps("/srv/app/current", "/srv/app/releases/42", &sections),
            ["0", "1", "2", "4 at /srv/app/releases/42", "5 at /srv/app/releases/42/a/b"]
        );
    }

    #[test]
    fn sections_above_a_link_that_leads_away_move_too() {
        assert_eq!(
            steps("/www/a/site", "/releases/1", &["/", "/www", "/*/a", "/releases"]),
            ["0", "3", "1 at /releases/1", "/www/.htaccess", "2 at /releases/1", "/www/a/.htaccess"]
        );
    }

    #[test]
    fn a_wildcard_for_both_paths_applies_once_and_in_its_place() {
        assert_eq!(
            steps("/www/site", "/releases/x", &["/www", "/*/x", "/*/site", "/*/*"]),
            ["0 at /releases/x", "/www/.htaccess", "2 at /releases/x", "3 at /releases/x", "1"]
        );
        assert_eq!(
            steps("/srv/a/current", "/srv/b/current", &["/srv/*/current", "/srv/*/*/x"]),
            ["/srv/a/.htaccess", "0 at /srv/b/current", "1"]
        );
    }

    #[test]
    fn sections_for_the_real_path_come_last_of_their_depth() {
        assert_eq!(
            steps(
                "/srv/current",
                "/srv/releases/1",
                &["/srv/releases/1", "/srv/current", "/srv/releases/1/p", "/srv/current/p"]
            ),
            ["1 at /srv/releases/1", "0", "3 at /srv/releases/1/p", "2"]
        );
    }

    #[test]
    fn rests_keep_their_wildcards_and_targets_have_none() {
        assert_eq!(
            steps("/srv/current", "/data/[1]*", &["/srv/c*", "/srv/*/y", r"/s*/current/\z", "/srv/*/*/x"]),
            [
                "/srv/.htaccess",
                "0 at /data/[1]*",
                "1 at /data/[1]*/y",
                r"2 matches /data/\[1\]\*/\z",
                r"3 matches /data/\[1\]\*/*/x"
            ]
        );
    }

    #[test]
    fn the_root_and_directories_above_the_link_can_be_targets() {
        assert_eq!(
            steps("/srv/current", "", &["/", "/srv", "/srv/current", "/srv/current/x"]),
            ["0", "/.htaccess", "1 at ", "/srv/.htaccess", "2 at ", "3 at /x", "3"]
        );
        assert_eq!(
            steps("/srv/app/current", "/srv", &["/", "/srv", "/srv/app", "/srv/app/current/x"]),
            ["0", "1", "/srv/.htaccess", "2 at /srv", "/srv/app/.htaccess", "3 at /srv/x", "3"]
        );
    }
}
