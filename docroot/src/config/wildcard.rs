//! Wildcards in the paths of `<Directory>` sections, with httpd's meaning.
//!
//! The language is that of `apr_fnmatch()` with `APR_FNM_PATHNAME`, which differs from `fnmatch(3)`: it has no classes
//! such as `[[:digit:]]`, a bracket that is not closed within its name is an ordinary character, and a path without any
//! wildcard is compared byte by byte, backslashes included. The server tests compare this file with APR itself.

use std::ffi::c_char;

/// Whether httpd takes a path for a pattern: `apr_fnmatch_test()`.
///
/// ```
/// assert!(docroot::wildcard::is_pattern(b"/srv/*/current"));
/// assert!(!docroot::wildcard::is_pattern(br"/srv/app\1"));
/// ```
pub fn is_pattern(path: &[u8]) -> bool {
    let mut has_opened = false;
    let mut bytes = path.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'?' | b'*' => return true,
            b'\\' if bytes.next().is_none() => return false,
            b'[' => has_opened = true,
            b']' if has_opened => return true,
            _ => {}
        }
    }
    false
}

/// Whether a pattern stands for a path. No wildcard stands for a slash.
///
/// ```
/// use docroot::wildcard::matches;
///
/// assert!(matches(b"/srv/*/releases/v[0-9]*", b"/srv/app/releases/v42"));
/// assert!(!matches(b"/srv/*", b"/srv/app/releases"));
/// ```
pub fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let mut patterns = pattern.split(|&byte| byte == b'/').peekable();
    let mut names = path.split(|&byte| byte == b'/');
    loop {
        let pattern = patterns.next().map(|part| if patterns.peek().is_some() { without_escape(part) } else { part });
        match (pattern, names.next()) {
            (None, None) => return true,
            (Some(pattern), Some(name)) if matches_name(pattern, name) => {}
            _ => return false,
        }
    }
}

/// Whether one component of a pattern stands for one component of a path.
pub fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // The pattern behind the last `*`, and the name there: on a mismatch, try one byte later.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            pattern = rest;
            retry = Some((pattern, name));
            continue;
        }
        let matched = match (Element::first(pattern), name.split_first()) {
            (None, None) => return true,
            (Some((element, rest)), Some((&byte, behind))) if element.matches(byte) => Some((rest, behind)),
            _ => None,
        };
        (pattern, name) = match (matched, retry) {
            (Some(next), _) => next,
            (None, Some((behind_star, from))) => {
                let Some((_, from)) = from.split_first() else { return false };
                retry = Some((behind_star, from));
                (behind_star, from)
            }
            (None, None) => return false,
        };
    }
}

