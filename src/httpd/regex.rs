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
    /// Compiles an expression, which lives as long as the pool. None if httpd rejects the expression.
    ///
    /// # Safety
    /// The expression is not used any longer than the pool lives.
    pub unsafe fn new(text: &[u8], ignores_case: bool, pool: Pool<'_>) -> Option<Self> {
        let text = CString::new(text).ok()?;
        let flags = sys::AP_REG_EXTENDED | if ignores_case { sys::AP_REG_ICASE } else { 0 };
        // SAFETY: a C string, and a pool that nobody else uses meanwhile.
        let raw = unsafe { sys::ap_pregcomp(pool.raw, text.as_ptr(), flags) };
        (!raw.is_null()).then_some(Self { raw })
    }

    /// The parts of a text that it captures; the first is all that it matches. None if it does not match.
    pub fn captures<'t>(&self, text: &'t CStr) -> Option<[&'t [u8]; 10]> {
        // SAFETY: plain numbers.
        let mut ranges: [sys::ap_regmatch_t; 10] = unsafe { std::mem::zeroed() };
        // SAFETY: a live expression (`Regex::new`), a C string, and as many ranges as it is told.
        if unsafe { sys::ap_regexec(self.raw, text.as_ptr(), ranges.len(), ranges.as_mut_ptr(), 0) } != 0 {
            return None;
        }
        let offset = |offset: c_int| usize::try_from(offset).unwrap_or(usize::MAX);
        Some(ranges.map(|range| text.to_bytes().get(offset(range.rm_so)..offset(range.rm_eo)).unwrap_or_default()))
    }
}
