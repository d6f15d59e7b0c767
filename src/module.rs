//! This module, to the httpd layer.
//!
//! Owns: whose the lines in the log are, and the pointers in httpd's structures. Must not: know what these point to.

use crate::httpd;

/// This module.
pub enum Realdoc {}

static LOADED: httpd::Loaded = httpd::Loaded::new();

// SAFETY: `register_hooks` notes it first of all, and httpd calls that before any other function of the module.
unsafe impl httpd::Module for Realdoc {
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
