//! The patterns of `RealdocReleases`. Touches no file system.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use crate::config::invalid::Invalid;
use crate::config::wildcard;
use crate::path::{components, join, leading};

/// The patterns of the directories that links may lead to. Each is an absolute path, with the wildcards of
/// `<Directory>` (`*`, `?`, `[...]`) in its components. No wildcard matches a slash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Releases {
    /// Shared by all copies, because there may be thousands of virtual hosts.
    patterns: Arc<Vec<CString>>,
}

impl Releases {
    /// Reads one value of `RealdocReleases` and adds it.
    ///
    /// # Errors
    /// A relative path, the root, a path with `..`, and a bracket that is not closed.
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
        let depth = components(target).count();
        self.release_of(target).is_some()
            || self.patterns().any(|pattern| {
                let pattern = pattern.to_bytes();
                leading(pattern, depth).is_some_and(|above| wildcard::matches(above, &join_components(target)))
            })
    }

    /// The part of `path` that is the directory of a release; `None` if it lies in none.
    pub fn release_of<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        // `*` would match them.
        if components(path).any(|part| part == b".." || part == b".") {
            return None;
        }
        self.patterns().find_map(|pattern| {
            let pattern = pattern.to_bytes();
            let release = leading(path, components(pattern).count())?;
            wildcard::matches(pattern, release).then_some(release)
        })
    }
}

fn join_components(path: &[u8]) -> Vec<u8> {
    join(&components(path).collect::<Vec<_>>())
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

    #[test]
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
    fn other_patterns_are_refused_by_name() {
        for value in ["", "/", "//", "releases/*", "./releases", "/srv/../etc", "/srv/..", "/srv/[a"] {
            let message = Releases::default().add(value.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("RealdocReleases") && message.contains(&format!("'{value}'")), "{message}");
            assert!(message.contains("absolute path"), "{message}");
        }
        assert!(Releases::default().add(b"/srv\0").is_err());
    }
}
