//! Directives.
//!
//! Owns: the table that httpd reads, and the one function that it calls for each row. Must not: know what is set.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use apache_sys as sys;

use super::config_tree::words;
use super::configuring::Configuring;
use super::module::{ServerConfig, own_config};
use super::panic::catch_panic;
use super::phase::is_dump;
use super::pool::Pool;

/// A directive of a server or virtual host.
pub struct Directive<C: 'static> {
    /// The name, as it is shown.
    pub name: &'static CStr,
    /// How many arguments there may be.
    pub arguments: Arguments,
    /// Where it may stand.
    pub context: Context,
    /// Sets what the arguments say, or says what is wrong with them.
    pub set: fn(&mut C, &[&[u8]]) -> Result<(), String>,
    /// What `httpd -L` says of the arguments.
    pub usage: &'static CStr,
}

/// Where a directive may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// In the server config and in virtual hosts.
    Host,
    /// In the server config only: it concerns the whole process.
    Main,
}

/// How many arguments a directive has.
#[derive(Clone, Copy)]
pub enum Arguments {
    /// One, which may be empty (`""`).
    One,
    /// Any number. httpd's own way with such directives ends at the first empty argument and says nothing.
    Any,
}

/// A table of directives, as httpd reads it: the last record has no name.
#[repr(C)]
pub struct Commands<const N: usize> {
    records: [UnsafeCell<sys::command_rec>; N],
    end: sys::command_rec,
}

// SAFETY: `state_true_context` alone writes to it, which `Configuring` proves to be in the only thread.
unsafe impl<const N: usize> Sync for Commands<N> {}

/// Where a directive of ours may stand.
const SERVER: c_int = sys::RSRC_CONF;
/// Anywhere.
const ANYWHERE: c_int = sys::RSRC_CONF | sys::ACCESS_CONF | sys::OR_ALL;

impl<const N: usize> Commands<N> {
    /// The table of these directives.
    ///
    /// They are registered for every context, so that a misplaced one gets the message of this file, which says where it
    /// belongs. httpd's own says only "not allowed here".
    pub const fn new<C: ServerConfig<'static>>(directives: &'static [Directive<C>; N]) -> Self {
        const END: sys::command_rec = sys::command_rec {
            name: ptr::null(),
            func: sys::cmd_func { take1: None },
            cmd_data: ptr::null_mut(),
            req_override: 0,
            args_how: sys::RAW_ARGS,
            errmsg: ptr::null(),
        };
        let mut records = [const { UnsafeCell::new(END) }; N];
        let mut index = 0;
        while index < N {
            let directive = &directives[index];
            records[index] = UnsafeCell::new(sys::command_rec {
                name: directive.name.as_ptr(),
                func: sys::cmd_func { take1: Some(set::<C>) },
                cmd_data: ptr::from_ref(directive).cast_mut().cast(),
                req_override: ANYWHERE,
                args_how: match directive.arguments {
                    Arguments::One => sys::TAKE1,
                    Arguments::Any => sys::RAW_ARGS,
                },
                errmsg: directive.usage.as_ptr(),
            });
            index += 1;
        }
        Self { records, end: END }
    }

    /// The table as httpd takes it.
    pub const fn as_ptr(&'static self) -> *const sys::command_rec {
        ptr::from_ref(self).cast()
    }

    /// Lets `httpd -L` say where the directives may stand. To be called when the configuration is read: a process that only
    /// prints what it has read comes to no other directive.
    pub fn state_true_context(&self, _: &Configuring<'_>) {
        if is_dump() {
            for record in &self.records {
                // SAFETY: `Configuring` proves that this is the only thread, and httpd does not look meanwhile.
                unsafe { (*record.get()).req_override = SERVER };
            }
        }
    }
}

/// The function of all directives.
///
/// # Safety
/// httpd calls it for a directive of a table of [`Commands`].
unsafe extern "C" fn set<C: ServerConfig<'static>>(
    command: *mut sys::cmd_parms,
    _section: *mut c_void,
    line: *const c_char,
) -> *const c_char {
    catch_panic(c"the module panicked, which is a bug".as_ptr(), || {
        // SAFETY: httpd hands over a live command, the data of its record, which is a directive of the table, and a C string.
        let (pool, directive, line) = unsafe {
            let directive = (*command).info.cast::<Directive<C>>();
            (Pool::new((*command).pool), &*directive, CStr::from_ptr(line))
        };
        // SAFETY: httpd hands over a live command.
        let config = unsafe { server_config(command, directive.context) };
        let result = match config {
            None => Err(misplaced(directive.name, directive.context, line)),
            Some(config) => match directive.arguments {
                Arguments::One => (directive.set)(config, &[line.to_bytes()]),
                Arguments::Any => {
                    let words = words(pool, line);
                    let words: Vec<_> = words.iter().map(Vec::as_slice).collect();
                    (directive.set)(config, &words)
                }
            },
        };
        match result {
            Ok(()) => ptr::null(),
            Err(message) => pool.copy(message.as_bytes()).as_ptr(),
        }
    })
}

/// What a module keeps of the server that a directive belongs to. Nothing for a directive that stands in a section for a
/// part of a server, or in `.htaccess`, which is read while requests are served; and of one that concerns the whole process
/// nothing in a virtual host.
///
/// # Safety
/// httpd has handed over `command`, and the function that it has called has not returned.
unsafe fn server_config<'c, C: ServerConfig<'static>>(
    command: *mut sys::cmd_parms,
    context: Context,
) -> Option<&'c mut C> {
    let virtual_host = if context == Context::Main { sys::NOT_IN_VIRTUALHOST } else { 0 };
    let forbidden = (sys::NOT_IN_DIR_CONTEXT | sys::NOT_IN_HTACCESS | virtual_host).cast_unsigned();
    // SAFETY: the caller's promise.
    if !unsafe { sys::ap_check_cmd_context(command, forbidden) }.is_null() {
        return None;
    }
    // SAFETY: before it calls a directive's function, httpd has `create_server_config` make what the server keeps; null if
    // that panicked. Outside of `.htaccess` the only thread of a process does so that serves nobody yet, so that nobody else
    // holds a reference.
    unsafe { own_config::<C::Module>((*(*command).server).module_config).cast::<C>().as_mut() }
}

fn misplaced(name: &CStr, context: Context, line: &CStr) -> String {
    let allowed = match context {
        Context::Host => "server config and virtual host, not",
        Context::Main => "server config only, because it concerns all virtual hosts; not in <VirtualHost>, not",
    };
    format!(
        "{name}: '{}' is not valid here; {name} may stand in {allowed} in a <Directory>, <Location>, <Files> or <If> section \
         and not in .htaccess",
        line.to_string_lossy(),
        name = name.to_string_lossy(),
    )
}
