//! Hooks: the functions that httpd calls at run time.
//!
//! Owns: wrapping their arguments and catching their panics. Must not: know what a hook does.

use std::ffi::{c_char, c_int};
use std::mem::transmute;
use std::ptr;

use apache_sys as sys;

use super::configuring::Configuring;
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
    /// httpd hands it over as this argument of the hook, and the hook has not returned.
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

// SAFETY: the body of the hook gets it by value, and is a function that can keep nothing for longer than the call.
unsafe impl Argument for Configuring<'_> {
    type Raw = Self;

    unsafe fn wrap(raw: Self::Raw) -> Self {
        raw
    }
}

/// A pool that a hook has no use for.
#[repr(transparent)]
pub struct Unused {
    _raw: *mut sys::apr_pool_t,
}

// SAFETY: nothing is used.
unsafe impl Argument for Unused {
    type Raw = Self;

    unsafe fn wrap(raw: Self::Raw) -> Self {
        raw
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

/// Makes the functions that register a hook which gets pools, each from its name, what httpd hands over, and what the hook
/// returns. httpd declares all pools alike; a row of [`hooks!`] that takes another pool for that of the configuration does
/// not compile with these.
macro_rules! pool_hooks {
    ($($name:ident: $register:ident, $raw:ident, fn($($argument:ty),*) -> $result:ty;)*) => {
        $(
            #[doc = concat!("Registers a function for `", stringify!($name), "`, behind no module in particular.")]
            ///
            /// # Safety
            /// httpd has asked the module to register its hooks. The function is one of [`hooks!`].
            pub unsafe fn $name(function: unsafe extern "C" fn($($argument),*) -> $result, position: c_int) {
                // SAFETY: `Configuring` and `Unused` are transparent wrappers of the pointer. `Configuring` stands where httpd,
                // in its only thread, hands over the pool of the configuration.
                unsafe {
                    let function = transmute::<Option<unsafe extern "C" fn($($argument),*) -> $result>, sys::$raw>(Some(function));
                    sys::$register(function, ptr::null(), ptr::null(), position);
                }
            }
        )*
    };
}

pool_hooks! {
    check_config: ap_hook_check_config, ap_HOOK_check_config_t,
        fn(Configuring<'static>, Unused, Unused, *mut sys::server_rec) -> c_int;
    post_config: ap_hook_post_config, ap_HOOK_post_config_t,
        fn(Configuring<'static>, Unused, Unused, *mut sys::server_rec) -> c_int;
    test_config: ap_hook_test_config, ap_HOOK_test_config_t,
        fn(Configuring<'static>, *mut sys::server_rec) -> ();
    child_init: ap_hook_child_init, ap_HOOK_child_init_t,
        fn(Unused, *mut sys::server_rec) -> ();
}

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
