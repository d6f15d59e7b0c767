//! Safe wrappers of httpd's structures.
//!
//! Owns: nearly all the `unsafe` of this module: which pointers httpd gives, how long they live and who may write
//! them. Must not: know why anybody asks.
//!
//! The lifetime of a wrapper is that of the pool that its structure lives in: `'r` of a request lasts until the pool
//! of the request at the root of its tree is destroyed, `'s` of a server as long as the configuration.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use apache_sys as sys;
use docroot::Settings;

use crate::config::directives::{ServerConfig, Shared, Site};
use crate::realdoc_module;

mod config_tree;
pub mod panic;
mod pool;
mod request;
mod sections;

pub use config_tree::{ByHost, Definition};
pub use pool::{OwnPool, Pool, Text};
pub use request::Request;
pub use sections::{
    Applied, CopyParts, DECLINED, FORBIDDEN, ForeignModule, NOT_FOUND, Override, Regex, SERVICE_UNAVAILABLE, Section,
    SectionList, Status, is_error,
};

/// The module record, which httpd writes to when it loads the module.
#[repr(transparent)]
pub struct Module(UnsafeCell<sys::module>);

// SAFETY: httpd alone writes to it, when it loads the module and has one thread only; later everybody just reads.
unsafe impl Sync for Module {}

impl Module {
    /// Wraps a record.
    pub const fn new(record: sys::module) -> Self {
        Self(UnsafeCell::new(record))
    }

    fn as_ptr(&self) -> *mut sys::module {
        self.0.get()
    }
}

/// Where this module's entry is in every configuration vector, as the module record says. In a place of its own, because
/// the record is a symbol that others may see, and such a one takes a detour each time.
static INDEX: AtomicUsize = AtomicUsize::new(0);

/// Notes which number httpd has given this module. For the time when it registers its hooks.
pub fn note_index() {
    // SAFETY: httpd numbers a module before it lets it register its hooks, and writes nothing more to the record then.
    let index = unsafe { (*realdoc_module.as_ptr()).module_index };
    INDEX.store(index as usize, Ordering::Relaxed);
}

/// What this module keeps in a configuration vector: `ap_get_module_config`, which is an index into an array. Not by
/// way of the shim, because each request does it a few times.
///
/// # Safety
/// `vector` is a configuration vector of httpd, and httpd has loaded this module.
#[inline]
unsafe fn own_config(vector: *mut sys::ap_conf_vector_t) -> *mut c_void {
    // SAFETY: httpd makes each vector as long as there are modules and numbers them when it loads them.
    unsafe { *vector.cast::<*mut c_void>().add(INDEX.load(Ordering::Relaxed)) }
}

/// Makes `value` what this module keeps in a configuration vector: `ap_set_module_config`.
///
/// # Safety
/// As for [`own_config`], and nobody else uses the vector meanwhile.
#[inline]
unsafe fn set_own_config(vector: *mut sys::ap_conf_vector_t, value: *mut c_void) {
    // SAFETY: as above.
    unsafe { *vector.cast::<*mut c_void>().add(INDEX.load(Ordering::Relaxed)) = value }
}

/// httpd core, as the predecessor or the successor of a hook.
pub static CORE: Names<2> = Names([c"core.c".as_ptr(), ptr::null()]);

/// Modules that may choose another server for a request, or another docroot for its server, as soon as its header is
/// complete.
pub static SERVER_CHOOSERS: Names<4> =
    Names([c"mod_rpaf-2.0.c".as_ptr(), c"mod_rpaf.c".as_ptr(), c"mod_perl.c".as_ptr(), ptr::null()]);

/// A list of module names, as the functions that register hooks take it.
pub struct Names<const N: usize>([*const c_char; N]);

// SAFETY: static strings that nobody writes to.
unsafe impl<const N: usize> Sync for Names<N> {}

impl<const N: usize> Names<N> {
    /// The list as httpd takes it.
    pub const fn as_ptr(&self) -> *const *const c_char {
        self.0.as_ptr()
    }
}

