//! What decides how the file of a request is sent.
//!
//! Owns: the parts of a `request_rec` that name a URL, its file, its type, its handler and its actions. Must not: judge them.

use std::ffi::{CStr, c_char};

use apache_sys as sys;

use super::foreign_module::ForeignModule;
use super::request::Request;
use super::walk::Status;

/// What httpd finds at the path of a request's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file or a directory.
    Something,
    /// Nothing, and nothing is in the way.
    Nothing,
    /// Unknown: an error other than that nothing is there.
    Error,
}

impl<'q> Request<'q, '_> {
    /// Whether the method is GET or HEAD.
    pub fn is_get(self) -> bool {
        // SAFETY: the request is live. httpd takes HEAD for a GET without a body.
        unsafe { (*self.raw).method_number == sys::M_GET }
    }

    /// Whether the path of the URL, without escapes, begins with this and goes on. Most URLs differ within a few bytes, which
    /// is cheaper to see than the length.
    #[inline]
    pub fn has_url_below(self, prefix: &[u8]) -> bool {
        // SAFETY: the URL is null or a C string. Nothing is read behind its end, because the prefix has no NUL.
        unsafe {
            let url = (*self.raw).uri.cast::<u8>();
            !url.is_null()
                && prefix.iter().enumerate().all(|(at, &byte)| byte != 0 && *url.add(at) == byte)
                && *url.add(prefix.len()) != 0
        }
    }

    /// The byte behind the slash that the path of the URL begins with; zero if there is none.
    #[inline]
    pub fn url_initial(self) -> u8 {
        // SAFETY: a request has a URL once its header is read: httpd answers it with an error if not. It is a C string, and
        // nothing is read behind its end.
        unsafe {
            let url = (*self.raw).uri.cast::<u8>();
            if *url == 0 { 0 } else { *url.add(1) }
        }
    }

    /// The URL as the client sent it.
    pub fn sent_url(self) -> Option<&'q CStr> {
        // SAFETY: null or a C string that lives as long as the request.
        unsafe { text((*self.raw).unparsed_uri) }
    }

    /// Looks for the file as httpd's directory walk does, which then need not look again. (The walk has a hook for it, which
    /// httpd 2.4.1 lacks.)
    pub fn find_file(self) -> Found {
        // SAFETY: the request is live and has a file, and httpd's walk calls this function with the same arguments.
        unsafe {
            if (*self.raw).filename.is_null() {
                return Found::Error;
            }
            let info = &raw mut (*self.raw).finfo;
            match sys::apr_stat(info, (*self.raw).filename, sys::APR_FINFO_MIN as _, (*self.raw).pool) {
                sys::APR_SUCCESS => Found::Something,
                error => {
                    (*info).filetype = sys::APR_NOFILE;
                    if error == sys::APR_ENOENT as sys::apr_status_t { Found::Nothing } else { Found::Error }
                }
            }
        }
    }

    /// Whether httpd has found its file to be a regular file, with nothing behind it in the URL.
    pub fn is_plain_file(self) -> bool {
        // SAFETY: the request is live; the rest of its URL is null or a C string.
        unsafe {
            let rest = (*self.raw).path_info;
            (*self.raw).finfo.filetype == sys::APR_REG && (rest.is_null() || *rest == 0)
        }
    }

    /// The content type, with its parameters.
    pub fn content_type(self) -> Option<&'q CStr> {
        // SAFETY: null or a C string that lives as long as the request.
        unsafe { text((*self.raw).content_type) }
    }

    /// The name of its handler. None if httpd goes by the type.
    pub fn handler(self) -> Option<&'q CStr> {
        // SAFETY: as above.
        unsafe { text((*self.raw).handler) }
    }

    /// Gives it a handler.
    pub fn set_handler_name(self, handler: &'static CStr) {
        // SAFETY: the request is live, and the name is static.
        unsafe { (*self.raw).handler = handler.as_ptr() };
    }

    /// Sends its file by httpd's own handler, and asks no other module's: some answer whatever the name of the handler is.
    /// None if httpd has no such handler.
    pub fn send_file(self) -> Option<Status> {
        // SAFETY: httpd sorts the handlers before there are requests, and keeps them in an array as long as the configuration.
        // Each has a function, which takes a request whose handler is due, and null or the name of its module.
        unsafe {
            let handlers = sys::ap_hook_get_handler();
            let handlers = handlers.as_ref().filter(|handlers| !handlers.elts.is_null())?;
            let first = handlers.elts.cast::<sys::ap_LINK_handler_t>();
            let handlers = std::slice::from_raw_parts(first, handlers.nelts.try_into().ok()?);
            let own = handlers.iter().rfind(|handler| text(handler.szName) == Some(c"core.c"))?;
            Some(own.pFunc?(self.raw))
        }
    }

    /// Whether mod_actions answers its type, or any GET with a query, by a script.
    pub fn has_action(self) -> bool {
        /// What mod_actions keeps of a directory. The order is the same in all of httpd 2.
        #[repr(C)]
        struct Actions {
            types: *const sys::apr_table_t,
            scripts: [*const c_char; sys::METHODS as usize],
            is_configured: std::ffi::c_int,
        }
        let Some(module) = ForeignModule::find(self.server(), c"mod_actions.c") else { return false };
        // SAFETY: what mod_actions has in the configuration of a request's directory is null or its own structure.
        unsafe {
            let Some(actions) = module.config((*self.raw).per_dir_config).cast::<Actions>().as_ref() else {
                return false;
            };
            if actions.is_configured == 0 {
                return false;
            }
            let has_script = !actions.scripts[sys::M_GET as usize].is_null() && !(*self.raw).args.is_null();
            let Some(kind) = self.content_type() else { return has_script };
            let kind = kind.to_bytes().split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
            let kind = self.pool().copy(kind);
            has_script || !sys::apr_table_get(actions.types, kind.as_ptr()).is_null()
        }
    }
}

/// # Safety
/// The string is null, or a C string that lives for `'q`.
unsafe fn text<'q>(string: *const c_char) -> Option<&'q CStr> {
    // SAFETY: the caller's promise.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) })
}
