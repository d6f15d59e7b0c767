//! The text of a manifest: the names of the retained releases, one a line, the newest first.

use std::collections::HashSet;
use std::fmt;

use crate::escape::escape;

/// The longest manifest. It has room for a release a minute for a day.
pub const SIZE_MAX: usize = 64 * 1024;

/// The longest name of a file on Linux.
const NAME_MAX: usize = 255;

/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The names of the retained releases, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    names: Vec<Box<[u8]>>,
}

impl Manifest {
    /// Reads a manifest. A name that stands there twice counts once. The last line may lack its newline.
    ///
    /// # Errors
    /// The first line that is no name of a release: an empty one, one with a slash or a control character, one that begins
    /// with a dot, as `.realdoc` does, and one that begins with the byte order mark of an editor.
    pub fn parse(text: &[u8]) -> Result<Self, BadLine> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let mut known = HashSet::new();
        if text.is_empty() {
            return Ok(Self { names });
        }
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            if !is_name(line) {
                return Err(BadLine { number: index + 1, text: line[..line.len().min(NAME_MAX)].to_vec() });
            }
            if known.insert(line) {
                names.push(line.into());
            }
        }
        Ok(Self { names })
    }

    /// The text of a manifest with these names.
    pub fn text<'n>(names: impl IntoIterator<Item = &'n [u8]>) -> Vec<u8> {
        names.into_iter().flat_map(|name| [name, b"\n"].concat()).collect()
    }

    /// The names, the newest first.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().map(|name| &**name)
    }
}

/// Whether a manifest may name a release so.
pub fn is_name(name: &[u8]) -> bool {
    let is_plain = |&byte: &u8| byte != b'/' && !byte.is_ascii_control();
    !name.is_empty()
        && name.len() <= NAME_MAX
        && name[0] != b'.'
        && !name.starts_with(BYTE_ORDER_MARK)
        && name.iter().all(is_plain)
}

/// A line that is no name of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    number: usize,
    text: Vec<u8>,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is no name of a release: '{}'", self.number, escape(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &[u8]) -> Vec<String> {
        let manifest = Manifest::parse(text).unwrap();
        manifest.names().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn names_stand_one_a_line() {
        assert_eq!(names(b"43\n42\n"), ["43", "42"]);
        assert_eq!(names(b"43\n42"), ["43", "42"], "a shell's printf may leave out the last newline");
        assert_eq!(names(b"2026-11-28 a\n42\n42\n"), ["2026-11-28 a", "42"]);
        assert!(names(b"").is_empty() && names(b"\n").is_empty());
    }

    #[test]
    fn a_line_that_is_no_name_spoils_the_manifest() {
        let long = [b'a'; 256];
        for line in [
            &b""[..],
            b"..",
            b".",
            b".realdoc",
            b"a/b",
            b"/etc",
            b"a\0b",
            b"a\r",
            b"\ta",
            "\u{feff}41".as_bytes(),
            &long,
        ] {
            let error = Manifest::parse(&[b"43\n", line, b"\n42\n"].concat()).unwrap_err();
            assert!(error.to_string().starts_with("line 2 is no name of a release"), "{error}");
        }
        assert!(Manifest::parse(b"\n\n").is_err());
        assert!(!Manifest::parse(b"a\x1b[0m").unwrap_err().to_string().contains('\x1b'));
    }

    #[test]
    fn what_is_written_is_read() {
        let text = Manifest::text([&b"43"[..], b"42"]);
        assert_eq!(text, b"43\n42\n");
        assert_eq!(names(&text), ["43", "42"]);
    }
}
