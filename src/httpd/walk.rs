//! A request's walk through the sections of the configuration.
//!
//! Owns: the calls of httpd's functions that merge sections and read `.htaccess` files for one request. Must not: decide which sections
//! apply.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr;

use apache_sys as sys;

use super::config_tree::{Definition, words};
use super::request::Request;
use super::section::{Override, Section};
use super::section_list::SectionList;

/// The status of a request; an error ends it.
pub type Status = c_int;

/// Left to the next function of the hook.
pub const DECLINED: Status = sys::DECLINED;

/// Done, and nothing is wrong.
pub const OK: Status = sys::OK;

/// Done, and the response is sent.
pub const DONE: Status = sys::DONE;

/// The file does not exist.
pub const NOT_FOUND: Status = sys::HTTP_NOT_FOUND;

/// The file cannot be served at present.
pub const SERVICE_UNAVAILABLE: Status = sys::HTTP_SERVICE_UNAVAILABLE;

/// The request is denied.
pub const FORBIDDEN: Status = sys::HTTP_FORBIDDEN;

/// Whether a status ends the request.
pub fn is_error(status: Status) -> bool {
    status != sys::OK && status != sys::DECLINED
}

impl<'q> Request<'q, '_> {
    /// Walks the directories of the request's file by a list of sections (`ap_directory_walk`).
    pub fn walk_directories(self, list: &SectionList) -> Status {
        /// Puts the server back, whatever happens.
        struct Restore(*mut sys::request_rec, *mut sys::server_rec);
        impl Drop for Restore {
            fn drop(&mut self) {
                // SAFETY: the request is live for as long as the walk.
                unsafe { (*self.0).server = self.1 };
            }
        }
        // SAFETY: the request is live and used by this thread only; the list differs from its server in nothing but the
        // sections, and lives long enough (`SectionList::new`).
        unsafe {
            let _restore = Restore(self.raw, (*self.raw).server);
            (*self.raw).server = list.server;
            sys::ap_directory_walk(self.raw)
        }
    }

    /// Applies the `<Location>` sections (`ap_location_walk`).
    pub fn walk_locations(self) -> Status {
        // SAFETY: the request is live.
        unsafe { sys::ap_location_walk(self.raw) }
    }

    /// Applies the `<Files>` sections (`ap_file_walk`).
    pub fn walk_files(self) -> Status {
        // SAFETY: the request is live, and its directories are walked.
        unsafe { sys::ap_file_walk(self.raw) }
    }

    /// Lets a section apply to the request, after all that do so far.
    pub fn apply(self, section: Section<'q>) {
        // SAFETY: the request is live, and each of the two is a vector that lives as long as the request.
        unsafe {
            (*self.raw).per_dir_config =
                sys::ap_merge_per_dir_configs((*self.raw).pool, (*self.raw).per_dir_config, section.raw);
        }
    }

    /// The sections that apply to the request so far.
    pub fn applied(self) -> Applied<'q> {
        // SAFETY: the request is live.
        Applied { raw: unsafe { (*self.raw).per_dir_config }, life: PhantomData }
    }

    /// Replaces the sections that apply to the request.
    pub fn apply_all(self, applied: Applied<'q>) {
        // SAFETY: the request is live, and the vector lives as long as the request.
        unsafe { (*self.raw).per_dir_config = applied.raw };
    }

    /// Whether the regular expression of a section matches a path. Its named captures become variables of the request, as
    /// httpd sets them.
    pub fn is_matched(self, section: Section<'q>, path: &CStr) -> bool {
        // SAFETY: the section has an expression (else nothing is matched), and maybe names for what it captures: an array
        // of C strings, null where there is no name, which live as long as the request. The expression writes as many ranges as it is given.
        unsafe {
            let core = section.core();
            if core.is_null() || (*core).r.is_null() || (*self.raw).subprocess_env.is_null() {
                return false;
            }
            let names = (*core).refs;
            let count = if names.is_null() { 0 } else { (*names).nelts as usize };
            let mut ranges: Vec<sys::ap_regmatch_t> = vec![std::mem::zeroed(); count];
            if sys::ap_regexec((*core).r, path.as_ptr(), count, ranges.as_mut_ptr(), 0) != 0 {
                return false;
            }
            for (index, matched) in ranges.iter().enumerate() {
                let name = *(*names).elts.cast::<*const c_char>().add(index);
                let range = usize::try_from(matched.rm_so).ok().zip(usize::try_from(matched.rm_eo).ok());
                let Some((start, end)) = range.filter(|_| !name.is_null()) else { continue };
                if let Some(value) = path.to_bytes().get(start..end) {
                    sys::apr_table_setn((*self.raw).subprocess_env, name, self.pool().copy(value).as_ptr());
                }
            }
            true
        }
    }

    /// Reads the `.htaccess` file of a directory, if there is one and `allowed` lets it say anything.
    ///
    /// # Errors
    /// The status to answer with, where the file cannot be read or says what it may not.
    pub fn htaccess(self, directory: &[u8], allowed: Override<'q>) -> Result<Option<Section<'q>>, Status> {
        if allowed.is_nothing() {
            return Ok(None);
        }
        let directory = self.pool().copy(&[directory, b"/"].concat());
        let mut read = ptr::null_mut();
        // SAFETY: httpd's function, called as its own walk does. The names of the files are those of the server.
        let status = unsafe {
            let names = (*sys::realdoc_core_server_config((*self.raw).server)).access_name;
            let (directives, options) = (allowed.directives as c_int, allowed.options);
            sys::ap_parse_htaccess(&mut read, self.raw, directives, options, allowed.list, directory.as_ptr(), names)
        };
        if status != sys::OK {
            return Err(status);
        }
        // SAFETY: httpd keeps what it has read in the pool of the request.
        Ok((!read.is_null()).then(|| unsafe { Section::new(read) }))
    }

    /// The directives of the `.htaccess` file of a directory, as httpd itself reads them: the first file that is there, by
    /// the names that the server gives such files. None if the file cannot be read.
    pub fn htaccess_directives(self, directory: &[u8], allowed: Override<'q>) -> Option<Vec<Definition<'q>>> {
        let directory = self.pool().copy(&[directory, b"/"].concat());
        // SAFETY: core keeps the names of a server's files as a C string.
        let names = unsafe { CStr::from_ptr((*sys::realdoc_core_server_config((*self.raw).server)).access_name) };
        for name in words(self.pool(), names) {
            let name = self.pool().copy(&name);
            // SAFETY: httpd's functions, called as httpd does for each such file: with a file that httpd has opened, and
            // with parameters that are zero where httpd's are. The tree lives in the pool of the request.
            unsafe {
                let Some(file) = self.open_htaccess(directory, name) else { continue };
                let pool = self.pool().raw;
                let mut parameters = sys::cmd_parms {
                    limited: -1,
                    override_: allowed.directives as c_int,
                    override_opts: allowed.options as _,
                    override_list: allowed.list,
                    config_file: file,
                    pool,
                    temp_pool: pool,
                    server: (*self.raw).server,
                    path: directory.as_ptr().cast_mut(),
                    ..std::mem::zeroed()
                };
                let mut tree = ptr::null_mut();
                let error = sys::ap_build_config(&mut parameters, pool, pool, &mut tree);
                sys::ap_cfg_closefile(file);
                return error.is_null().then(|| Definition::siblings(tree));
            }
        }
        None
    }
}

impl<'q> Request<'q, '_> {
    /// Opens the `.htaccess` file of this name in a directory as httpd does, by the hook `open_htaccess`, which is younger
    /// than 2.4.6: older httpds open the file by themselves.
    fn open_htaccess(self, directory: &CStr, name: &CStr) -> Option<*mut sys::ap_configfile_t> {
        type Open = unsafe extern "C" fn(
            *mut sys::request_rec,
            *const c_char,
            *const c_char,
            *mut *mut sys::ap_configfile_t,
            *mut *const c_char,
        ) -> sys::apr_status_t;
        let mut file = ptr::null_mut();
        // SAFETY: the request is live, and both names are C strings. `Open` is how http_config.h declares the function.
        let status = unsafe {
            let function = libc::dlsym(libc::RTLD_DEFAULT, c"ap_run_open_htaccess".as_ptr());
            if function.is_null() {
                let path = self.pool().copy(&[directory.to_bytes(), name.to_bytes()].concat());
                sys::ap_pcfg_openfile(&mut file, (*self.raw).pool, path.as_ptr())
            } else {
                let open = std::mem::transmute::<*mut c_void, Open>(function);
                open(self.raw, directory.as_ptr(), name.as_ptr(), &mut file, &mut ptr::null())
            }
        };
        (status == sys::APR_SUCCESS as sys::apr_status_t).then_some(file)
    }
}

/// The sections that apply to a request, merged. Two are equal if they are the very same.
#[derive(Clone, Copy)]
pub struct Applied<'q> {
    raw: *mut sys::ap_conf_vector_t,
    life: PhantomData<&'q ()>,
}

// SAFETY: merged sections are only read once they are made.
unsafe impl Send for Applied<'_> {}

impl Applied<'_> {
    /// The same sections, where the caller knows better how long they live.
    ///
    /// # Safety
    /// They must not be used any longer than they live.
    pub unsafe fn detached<'p>(self) -> Applied<'p> {
        Applied { raw: self.raw, life: PhantomData }
    }
}

impl PartialEq for Applied<'_> {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.raw, other.raw)
    }
}

impl Eq for Applied<'_> {}
