//! Where releases live, as `RealdocReleases` says it.
//!
//! Owns: the patterns, what lies under one of them, and which `<Directory>` sections follow a link into the releases.
//! Must not: touch a file system, except through the one matching function of `sys.rs`.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use crate::path::{components, join, rest_under};
use crate::settings::Invalid;
use crate::sys::wildcard_match;

/// Patterns for the directories that links may lead to, each an absolute path whose components may have the wildcards
/// of `<Directory>` (`*`, `?`, `[...]`), none of which matches a slash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Releases {
    /// Shared by all copies, because each of thousands of virtual hosts may have some of its own.
    patterns: Arc<Vec<CString>>,
}

impl Releases {
    /// Reads one value of `RealdocReleases` and adds it.
    ///
    /// # Errors
    /// A relative path, the root itself, a path with `..` in it, and a bracket that is not closed.
    pub fn add(&mut self, value: &[u8]) -> Result<(), Invalid> {
        let invalid = || {
            Invalid::new(
                "RealdocReleases",
                value,
                "Off alone, or absolute paths without '..', in which * ? [...] stand for any part of one name, such as /srv/app/releases/*",
            )
        };
        let parts: Vec<_> = components(value).filter(|&part| part != b".").collect();
        let is_open = |part: &&[u8]| part.contains(&b'[') && !part.contains(&b']');
        if value.first() != Some(&b'/') || parts.is_empty() || parts.contains(&&b".."[..]) || parts.iter().any(is_open)
        {
            return Err(invalid());
        }
        let pattern = CString::new(join(&parts)).map_err(|_| invalid())?;
        Arc::make_mut(&mut self.patterns).push(pattern);
        Ok(())
    }

    /// The patterns, without trailing slashes.
    pub fn patterns(&self) -> impl Iterator<Item = &CStr> {
        self.patterns.iter().map(CString::as_c_str)
    }

    /// Whether a link may lead there: into a release, or to a directory that has releases below it, as an earlier link
    /// of a chain does (`/var/www -> /data/www`).
    pub fn admits(&self, target: &[u8]) -> bool {
        self.release_of(target).is_some()
            || self.patterns().any(|pattern| wildcard_rest(pattern.to_bytes(), target).is_some())
    }

    /// The part of `path` that is the directory of a release; nothing if it lies in none.
    pub fn release_of<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        // `*` would match these two, and neither is the name of a release.
        if components(path).any(|part| part == b".." || part == b".") {
            return None;
        }
        self.patterns.iter().find_map(|pattern| {
            let depth = components(pattern.to_bytes()).count();
            let release = leading(path, depth)?;
            let candidate = CString::new(release).ok()?;
            wildcard_match(pattern, &candidate).then_some(release)
        })
    }
}

/// The first `depth` components of an absolute path, if it has as many.
fn leading(path: &[u8], depth: usize) -> Option<&[u8]> {
    let mut rest = path;
    for _ in 0..depth {
        rest = crate::path::split_first(rest)?.1;
    }
    Some(&path[..path.len() - rest.len()])
}

/// A link that stands between a configured path and the real one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Where the link is.
    pub link: Vec<u8>,
    /// Where it leads at present; `None` if it leads nowhere, or where it may not lead, so that it must be one that is
    /// meant for releases.
    pub target: Option<Vec<u8>>,
}

/// The paths where a `<Directory>` section for `section` must stand as well, because requests that it is meant for are
/// led away from there by `passages` (in the order of the walk).
///
/// A section at or below a link goes on below the link's target; one above a link, which the target has left, covers
/// the whole target. A target in a release stands for every release, so it is replaced by the patterns.
pub fn follow(section: &[u8], passages: &[Passage], releases: &Releases) -> Vec<Vec<u8>> {
    let mut paths = vec![section.to_vec()];
    for passage in passages {
        for path in paths.clone() {
            let at_or_below = wildcard_rest(&path, &passage.link);
            // Most sections of a server have nothing to do with a link, and what it leads to takes longer to make out.
            if at_or_below.is_none() && !is_below(&passage.link, &path) {
                continue;
            }
            for target in targets(passage, releases) {
                let led = match &at_or_below {
                    Some(rest) => [&target[..], rest].concat(),
                    None if covers(&path, &target) => continue,
                    None => target,
                };
                // A section for the root would apply to everything there is.
                if !led.is_empty() && !paths.contains(&led) {
                    paths.push(led);
                }
            }
        }
    }
    paths.split_off(1)
}

fn targets(passage: &Passage, releases: &Releases) -> Vec<Vec<u8>> {
    let patterns = || releases.patterns().map(|pattern| pattern.to_bytes().to_vec());
    match &passage.target {
        None => patterns().collect(),
        Some(target) => match releases.release_of(target).and_then(|release| rest_under(target, release)) {
            Some(rest) => patterns().map(|pattern| [&pattern[..], rest].concat()).collect(),
            None => vec![target.strip_suffix(b"/").unwrap_or(target).to_vec()],
        },
    }
}

