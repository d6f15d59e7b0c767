//! The URL prefixes of `RealdocAssets`.

use std::sync::Arc;

use crate::config::invalid::Invalid;

/// The URL prefixes below which assets of the releases before are served. Each begins and ends with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Shared by all copies, because there may be thousands of virtual hosts.
    list: Arc<[Box<[u8]>]>,
}

impl Prefixes {
    /// Reads the values of `RealdocAssets`: `Off`, or prefixes.
    ///
    /// # Errors
    /// No value, `Off` among others, and what is no prefix: a relative path, one without a slash at its end, an empty
    /// component, `.`, `..`, a query or a NUL byte.
    pub fn parse(values: &[&[u8]]) -> Result<Option<Self>, Invalid> {
        if let [value] = values
            && value.eq_ignore_ascii_case(b"off")
        {
            return Ok(None);
        }
        if let Some(value) = values.iter().find(|value| !is_prefix(value)) {
            return Err(invalid(value));
        }
        if values.is_empty() {
            return Err(invalid(b""));
        }
        Ok(Some(Self { list: values.iter().map(|&value| value.into()).collect() }))
    }

    /// The set of the [`initial`]s of all URLs below the prefixes.
    pub fn initials(&self) -> usize {
        // All URLs are below the root.
        self.iter().map(|prefix| prefix.get(1).map_or(usize::MAX, |&byte| initial(byte))).fold(0, |set, one| set | one)
    }

    /// The prefixes.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.list.iter().map(|prefix| &**prefix)
    }
}

/// The byte of a URL behind its first slash, as a set with one member. Most URLs differ from all prefixes in that, which is
/// cheaper to see than the rest.
#[inline]
pub fn initial(byte: u8) -> usize {
    1 << (u32::from(byte) % usize::BITS)
}

/// Whether a set of [`initial`]s has that of a byte.
#[inline]
pub fn has_initial(set: usize, byte: u8) -> bool {
    set.wrapping_shr(byte.into()) & 1 != 0
}

fn invalid(value: &[u8]) -> Invalid {
    Invalid::new(
        "RealdocAssets",
        value,
        "Off alone, or URL prefixes without '..' that begin and end with a slash, such as /build/",
    )
}

fn is_prefix(value: &[u8]) -> bool {
    let Some(names) = value.strip_prefix(b"/") else { return false };
    if names.is_empty() {
        return true;
    }
    let Some(names) = names.strip_suffix(b"/") else { return false };
    names.split(|&byte| byte == b'/').all(|name| {
        !matches!(name, b"" | b"." | b"..")
            && !name.iter().any(|byte| b"?#\0".contains(byte) || byte.is_ascii_control())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_url_below_a_prefix_has_another_initial() {
        let initials = |values: &[&[u8]]| Prefixes::parse(values).unwrap().unwrap().initials();
        assert_eq!(initials(&[b"/build/", b"/a/b/"]), initial(b'b') | initial(b'a'));
        assert!((0..=u8::MAX).all(|byte| has_initial(initials(&[b"/build/", b"/"]), byte)));
        assert!((0..=u8::MAX).all(|byte| has_initial(initial(b'b'), byte) == (initial(byte) == initial(b'b'))));
    }

    #[test]
    fn prefixes_begin_and_end_with_a_slash() {
        let prefixes = Prefixes::parse(&[b"/build/", b"/a/b/"]).unwrap().unwrap();
        assert_eq!(prefixes.iter().collect::<Vec<_>>(), [&b"/build/"[..], b"/a/b/"]);
        assert_eq!(Prefixes::parse(&[b"oFF"]), Ok(None));
        assert!(Prefixes::parse(&[b"/"]).unwrap().is_some());
        for values in [
            &[][..],
            &[&b""[..]],
            &[b"build/"],
            &[b"/build"],
            &[b"//"],
            &[b"/build//"],
            &[b"/./"],
            &[b"/a/../b/"],
            &[b"/a?/"],
            &[b"/a\0/"],
            &[b"Off", b"/build/"],
            &[b"/build/", b"Off"],
            &[b"On"],
        ] {
            let message = Prefixes::parse(values).unwrap_err().to_string();
            assert!(message.starts_with("RealdocAssets: '") && message.contains("/build/"), "{message}");
        }
    }
}
