//! Hooks: the functions that httpd calls at run time.
//!
//! Owns: what each wraps and catches. Must not: know what a hook does.

use std::ffi::{c_char, c_int};

use apache_sys as sys;

use super::configuring::Configuring;
use super::pool::Pool;
use super::request::Request;
use super::server::Server;

/// What httpd hands to a hook, wrapped.
///
/// # Safety
/// `wrap` makes nothing that is used after the hook has returned, except as `Raw` may be.
pub unsafe trait Argument {
    /// As httpd hands it over.
    type Raw;

    /// Wraps it.
    ///
    /// # Safety
    /// httpd hands it over in this place, and the hook has not returned.
    unsafe fn wrap(raw: Self::Raw) -> Self;
}

// SAFETY: a request lives longer than a hook.
unsafe impl Argument for Request<'_, '_> {
    type Raw = *mut sys::request_rec;

    unsafe fn wrap(raw: Self::Raw) -> Self {
        // SAFETY: httpd hands over live requests whose configuration and server are set.
        unsafe { Self::new(raw) }
    }
}

// SAFETY: a server lives longer than a hook.
unsafe impl Argument for Server<'_> {
    type Raw = *mut sys::server_rec;

    unsafe fn wrap(raw: Self::Raw) -> Self {
        // SAFETY: httpd hands over live servers.
        unsafe { Self::new(raw) }
    }
}

// SAFETY: httpd hands over the pool of the configuration to hooks in which it configures itself, and to no others. The proof
// is lent to the body of the hook.
unsafe impl Argument for Configuring<'_> {
    type Raw = *mut sys::apr_pool_t;

    unsafe fn wrap(raw: Self::Raw) -> Self {
        // SAFETY: the pool is that of the configuration, and this is httpd's only thread.
        unsafe { Self::new(Pool::new(raw)) }
    }
}

/// A pool that a hook has no use for.
pub struct Unused;

// SAFETY: nothing is used.
unsafe impl Argument for Unused {
    type Raw = *mut sys::apr_pool_t;

    unsafe fn wrap(_: Self::Raw) -> Self {
        Self
    }
}

// SAFETY: a plain number.
unsafe impl Argument for c_int {
    type Raw = Self;

    unsafe fn wrap(raw: Self::Raw) -> Self {
        raw
    }
}

/// Makes functions that httpd calls, each from its name, what it gets, what it returns, what it returns if it panics, and
/// what it does.
macro_rules! hooks {
    ($(
        $(#[$doc:meta])*
        fn $name:ident$(<$life:lifetime>)?($($argument:ident: $kind:ty),*) -> $result:ty, or $fallback:expr; $body:block
    )*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// Only httpd calls it, as the hook of this name.
            pub unsafe extern "C" fn $name$(<$life>)?(
                $($argument: <$kind as $crate::httpd::hook::Argument>::Raw),*
            ) -> $result {
                // A function, so that it is good for any lifetime and can keep nothing for longer than the call.
                #[inline(always)]
                fn body$(<$life>)?($($argument: $kind),*) -> $result $body
                $crate::httpd::panic::catch_panic($fallback, || {
                    // SAFETY: httpd hands these over, and they are used until the hook returns.
                    $(let $argument = unsafe { <$kind as $crate::httpd::hook::Argument>::wrap($argument) };)*
                    body($($argument),*)
                })
            }
        )*
    };
}
pub(crate) use hooks;

/// The modules whose functions run before, or after, a function of ours. The last entry is null.
pub struct Names<const N: usize>([*const c_char; N]);

// SAFETY: static strings that nobody writes to.
unsafe impl<const N: usize> Sync for Names<N> {}

impl<const N: usize> Names<N> {
    /// A list of names and, behind them, null.
    pub const fn new(names: [*const c_char; N]) -> Self {
        assert!(names[N - 1].is_null(), "httpd reads the list up to a null pointer");
        Self(names)
    }

    /// The list as httpd takes it.
    pub const fn as_ptr(&self) -> *const *const c_char {
        self.0.as_ptr()
    }
}
