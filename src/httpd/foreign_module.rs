//! Other modules that httpd has loaded.
//!
//! Owns: their entries in configuration vectors, as pointers. Must not: know what the pointers point to.

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;

use apache_sys as sys;

use super::server::Server;

/// Another module, loaded for as long as the configuration.
#[derive(Clone, Copy)]
pub struct ForeignModule<'s> {
    raw: *mut sys::module,
    life: PhantomData<&'s ()>,
}

impl<'s> ForeignModule<'s> {
    /// The module whose source file has this name, in the configuration that a server is of.
    pub fn find(_: Server<'s>, name: &CStr) -> Option<Self> {
        // SAFETY: a C string, and a list of modules that httpd changes in its only thread, before there are requests.
        let raw = unsafe { sys::ap_find_linked_module(name.as_ptr()) };
        (!raw.is_null()).then_some(Self { raw, life: PhantomData })
    }

    /// # Safety
    /// `raw` is a module record of httpd that lives for `'s`.
    pub(super) unsafe fn new(raw: *mut sys::module) -> Self {
        Self { raw, life: PhantomData }
    }

    /// Whether a directive of this name is one of the module.
    pub(super) fn has_directive(self, name: &[u8]) -> bool {
        // SAFETY: a module has null or a table of directives, which ends in one without a name; names are C strings.
        unsafe {
            let mut command = (*self.raw).cmds;
            while !command.is_null() && !(*command).name.is_null() {
                if CStr::from_ptr((*command).name).to_bytes().eq_ignore_ascii_case(name) {
                    return true;
                }
                command = command.add(1);
            }
        }
        false
    }

    /// # Safety
    /// `vector` is a configuration vector of httpd.
    pub(super) unsafe fn config(self, vector: *mut sys::ap_conf_vector_t) -> *mut c_void {
        // SAFETY: a vector is as long as there are modules.
        unsafe { *vector.cast::<*mut c_void>().add((*self.raw).module_index as usize) }
    }

    /// # Safety
    /// `vector` is a configuration vector of httpd that nobody else uses.
    pub(super) unsafe fn set_config(self, vector: *mut sys::ap_conf_vector_t, value: *mut c_void) {
        // SAFETY: as above.
        unsafe { *vector.cast::<*mut c_void>().add((*self.raw).module_index as usize) = value };
    }
}
