//! Wildcards as httpd reads them.
//!
//! Owns: comparing `docroot::wildcard` with the `apr_fnmatch()` of the APR that httpd runs with. Must not: start a server.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::transmute;

use docroot::wildcard::{is_pattern, matches};

/// `APR_FNM_PATHNAME`: no wildcard stands for a slash.
const PATHNAME: c_int = 2;

type Match = unsafe extern "C" fn(*const c_char, *const c_char, c_int) -> c_int;
type Test = unsafe extern "C" fn(*const c_char) -> c_int;

/// A function of APR's library, which httpd cannot be without.
fn function(name: &CStr) -> *mut libc::c_void {
    // SAFETY: the library is loaded for as long as the process, and its initialisers need nothing.
    let function = unsafe {
        let library = libc::dlopen(c"libapr-1.so.0".as_ptr(), libc::RTLD_NOW);
        assert!(!library.is_null(), "libapr-1.so.0 is missing");
        libc::dlsym(library, name.as_ptr())
    };
    assert!(!function.is_null(), "{name:?}");
    function
}

/// The next of numbers that look random and are the same each time (xorshift).
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 16) as usize
}

fn text(state: &mut u64, letters: &[u8]) -> CString {
    let length = next(state) % 9;
    let bytes: Vec<u8> = (0..length).map(|_| letters[next(state) % letters.len()]).collect();
    CString::new(bytes).expect("no NUL")
}

#[test]
fn patterns_are_those_of_apr() {
    // SAFETY: the functions have these signatures in every APR 1.
    let (fnmatch, fnmatch_test) = unsafe {
        (
            transmute::<*mut libc::c_void, Match>(function(c"apr_fnmatch")),
            transmute::<*mut libc::c_void, Test>(function(c"apr_fnmatch_test")),
        )
    };
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut matched, mut patterns) = (0, 0);
    for _ in 0..400_000 {
        let pattern = text(&mut state, b"aab/*?[]!^-\\\xe4");
        let path = text(&mut state, b"aaab/-]\\[\xe4");
        // SAFETY: C strings that APR only reads.
        let (of_apr, is_pattern_of_apr) =
            unsafe { (fnmatch(pattern.as_ptr(), path.as_ptr(), PATHNAME) == 0, fnmatch_test(pattern.as_ptr()) != 0) };
        assert_eq!(matches(pattern.to_bytes(), path.to_bytes()), of_apr, "{pattern:?} for {path:?}");
        assert_eq!(is_pattern(pattern.to_bytes()), is_pattern_of_apr, "{pattern:?}");
        matched += usize::from(of_apr);
        patterns += usize::from(is_pattern_of_apr);
    }
    assert!(matched > 2_000 && patterns > 100_000, "{matched} matches of {patterns} patterns prove little");
}
