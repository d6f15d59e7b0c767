//! C strings by their addresses.
//!
//! Owns: a string whose length nobody has counted. Must not: be made of anything that does not end in NUL.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A C string by its address alone. httpd takes no more, and most requests never need the length.
#[derive(Clone, Copy)]
pub struct Text<'p> {
    at: NonNull<c_char>,
    life: PhantomData<&'p CStr>,
}

// SAFETY: it gives access to what a `&'p CStr` does, which threads may share.
unsafe impl Send for Text<'_> {}
// SAFETY: as above.
unsafe impl Sync for Text<'_> {}

impl<'p> Text<'p> {
    /// The string that begins where `bytes` begin.
    ///
    /// # Safety
    /// There must be a NUL among the bytes.
    #[inline]
    pub unsafe fn from_bytes(bytes: &'p [u8]) -> Self {
        // The pointer is to all of the bytes and not to the first alone, because all are read through it.
        Self { at: NonNull::from(bytes).cast(), life: PhantomData }
    }

    /// The address. For comparing addresses only.
    #[inline]
    pub fn as_ptr(self) -> *const c_char {
        self.at.as_ptr()
    }

    /// The string with its length.
    pub fn to_c_str(self) -> &'p CStr {
        // SAFETY: the constructors take a string that ends in NUL and lives for `'p`.
        unsafe { CStr::from_ptr(self.at.as_ptr()) }
    }
}

impl<'p> From<&'p CStr> for Text<'p> {
    fn from(text: &'p CStr) -> Self {
        Self { at: NonNull::from(text).cast(), life: PhantomData }
    }
}