/// A table of directives.
pub struct Commands<const N: usize>([sys::command_rec; N]);

// SAFETY: static strings and functions that nobody writes to.
unsafe impl<const N: usize> Sync for Commands<N> {}

impl<const N: usize> Commands<N> {
    /// A table of these records, of which the last must be [`Commands::END`].
    pub const fn new(records: [sys::command_rec; N]) -> Self {
        assert!(records[N - 1].name.is_null(), "httpd reads the table up to a record without a name");
        Self(records)
    }

    /// The table as httpd takes it.
    pub const fn as_ptr(&self) -> *const sys::command_rec {
        self.0.as_ptr()
    }
}

impl Commands<0> {
    /// The record that ends a table.
    pub const END: sys::command_rec = sys::command_rec {
        name: ptr::null(),
        func: sys::cmd_func { take1: None },
        cmd_data: ptr::null_mut(),
        req_override: 0,
        args_how: sys::RAW_ARGS,
        errmsg: ptr::null(),
    };

    /// A directive with one argument.
    pub const fn take1(name: &'static CStr, function: Take1, usage: &'static CStr) -> sys::command_rec {
        Self::directive(name, function, sys::TAKE1, usage)
    }

    /// A directive whose function gets all that follows the name.
    pub const fn raw(name: &'static CStr, function: Take1, usage: &'static CStr) -> sys::command_rec {
        Self::directive(name, function, sys::RAW_ARGS, usage)
    }

    const fn directive(
        name: &'static CStr,
        function: Take1,
        arguments: sys::cmd_how,
        usage: &'static CStr,
    ) -> sys::command_rec {
        sys::command_rec {
            name: name.as_ptr(),
            func: sys::cmd_func { take1: Some(function) },
            cmd_data: ptr::null_mut(),
            req_override: sys::RSRC_CONF | sys::ACCESS_CONF | sys::OR_ALL,
            args_how: arguments,
            errmsg: usage.as_ptr(),
        }
    }
}

/// The function of a directive with one argument; it returns an error message or null.
pub type Take1 = unsafe extern "C" fn(*mut sys::cmd_parms, *mut c_void, *const c_char) -> *const c_char;

/// A directive that httpd is reading.
pub struct Command<'c> {
    raw: *mut sys::cmd_parms,
    life: PhantomData<&'c mut ()>,
}

impl Command<'_> {
    /// Wraps what httpd hands to a directive's function.
    ///
    /// # Safety
    /// It must be just that, and be used only until that function returns.
    pub unsafe fn new(raw: *mut sys::cmd_parms) -> Self {
        Self { raw, life: PhantomData }
    }

    /// The pool of the configuration.
    pub fn pool(&self) -> Pool<'_> {
        // SAFETY: httpd sets the pool of a command, and reads a configuration in one thread.
        unsafe { Pool::new((*self.raw).pool) }
    }

    /// The directive's name, as it is written in the configuration.
    pub fn name(&self) -> &CStr {
        // SAFETY: httpd sets the command that it calls the function of, and a name is a static C string.
        unsafe { CStr::from_ptr((*(*self.raw).cmd).name) }
    }

    /// The words of a line, as httpd splits and unquotes them.
    ///
    /// # Safety
    /// `line` is a C string.
    pub unsafe fn words(&self, line: *const c_char) -> Vec<Vec<u8>> {
        // SAFETY: the caller's promise.
        words(self.pool(), unsafe { CStr::from_ptr(line) })
    }

    /// Whether the directive is in a section for a part of a server, or in `.htaccess`.
    pub fn is_in_section(&self) -> bool {
        let forbidden = (sys::NOT_IN_DIR_CONTEXT | sys::NOT_IN_HTACCESS).cast_unsigned();
        // SAFETY: the command is what httpd handed over.
        !unsafe { sys::ap_check_cmd_context(self.raw, forbidden) }.is_null()
    }

    /// What the server that the directive belongs to has of this module.
    ///
    /// Not for a directive in `.htaccess`, which is read while requests run.
    pub fn server_config(&mut self) -> &mut ServerConfig<'_> {
        // SAFETY: before it calls a directive's function, httpd has `create_server_config` make the server's
        // configuration. Outside `.htaccess` this is done by the only thread of a process that serves nobody yet, so
        // nobody else holds a reference.
        unsafe { &mut *own_config((*(*self.raw).server).module_config).cast() }
    }
}