/// Whether a section for `section` covers a link that leads away from it: it stands at the link, below it, or above it
/// while the link's target is elsewhere. Without `RealdocReleases` such a section no longer applies.
pub fn is_led_away(section: &[u8], passage: &Passage) -> bool {
    let target = passage.target.as_deref();
    is_below(section, &passage.link)
        || is_below(&passage.link, section) && target.is_some_and(|target| !is_below(target, section))
}

/// Whether one path is the other or lies below it, where the components of either may be wildcards.
pub fn overlaps(one: &[u8], other: &[u8]) -> bool {
    is_below(one, other) || is_below(other, one)
}

fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    // Most have no wildcards, and then most often one of the first two is it.
    if rest_under(path, prefix).is_some() {
        return true;
    }
    let is_above = || rest_under(prefix, path).is_some();
    !is_above() && depth_below(path, prefix).is_some()
}

/// Whether a section for `section` applies to all that `pattern` stands for, and below it.
fn covers(section: &[u8], pattern: &[u8]) -> bool {
    let mut names = components(pattern);
    components(section).all(|part| {
        // A part with another wildcard than this would have to be compared with all that the pattern's stands for. To
        // follow needlessly does no harm.
        names.next().is_some_and(|name| part == name || part == b"*" || !has_wildcards(name) && matches(part, name))
    })
}

/// What of `path` follows after `prefix`, where the components of either may be wildcards for those of the other.
fn wildcard_rest(path: &[u8], prefix: &[u8]) -> Option<Vec<u8>> {
    let depth = depth_below(path, prefix)?;
    Some(join(&components(path).skip(depth).collect::<Vec<_>>()))
}

/// How many components `prefix` has, if it is `path` or one of its ancestors. No allocation where there is no wildcard:
/// a server with thousands of virtual hosts compares a lot of paths when it starts.
fn depth_below(path: &[u8], prefix: &[u8]) -> Option<usize> {
    let mut names = components(path);
    let mut depth = 0;
    for part in components(prefix) {
        let name = names.next()?;
        if part != name && !matches(part, name) && !matches(name, part) {
            return None;
        }
        depth += 1;
    }
    Some(depth)
}

