//! The functions that httpd calls at run time.
//!
//! Owns: one row for each: its name, what it gets, what it returns, what it returns if it panics, and which function does
//! the work. Must not: decide anything.

use std::ffi::c_int;
use std::io::Write;

use apache_sys as sys;

use crate::config::rewrite::Rules;
use crate::config::warnings::Warnings;
use crate::config::{check, directives, server, warnings};
use crate::httpd::hook::{Unused, hooks};
use crate::httpd::{AtGate, Configuring, Level, Request, Server, is_defined, is_rehearsal};
use crate::inspect::{dump, status};
use crate::module::log;
use crate::request::{asset, begin, in_use, inherit, map};

const ERROR: c_int = sys::HTTP_INTERNAL_SERVER_ERROR;

hooks! {
    /// `create_request`: a subrequest or an internal redirect begins. It gets what the root of its tree holds.
    fn create_request(request: Request<'_, '_>) -> c_int, or ERROR; {
        inherit::inherit(request);
        sys::OK
    }

    /// `post_read_request`: a request's header is complete and its virtual host chosen. Its docroot is pinned.
    fn post_read_request(request: Request<'_, '_>) -> c_int, or ERROR; {
        #[cfg(feature = "fault-injection")]
        crate::failpoint::trigger(request, "post_read_request");
        begin::begin(request);
        sys::DECLINED
    }

    /// `map_to_storage`: a URL is mapped to a file. The file becomes that of the pinned release.
    fn map_to_storage(request: Request<'_, '_>) -> c_int, or ERROR; {
        #[cfg(feature = "fault-injection")]
        crate::failpoint::trigger(request, "map_to_storage");
        map::map(request)
    }

    /// The gate of an asset: its handler is about to run.
    fn asset_gate(at: AtGate<'_, '_>) -> c_int, or ERROR; {
        asset::check(&at)
    }

    /// `check_config`: the configuration is read and merged. The operator is warned of what cannot follow the links.
    fn check_config<'s>(
        configuring: Configuring<'s>, _log: Unused, _temporary: Unused, main: Server<'s>
    ) -> c_int, or ERROR; {
        directives::COMMANDS.state_true_context(&configuring);
        if let Some(error) = check::error(&configuring, main) {
            log!(main, Level::Error, "{error}");
            return ERROR;
        }
        if !is_rehearsal() {
            let mut warnings = Warnings::default();
            check::check(&configuring, main, &mut warnings);
            warnings.log_or_keep(main);
        }
        sys::OK
    }

    /// `test_config`: httpd was asked to test the configuration. Prints the docroots if it was asked to.
    fn test_config<'s>(configuring: Configuring<'s>, main: Server<'s>) -> (), or (); {
        if is_defined(c"DUMP_REALDOC") {
            // Not by `print!`, which panics where nothing can be written.
            let _ = std::io::stdout().write_all(dump::table(&configuring, main).as_bytes());
        }
    }

    /// `post_config`: the configuration is complete. Each server gets what its requests will need.
    fn post_config<'s>(
        configuring: Configuring<'s>, _log: Unused, _temporary: Unused, main: Server<'s>
    ) -> c_int, or ERROR; {
        if !is_rehearsal() {
            server::settle(&configuring, main, Rules::read(&configuring, main));
            warnings::log_kept(main);
        }
        sys::OK
    }

    /// `child_init`: a process begins to serve. It claims a slot to count its requests in.
    fn child_init(_pool: Unused, main: Server<'_>) -> (), or (); {
        in_use::claim(main);
    }

    /// `log_transaction`: the last byte of a response is sent or given up. The request is not counted any more.
    fn log_transaction(request: Request<'_, '_>) -> c_int, or sys::DECLINED; {
        in_use::end(request);
        sys::DECLINED
    }

    /// mod_status's `status_hook`: mod_status asks for our section of its page.
    fn status_hook(request: Request<'_, '_>, flags: c_int) -> c_int, or sys::DECLINED; {
        status::write(request, flags & sys::AP_STATUS_SHORT != 0);
        sys::OK
    }
}
