//! Regular expressions, as httpd compiles and matches them.
//!
//! Owns: a compiled expression. Must not: know what it is for.

use std::ffi::{CStr, CString, c_int};

use apache_sys as sys;

use super::pool::Pool;

/// A regular expression.
pub struct Regex {
    raw: *mut sys::ap_regex_t,
}

// SAFETY: an expression is only read once it is made; httpd matches by one from many threads.
unsafe impl Send for Regex {}
// SAFETY: as above.
unsafe impl Sync for Regex {}

impl Regex {
    /// Compiles an expression, which lives as long as the pool; nothing of one that httpd does not take.
    ///
    /// # Safety
    /// It must not be used any longer than the pool lives.
    pub unsafe fn new(text: &[u8], ignores_case: bool, pool: Pool<'_>) -> Option<Self> {
        let text = CString::new(text).ok()?;
        let flags = sys::AP_REG_EXTENDED | if ignores_case { sys::AP_REG_ICASE } else { 0 };
        // SAFETY: a C string, and a pool that nobody else uses meanwhile.
        let raw = unsafe { sys::ap_pregcomp(pool.raw, text.as_ptr(), flags) };
        (!raw.is_null()).then_some(Self { raw })
    }

    /// What it captures of a text, first all that it matches; nothing if it does not match.
    pub fn captures<'t>(&self, text: &'t CStr) -> Option<[&'t [u8]; 10]> {
        // SAFETY: plain numbers.
        let mut places: [sys::ap_regmatch_t; 10] = unsafe { std::mem::zeroed() };
        // SAFETY: a live expression (the promise of whoever made it), a C string, and as many places as it is told.
        if unsafe { sys::ap_regexec(self.raw, text.as_ptr(), places.len(), places.as_mut_ptr(), 0) } != 0 {
            return None;
        }
        let end = |place: c_int| usize::try_from(place).unwrap_or(usize::MAX);
        Some(places.map(|place| text.to_bytes().get(end(place.rm_so)..end(place.rm_eo)).unwrap_or_default()))
    }
}
