//! Requests.
//!
//! Owns: what the module reads and writes of a `request_rec`, and how long it lives. Must not: decide what to write.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr;

use apache_sys as sys;

use super::{Pool, Server, Text, own_config, set_own_config};
use docroot::Resolution;

use crate::request::hold::Hold;
use crate::request::tree::Tree;

/// A request: from the network, a subrequest, or an internal redirect.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    pub(super) raw: *mut sys::request_rec,
    life: PhantomData<&'r ()>,
}

impl<'r> Request<'r> {
    /// Wraps a request.
    ///
    /// # Safety
    /// It must live for `'r`, have its configuration and server set, and be used by this thread only.
    pub unsafe fn new(raw: *mut sys::request_rec) -> Self {
        Self { raw, life: PhantomData }
    }

    /// The server that answers the request.
    #[inline]
    pub fn server(self) -> Server<'r> {
        // SAFETY: a request's server is set and lives as long as the configuration.
        unsafe { Server::new((*self.raw).server) }
    }

    /// The request that this one is a part of or a continuation of.
    #[inline]
    pub fn parent(self) -> Option<Self> {
        // SAFETY: both are null or requests that outlive this one: a subrequest's pool is a child of its main
        // request's, and a redirect shares the pool of the request before.
        let (main, prev) = unsafe { ((*self.raw).main, (*self.raw).prev) };
        // A redirect within a subrequest has both, and its predecessor is the nearer one.
        let parent = if prev.is_null() { main } else { prev };
        (!parent.is_null()).then_some(Self { raw: parent, life: PhantomData })
    }

    /// Whether it came from the network: whether there is no [`Request::parent`].
    #[inline]
    pub fn is_from_network(self) -> bool {
        // SAFETY: the request is live.
        let (main, prev) = unsafe { ((*self.raw).main, (*self.raw).prev) };
        // One comparison for both.
        main.addr() | prev.addr() == 0
    }

    /// Whether it came from the network and holds on to nothing yet.
    #[inline]
    pub fn is_first(self) -> bool {
        // SAFETY: the request is live and has a configuration vector.
        let (main, prev, held) =
            unsafe { ((*self.raw).main, (*self.raw).prev, own_config((*self.raw).request_config)) };
        // One comparison for all.
        main.addr() | prev.addr() | held.addr() == 0
    }

    /// It, the request that it is a part or a continuation of, and so on up to the one that came from the network.
    pub fn ancestors(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |request| request.parent())
    }

    /// The request that came from the network.
    pub fn root(self) -> Self {
        self.ancestors().last().unwrap_or(self)
    }

    /// What httpd core keeps of it: `ap_get_core_module_config`, which is an index into an array. Not by functions of
    /// httpd's, because this is needed a few times for each request.
    #[inline]
    fn core(self) -> *mut sys::core_request_config {
        // SAFETY: a request has core's configuration from `create_request` on, which every module may look into
        // (http_core.h).
        unsafe {
            let vector = (*self.raw).request_config.cast::<*mut sys::core_request_config>();
            *vector.add(sys::AP_CORE_MODULE_INDEX as usize)
        }
    }

    /// Where the string of its server's docroot is by now. For comparing addresses only: a module may put another there.
    #[inline]
    pub fn server_document_root_address(self) -> *const c_char {
        // SAFETY: core's configuration of a request's server is there as long as the request.
        unsafe {
            let vector = (*(*self.raw).server).module_config.cast::<*const sys::core_server_config>();
            (**vector.add(sys::AP_CORE_MODULE_INDEX as usize)).ap_document_root
        }
    }

    /// Where its server and that server's docroot are, as numbers: what the sections for a request depend on.
    #[inline]
    pub fn server_note(self) -> [usize; 2] {
        // SAFETY: a request's server is set.
        [unsafe { (*self.raw).server.addr() }, self.server_document_root_address().addr()]
    }

    /// Where the string of its docroot is (`ap_document_root`). For comparing addresses only.
    #[inline]
    pub fn document_root_address(self) -> *const c_char {
        // SAFETY: core's configuration of a request is there as long as the request.
        let own = unsafe { (*self.core()).document_root };
        if own.is_null() { self.server_document_root_address() } else { own }
    }

    /// Whether `docroot` is what was last made its own docroot, by its address; null if none was.
    #[inline]
    pub fn has_own_document_root(self, docroot: *const c_char) -> bool {
        // SAFETY: core's configuration of a request is there as long as the request.
        unsafe { ptr::eq((*self.core()).document_root, docroot) }
    }

    /// Takes back the docroot of its own, so that it has the one of its server.
    pub fn unset_document_root(self) {
        // SAFETY: core's configuration of a request is this request's own, used by this thread only.
        unsafe { (*self.core()).document_root = ptr::null() };
    }

    /// Its docroot: its own, or the one that the configuration gives its server. To be looked at and not kept: whoever
    /// set it may set another one.
    pub fn document_root(self) -> Option<&'r CStr> {
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

    /// The directory that its part of the URL space is mapped into: of an `Alias`, that one's, else the docroot.
    pub fn context_document_root(self) -> Option<&'r CStr> {
        // SAFETY: as for the docroot.
        unsafe {
            let directory = sys::ap_context_document_root(self.raw);
            (!directory.is_null()).then(|| CStr::from_ptr(directory))
        }
    }

    /// Makes `directory` the one that its part of the URL space is mapped into.
    pub fn set_context_document_root(self, directory: &'r CStr) {
        // SAFETY: a request has core's configuration from `create_request` on, which is this request's own, and the
        // string lives as long as the request. A null prefix leaves the prefix as it is.
        unsafe { sys::ap_set_context_info(self.raw, ptr::null(), directory.as_ptr()) };
    }

    /// The file that the URL is mapped to, if that is an absolute path.
    pub fn filename(self) -> Option<&'r CStr> {
        // SAFETY: null or a C string that lives as long as the request.
        let filename = unsafe {
            let filename = (*self.raw).filename;
            (!filename.is_null()).then(|| CStr::from_ptr(filename))
        };
        // A proxied request has a URL there.
        filename.filter(|filename| filename.to_bytes().first() == Some(&b'/'))
    }

    /// Maps the URL to another file.
    pub fn set_filename(self, filename: &'r CStr) {
        // SAFETY: the request is live; httpd replaces the string and never writes to it. What was known of the file
        // is forgotten, because it was known of another one.
        unsafe {
            (*self.raw).filename = filename.as_ptr().cast_mut();
            (*self.raw).finfo.filetype = sys::APR_NOFILE;
        }
    }

    /// Whether httpd itself has mapped the URL of this request, by the docroot that the request had then, or nobody has.
    ///
    /// httpd notes that a file name is canonical when it has mapped a URL by a docroot. Another module that maps a URL
    /// leaves null there (or, as mod_vhost_alias does, something else); one that notes the same of a file of its own (as
    /// mod_vhost_dbd does, which is not httpd's) is believed. A subrequest for a file is noted so too if the
    /// request around it is; its file is next to that one's, or else its URL is empty. Then httpd has looked at the file
    /// already, and if that is a directory, it may be a link that leads elsewhere.
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

    /// Whether its file is just `directory` with the path of its URL behind it.
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
    pub fn canonical(self, path: &CStr) -> Option<&'r CStr> {
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

    /// Sets a variable for handlers, CGI, SSI, PHP and logs.
    pub fn set_variable(self, name: &'static CStr, value: Text<'r>) {
        // SAFETY: a request whose header is complete has the table; the strings live as long as the request.
        unsafe { sys::apr_table_setn((*self.raw).subprocess_env, name.as_ptr(), value.as_ptr()) };
    }

    /// Takes a variable back.
    pub fn unset_variable(self, name: &CStr) {
        // SAFETY: a request whose URL is mapped has the table.
        unsafe { sys::apr_table_unset((*self.raw).subprocess_env, name.as_ptr()) };
    }

    /// Sets a variable that the request cannot have yet, without looking for it.
    #[inline]
    pub fn add_variable(self, name: &'static CStr, value: Text<'r>) {
        // SAFETY: a request whose header is complete has the table; the strings live as long as the request.
        unsafe { sys::apr_table_addn((*self.raw).subprocess_env, name.as_ptr(), value.as_ptr()) };
    }

    /// The pool that lives as long as the request.
    #[inline]
    pub fn pool(self) -> Pool<'r> {
        // SAFETY: a request has a pool, which lives as long as it does, and which this thread may use.
        unsafe { Pool::new((*self.raw).pool) }
    }

    /// Sends text to the client.
    pub fn write(self, text: &str) {
        // SAFETY: the request is being handled. httpd copies the text; if the client is gone there is nobody to tell.
        unsafe { sys::ap_rwrite(text.as_ptr().cast(), text.len().try_into().unwrap_or(0), self.raw) };
    }

    /// What the request holds on to, if that is known yet.
    #[inline]
    pub fn hold(self) -> Option<Hold<'r>> {
        self.kept().map(Hold::Retained).or_else(|| {
            // SAFETY: a request has a configuration vector, and what it has in our place is what `set_hold` put there,
            // or null. What has no mark is a tree.
            unsafe { own_config((*self.raw).request_config).cast::<Tree<'r>>().as_ref() }.map(Hold::Tree)
        })
    }

    /// What the request holds on to, if that is kept by the process.
    #[inline]
    pub fn kept(self) -> Option<&'r Resolution> {
        // SAFETY: as above. What has the mark is a resolution.
        unsafe {
            let held = own_config((*self.raw).request_config);
            (held.addr() & KEPT != 0).then(|| &*held.byte_sub(KEPT).cast())
        }
    }

    /// Makes the request hold on to this.
    #[inline]
    pub fn set_hold(self, hold: Hold<'r>) {
        const { assert!(align_of::<Resolution>() > KEPT && align_of::<Tree<'_>>() > KEPT) };
        // SAFETY: a request has a configuration vector of its own; what it holds outlives it. A resolution is larger
        // than a byte.
        unsafe {
            let held = match hold {
                Hold::Retained(resolution) => {
                    ptr::from_ref(resolution).cast_mut().cast::<std::ffi::c_void>().byte_add(KEPT)
                }
                Hold::Tree(tree) => ptr::from_ref(tree).cast_mut().cast(),
            };
            set_own_config((*self.raw).request_config, held);
        }
    }

    /// Makes the request hold on to nothing.
    pub fn unset_hold(self) {
        // SAFETY: a request has a configuration vector of its own.
        unsafe { set_own_config((*self.raw).request_config, ptr::null_mut()) };
    }

    /// The directory that its file is in, or is, with a slash at its end, and whether httpd knows the file.
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

    /// Where it is. For comparing addresses only.
    pub fn address(self) -> *const () {
        self.raw.cast_const().cast()
    }

    /// Whether it is a part of another request.
    pub fn is_subrequest(self) -> bool {
        // SAFETY: the request is live.
        !unsafe { (*self.raw).main }.is_null()
    }

    /// The handler that `SetHandler` gives it.
    pub fn set_handler(self) -> Option<&'r CStr> {
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

    /// A value that lives in the pool of this request, and begins as its default. A redirected request has the same
    /// pool, and so the same value; a subrequest has its own. Each type has one `key`.
    pub fn in_pool<T: Default>(self, key: &'static CStr) -> &'r T {
        let pool = self.pool();
        let mut value = ptr::null_mut();
        // SAFETY: a pool keeps values by keys that are C strings and live as long as it; what is kept under this key was
        // put there below, lives as long as the pool, and is of this type.
        unsafe {
            sys::apr_pool_userdata_get(&mut value, key.as_ptr(), pool.raw);
            if value.is_null() {
                value = pool.own(T::default()).cast();
                sys::apr_pool_userdata_setn(value, key.as_ptr(), None, pool.raw);
            }
            &*value.cast()
        }
    }

    /// Owns a value for the tree of this request, which must be the root of it, and drops it when the request's pool
    /// is destroyed. For what is rare: most trees need nothing that must be dropped.
    #[cold]
    pub fn own<T>(self, value: T) -> &'r T {
        // SAFETY: what a pool owns lives as long as the pool, here as long as the root request.
        let owned = unsafe { &*self.pool().own(Owned { root: self.raw, value }) };
        &owned.value
    }

    /// The value of a request header, the first if there are more.
    #[cfg(feature = "fault-injection")]
    pub fn header(self, name: &CStr) -> Option<&'r CStr> {
        // SAFETY: a request whose header is complete has the table, whose values live in the request's pool.
        unsafe {
            let value = sys::apr_table_get((*self.raw).headers_in, name.as_ptr());
            (!value.is_null()).then(|| CStr::from_ptr(value))
        }
    }
}

/// Marks, as the lowest bit of its address, that what a request holds is kept by the process. (Most are; nothing, which
/// is null, has no mark and needs no second look.)
const KEPT: usize = 1;

/// What the pool of a root request owns for its tree.
struct Owned<T> {
    root: *mut sys::request_rec,
    value: T,
}

impl<T> Drop for Owned<T> {
    /// Makes the requests forget the tree before the value is dropped. A cleanup of another module, registered earlier,
    /// runs later than this one; whatever it does must not lead back here.
    fn drop(&mut self) {
        let mut request = self.root;
        while !request.is_null() {
            // SAFETY: the root request and those that it was redirected to live in the pool that is being destroyed,
            // which runs its cleanups before it takes any memory back. (Subrequests live in child pools, which are
            // gone by now.)
            unsafe {
                set_own_config((*request).request_config, ptr::null_mut());
                request = (*request).next;
            }
        }
    }
}