/// The words of a line, as httpd splits and unquotes them.
pub fn words(pool: Pool<'_>, line: &CStr) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.as_ptr();
    // SAFETY: `ap_getword_conf` moves `rest` on in the same string, at most to its end, and returns a C string in the
    // pool.
    unsafe {
        while !CStr::from_ptr(rest).to_bytes().trim_ascii().is_empty() {
            words.push(CStr::from_ptr(sys::ap_getword_conf(pool.raw, &mut rest)).to_bytes().to_vec());
        }
    }
    words
}

/// A server or virtual host.
#[derive(Clone, Copy)]
pub struct Server<'s> {
    raw: *mut sys::server_rec,
    life: PhantomData<&'s ()>,
}

impl<'s> Server<'s> {
    /// No server in particular; for lines that concern the process.
    pub const NONE: Self = Self { raw: ptr::null_mut(), life: PhantomData };

    /// Wraps a server.
    ///
    /// # Safety
    /// It must live for `'s`.
    pub unsafe fn new(raw: *mut sys::server_rec) -> Self {
        Self { raw, life: PhantomData }
    }

    /// The same server, for whoever knows better how long it lives.
    ///
    /// # Safety
    /// It must not be used any longer than the server lives.
    pub unsafe fn detached<'t>(self) -> Server<'t> {
        Server { raw: self.raw, life: PhantomData }
    }

    /// Where it is. For comparing addresses only.
    pub fn address(self) -> *const () {
        self.raw.cast_const().cast()
    }

    /// This server and those behind it in httpd's list: of the main server, all.
    pub fn with_virtual_hosts(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |server| {
            // SAFETY: httpd's list of servers is complete and lives as long as each of them.
            let next = unsafe { (*server.raw).next };
            (!next.is_null()).then_some(Self { raw: next, life: PhantomData })
        })
    }

    /// What this server has of this module.
    #[inline]
    pub fn config(self) -> Option<&'s ServerConfig<'s>> {
        // SAFETY: a server has a configuration vector, and what it has in our place is what we put there: null, or a
        // `ServerConfig` in the pool of the configuration. Nobody changes it once there are requests.
        unsafe { own_config((*self.raw).module_config).cast::<ServerConfig<'s>>().as_ref() }
    }

    /// Makes `config` what this server has of this module. For the time when the configuration is being completed.
    pub fn set_config(self, config: &'s ServerConfig<'s>) {
        // SAFETY: a server has a configuration vector, and there is one thread while the configuration is completed.
        unsafe {
            set_own_config((*self.raw).module_config, ptr::from_ref(config).cast_mut().cast());
        }
    }

    /// What this server sets and inherits; nothing where there is no directive of ours.
    pub fn settings(self) -> Option<&'s Settings> {
        self.config().and_then(ServerConfig::settings)
    }

    /// What requests to this server need.
    #[inline]
    pub fn site(self) -> Option<&'s Site<'s>> {
        self.config().and_then(ServerConfig::site)
    }

    /// The file and the line where the configuration begins this virtual host.
    pub fn place(self) -> Option<(&'s CStr, u32)> {
        // SAFETY: null or a C string of the configuration, and a plain number.
        unsafe {
            let file = (*self.raw).defn_name;
            (!file.is_null()).then(|| (CStr::from_ptr(file), (*self.raw).defn_line_number))
        }
    }

    /// What all servers share.
    pub fn shared(self) -> Option<&'s Shared<'s>> {
        self.config().and_then(ServerConfig::shared)
    }

    /// What the operator calls this server, and where the configuration defines it.
    pub fn description(self) -> String {
        // SAFETY: both are null or C strings of the configuration.
        let (name, file) = unsafe { (self.text((*self.raw).server_hostname), self.text((*self.raw).defn_name)) };
        // SAFETY: a plain number in a live structure.
        let line = unsafe { (*self.raw).defn_line_number };
        let name = name.unwrap_or_else(|| "(no ServerName)".into());
        match file {
            Some(file) => format!("{name} ({file}:{line})"),
            None => format!("{name} (main server)"),
        }
    }

    /// # Safety
    /// The string is null or a C string.
    unsafe fn text(self, string: *const c_char) -> Option<String> {
        // SAFETY: the caller's promise.
        (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned())
    }

    /// The docroot that the configuration gives this server.
    pub fn configured_document_root(self) -> Option<&'s CStr> {
        // SAFETY: every server has core's configuration, and its docroot is null or a C string of the configuration.
        unsafe {
            let docroot = (*sys::realdoc_core_server_config(self.raw)).ap_document_root;
            (!docroot.is_null()).then(|| CStr::from_ptr(docroot))
        }
    }
}

