//! The functions that httpd calls at run time.
//!
//! Owns: the `extern "C"` edge, where each function guards, wraps what httpd hands over, calls one function and maps
//! its result. Must not: decide anything.

use std::ffi::c_int;

use apache_sys as sys;

use crate::directives;
use crate::guard::guard;
use crate::httpd::{Pool, Request, Server};
use crate::pin;

/// A subrequest or an internal redirect begins: it gets the pin of the request that it came from.
///
/// # Safety
/// httpd's `create_request` hook: `r` is a request whose pool, configuration, server and relations are set.
pub unsafe extern "C" fn create_request(r: *mut sys::request_rec) -> c_int {
    guard(sys::HTTP_INTERNAL_SERVER_ERROR, || {
        // SAFETY: httpd guarantees a live request for the length of the call.
        pin::inherit(unsafe { Request::new(r) });
        sys::OK
    })
}

/// A request's header is complete: its docroot is pinned.
///
/// # Safety
/// httpd's `post_read_request` hook: `r` is a request whose virtual host is chosen.
pub unsafe extern "C" fn post_read_request(r: *mut sys::request_rec) -> c_int {
    guard(sys::HTTP_INTERNAL_SERVER_ERROR, || {
        // SAFETY: httpd guarantees a live request for the length of the call.
        let request = unsafe { Request::new(r) };
        #[cfg(feature = "fault-injection")]
        crate::fault::strike(request, "post_read_request");
        pin::begin(request);
        sys::DECLINED
    })
}

/// The configuration is complete: each server gets what its requests will need.
///
/// # Safety
/// httpd's `post_config` hook: `pconf` lives as long as the configuration, and `s` is the list of its servers.
pub unsafe extern "C" fn post_config(
    pconf: *mut sys::apr_pool_t,
    _plog: *mut sys::apr_pool_t,
    _ptemp: *mut sys::apr_pool_t,
    s: *mut sys::server_rec,
) -> c_int {
    guard(sys::HTTP_INTERNAL_SERVER_ERROR, || {
        // SAFETY: httpd guarantees both for as long as the configuration lives, and that this is its only thread.
        let (pool, server) = unsafe { (Pool::new(pconf), Server::new(s)) };
        directives::settle(pool, server);
        sys::OK
    })
}
