//! mod_realdoc: keeps every request on the release that its docroot symlink led to when the request began.
//!
//! Owns: the module record that httpd loads, and the list of hooks. Must not: contain logic. What a docroot leads to
//! is the business of the `docroot` crate, which knows no httpd; `request` decides what a request gets of it.
//!
//! # The life of a request
//!
//! 1. httpd has read a request's header and chosen its virtual host. `post_read_request` counts the request and looks
//!    where the docroot leads ([`docroot::Docroot::confirms`] or, where that is not enough, [`docroot::Docroot::lookup`]),
//!    lets the request hold the answer (the *pin*) and makes it the request's own docroot, as `ap_set_document_root` does.
//!    All that threads share and that is written for it is the count.
//! 2. httpd and its modules map the URL below that docroot: `r->filename`, `DOCUMENT_ROOT`, `.htaccess`, PHP.
//!    What is mapped elsewhere below the link (`Alias`), or below a docroot that only this request has
//!    (`VirtualDocumentRoot`), `map_to_storage` leads to the pinned release before httpd walks the directories.
//!    The directories are walked by a list of sections in which those of the configured path stand at the real one.
//! 3. Every subrequest and internal redirect starts out with an empty configuration of its own; `create_request` gives
//!    it what the root of its tree holds.
//! 4. The pin lasts until the pool of the main request is destroyed, after the last byte of the response. Just before,
//!    `log_transaction` takes the request from the count.
//!
//! # Where things are
//!
//! | folder or file | what |
//! |---|---|
//! | `hooks` | the functions that httpd calls at run time: catch panics, wrap, call, map |
//! | `config` | the directives and what a server keeps of them, the check of the configuration and its warnings |
//! | `request` | the pin of a request, the file that it gets, the sections that follow links, what the log says |
//! | `inspect` | what the operator can ask for: `DUMP_REALDOC` and the section of mod_status |
//! | `httpd` | safe wrappers of httpd's structures |
//! | `failpoint` | panics on demand, for the tests |

mod config;
#[cfg(feature = "fault-injection")]
mod failpoint;
mod hooks;
mod httpd;
mod inspect;
mod module;
mod request;

use std::mem::MaybeUninit;
use std::ptr;

use apache_sys as sys;

use crate::config::directives::COMMANDS;
use crate::config::server::ServerConfig;
use crate::httpd::hook::{self, Names};
use crate::httpd::panic::catch_panic;
use crate::httpd::{Configuring, Module, Pool, Record, log_panics};
use crate::module::Realdoc;
use crate::request::asset;

/// The type of mod_status's hook.
type StatusHook = unsafe extern "C" fn(*mut sys::request_rec, std::ffi::c_int) -> std::ffi::c_int;

/// httpd core, as the predecessor of a hook.
static CORE: Names<2> = Names::new([c"core.c".as_ptr(), ptr::null()]);

/// Modules that may choose another server for a request, or another docroot for its server, as soon as its header is
/// complete.
static SERVER_CHOOSERS: Names<4> =
    Names::new([c"mod_rpaf-2.0.c".as_ptr(), c"mod_rpaf.c".as_ptr(), c"mod_perl.c".as_ptr(), ptr::null()]);

