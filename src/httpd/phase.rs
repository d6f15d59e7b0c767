//! What httpd is doing: starting, or only checking its configuration.
//!
//! Owns: the questions about the whole process. Must not: keep any answer.

use std::ffi::CStr;

use apache_sys as sys;

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
