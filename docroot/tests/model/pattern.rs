//! Paths by their components, and the wildcards of `RealdocReleases`, matched one byte at a time.
//!
//! Owns: a simple model of prefixes and releases. Must not: call `fnmatch(3)`, which the model is compared with.

use docroot::Releases;

use crate::resolution::patterns;

/// The components of a path.
pub fn names(path: &[u8]) -> Vec<&[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect()
}

/// Whether one path is the other or lies below it.
pub fn is_under(path: &[u8], above: &[u8]) -> bool {
    names(path).starts_with(&names(above))
}

/// Whether one name matches one component of a pattern: `*`, `?` and plain sets such as `[ab]`.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|taken| matches(rest, &name[taken..])),
        [b'?', rest @ ..] => !name.is_empty() && matches(rest, &name[1..]),
        [b'[', rest @ ..] => {
            let end = rest.iter().position(|&byte| byte == b']').expect("a closed set");
            name.first().is_some_and(|byte| rest[..end].contains(byte)) && matches(&rest[end + 1..], &name[1..])
        }
        [byte, rest @ ..] => name.first() == Some(byte) && matches(rest, &name[1..]),
    }
}

/// The release that a path lies in.
pub fn release_of(releases: &Releases, path: &[u8]) -> Option<Vec<u8>> {
    let path = names(path);
    if path.iter().any(|name| matches!(*name, b"." | b"..")) {
        return None;
    }
    patterns(releases).iter().find_map(|pattern| {
        let pattern = names(pattern);
        let is_in = path.len() >= pattern.len() && pattern.iter().zip(&path).all(|(part, name)| matches(part, name));
        is_in.then(|| path[..pattern.len()].iter().flat_map(|name| [b"/", *name].concat()).collect())
    })
}

/// Whether a link may lead there: into a release, or to a directory above the releases.
pub fn admits(releases: &Releases, target: &[u8]) -> bool {
    let is_above = |pattern: &Vec<u8>| {
        let (pattern, target) = (names(pattern), names(target));
        target.len() <= pattern.len() && pattern.iter().zip(&target).all(|(part, name)| matches(part, name))
    };
    release_of(releases, target).is_some() || patterns(releases).iter().any(is_above)
}