fn has_wildcards(pattern: &[u8]) -> bool {
    pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if !has_wildcards(pattern) {
        return false;
    }
    match (CString::new(pattern), CString::new(name)) {
        (Ok(pattern), Ok(name)) => wildcard_match(&pattern, &name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn releases(patterns: &[&str]) -> Releases {
        let mut releases = Releases::default();
        for pattern in patterns {
            releases.add(pattern.as_bytes()).unwrap();
        }
        releases
    }

    fn passage(link: &str, target: &str) -> Passage {
        Passage { link: link.into(), target: Some(target.into()) }
    }

    fn follow_all(section: &str, passages: &[Passage], patterns: &[&str]) -> Vec<String> {
        let led = follow(section.as_bytes(), passages, &releases(patterns));
        led.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "fnmatch(3)")]
    fn patterns_cover_whole_components() {
        let releases = releases(&["/srv/app/releases/*", "/srv/A/", "/srv/x[12]"]);
        let release_of = |path: &str| {
            releases.release_of(path.as_bytes()).map(|release| String::from_utf8(release.to_vec()).unwrap())
        };
        assert_eq!(release_of("/srv/app/releases/42").as_deref(), Some("/srv/app/releases/42"));
        assert_eq!(release_of("/srv/app/releases/42/public/x").as_deref(), Some("/srv/app/releases/42"));
        assert_eq!(release_of("/srv/A/htdocs").as_deref(), Some("/srv/A"));
        assert_eq!(release_of("/srv/x2").as_deref(), Some("/srv/x2"));
        assert_eq!(release_of("/srv/app/releases"), None);
        assert_eq!(release_of("/srv/AB"), None);
        assert_eq!(release_of("/srv/x3"), None);
        assert_eq!(release_of("/etc"), None);
        assert_eq!(release_of("/"), None);
        assert_eq!(release_of("/srv/app/releases/.."), None);
        assert_eq!(release_of("/srv/app/releases/42/../../.."), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "fnmatch(3)")]
    fn earlier_links_may_lead_to_where_releases_are() {
        let releases = releases(&["/data/www/*/releases/*"]);
        for (target, admitted) in [
            ("/data/www/app/releases/42/public", true),
            ("/data/www/app", true),
            ("/data/www", true),
            ("/", true),
            ("/data/www/app/evil", false),
            ("/data/other", false),
            ("/etc", false),
        ] {
            assert_eq!(releases.admits(target.as_bytes()), admitted, "{target}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "fnmatch(3)")]
    fn sections_that_no_longer_apply_are_known() {
        let away = passage("/var/www/site", "/srv/releases/42");
        for (section, led_away) in [
            ("/var/www/site", true),
            ("/var/www/site/public/", true),
            ("/var/*/site//private", true),
            ("/var/www", true),
            ("/", false),
            ("/srv", false),
            ("/var/www/site2", false),
        ] {
            assert_eq!(is_led_away(section.as_bytes(), &away), led_away, "{section}");
        }
    }

    #[test]
    fn other_patterns_are_refused_by_name() {
        for value in ["", "/", "//", "releases/*", "./releases", "/srv/../etc", "/srv/..", "/srv/[a"] {
            let message = Releases::default().add(value.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("RealdocReleases") && message.contains(&format!("'{value}'")), "{message}");
            assert!(message.contains("absolute path"), "{message}");
        }
        assert!(Releases::default().add(b"/srv\0").is_err());
    }

    #[test]
    #[cfg_attr(miri, ignore = "fnmatch(3)")]
    fn sections_at_and_below_the_link_follow_it() {
        let passages = [passage("/srv/app/current", "/srv/app/releases/42")];
        let patterns = ["/srv/app/releases/*"];
        assert_eq!(follow_all("/srv/app/current", &passages, &patterns), ["/srv/app/releases/*"]);
        assert_eq!(follow_all("/srv/app/current/public/x", &passages, &patterns), ["/srv/app/releases/*/public/x"]);
        assert_eq!(follow_all("/srv/app/current/*/x", &passages, &patterns), ["/srv/app/releases/*/*/x"]);
        assert_eq!(follow_all("/srv/*/current/x", &passages, &patterns), ["/srv/app/releases/*/x"]);
        for elsewhere in ["/srv/app/current2", "/srv/app/other", "/etc", "/srv/app/releases/42"] {
            assert!(follow_all(elsewhere, &passages, &patterns).is_empty(), "{elsewhere}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "fnmatch(3)")]
    fn sections_above_the_link_follow_it_only_where_it_leads_away() {
        let inside = [passage("/srv/app/current", "/srv/app/releases/42")];
        assert!(follow_all("/srv/app", &inside, &["/srv/app/releases/*"]).is_empty(), "it still applies");
        let matched = [passage("/srv/app/current", "/srv/42")];
        assert_eq!(follow_all("/srv/app", &matched, &["/srv/*"]), ["/srv/*"], "it would be one of them, not all");
        assert!(follow_all("/srv/*", &matched, &["/srv/*"]).is_empty(), "it applies to all");
        // Each applies to the link, and to some of the releases at most.
        for section in ["/srv/?", "/srv/[!4]*", "/srv/*a", "/srv/[*a]", "/srv/\\a"] {
            let short = [passage("/srv/a/current", "/srv/42")];
            assert_eq!(follow_all(section, &short, &["/srv/*"]), ["/srv/*"], "{section}");
        }
        assert!(follow_all("/s*", &inside, &["/srv/app/releases/*"]).is_empty());
        let away = [passage("/var/www/site", "/srv/releases/42")];
        assert_eq!(follow_all("/var/www", &away, &["/srv/releases/*"]), ["/srv/releases/*"]);
        assert!(follow_all("/", &away, &["/srv/releases/*"]).is_empty(), "the root applies everywhere");
    }

    #[test]
    #[cfg_attr(miri, ignore = "fnmatch(3)")]
    fn sections_follow_a_chain() {
        let passages =
            [passage("/var/www", "/data/www"), passage("/data/www/app/current", "/data/www/app/releases/42")];
        let patterns = ["/data/www/app/releases/*"];
        assert_eq!(
            follow_all("/var/www/app/current/public", &passages, &patterns),
            ["/data/www/app/current/public", "/data/www/app/releases/*/public"]
        );
        assert_eq!(follow_all("/var/www/app", &passages, &patterns), ["/data/www/app"]);
        assert_eq!(follow_all("/data/www/app/current", &passages, &patterns), ["/data/www/app/releases/*"]);
    }

    #[test]
    fn a_link_that_leads_nowhere_yet_leads_to_releases() {
        let passages = [Passage { link: b"/srv/current".to_vec(), target: None }];
        assert_eq!(follow_all("/srv/current/x", &passages, &["/srv/A", "/srv/B"]), ["/srv/A/x", "/srv/B/x"]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "fnmatch(3)")]
    fn nothing_follows_a_link_to_the_root_as_a_whole() {
        let passages = [passage("/a", "/")];
        assert_eq!(follow_all("/a/x", &passages, &["/x/*"]), ["/x"]);
        assert!(follow_all("/a", &passages, &["/x/*"]).is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "fnmatch(3)")]
    fn a_link_into_a_part_of_a_release_leads_to_that_part_of_all() {
        let passages = [passage("/srv/current", "/srv/releases/42/web")];
        assert_eq!(follow_all("/srv/current/x", &passages, &["/srv/releases/*"]), ["/srv/releases/*/web/x"]);
    }
}
