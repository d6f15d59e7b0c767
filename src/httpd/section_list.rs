//! Lists of `<Directory>` sections for requests to walk by.
//!
//! Owns: how httpd is handed a list. Must not: decide which sections are in it.
//!
//! httpd's `ap_directory_walk` takes the sections from the core configuration of the request's server. A list is
//! therefore a copy of the server's record that differs in these sections alone, and takes the place of the server for
//! the length of that one call.

use std::ffi::c_int;

use apache_sys as sys;

use super::foreign_module::ForeignModule;
use super::pool::Pool;
use super::section::Section;
use super::server::Server;

/// A list of sections for requests to walk by.
pub struct SectionList {
    pub(super) server: *mut sys::server_rec,
}

// SAFETY: what it points to is written when it is made, and only read from then on.
unsafe impl Send for SectionList {}
// SAFETY: as above.
unsafe impl Sync for SectionList {}

impl SectionList {
    /// Makes a list of sections that are in httpd's order.
    ///
    /// # Safety
    /// The server, the pool and the sections live as long as every request that walks by the list: a request refers to them
    /// after the walk, too.
    pub unsafe fn new<'s>(server: Server<'s>, sections: &[Section<'s>], pool: Pool<'s>) -> Self {
        // SAFETY: a copy of the record, with zeroes behind it where another httpd may have fields that this one's headers
        // do not know. The vector is as long as httpd makes all vectors, and gets what each module keeps. Core's part is
        // made by core's own functions, as for a virtual host that states nothing, and gets the sections.
        unsafe {
            let shadow = pool.zeroed(size_of::<sys::server_rec>() + 256).cast::<sys::server_rec>();
            shadow.copy_from_nonoverlapping(server.raw, 1);
            let vector = sys::ap_create_per_dir_config(pool.raw);
            (*shadow).module_config = vector;
            let mut module = sys::ap_top_module;
            while !module.is_null() {
                let module_of = ForeignModule::new(module);
                module_of.set_config(vector, module_of.config((*server.raw).module_config));
                module = (*module).next;
            }
            let core_record = &raw mut sys::core_module;
            let core_module = ForeignModule::new(core_record);
            let create = (*core_record).create_server_config.expect("core configures servers");
            let merge = (*core_record).merge_server_config.expect("core merges servers");
            let own = core_module.config((*server.raw).module_config);
            (*shadow).is_virtual = 1;
            let core = merge(pool.raw, own, create(pool.raw, shadow)).cast::<sys::core_server_config>();
            (*shadow).is_virtual = (*server.raw).is_virtual;
            (*core).error_log_format = (*own.cast::<sys::core_server_config>()).error_log_format;
            let count = sections.len() as c_int;
            let array = sys::apr_array_make(pool.raw, count, size_of::<*mut sys::ap_conf_vector_t>() as c_int);
            for section in sections {
                sys::apr_array_push(array).cast::<*mut sys::ap_conf_vector_t>().write(section.raw);
            }
            (*core).sec_dir = array;
            core_module.set_config(vector, core.cast());
            Self { server: shadow }
        }
    }
}
