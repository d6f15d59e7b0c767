//! This module, to the httpd layer.
//!
//! Owns: the module that log lines and the entries in httpd's vectors belong to. Must not: know what the entries point to.

use crate::httpd;

/// This module.
pub enum Realdoc {}

static LOADED: httpd::Loaded = httpd::Loaded::new();

// SAFETY: `register_hooks` sets it first, and httpd calls that before any other function of the module. The record in `lib.rs`
// has the functions of `crate::config::server::ServerConfig`.
unsafe impl httpd::Module for Realdoc {
    const NAME: &'static str = "mod_realdoc";

    #[inline]
    fn loaded() -> &'static httpd::Loaded {
        &LOADED
    }
}

/// Writes a line to the error log of a [`Server`](httpd::Server), formatted only if the server's `LogLevel` lets it through.
macro_rules! log {
    ($server:expr, $level:expr, $($text:tt)+) => {
        $crate::httpd::write_log::<$crate::module::Realdoc>(
            Some($server), $level, file!(), line!(), format_args!($($text)+)
        )
    };
}
pub(crate) use log;
