//! The functions that httpd calls at run time.
//!
//! Owns: the `extern "C"` edge, where each function guards, wraps what httpd hands over, calls one function and maps
//! its result. Must not: decide anything.

use std::ffi::c_int;
use std::io::Write;

use apache_sys as sys;

use crate::config::rewrite::Rules;
use crate::config::warnings::Warnings;
use crate::config::{check, directives, warnings};
use crate::httpd::panic::guard;
use crate::httpd::{Pool, Request, Server, is_defined, is_rehearsal};
use crate::inspect::{dump, status};
use crate::request::{begin, inherit, map};

/// A subrequest or an internal redirect begins: it gets the pin of the request that it came from.
///
/// # Safety
/// httpd's `create_request` hook: `r` is a request whose pool, configuration, server and relations are set.
pub unsafe extern "C" fn create_request(r: *mut sys::request_rec) -> c_int {
    guard(sys::HTTP_INTERNAL_SERVER_ERROR, || {
        // SAFETY: httpd guarantees a live request for the length of the call.
        inherit::inherit(unsafe { Request::new(r) });
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
        crate::failpoint::strike(request, "post_read_request");
        begin::begin(request);
        sys::DECLINED
    })
}

/// A URL is mapped to a file: the file becomes that of the pinned release.
///
/// # Safety
/// httpd's `map_to_storage` hook: `r` is a request whose URL is translated.
pub unsafe extern "C" fn map_to_storage(r: *mut sys::request_rec) -> c_int {
    guard(sys::HTTP_INTERNAL_SERVER_ERROR, || {
        // SAFETY: httpd guarantees a live request for the length of the call.
        let request = unsafe { Request::new(r) };
        #[cfg(feature = "fault-injection")]
        crate::failpoint::strike(request, "map_to_storage");
        map::map(request)
    })
}

/// The configuration is read and merged: the operator is warned of what cannot follow the links.
///
/// # Safety
/// httpd's `check_config` hook: `s` is the list of servers.
pub unsafe extern "C" fn check_config(
    _pconf: *mut sys::apr_pool_t,
    _plog: *mut sys::apr_pool_t,
    _ptemp: *mut sys::apr_pool_t,
    s: *mut sys::server_rec,
) -> c_int {
    guard(sys::HTTP_INTERNAL_SERVER_ERROR, || {
        if !is_rehearsal() {
            let mut warnings = Warnings::default();
            // SAFETY: httpd guarantees the servers for as long as the configuration lives, and that this is its only thread.
            unsafe {
                let main = Server::new(s);
                check::check(main, &mut warnings);
                warnings.log_or_keep(main);
            }
        }
        sys::OK
    })
}

/// `httpd -t`: prints the docroots if it was asked to.
///
/// # Safety
/// httpd's `test_config` hook: `s` is the list of servers.
pub unsafe extern "C" fn test_config(_pconf: *mut sys::apr_pool_t, s: *mut sys::server_rec) {
    guard((), || {
        if is_defined(c"DUMP_REALDOC") {
            // SAFETY: httpd guarantees the servers for the length of the call.
            let table = dump::table(unsafe { Server::new(s) });
            // Not by `print!`, which panics where nothing can be written.
            let _ = std::io::stdout().write_all(table.as_bytes());
        }
    });
}

/// mod_status asks for our section of its page.
///
/// # Safety
/// mod_status's `status_hook`: `r` is a request that is being answered.
pub unsafe extern "C" fn status_hook(r: *mut sys::request_rec, flags: c_int) -> c_int {
    guard(sys::DECLINED, || {
        // SAFETY: httpd guarantees a live request for the length of the call.
        status::write(unsafe { Request::new(r) }, flags & sys::AP_STATUS_SHORT != 0);
        sys::OK
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
        if !is_rehearsal() {
            // SAFETY: httpd guarantees both for as long as the configuration lives, and that this is its only thread.
            let (pool, server) = unsafe { (Pool::new(pconf), Server::new(s)) };
            // SAFETY: the configuration is complete, and this is httpd's only thread.
            let rules = unsafe { Rules::read() };
            directives::settle(pool, server, rules);
            warnings::log_kept(server);
        }
        sys::OK
    })
}
