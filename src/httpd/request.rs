//! Requests.
//!
//! Owns: what the module reads and writes of a `request_rec`, and how long it lives. Must not: decide what to write.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr;

use apache_sys as sys;

use super::pool::Pool;
use super::server::Server;
use super::text::Text;

/// A request, which lives for `'q`: from the network, a subrequest, or an internal redirect. The request at the root of its
/// tree lives for `'r`.
#[derive(Clone, Copy)]
pub struct Request<'q, 'r: 'q> {
    pub(super) raw: *mut sys::request_rec,
    /// Neither lifetime can be lengthened or shortened, because a request is given pointers to what lives as long.
    life: PhantomData<(Invariant<'q>, Invariant<'r>)>,
}

/// A lifetime that can be neither lengthened nor shortened.
pub(super) type Invariant<'l> = fn(&'l ()) -> &'l ();

impl<'q, 'r> Request<'q, 'r> {
    /// Wraps a request.
    ///
    /// # Safety
    /// The request lives for `'q`, and the request at the root of its tree for `'r`. Its pool, configuration and server are
    /// set. This thread alone uses the tree.
    pub unsafe fn new(raw: *mut sys::request_rec) -> Self {
        Self { raw, life: PhantomData }
    }

    /// The server that answers the request.
    #[inline]
    pub fn server(self) -> Server<'r> {
        // SAFETY: a request's server is set and lives as long as the configuration.
        unsafe { Server::new((*self.raw).server) }
    }

    /// The entry of httpd core: `ap_get_core_module_config`, which is an index into an array. Not by httpd's function,
    /// because each request reads it a few times.
    #[inline]
    fn core(self) -> *mut sys::core_request_config {
        // SAFETY: a request has core's configuration from `create_request` on, which every module may look into
        // (http_core.h).
        unsafe {
            let vector = (*self.raw).request_config.cast::<*mut sys::core_request_config>();
            *vector.add(sys::AP_CORE_MODULE_INDEX as usize)
        }
    }

    /// The address of its server's docroot. For comparing addresses only: a module may set another string.
    #[inline]
    pub fn server_document_root_address(self) -> *const c_char {
        // SAFETY: core's configuration of a request's server is there as long as the request.
        unsafe {
            let vector = (*(*self.raw).server).module_config.cast::<*const sys::core_server_config>();
            (**vector.add(sys::AP_CORE_MODULE_INDEX as usize)).ap_document_root
        }
    }

    /// The addresses of its server and of that server's docroot. The sections for a request depend on both.
    #[inline]
    pub fn server_note(self) -> [usize; 2] {
        // SAFETY: a request's server is set.
        [unsafe { (*self.raw).server.addr() }, self.server_document_root_address().addr()]
    }

    /// The address of its docroot (`ap_document_root`). For comparing addresses only.
    #[inline]
    pub fn document_root_address(self) -> *const c_char {
        // SAFETY: core's configuration of a request is there as long as the request.
        let own = unsafe { (*self.core()).document_root };
        if own.is_null() { self.server_document_root_address() } else { own }
    }

    /// Whether `docroot` is the address of the docroot that was last set for it; null if none was.
    #[inline]
    pub fn has_own_document_root(self, docroot: *const c_char) -> bool {
        // SAFETY: core's configuration of a request is there as long as the request.
        unsafe { ptr::eq((*self.core()).document_root, docroot) }
    }

    /// Unsets its own docroot, so that it has its server's.
    pub fn unset_document_root(self) {
        // SAFETY: core's configuration of a request is this request's own, used by this thread only.
        unsafe { (*self.core()).document_root = ptr::null() };
    }

    /// Its docroot: its own, or its server's. For reading at once and not for keeping: a module may set another one.
    pub fn document_root(self) -> Option<&'q CStr> {
        // SAFETY: a request has core's configuration from `create_request` on. Its docroot is null or a C string that
        // httpd itself has just used, or is about to use, for this request.
        unsafe {
            let docroot = sys::ap_document_root(self.raw);
            (!docroot.is_null()).then(|| CStr::from_ptr(docroot))
        }
    }

    /// Makes `docroot` the docroot of this request alone (`ap_set_document_root`).
    #[inline]
    pub fn set_document_root(self, docroot: Text<'r>) {
        // SAFETY: core's configuration of a request is this request's own, used by this thread only, and the string
        // lives as long as the request.
        unsafe { (*self.core()).document_root = docroot.as_ptr() };
    }

    /// The directory that its part of the URL space is mapped into: an `Alias`'s, or the docroot.
    pub fn context_document_root(self) -> Option<&'q CStr> {
        // SAFETY: as for the docroot.
        unsafe {
            let directory = sys::ap_context_document_root(self.raw);
            (!directory.is_null()).then(|| CStr::from_ptr(directory))
        }
    }

    /// Sets the directory that its part of the URL space is mapped into.
    pub fn set_context_document_root(self, directory: &'q CStr) {
        // SAFETY: a request has core's configuration from `create_request` on, which is this request's own, and the
        // string lives as long as the request. A null prefix leaves the prefix as it is.
        unsafe { sys::ap_set_context_info(self.raw, ptr::null(), directory.as_ptr()) };
    }

    /// The file that the URL is mapped to, if that is an absolute path.
    pub fn filename(self) -> Option<&'q CStr> {
        // SAFETY: null or a C string that lives as long as the request.
        let filename = unsafe {
            let filename = (*self.raw).filename;
            (!filename.is_null()).then(|| CStr::from_ptr(filename))
        };
        // A proxied request has a URL there.
        filename.filter(|filename| filename.to_bytes().first() == Some(&b'/'))
    }

    /// What follows the file in its URL.
    pub fn path_info(self) -> &'q [u8] {
        // SAFETY: null or a C string that lives as long as the request.
        unsafe {
            let path_info = (*self.raw).path_info;
            if path_info.is_null() { &[] } else { CStr::from_ptr(path_info).to_bytes() }
        }
    }

    /// Maps the URL to another file.
    pub fn set_filename(self, filename: &'q CStr) {
        // SAFETY: the request is live; httpd replaces the string and never writes to it. The old file's type is
        // reset.
        unsafe {
            (*self.raw).filename = filename.as_ptr().cast_mut();
            (*self.raw).finfo.filetype = sys::APR_NOFILE;
        }
    }

    /// Whether httpd itself has mapped the URL of this request, by the docroot that the request had then, or nobody has.
    ///
    /// When httpd maps a URL by a docroot, it sets `canonical_filename` to the file name.
    ///
    /// - Other modules that map a URL leave null there, or another string (mod_vhost_alias). A module that sets it as httpd
    ///   does (mod_vhost_dbd, which is not httpd's) is believed.
    /// - A subrequest for a file has it if the request around it has. The file is next to that request's, or else its URL is
    ///   empty. httpd has called `stat` on the file already: a directory may be a link that leads elsewhere.
    #[inline]
    pub fn is_mapped_by_httpd(self) -> bool {
        // SAFETY: the request is live; its URL is null or a C string.
        unsafe {
            let (filename, uri) = ((*self.raw).filename, (*self.raw).uri);
            let is_subrequest = !(*self.raw).main.is_null();
            let may_be_link = || !matches!((*self.raw).finfo.filetype, sys::APR_NOFILE | sys::APR_REG);
            (*self.raw).canonical_filename == filename
                && (!is_subrequest || (!uri.is_null() && *uri != 0 && !may_be_link()))
        }
    }

    /// Whether its file is `directory` followed by the path of its URL.
    pub fn is_mapped_to(self, directory: &CStr) -> bool {
        let length = directory.count_bytes();
        // SAFETY: both are null or C strings; the first comparison stops at the end of the shorter, so that what
        // follows the directory in the file name is there if it is equal.
        unsafe {
            let (filename, uri) = ((*self.raw).filename, (*self.raw).uri);
            !filename.is_null()
                && !uri.is_null()
                && libc::strncmp(filename, directory.as_ptr(), length) == 0
                && libc::strcmp(filename.add(length), uri) == 0
        }
    }

    /// The canonical form of an absolute path: without `//`, `/./` and `/../`, as httpd's directory walk takes it.
    pub fn canonical(self, path: &CStr) -> Option<&'q CStr> {
        let mut merged = ptr::null_mut();
        // SAFETY: the path is a C string, the pool is this request's, and what is merged lives in it.
        unsafe {
            let status = sys::apr_filepath_merge(
                &mut merged,
                ptr::null(),
                path.as_ptr(),
                sys::APR_FILEPATH_NOTRELATIVE,
                (*self.raw).pool,
            );
            (status == sys::APR_SUCCESS).then(|| CStr::from_ptr(merged))
        }
    }

    /// The variables for handlers, CGI, SSI, PHP and logs. None at the beginning of a subrequest.
    #[inline]
    pub fn variables(self) -> Option<Variables<'q, 'r>> {
        // SAFETY: the request is live.
        let raw = unsafe { (*self.raw).subprocess_env };
        (!raw.is_null()).then_some(Variables { raw, life: PhantomData })
    }

    /// The pool that lives as long as the request.
    #[inline]
    pub fn pool(self) -> Pool<'q> {
        // SAFETY: a request has a pool, which lives as long as it does, and which this thread may use.
        unsafe { Pool::new((*self.raw).pool) }
    }

    /// The number of its connection, which differs between the threads that serve requests.
    #[inline]
    pub fn connection(self) -> usize {
        // SAFETY: a request has a connection.
        unsafe { (*(*self.raw).connection).id as usize }
    }

    /// Whether the server failed to answer it (5xx), or what it was redirected to.
    #[inline]
    pub fn has_failed(self) -> bool {
        let mut last = self.raw;
        // SAFETY: the requests that a request was redirected to live in its pool.
        unsafe {
            while !(*last).next.is_null() {
                last = (*last).next;
            }
            (*last).status >= sys::HTTP_INTERNAL_SERVER_ERROR
        }
    }

    /// Sends text to the client.
    pub fn write(self, text: &str) {
        // SAFETY: the request is being handled. httpd copies the text; if the client is gone there is nobody to tell.
        unsafe { sys::ap_rwrite(text.as_ptr().cast(), text.len().try_into().unwrap_or(0), self.raw) };
    }

    /// The directory of its file, or the file itself if it may be a directory, with a slash at the end; and whether httpd
    /// has found the file.
    pub fn directory(self) -> Option<(Vec<u8>, bool)> {
        let mut path = self.filename()?.to_bytes().to_vec();
        // SAFETY: the request is live; what follows the file in its URL is null or a C string.
        let (kind, rest) = unsafe { ((*self.raw).finfo.filetype, (*self.raw).path_info) };
        if kind == sys::APR_REG {
            path.truncate(path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1));
        } else if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        // SAFETY: as above.
        let has_rest = !rest.is_null() && unsafe { *rest } != 0;
        Some((path, kind == sys::APR_REG || (kind == sys::APR_DIR && !has_rest)))
    }

    /// The handler that `SetHandler` gives it.
    pub fn configured_handler(self) -> Option<&'q CStr> {
        // SAFETY: a request has a configuration of its directory, in which the handler is null, a C string, or an
        // expression that httpd gives the value of, null or a C string that lives as long as the request.
        unsafe {
            let core = sys::realdoc_core_dir_config((*self.raw).per_dir_config);
            if core.is_null() {
                return None;
            }
            let handler = if (*core).expr_handler.is_null() {
                (*core).handler
            } else {
                let mut error = ptr::null();
                sys::ap_expr_str_exec(self.raw, (*core).expr_handler, &mut error)
            };
            (!handler.is_null()).then(|| CStr::from_ptr(handler))
        }
    }

    /// The value of a request header, the first if there are more.
    #[cfg(feature = "fault-injection")]
    pub fn header(self, name: &CStr) -> Option<&'q CStr> {
        // SAFETY: httpd makes the table before it runs the first hook but `create_request`; its values live in the request's
        // pool.
        unsafe {
            let headers = (*self.raw).headers_in;
            let value = if headers.is_null() { ptr::null() } else { sys::apr_table_get(headers, name.as_ptr()) };
            (!value.is_null()).then(|| CStr::from_ptr(value))
        }
    }
}

/// The variables of a request.
#[derive(Clone, Copy)]
pub struct Variables<'q, 'r: 'q> {
    raw: *mut sys::apr_table_t,
    life: PhantomData<(&'q (), Invariant<'r>)>,
}

impl<'r> Variables<'_, 'r> {
    /// Sets a variable.
    pub fn set(self, name: &'static CStr, value: Text<'r>) {
        // SAFETY: the table is live (`Request::variables`), and so are the strings for as long as the tree.
        unsafe { sys::apr_table_setn(self.raw, name.as_ptr(), value.as_ptr()) };
    }

    /// Removes a variable.
    pub fn unset(self, name: &CStr) {
        // SAFETY: as above.
        unsafe { sys::apr_table_unset(self.raw, name.as_ptr()) };
    }

    /// Sets a variable that the request cannot have yet, without looking for it.
    #[inline]
    pub fn add(self, name: &'static CStr, value: Text<'r>) {
        // SAFETY: as above.
        unsafe { sys::apr_table_addn(self.raw, name.as_ptr(), value.as_ptr()) };
    }
}
