//! The configuration of each server, made and inherited while httpd reads its files.
//!
//! Owns: the two functions that httpd calls to make and to merge them. Must not: know what is in them.

use std::ffi::c_void;

use apache_sys as sys;

use super::configuring::Configuring;
use super::module::ServerConfig;
use super::panic::catch_panic;
use super::pool::Pool;
use super::server::Server;

/// A server has its first directive of the module.
///
/// # Safety
/// httpd's `create_server_config`: `pool` lives as long as the configuration.
pub unsafe extern "C" fn create_server_config<C: ServerConfig<'static>>(
    pool: *mut sys::apr_pool_t,
    _server: *mut sys::server_rec,
) -> *mut c_void {
    catch_panic(std::ptr::null_mut(), || {
        // SAFETY: httpd guarantees the pool. The drop of what a server keeps reads nothing that is borrowed, and any thread
        // may drop it (`ServerConfig` promises).
        unsafe { Pool::new(pool).own_borrowing(C::default()) }.cast()
    })
}

/// A virtual host's configuration is laid over the main server's.
///
/// # Safety
/// httpd's `merge_server_config`: `pool` lives as long as the configuration, and both others are what
/// `create_server_config` or this function returned.
pub unsafe extern "C" fn merge_server_config<C: ServerConfig<'static>>(
    pool: *mut sys::apr_pool_t,
    server: *mut c_void,
    host: *mut c_void,
) -> *mut c_void {
    catch_panic(std::ptr::null_mut(), || {
        // SAFETY: httpd guarantees the pool, and that both point to what these two functions made.
        let (pool, servers) = unsafe { (Pool::new(pool), server.cast::<C>().as_ref().zip(host.cast::<C>().as_ref())) };
        // One is null if its function panicked.
        let Some((server, host)) = servers else { return std::ptr::null_mut() };
        // SAFETY: as for `create_server_config`.
        unsafe { pool.own_borrowing(server.merged(host)) }.cast()
    })
}

/// Gives each of the `servers` one of the `configs`. The pool of the configuration drops all of them at
/// once, because there may be thousands.
pub fn set_server_configs<'s, C: ServerConfig<'s>>(
    configuring: &Configuring<'s>,
    servers: impl Iterator<Item = Server<'s>>,
    configs: Vec<C>,
) {
    // SAFETY: as for `create_server_config`. What the pool of the configuration owns lives as long as the configuration.
    let configs = unsafe { &*configuring.pool().own_borrowing(configs) };
    for (server, config) in servers.zip(configs) {
        server.set_config(configuring, config);
    }
}
