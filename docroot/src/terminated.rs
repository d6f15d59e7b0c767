//! Strings whose length nobody has counted.
//!
//! httpd and the kernel take a string by its address, so a request can do without its length. That saves 320 instructions
//! a request inside the window, 240 a subrequest, and 140 more where each request reads the link (`RealpathEvery 0`):
//! nobody counts the lengths of the resolved docroot, of the release's name and of the link. Measured by
//! `tests/server/cost.rs` and `make bench`.

use std::ffi::CStr;

/// C strings one after another, in one allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strings(Box<[u8]>);

impl Strings {
    /// Takes the bytes of the strings, the last of which must be the NUL of the last string.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.last() == Some(&0)).then(|| Self(bytes.into_boxed_slice()))
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first string. Its end need not be looked for: no request checks again what [`Strings::new`] has checked.
    #[inline]
    pub fn first(&self) -> Terminated<'_> {
        Terminated(&self.0)
    }

    /// The string that begins here; `None` behind the end.
    #[inline]
    pub fn at(&self, offset: usize) -> Option<Terminated<'_>> {
        if offset < self.0.len() { Some(Terminated(&self.0[offset..])) } else { None }
    }
}

/// A C string that begins with these bytes and ends somewhere in them: a string whose length nobody has counted yet.
#[derive(Clone, Copy, Debug)]
pub struct Terminated<'b>(&'b [u8]);

impl<'b> Terminated<'b> {
    /// The string at the beginning of `bytes`, if their last byte is a NUL, so that the string ends.
    #[inline]
    pub fn new(bytes: &'b [u8]) -> Option<Self> {
        (bytes.last() == Some(&0)).then_some(Self(bytes))
    }

    /// The bytes, the last of which is a NUL.
    #[inline]
    pub fn bytes(self) -> &'b [u8] {
        self.0
    }

    /// The string with its length.
    pub fn to_c_str(self) -> &'b CStr {
        CStr::from_bytes_until_nul(self.0).unwrap_or_default()
    }
}

impl<'b> From<&'b CStr> for Terminated<'b> {
    fn from(string: &'b CStr) -> Self {
        Self(string.to_bytes_with_nul())
    }
}
