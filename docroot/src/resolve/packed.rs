//! The strings of a resolution, packed for the fast path.
//!
//! Owns: the one place with tricks that save instructions in each request. Must not: know what the strings mean.
//!
//! The strings are handed out as [`Terminated`].

use std::ffi::{CStr, CString};

use crate::os::system::Errno;
use crate::resolve::hop::LinkHop;
use crate::terminated::{Strings, Terminated};

/// All strings of a resolution in one allocation, because there may be thousands of docroots. Each string ends in NUL:
/// the resolved docroot; the name of the release, if there is one; the path and the target of each link; the text of
/// each link. A target that is the resolved docroot is left empty, as that of most links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    strings: Strings,
    /// The offset of the release's name; [`NO_RELEASE`] if there is none.
    release: u32,
    /// The offset of the first link.
    links: u32,
    /// The offset of the texts; zero if there are no links.
    texts: u32,
}

/// Behind the end of any strings.
const NO_RELEASE: u32 = u32::MAX;

/// A link in [`Packed`].
#[derive(Clone, Copy, Debug)]
pub struct PackedHop<'p> {
    pub link: &'p CStr,
    pub target: &'p CStr,
    pub text: &'p CStr,
}

impl Packed {
    /// Packs a resolved docroot, the name of its release and the links on the way, each with its target.
    ///
    /// # Errors
    /// `ENAMETOOLONG` for more bytes than an offset can count; `EINVAL` for a NUL in a string. Paths that lead to a
    /// directory have neither.
    pub fn new(docroot: &[u8], release: Option<&[u8]>, hops: &[LinkHop]) -> Result<Self, Errno> {
        let offset = |strings: &[u8]| u32::try_from(strings.len()).map_err(|_| Errno(libc::ENAMETOOLONG));
        let mut strings = rooted(docroot)?.into_bytes_with_nul();
        let mut release_at = NO_RELEASE;
        if let Some(release) = release {
            release_at = offset(&strings)?;
            strings.extend(c_string(release)?.into_bytes_with_nul());
        }
        let links = offset(&strings)?;
        for hop in hops {
            let target = hop.target.as_deref().ok_or(Errno(libc::EINVAL))?;
            strings.extend(rooted(&hop.link)?.into_bytes_with_nul());
            let target = if target == docroot { CString::default() } else { rooted(target)? };
            strings.extend(target.into_bytes_with_nul());
        }
        let texts = if hops.is_empty() { 0 } else { offset(&strings)? };
        for hop in hops {
            strings.extend(c_string(&hop.text)?.into_bytes_with_nul());
        }
        let strings = Strings::new(strings).ok_or(Errno(libc::EINVAL))?;
        Ok(Self { strings, release: release_at, texts, links })
    }

    /// The resolved docroot.
    pub fn docroot(&self) -> &CStr {
        strings(Some(self.strings.bytes())).next().unwrap_or_default()
    }

    /// The resolved docroot without its length.
    #[inline]
    pub fn docroot_terminated(&self) -> Terminated<'_> {
        self.strings.first()
    }

    /// The name of the release without its length.
    #[inline]
    pub fn release_terminated(&self) -> Option<Terminated<'_>> {
        self.strings.at(self.release as usize)
    }

    /// Whether there are links.
    #[inline]
    pub fn has_links(&self) -> bool {
        self.texts != 0
    }

    /// The only link without its length, and its text.
    #[inline]
    pub fn only_link(&self) -> Option<(Terminated<'_>, &[u8])> {
        let bytes = self.strings.bytes();
        Some((self.strings.at(self.links as usize)?, bytes.get(self.texts as usize..bytes.len() - 1)?))
    }

    /// The links, in the order of the walk.
    pub fn hops(&self) -> impl Iterator<Item = PackedHop<'_>> {
        let (links, texts) = (self.links as usize, self.texts as usize);
        let mut strings_of_links = strings(self.strings.bytes().get(links..texts));
        let mut texts = strings(self.strings.bytes().get(texts..).filter(|_| self.has_links()));
        std::iter::from_fn(move || {
            let (link, target, text) = (strings_of_links.next()?, strings_of_links.next()?, texts.next()?);
            Some(PackedHop { link, target: if target.is_empty() { self.docroot() } else { target }, text })
        })
    }
}

/// The strings that follow one another in `bytes`, each with a NUL at its end.
fn strings(bytes: Option<&[u8]>) -> impl Iterator<Item = &CStr> {
    let mut rest = bytes.unwrap_or_default();
    std::iter::from_fn(move || {
        let string = CStr::from_bytes_until_nul(rest).ok()?;
        rest = &rest[string.count_bytes() + 1..];
        Some(string)
    })
}

/// The path as a C string; the empty path is the root.
fn rooted(path: &[u8]) -> Result<CString, Errno> {
    c_string(if path.is_empty() { b"/" } else { path })
}

fn c_string(string: &[u8]) -> Result<CString, Errno> {
    CString::new(string).map_err(|_| Errno(libc::EINVAL))
}
