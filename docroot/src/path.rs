//! Absolute paths as bytes: components and prefixes. Touches no file system.

/// The rest of `path` after `prefix`, if `prefix` is `path` or one of its ancestors: empty, or with a leading `/`.
///
/// Components are compared whole: `/srv/app/current` is no ancestor of `/srv/app/current2`. A prefix may end in
/// slashes, and `/` is an ancestor of everything.
pub fn rest_under<'p>(path: &'p [u8], prefix: &[u8]) -> Option<&'p [u8]> {
    let end = prefix.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let rest = path.strip_prefix(&prefix[..end])?;
    matches!(rest.first(), None | Some(b'/')).then_some(rest)
}

/// `path` with its prefix `link` replaced by `target`; `None` if `link` is no prefix of `path`.
pub fn led(path: &[u8], link: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let rest = rest_under(path, link)?;
    // The path of the root ends in the slash that the rest begins with.
    let target = target.strip_suffix(b"/").unwrap_or(target);
    Some(if target.is_empty() && rest.is_empty() { b"/".to_vec() } else { [target, rest].concat() })
}

/// The first component of `path`, without leading slashes, and the rest; `None` if there are only slashes.
pub fn split_first(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|&byte| byte != b'/')?;
    let path = &path[start..];
    let end = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
    Some(path.split_at(end))
}

/// The first `depth` components of an absolute path; `None` if it has fewer.
pub fn leading(path: &[u8], depth: usize) -> Option<&[u8]> {
    let mut rest = path;
    for _ in 0..depth {
        rest = split_first(rest)?.1;
    }
    Some(&path[..path.len() - rest.len()])
}

/// The components of a path.
pub fn components(mut path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (name, rest) = split_first(path)?;
        path = rest;
        Some(name)
    })
}

/// The absolute path of these components, without a trailing slash; the root is empty.
pub fn join(components: &[&[u8]]) -> Vec<u8> {
    let mut path = Vec::new();
    for component in components {
        push(&mut path, component);
    }
    path
}

/// An absolute path in httpd's spelling: without empty components and `.`, and each `..` removed with the component
/// before it.
pub fn folded(path: &[u8]) -> Vec<u8> {
    let mut folded = Vec::with_capacity(path.len());
    for name in components(path) {
        match name {
            b"." => {}
            b".." => pop(&mut folded),
            name => push(&mut folded, name),
        }
    }
    folded
}

/// The last component of a path; empty for the root.
pub fn last(path: &[u8]) -> &[u8] {
    components(path).last().unwrap_or_default()
}

/// Removes the last component of an absolute path without a trailing slash. The root (empty) stays the root.
pub fn pop(path: &mut Vec<u8>) {
    let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    path.truncate(end);
}

/// Appends a component to an absolute path without a trailing slash; the root is empty.
pub fn push(path: &mut Vec<u8>, component: &[u8]) {
    path.push(b'/');
    path.extend_from_slice(component);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_components() {
        assert_eq!(rest_under(b"/srv/app/current/x", b"/srv/app/current"), Some(&b"/x"[..]));
        assert_eq!(rest_under(b"/srv/app/current", b"/srv/app/current"), Some(&b""[..]));
        assert_eq!(rest_under(b"/srv/app/current2", b"/srv/app/current"), None);
        assert_eq!(rest_under(b"/srv/app", b"/srv/app/current"), None);
        assert_eq!(rest_under(b"/srv/app/x", b"/srv/app//"), Some(&b"/x"[..]));
        assert_eq!(rest_under(b"/srv", b"/"), Some(&b"/srv"[..]));
    }

    #[test]
    fn links_lead() {
        for (path, target, expected) in [
            ("/srv/current/x", "/srv/1", Some("/srv/1/x")),
            ("/srv/current", "/srv/1", Some("/srv/1")),
            ("/srv/current/x", "/", Some("/x")),
            ("/srv/current", "/", Some("/")),
            ("/srv/current2/x", "/srv/1", None),
        ] {
            let led = led(path.as_bytes(), b"/srv/current", target.as_bytes());
            assert_eq!(led.as_deref(), expected.map(str::as_bytes), "{path} -> {target}");
        }
    }

    #[test]
    fn spellings_are_folded() {
        for (path, expected) in [
            ("//srv///app/", "/srv/app"),
            ("/srv/./x/../app/.", "/srv/app"),
            ("/../srv", "/srv"),
            ("/", ""),
            ("/a/..", ""),
        ] {
            assert_eq!(folded(path.as_bytes()), expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn components_come_one_by_one() {
        assert_eq!(split_first(b"//a//b"), Some((&b"a"[..], &b"//b"[..])));
        assert_eq!(split_first(b"a"), Some((&b"a"[..], &b""[..])));
        assert_eq!(split_first(b"//"), None);
        assert_eq!(split_first(b""), None);
    }
}