/// Registers the hooks; httpd calls it once each time it has loaded the module.
///
/// # Safety
/// Only httpd calls it, while it reads its configuration in its only thread.
unsafe extern "C" fn register_hooks(pool: *mut sys::apr_pool_t) {
    catch_panic((), || {
        // SAFETY: httpd calls this while it reads its configuration in its only thread, with the pool of the configuration.
        let configuring = unsafe { Configuring::new(Pool::new(pool)) };
        // SAFETY: `realdoc_module` is the record that httpd has loaded.
        unsafe { Realdoc::loaded().set(&configuring, &realdoc_module) };
        log_panics::<Realdoc>();
        // SAFETY: only httpd calls it, and it takes an `AtGate`.
        unsafe { asset::GATE.register(&configuring, hooks::asset_gate) };
    });
    // SAFETY: httpd's registration functions, called when httpd asks for it. The predecessor list is static and ends
    // in a null pointer, the functions are static, and all have the signature of their hook.
    unsafe {
        // Behind core's, which makes the configuration that the docroot is kept in; nothing else matters, because the
        // request has no URL yet.
        sys::ap_hook_create_request(Some(hooks::create_request), CORE.as_ptr(), ptr::null(), sys::APR_HOOK_MIDDLE);
        // Ahead of everything that may look at the docroot: mod_setenvif and mod_headers do in this hook. But behind
        // modules that are known to choose the server anew in it; of others, `map_to_storage` takes care. Else the
        // virtual host is settled as late as that is, and the header was complete before.
        sys::ap_hook_post_read_request(
            Some(hooks::post_read_request),
            SERVER_CHOOSERS.as_ptr(),
            ptr::null(),
            sys::APR_HOOK_REALLY_FIRST,
        );
        // As late as can be and still ahead of core's at REALLY_LAST, which walks the directories: modules that map
        // URLs or compute docroots in this hook too (mod_lua) are done, and those that answer without a file (proxy,
        // TRACE, OPTIONS) have ended it. Naming core as the successor would not do, because it has another function
        // in this hook that runs first of all.
        sys::ap_hook_map_to_storage(
            Some(hooks::map_to_storage),
            ptr::null(),
            ptr::null(),
            sys::APR_HOOK_REALLY_LAST - 1,
        );
        // Before modules that write logs: nothing is opened any more.
        sys::ap_hook_log_transaction(
            Some(hooks::log_transaction),
            ptr::null(),
            ptr::null(),
            sys::APR_HOOK_REALLY_FIRST,
        );
        hook::child_init(hooks::child_init, sys::APR_HOOK_MIDDLE);
        // When httpd has merged the sections of all virtual hosts; it runs for `httpd -t` as well.
        hook::check_config(hooks::check_config, sys::APR_HOOK_LAST);
        hook::test_config(hooks::test_config, sys::APR_HOOK_MIDDLE);
        // mod_status runs this hook if it is loaded; APR keeps optional hooks by name and without their type.
        sys::apr_optional_hook_add(
            c"status_hook".as_ptr(),
            Some(std::mem::transmute::<StatusHook, unsafe extern "C" fn()>(hooks::status_hook)),
            ptr::null(),
            ptr::null(),
            sys::APR_HOOK_MIDDLE,
        );
        // When all virtual hosts are merged, behind modules that still set docroots or add hosts.
        hook::post_config(hooks::post_config, sys::APR_HOOK_LAST);
    }
}

/// The symbol that `LoadModule realdoc_module` looks for.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "the name is httpd's convention and part of existing configurations")]
pub static realdoc_module: Record = Record::new(sys::module {
    // The module API that the headers are of; httpd 2.4 loads no other.
    version: sys::MODULE_MAGIC_NUMBER_MAJOR,
    minor_version: sys::MODULE_MAGIC_NUMBER_MINOR,
    // Where this module's entry is in every configuration vector; httpd numbers modules when it loads them.
    module_index: -1,
    // What `<IfModule mod_realdoc.c>` asks for. The C module is called so, and configurations out there rely on it.
    name: c"mod_realdoc.c".as_ptr(),
    magic: sys::MODULE_MAGIC_COOKIE as _,
    // Nothing is configured by directory: which release a request gets must be settled before there is a path.
    create_dir_config: None,
    merge_dir_config: None,
    // One `ServerConfig` for each server that has a directive of ours; a virtual host's is merged over the main one.
    create_server_config: Some(httpd::create_server_config::<ServerConfig<'static>>),
    merge_server_config: Some(httpd::merge_server_config::<ServerConfig<'static>>),
    // The directives.
    cmds: COMMANDS.as_ptr(),
    // The hooks.
    register_hooks: Some(register_hooks),
    // What httpd fills in when it loads the module, and for other kinds of module.
    // SAFETY: plain C data, for which all zeroes (null, none) is what `STANDARD20_MODULE_STUFF` has there.
    ..unsafe { MaybeUninit::zeroed().assume_init() }
});