/// Writes a path so that, in a pattern, it stands for itself alone.
pub fn escape(path: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(path.len());
    for &byte in path {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    escaped
}

/// A component without a backslash that escapes the following slash. Such a backslash has no effect.
fn without_escape(pattern: &[u8]) -> &[u8] {
    let escapes = pattern.iter().rev().take_while(|&&byte| byte == b'\\').count();
    &pattern[..pattern.len() - escapes % 2]
}

/// A part of a pattern that stands for one byte.
enum Element<'p> {
    Any,
    Byte(u8),
    /// The bytes between the brackets, and whether they list the bytes that do not match.
    Bracket(&'p [u8], bool),
}

impl<'p> Element<'p> {
    /// The first element of a pattern that does not begin with `*`, and the rest.
    fn first(pattern: &'p [u8]) -> Option<(Self, &'p [u8])> {
        match pattern {
            [] => None,
            [b'?', rest @ ..] => Some((Self::Any, rest)),
            [b'[', rest @ ..] => Some(Self::bracket(rest).unwrap_or((Self::Byte(b'['), rest))),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => Some((Self::Byte(*byte), rest)),
        }
    }

    /// The bracket that was just opened, and the rest; `None` if it is not closed.
    fn bracket(pattern: &'p [u8]) -> Option<(Self, &'p [u8])> {
        let (is_negated, list) = match pattern {
            [b'!' | b'^', rest @ ..] => (true, rest),
            _ => (false, pattern),
        };
        let mut rest = list;
        let mut is_first = true;
        loop {
            if let [b']', behind @ ..] = rest
                && !is_first
            {
                return Some((Self::Bracket(&list[..list.len() - behind.len()], is_negated), behind));
            }
            rest = Range::first(rest, is_first)?.1;
            is_first = false;
        }
    }

    fn matches(&self, byte: u8) -> bool {
        match *self {
            Self::Any => true,
            Self::Byte(expected) => byte == expected,
            Self::Bracket(list, is_negated) => {
                let mut rest = list;
                let mut is_listed = false;
                while rest.len() > 1
                    && let Some((range, behind)) = Range::first(rest, rest.len() == list.len())
                {
                    is_listed |= range.contains(byte);
                    rest = behind;
                }
                is_listed != is_negated
            }
        }
    }
}

/// A range of a bracket: one byte, or all from one to another.
struct Range(u8, u8);

impl Range {
    /// The first range of a list, and the rest; `None` where the list ends inside a range. A closing bracket at the
    /// very start is an ordinary byte.
    fn first(list: &[u8], is_first: bool) -> Option<(Self, &[u8])> {
        let list = match list {
            [b']', ..] if is_first => list,
            [b'\\', rest @ ..] => rest,
            _ => list,
        };
        match list {
            [] => None,
            [_, b'-'] => None,
            [start, b'-', end, rest @ ..] if *end != b']' => match (end, rest) {
                (b'\\', [end, rest @ ..]) => Some((Self(*start, *end), rest)),
                (b'\\', []) => None,
                _ => Some((Self(*start, *end), rest)),
            },
            [byte, rest @ ..] => Some((Self(*byte, *byte), rest)),
        }
    }

    /// Compares as APR does, by C's `char`, which is signed on some machines.
    fn contains(&self, byte: u8) -> bool {
        (self.0 as c_char..=self.1 as c_char).contains(&(byte as c_char))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_without_wildcards_are_no_patterns() {
        for pattern in ["/srv/*", "/srv/a?", "/srv/[ab]", "[x]", "/srv/x[/]y"] {
            assert!(is_pattern(pattern.as_bytes()), "{pattern}");
        }
        for path in ["/srv", r"/srv/\r1", r"/srv/\*", "/srv/[a", "/srv/a]", r"/srv/\[a", r"/srv/a\"] {
            assert!(!is_pattern(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn names_match() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "abc", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("*aab", "aaaab", true),
            ("?", "", false),
            ("??", "ab", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[a", "[a", true),
            ("[", "[", true),
            (r"[a\]b]", "]", true),
            (r"[a-\z]", "m", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"a\", r"a\", true),
            (r"a\\", r"a\", true),
            ("[[:digit:]]", "1", false),
            ("[[:digit:]]", "d]", true),
        ] {
            assert_eq!(matches_name(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn no_wildcard_stands_for_a_slash() {
        assert!(matches(b"/srv/*/x", b"/srv/app/x"));
        assert!(matches(br"/srv\/app", b"/srv/app"));
        for pattern in ["/srv/*", "/srv/*x", "/srv/app?x", "/srv/app[/]x"] {
            assert!(!matches(pattern.as_bytes(), b"/srv/app/x"), "{pattern}");
        }
    }

    #[test]
    fn escaped_paths_stand_for_themselves() {
        for path in ["/srv/[1]*", r"/srv/a\b?", "/srv/plain", r"/srv/\"] {
            assert!(matches(&escape(path.as_bytes()), path.as_bytes()), "{path}");
        }
        assert!(!matches(&escape(b"/srv/[1]*"), b"/srv/1x"));
    }
}
