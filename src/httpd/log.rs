//! The error log.
//!
//! Owns: levels, and writing a line if a server's `LogLevel` lets it through. Must not: know what lines say.

use std::ffi::{CString, c_int};
use std::{fmt, panic, ptr};

use apache_sys as sys;

use super::module::Module;
use super::server::Server;

/// How bad a line is.
#[derive(Clone, Copy)]
#[repr(i32)]
pub enum Level {
    /// A bug of ours.
    Critical = sys::APLOG_CRIT,
    /// Requests do not get what they should.
    Error = sys::APLOG_ERR,
    /// The configuration asks for something that cannot be.
    Warning = sys::APLOG_WARNING,
    /// Good to know.
    Notice = sys::APLOG_NOTICE,
    /// A flip.
    Info = sys::APLOG_INFO,
    /// Each resolution.
    Debug = sys::APLOG_DEBUG,
}

/// Writes a line of a module to the error log of a server, or of the process if that is none. It is formatted only if
/// `LogLevel` lets it through.
pub fn write_log<M: Module>(server: Option<Server<'_>>, level: Level, file: &str, line: u32, text: fmt::Arguments<'_>) {
    let module = M::loaded().record();
    let server = server.map_or(ptr::null_mut(), |server| server.raw);
    if module.is_null() {
        return;
    }
    // SAFETY: the server is null or live, and httpd has loaded the module.
    if unsafe { sys::realdoc_logs_level(server, module, level as c_int) } == 0 {
        return;
    }
    let (file, text) = (c_string(file), c_string(&text.to_string()));
    // SAFETY: as above; httpd copies the C strings.
    unsafe { sys::realdoc_log(file.as_ptr(), line as c_int, module, level as c_int, server, text.as_ptr()) };
}

/// Makes panics appear in httpd's error log, as lines of a module. The hook belongs to this module's own copy of the
/// standard library, so that other modules in Rust are not touched by it, and leaves with it when httpd unloads the
/// module. Nobody would free what it captures then, so it captures nothing.
pub fn log_panics<M: Module + 'static>() {
    panic::set_hook(Box::new(|panic| {
        let module = M::NAME;
        let text = format_args!("{module} panicked, which is a bug: {panic}");
        write_log::<M>(None, Level::Critical, file!(), line!(), text);
    }));
}

/// The text up to its first NUL.
fn c_string(text: &str) -> CString {
    let text = text.split('\0').next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}
