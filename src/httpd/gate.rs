//! A gate: a check of one request right before its handler runs.
//!
//! Owns: running the check when type, handler and filters are settled, at no cost to other requests. Must not: know what is
//! checked.
//!
//! httpd initialises the output filters of a request when everything else is settled: its type, its handler and its other
//! filters. The gate is a filter that only has such an initialisation, and behind all filters that change a response, so that
//! theirs are done. No hook is later, and a hook would run for every request.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use apache_sys as sys;

use super::configuring::Configuring;
use super::filter::Filter;
use super::hook::Argument;
use super::request::Request;

/// A gate, which is placed before some requests.
pub struct Gate {
    name: &'static CStr,
    filter: AtomicPtr<sys::ap_filter_rec_t>,
}

/// The function of a gate: the body of a hook. Whatever it returns but `OK` ends the request.
pub type Check = unsafe extern "C" fn(*mut sys::ap_filter_t) -> c_int;

impl Gate {
    /// A gate with a name that no other filter has.
    pub const fn new(name: &'static CStr) -> Self {
        Self { name, filter: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Whether a filter is this gate.
    pub fn is(&self, filter: Filter<'_>) -> bool {
        ptr::eq(filter.record, self.filter.load(Ordering::Relaxed))
    }

    /// Registers the gate; for each configuration, when the module registers its hooks.
    ///
    /// # Safety
    /// Only httpd calls `check`, and `check` takes an [`AtGate`].
    pub unsafe fn register(&self, _: &Configuring<'_>, check: Check) {
        // SAFETY: httpd copies the name. Both functions are static, and `Configuring` proves that there is one thread.
        let filter = unsafe {
            // The filters of the protocol are left to an error document.
            sys::ap_register_output_filter(self.name.as_ptr(), Some(pass), Some(check), sys::AP_FTYPE_PROTOCOL - 1)
        };
        self.filter.store(filter, Ordering::Relaxed);
    }

    /// Places the gate before the handler of a request. `file` is the file that the request is mapped to.
    ///
    /// # Panics
    /// If the gate is not registered.
    pub fn place<'q>(&self, request: Request<'q, '_>, file: &'q CStr) {
        let file: *const c_void = file.as_ptr().cast();
        // SAFETY: the filter is what `register` has stored. The request is live, and the file lives as
        // long as the request.
        unsafe {
            let connection = (*request.raw).connection;
            let filter = self.filter.load(Ordering::Relaxed);
            assert!(!filter.is_null(), "a gate is registered before it is placed");
            sys::ap_add_output_filter_handle(filter, file.cast_mut(), request.raw, connection);
        }
    }
}

/// Passes a response on, and everything that follows past this filter.
unsafe extern "C" fn pass(filter: *mut sys::ap_filter_t, brigade: *mut sys::apr_bucket_brigade) -> sys::apr_status_t {
    // SAFETY: httpd calls this with a live filter of the request, which has a next one. That stays readable when the
    // filter is removed, because the request's pool has it.
    unsafe {
        sys::ap_remove_output_filter(filter);
        sys::ap_pass_brigade((*filter).next, brigade)
    }
}

/// A request whose handler is about to run.
pub struct AtGate<'q, 'r: 'q> {
    /// The request.
    pub request: Request<'q, 'r>,
    /// The file that was given to [`Gate::place`]. None if the configuration has added the gate to a request.
    pub file: Option<&'q CStr>,
}

// SAFETY: a request lives longer than the initialisation of its filters.
unsafe impl Argument for AtGate<'_, '_> {
    type Raw = *mut sys::ap_filter_t;

    unsafe fn wrap(raw: Self::Raw) -> Self {
        // SAFETY: httpd hands over a filter of a live request. Its context is null or what `place` made it.
        unsafe {
            let file: *const c_char = (*raw).ctx.cast_const().cast();
            Self { request: Request::new((*raw).r), file: (!file.is_null()).then(|| CStr::from_ptr(file)) }
        }
    }
}
