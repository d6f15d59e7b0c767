//! Strings whose length nobody has counted.
//!
//! httpd and the kernel take a string by its address, so a request can do without its length. That saves 320 instructions
//! a request inside the window, 240 a subrequest, and 140 more where each request reads the link (`RealpathEvery 0`):
//! nobody counts the lengths of the resolved docroot, of the release's name and of the link. Measured by
//! `tests/server/cost.rs` and `make bench`.

use std::ffi::CStr;

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
