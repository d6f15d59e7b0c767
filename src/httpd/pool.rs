//! Memory pools, and the strings in them.
//!
//! Owns: what is put into a pool, how long it lives there and what drops it. Must not: know what it is for.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use apache_sys as sys;
use docroot::Trail;

use crate::guard::guard;

/// A C string by its address alone. httpd wants no more, and to count its length is work that most requests can do
/// without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'p> {
    at: NonNull<c_char>,
    life: PhantomData<&'p CStr>,
}

impl<'p> Text<'p> {
    /// The resolved docroot of a trail.
    #[inline]
    pub fn docroot(trail: Trail<'p>) -> Self {
        Self::first(trail.bytes())
    }

    /// The name of the release of a trail, if there is one.
    #[inline]
    pub fn release(trail: Trail<'p>) -> Option<Self> {
        trail.from_release().map(Self::first)
    }

    /// The first string in bytes of a trail.
    #[inline]
    fn first(bytes: &'p [u8]) -> Self {
        // The last byte of a trail is a NUL (`docroot` promises that), so a string that begins anywhere in it ends.
        // The pointer is to all of the bytes and not to the first alone, because all are read through it.
        Self { at: NonNull::from(bytes).cast(), life: PhantomData }
    }

    /// Where it is. For comparing addresses only.
    #[inline]
    pub fn as_ptr(self) -> *const c_char {
        self.at.as_ptr()
    }

    /// The string with its length.
    pub fn to_c_str(self) -> &'p CStr {
        // SAFETY: it was made of a C string, or of a part of a trail, whose last byte is a NUL; both live for `'p`.
        unsafe { CStr::from_ptr(self.at.as_ptr()) }
    }
}

impl<'p> From<&'p CStr> for Text<'p> {
    fn from(text: &'p CStr) -> Self {
        Self { at: NonNull::from(text).cast(), life: PhantomData }
    }
}

/// A memory pool.
#[derive(Clone, Copy)]
pub struct Pool<'p> {
    pub(super) raw: *mut sys::apr_pool_t,
    life: PhantomData<&'p ()>,
}

impl<'p> Pool<'p> {
    /// Wraps a pool.
    ///
    /// # Safety
    /// The pool must live for `'p`, and be used by this thread only.
    pub unsafe fn new(raw: *mut sys::apr_pool_t) -> Self {
        Self { raw, life: PhantomData }
    }

    /// Moves `value` into the pool, which drops it at its end.
    pub fn own<T>(self, value: T) -> *mut T {
        const { assert!(align_of::<T>() <= 8, "APR aligns to 8 bytes") };
        // SAFETY: the pool is live (whoever wrapped it). APR ends the process rather than return null, gives 8-byte
        // alignment, and calls the cleanup once, with what was registered, before it takes the memory back.
        unsafe {
            let place = sys::apr_palloc(self.raw, size_of::<T>()).cast::<T>();
            place.write(value);
            sys::apr_pool_cleanup_register(
                self.raw,
                place.cast(),
                Some(drop_in_pool::<T>),
                Some(sys::apr_pool_cleanup_null),
            );
            place
        }
    }

    /// Moves values into the pool, which drops them at its end, all at once.
    pub fn own_all<T>(self, values: Vec<T>) -> &'p [T] {
        // SAFETY: what a pool owns lives as long as the pool.
        unsafe { &*self.own(values) }
    }

    /// Moves `value` into the pool. Nothing is ever dropped, so that this costs an allocation and no more.
    pub fn place<T>(self, value: T) -> &'p T {
        self.place_with_copy(&[], |_| value)
    }

    /// Copies bytes into the pool, and moves what `make` makes of the copy in front of it: one allocation for both.
    pub fn place_with_copy<T>(self, bytes: &[u8], make: impl FnOnce(&'p [u8]) -> T) -> &'p T {
        const { assert!(align_of::<T>() <= 8, "APR aligns to 8 bytes") };
        const { assert!(!std::mem::needs_drop::<T>(), "a pool takes its memory back and drops nothing") };
        // SAFETY: the pool is live (whoever wrapped it). APR ends the process rather than return null, gives 8-byte
        // alignment and as many bytes as were asked for, and they live as long as the pool. The value and the bytes
        // are next to each other, and nothing else refers to either.
        unsafe {
            let place = sys::apr_palloc(self.raw, size_of::<T>() + bytes.len()).cast::<T>();
            let copy = place.add(1).cast::<u8>();
            copy.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            place.write(make(std::slice::from_raw_parts(copy, bytes.len())));
            &*place
        }
    }

    /// Copies a text into the pool as a C string; a NUL in it ends it.
    pub fn copy(self, text: &[u8]) -> &'p CStr {
        let text = &text[..text.iter().position(|&byte| byte == 0).unwrap_or(text.len())];
        // SAFETY: the pool is live (whoever wrapped it), APR gives as many bytes as were asked for, and they live as
        // long as the pool. The text has no NUL inside and gets one at its end.
        unsafe {
            let place = sys::apr_palloc(self.raw, text.len() + 1).cast::<u8>();
            place.copy_from_nonoverlapping(text.as_ptr(), text.len());
            place.add(text.len()).write(0);
            CStr::from_ptr(place.cast())
        }
    }
}

unsafe extern "C" fn drop_in_pool<T>(place: *mut c_void) -> sys::apr_status_t {
    guard((), || {
        // SAFETY: `Pool::own` registered this with a value of this type, and APR calls a cleanup once.
        unsafe { place.cast::<T>().drop_in_place() };
    });
    sys::APR_SUCCESS
}