/// Whether httpd was started with `-D name`.
pub fn is_defined(name: &CStr) -> bool {
    // SAFETY: a C string that httpd only reads.
    unsafe { sys::ap_exists_config_define(name.as_ptr()) != 0 }
}

/// Whether httpd reads its configuration only to see whether it can: when it starts it does so once, throws all of it
/// away, and reads it again. What is made of it then is what the second reading makes.
pub fn is_rehearsal() -> bool {
    // SAFETY: a plain number; httpd knows the question.
    is_starting() && unsafe { sys::ap_state_query(sys::AP_SQ_MAIN_STATE) == sys::AP_SQ_MS_CREATE_PRE_CONFIG }
}

/// Whether httpd starts, or starts again, to serve; else it was only asked something about its configuration.
pub fn is_starting() -> bool {
    // SAFETY: a plain number; httpd knows the question.
    unsafe { sys::ap_state_query(sys::AP_SQ_RUN_MODE) == sys::AP_SQ_RM_NORMAL }
}

/// How bad a line is.
#[derive(Clone, Copy)]
#[repr(i32)]
pub enum Level {
    /// A bug of ours.
    Critical = sys::APLOG_CRIT,
    /// Requests do not get what they should.
    Error = sys::APLOG_ERR,
    /// The configuration asks for something that cannot be.
    Warning = sys::APLOG_WARNING,
    /// Good to know.
    Notice = sys::APLOG_NOTICE,
    /// A flip.
    Info = sys::APLOG_INFO,
    /// Each resolution.
    Debug = sys::APLOG_DEBUG,
}

/// Writes a line to the error log of a [`Server`], formatted only if the server's `LogLevel` lets it through.
macro_rules! log {
    ($server:expr, $level:expr, $($text:tt)+) => {
        $crate::httpd::write_log($server, $level, concat!(file!(), "\0"), line!(), format_args!($($text)+))
    };
}
pub(crate) use log;

/// The function behind [`log!`].
pub fn write_log(server: Server<'_>, level: Level, file: &'static str, line: u32, text: fmt::Arguments<'_>) {
    let module = realdoc_module.as_ptr();
    // SAFETY: the server is null or live, and the module record is ours.
    if unsafe { sys::realdoc_logs_level(server.raw, module, level as c_int) } == 0 {
        return;
    }
    let text = c_string(&text.to_string());
    // SAFETY: as above; `file` ends in NUL (the macro's doing), and `text` is a C string that httpd copies.
    unsafe {
        sys::realdoc_log(file.as_ptr().cast(), line as c_int, module, level as c_int, server.raw, text.as_ptr());
    }
}

/// The text up to its first NUL.
fn c_string(text: &str) -> CString {
    let text = text.split('\0').next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}
