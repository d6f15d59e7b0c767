//! Servers and virtual hosts.
//!
//! Owns: what a module reads of a `server_rec`, and the module's entry there. Must not: know what the entry points to.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr;

use apache_sys as sys;

use super::configuring::Configuring;
use super::module::{ServerConfig, own_config, set_own_config};

/// A server or virtual host.
#[derive(Clone, Copy)]
pub struct Server<'s> {
    pub(super) raw: *mut sys::server_rec,
    /// `'s` can be neither lengthened nor shortened, because what a server keeps can be set.
    life: PhantomData<fn(&'s ()) -> &'s ()>,
}

impl<'s> Server<'s> {
    /// Wraps a server.
    ///
    /// # Safety
    /// The server lives for `'s`, as long as its configuration.
    pub unsafe fn new(raw: *mut sys::server_rec) -> Self {
        Self { raw, life: PhantomData }
    }

    /// The same server with a lifetime that the caller chooses.
    ///
    /// # Safety
    /// The server lives for `'t`.
    pub unsafe fn detached<'t>(self) -> Server<'t> {
        Server { raw: self.raw, life: PhantomData }
    }

    /// The address. For comparing addresses only.
    pub fn address(self) -> usize {
        self.raw.addr()
    }

    /// This server and those behind it in httpd's list: of the main server, all.
    pub fn with_virtual_hosts(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |server| {
            // SAFETY: httpd's list of servers is complete and lives as long as each of them.
            let next = unsafe { (*server.raw).next };
            (!next.is_null()).then_some(Self { raw: next, life: PhantomData })
        })
    }

    /// What a module keeps of this server.
    #[inline]
    pub fn config<C: ServerConfig<'s>>(self) -> Option<&'s C> {
        // SAFETY: a server has a configuration vector, and the entry of the module is null or a `C` in the
        // pool of the configuration (`create_server_config`, `set_config`). Nobody changes it once there are requests.
        unsafe { own_config::<C::Module>((*self.raw).module_config).cast::<C>().as_ref() }
    }

    /// Makes `config` what a module keeps of this server.
    pub(super) fn set_config<C: ServerConfig<'s>>(self, _: &Configuring<'s>, config: &'s C) {
        // SAFETY: a server has a configuration vector, and `Configuring` proves that there is one thread.
        unsafe {
            set_own_config::<C::Module>((*self.raw).module_config, ptr::from_ref(config).cast_mut().cast());
        }
    }

    /// Where the configuration begins this virtual host: the address of the file's name, and the line. For comparing only.
    pub fn origin(self) -> Option<(usize, u32)> {
        // SAFETY: the server is live.
        let (file, line) = unsafe { ((*self.raw).defn_name, (*self.raw).defn_line_number) };
        (!file.is_null()).then_some((file.addr(), line))
    }

    /// What the operator calls this server, and where the configuration defines it.
    pub fn description(self, _: &Configuring<'s>) -> String {
        // SAFETY: httpd's configuration has null or a C string there. The name of a file is there as long as httpd is
        // configuring itself.
        let (name, file) = unsafe { (text((*self.raw).server_hostname), text((*self.raw).defn_name)) };
        let name = name.map_or("(no ServerName)".into(), CStr::to_string_lossy);
        match self.origin().zip(file) {
            Some(((_, line), file)) => format!("{name} ({}:{line})", file.to_string_lossy()),
            None => format!("{name} (main server)"),
        }
    }

    /// The docroot that the configuration gives this server.
    pub fn configured_document_root(self) -> Option<&'s CStr> {
        // SAFETY: httpd gives every server a configuration of core's, whose docroot is null or a C string.
        unsafe { text((*sys::realdoc_core_server_config(self.raw)).ap_document_root) }
    }
}

/// # Safety
/// The string is null, or a C string that lives for `'s`.
unsafe fn text<'s>(string: *const c_char) -> Option<&'s CStr> {
    // SAFETY: the caller's promise.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) })
}
