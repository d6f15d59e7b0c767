//! What httpd is doing, starting or only checking its configuration, and where it runs.
//!
//! Owns: the questions about the whole process. Must not: keep any answer.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use apache_sys as sys;

use super::pool::Pool;

/// Whether httpd was started with `-D name`.
pub fn is_defined(name: &CStr) -> bool {
    // SAFETY: httpd only reads the C string.
    unsafe { sys::ap_exists_config_define(name.as_ptr()) != 0 }
}

/// Whether httpd reads its configuration for the first of two times. When httpd starts, it reads the configuration once,
/// throws all of it away, and reads it again to serve by it.
pub fn is_rehearsal() -> bool {
    // SAFETY: httpd knows the number of the question.
    is_starting() && unsafe { sys::ap_state_query(sys::AP_SQ_MAIN_STATE) == sys::AP_SQ_MS_CREATE_PRE_CONFIG }
}

/// Whether httpd starts or restarts to serve. Else it was only asked about its configuration (`-t`, `-S`, `-L`).
pub fn is_starting() -> bool {
    run_mode() == sys::AP_SQ_RM_NORMAL
}

/// Whether httpd only prints what it has read (`-S`, `-M`, `-L`).
pub(super) fn is_dump() -> bool {
    run_mode() == sys::AP_SQ_RM_CONFIG_DUMP
}

fn run_mode() -> std::ffi::c_int {
    // SAFETY: httpd knows the number of the question.
    unsafe { sys::ap_state_query(sys::AP_SQ_RUN_MODE) }
}

/// Whether a process of httpd serves several requests at once.
pub fn is_threaded() -> bool {
    let mut answer = 0;
    // SAFETY: httpd writes a number.
    unsafe { sys::ap_mpm_query(sys::AP_MPMQ_IS_THREADED as c_int, &mut answer) == sys::APR_SUCCESS && answer != 0 }
}

/// The path of a file that the processes of httpd share while it runs (`DefaultRuntimeDir`).
pub fn runtime_file(pool: Pool<'_>, name: &CStr) -> Option<PathBuf> {
    type Relative = unsafe extern "C" fn(*mut sys::apr_pool_t, *const c_char) -> *mut c_char;
    // SAFETY: a C string and a live pool, in which the path lives. httpd 2.4.1 lacks the function, and is the only httpd
    // that does; it has such files in `logs`.
    unsafe {
        let function = libc::dlsym(libc::RTLD_DEFAULT, c"ap_runtime_dir_relative".as_ptr());
        let path = if function.is_null() {
            let name = pool.copy(&[b"logs/", name.to_bytes()].concat());
            sys::ap_server_root_relative(pool.raw, name.as_ptr())
        } else {
            std::mem::transmute::<*mut c_void, Relative>(function)(pool.raw, name.as_ptr())
        };
        (!path.is_null()).then(|| OsStr::from_bytes(CStr::from_ptr(path).to_bytes()).into())
    }
}
