//! How httpd matches a `<Directory>` section without a regular expression: for the generator, which must know what a
//! section matches by accident.

/// Whether `path` is matched by a section for `pattern`, both absolute.
pub fn matches(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_end_matches('/');
    let path = path.trim_end_matches('/');
    if !has_wildcards(pattern) {
        return pattern == path;
    }
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(pattern, name)| component(pattern.as_bytes(), name.as_bytes()))
}

/// Whether one of the directories on the way to `path`, or `path` itself, is matched.
pub fn matches_on_the_way(pattern: &str, path: &str) -> bool {
    let ends = path.match_indices('/').map(|(index, _)| index).skip(1).chain([path.len()]);
    ends.into_iter().any(|end| matches(pattern, &path[..end]))
}

/// A backslash alone makes no wildcard: httpd compares such a path as it stands.
fn has_wildcards(pattern: &str) -> bool {
    let mut bytes = pattern.bytes();
    let mut is_open = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' => return true,
            b'\\' => _ = bytes.next(),
            b'[' => is_open = true,
            b']' if is_open => return true,
            _ => {}
        }
    }
    false
}

fn component(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|from| component(rest, &name[from..])),
        Some((b'?', rest)) => !name.is_empty() && component(rest, &name[1..]),
        Some((b'[', rest)) => {
            let Some((first, others)) = name.split_first() else { return false };
            let end = rest.iter().skip(1).position(|byte| *byte == b']').expect("a closed bracket") + 1;
            bracket(&rest[..end], *first) && component(&rest[end + 1..], others)
        }
        Some((b'\\', [byte, rest @ ..])) | Some((byte, rest)) => {
            name.first() == Some(byte) && component(rest, &name[1..])
        }
    }
}

fn bracket(members: &[u8], byte: u8) -> bool {
    let (is_negated, members) = match members {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, members),
    };
    let is_member = match members {
        [from, b'-', to] => (*from..=*to).contains(&byte),
        _ => members.contains(&byte),
    };
    is_member != is_negated
}

#[test]
fn sections_match_as_in_httpd() {
    for (pattern, path, expected) in [
        ("/a/*", "/a/b", true),
        ("/a/*", "/a", false),
        ("/a/*", "/a/b/c", false),
        ("/a/[a-c]x/?", "/a/bx/y", true),
        ("/a/[!a-c]x", "/a/bx", false),
        ("/a/\\b", "/a/b", false),
        ("/*/\\b", "/a/b", true),
        ("/a/", "/a", true),
    ] {
        assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
    }
    assert!(matches_on_the_way("/a/*", "/a/b/c"));
}
