//! `<Directory>` sections as httpd has read them, and a request's walk by a list of them.
//!
//! Owns: copying a section to another path, lists of sections, and what httpd's own functions make of both. Must not:
//! decide which sections go where.
//!
//! httpd's `ap_directory_walk` takes the sections from the core configuration of the request's server. A list is
//! therefore a copy of the server's record that differs in these sections alone, and takes the place of the server for
//! the length of that one call.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use apache_sys as sys;
use docroot::sections::Pattern;

use super::{Definition, Pool, Request, Server};

/// A `<Directory>` section of a server, as requests use it.
#[derive(Clone, Copy)]
pub struct Section<'s> {
    raw: *mut sys::ap_conf_vector_t,
    life: PhantomData<&'s ()>,
}

// SAFETY: a section is written when it is made, by one thread, and only read from then on.
unsafe impl Send for Section<'_> {}
// SAFETY: as above.
unsafe impl Sync for Section<'_> {}

impl<'s> Section<'s> {
    fn core(self) -> *const sys::core_dir_config {
        // SAFETY: every section has a core part, which httpd makes first.
        unsafe { sys::realdoc_core_dir_config(self.raw) }
    }

    /// The path that the section is for, which may have wildcards, and ends in a slash; nothing of a regular expression.
    fn path(self) -> Option<&'s CStr> {
        let core = self.core();
        // SAFETY: the path of a section is null or a C string of the configuration.
        unsafe {
            let is_path = !core.is_null() && !(*core).d.is_null() && (*core).r.is_null();
            is_path.then(|| CStr::from_ptr((*core).d))
        }
    }

    /// The path as a pattern; nothing of a regular expression.
    pub fn pattern(self) -> Option<Pattern<'s>> {
        let path = self.path()?.to_bytes();
        // SAFETY: a section that has a path has a core part.
        let is_wildcard = unsafe { (*self.core()).d_is_fnmatch() != 0 };
        Some(Pattern { path: path.strip_suffix(b"/").unwrap_or(path), is_wildcard })
    }

    /// The text of the regular expression that it is for; nothing of a path.
    pub fn expression(self) -> Option<&'s [u8]> {
        // SAFETY: the core part has the text of the expression where others have a path, a C string.
        self.is_regex().then(|| unsafe { CStr::from_ptr((*self.core()).d) }.to_bytes())
    }

    /// Whether it is for what a regular expression matches.
    pub fn is_regex(self) -> bool {
        // SAFETY: as above.
        unsafe { !(*self.core()).r.is_null() }
    }

    /// Where it is. For comparing addresses only.
    pub fn address(self) -> *const () {
        self.raw.cast_const().cast()
    }

    /// Whether it has directives of a module.
    pub fn concerns(self, module: ForeignModule) -> bool {
        // SAFETY: a section has as many entries as there are modules.
        !unsafe { module.config(self.raw) }.is_null()
    }

    /// Copies the section to another path, which is absolute and has no slash at its end; the root is empty.
    pub fn at(self, path: &[u8], is_wildcard: bool, parts: &CopyParts<'s>) -> Self {
        // As httpd writes the paths of sections: with a slash at the end.
        let path = parts.pool.copy(&[path, b"/"].concat());
        // SAFETY: httpd's functions, called as httpd itself does when it reads a section or an `.htaccess` file, with a
        // pool that nobody else uses meanwhile. The merge with an empty vector copies the pointers to what each module
        // made of the section's directives. The core part is the only one that knows its path. It is made by core's own
        // functions, because its size depends on the httpd that is running, and is ours alone; its path and all else
        // live in the pool. A vector that httpd read from `.htaccess` may have no core part.
        unsafe {
            let copy = sys::ap_merge_per_dir_configs(parts.pool.raw, parts.vector, self.raw);
            let core_module = &raw mut sys::core_module;
            let merge = (*core_module).merge_dir_config.expect("core merges directories");
            let own = if self.core().is_null() { parts.core } else { self.core().cast_mut().cast() };
            let core = merge(parts.pool.raw, parts.core, own).cast::<sys::core_dir_config>();
            sys::realdoc_set_module_config(copy, core_module, core.cast());
            (*core).d = path.as_ptr().cast_mut();
            (*core).set_d_is_fnmatch(is_wildcard.into());
            // httpd counts slashes, but for the root.
            let slashes = path.to_bytes().iter().filter(|&&byte| byte == b'/').count();
            (*core).d_components = if path.to_bytes() == b"/" { 0 } else { slashes as u32 };
            (*core).r = ptr::null_mut();
            Self { raw: copy, life: PhantomData }
        }
    }

    /// Runs directives of a module again for this section, which is a copy, so that they are for the path that it stands
    /// at. Directives of other modules stay as they are.
    ///
    /// # Errors
    /// What the module says of the directive that it does not take.
    pub fn run_again(
        self,
        module: ForeignModule,
        directives: &[Definition<'s>],
        server: Server<'s>,
        pool: Pool<'s>,
    ) -> Result<(), String> {
        // In httpd's own form, one behind the other.
        let mut first: *mut sys::ap_directive_t = ptr::null_mut();
        for directive in directives.iter().rev() {
            // SAFETY: a node of httpd's tree, of which this is a copy that leads on to another copy.
            let copy = unsafe { sys::ap_directive_t { next: first, ..*directive.raw } };
            first = ptr::from_ref(pool.place(copy)).cast_mut();
        }
        // SAFETY: as httpd does for each `.htaccess` file while threads serve requests: all that is written is the
        // vector, which is ours alone, and what is made in the pool. Zeroes are what httpd begins with, but for the limit
        // on methods, of which there is none.
        unsafe {
            module.set_config(self.raw, ptr::null_mut());
            let mut parameters = sys::cmd_parms {
                limited: -1,
                override_: (sys::OR_ALL | sys::ACCESS_CONF) as c_int,
                pool: pool.raw,
                temp_pool: pool.raw,
                server: server.raw,
                path: (*self.core()).d,
                ..std::mem::zeroed()
            };
            let error = sys::ap_walk_config(first, &mut parameters, self.raw);
            if error.is_null() { Ok(()) } else { Err(CStr::from_ptr(error).to_string_lossy().into_owned()) }
        }
    }
}

/// What copies of sections are made with. A list shares it.
pub struct CopyParts<'s> {
    pool: Pool<'s>,
    vector: *mut sys::ap_conf_vector_t,
    core: *mut c_void,
}

impl<'s> CopyParts<'s> {
    /// Makes copies in a pool.
    pub fn new(pool: Pool<'s>) -> Self {
        // SAFETY: httpd's functions, with a pool that nobody else uses meanwhile.
        unsafe {
            let create = sys::core_module.create_dir_config.expect("core configures directories");
            let core = create(pool.raw, c"/".as_ptr().cast_mut());
            Self { pool, vector: sys::ap_create_per_dir_config(pool.raw), core }
        }
    }
}

/// What of `.htaccess` files is allowed in a directory.
#[derive(Clone, Copy)]
pub struct Override {
    directives: u32,
    options: c_int,
    list: *mut sys::apr_table_t,
}

// SAFETY: the table is one of the configuration, which nobody changes.
unsafe impl Send for Override {}
// SAFETY: as above.
unsafe impl Sync for Override {}

impl Override {
    /// What a server allows where no section says anything.
    pub fn default_of(server: Server<'_>) -> Self {
        let nothing = Self { directives: 0, options: 0, list: ptr::null_mut() };
        // SAFETY: a server has defaults for its directories, which httpd makes for each.
        unsafe { nothing.merged_with(sys::realdoc_core_dir_config((*server.raw).lookup_defaults)) }
    }

    /// What is allowed where a section applies as well.
    #[must_use]
    pub fn merged(self, section: Section<'_>) -> Self {
        // SAFETY: the core part of a section, or null.
        unsafe { self.merged_with(section.core()) }
    }

    /// # Safety
    /// `core` is null or the core part of a section.
    unsafe fn merged_with(mut self, core: *const sys::core_dir_config) -> Self {
        if core.is_null() {
            return self;
        }
        // SAFETY: the caller's promise.
        let (directives, options, list) = unsafe { ((*core).override_, (*core).override_opts, (*core).override_list) };
        if directives & sys::OR_UNSET as u32 == 0 {
            self.directives = directives;
        }
        if options & sys::OPT_UNSET as sys::allow_options_t == 0 {
            self.options = options.into();
        }
        if !list.is_null() {
            self.list = list;
        }
        self
    }

    /// Whether httpd looks for the file at all.
    pub fn is_nothing(self) -> bool {
        // SAFETY: null or a table of the configuration.
        self.directives == 0 && (self.list.is_null() || unsafe { sys::apr_is_empty_table(self.list) } != 0)
    }
}

/// A list of sections for requests to walk by.
pub struct SectionList {
    server: *mut sys::server_rec,
}

// SAFETY: what it points to is written when it is made, and only read from then on.
unsafe impl Send for SectionList {}
// SAFETY: as above.
unsafe impl Sync for SectionList {}

impl SectionList {
    /// Makes a list of sections that are in httpd's order.
    ///
    /// # Safety
    /// The list must not be used any longer than the server, the pool and the sections live.
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
                let module_of = ForeignModule { raw: module };
                module_of.set_config(vector, module_of.config((*server.raw).module_config));
                module = (*module).next;
            }
            let core_module = ForeignModule { raw: &raw mut sys::core_module };
            let create = (*core_module.raw).create_server_config.expect("core configures servers");
            let merge = (*core_module.raw).merge_server_config.expect("core merges servers");
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

impl<'s> Server<'s> {
    /// The `<Directory>` sections that requests to this server meet, in httpd's order: by the depth of their paths, then
    /// as the configuration has them, and behind all others those of regular expressions.
    pub fn sections(self) -> Vec<Section<'s>> {
        // SAFETY: every server has core's configuration, whose sections are an array of vectors.
        unsafe {
            let sections = (*sys::realdoc_core_server_config(self.raw)).sec_dir;
            let elements = (*sections).elts.cast::<*mut sys::ap_conf_vector_t>();
            (0..(*sections).nelts as usize)
                .map(|index| Section { raw: *elements.add(index), life: PhantomData })
                .collect()
        }
    }
}

/// What httpd says of a request; an error ends it.
pub type Status = c_int;

/// The request is denied.
pub const FORBIDDEN: Status = sys::HTTP_FORBIDDEN;

/// Left to whoever comes next.
pub const DECLINED: Status = sys::DECLINED;

/// The file does not exist.
pub const NOT_FOUND: Status = sys::HTTP_NOT_FOUND;

/// The file cannot be served at present.
pub const SERVICE_UNAVAILABLE: Status = sys::HTTP_SERVICE_UNAVAILABLE;

/// Whether a status ends the request.
pub fn is_error(status: Status) -> bool {
    status != sys::OK && status != sys::DECLINED
}

impl<'r> Request<'r> {
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
        // sections, and lives as long as whoever made it promised.
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
    pub fn apply(self, section: Section<'_>) {
        // SAFETY: the request is live, and each of the two is a vector that lives as long as it.
        unsafe {
            (*self.raw).per_dir_config =
                sys::ap_merge_per_dir_configs((*self.raw).pool, (*self.raw).per_dir_config, section.raw);
        }
    }

    /// Which sections apply to the request so far. For comparing addresses only, and for [`Request::apply_all`].
    pub fn applied(self) -> Applied {
        // SAFETY: the request is live.
        Applied(unsafe { (*self.raw).per_dir_config })
    }

    /// Lets the same sections apply to the request as to another one of its tree, whose pool is still there.
    pub fn apply_all(self, applied: Applied) {
        // SAFETY: the request is live; the vector is one that a request of this tree has had.
        unsafe { (*self.raw).per_dir_config = applied.0 };
    }

    /// Whether a section of a regular expression is for a path. What it captures by names becomes variables of the
    /// request, as httpd makes them.
    pub fn is_matched(self, section: Section<'_>, path: &CStr) -> bool {
        // SAFETY: the section has an expression (else nothing is matched), and maybe names for what it captures: an array
        // of C strings, null where there is no name. The expression writes as many places as it is given.
        unsafe {
            let core = section.core();
            if (*core).r.is_null() {
                return false;
            }
            let names = (*core).refs;
            let count = if names.is_null() { 0 } else { (*names).nelts as usize };
            let mut places: Vec<sys::ap_regmatch_t> = vec![std::mem::zeroed(); count];
            if sys::ap_regexec((*core).r, path.as_ptr(), count, places.as_mut_ptr(), 0) != 0 {
                return false;
            }
            for (index, place) in places.iter().enumerate() {
                let name = *(*names).elts.cast::<*const c_char>().add(index);
                let range = usize::try_from(place.rm_so).ok().zip(usize::try_from(place.rm_eo).ok());
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
    pub fn htaccess(self, directory: &[u8], allowed: Override) -> Result<Option<Section<'r>>, Status> {
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
        Ok((!read.is_null()).then_some(Section { raw: read, life: PhantomData }))
    }
}

impl Request<'_> {
    /// The text of the `.htaccess` file of a directory: the first that is there, by the names that the server gives such
    /// files.
    pub fn htaccess_text(self, directory: &[u8]) -> Option<Vec<u8>> {
        // SAFETY: the names of a server's files are a C string.
        let names = unsafe { CStr::from_ptr((*sys::realdoc_core_server_config((*self.raw).server)).access_name) };
        let paths = super::words(self.pool(), names).into_iter().map(|name| [directory, b"/", &name[..]].concat());
        paths.into_iter().find_map(|path| std::fs::read(std::ffi::OsStr::from_bytes(&path)).ok())
    }
}

/// The sections that apply to a request, merged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Applied(*mut sys::ap_conf_vector_t);

/// Another module that httpd has loaded.
#[derive(Clone, Copy)]
pub struct ForeignModule {
    raw: *mut sys::module,
}

impl ForeignModule {
    /// The module whose source file is called so.
    pub fn find(name: &CStr) -> Option<Self> {
        // SAFETY: a C string, and a list of modules that nobody changes while there are threads.
        let raw = unsafe { sys::ap_find_linked_module(name.as_ptr()) };
        (!raw.is_null()).then_some(Self { raw })
    }

    /// # Safety
    /// `vector` is a configuration vector of httpd.
    unsafe fn config(self, vector: *mut sys::ap_conf_vector_t) -> *mut c_void {
        // SAFETY: a vector is as long as there are modules.
        unsafe { *vector.cast::<*mut c_void>().add((*self.raw).module_index as usize) }
    }

    /// # Safety
    /// `vector` is a configuration vector of httpd that nobody else uses.
    unsafe fn set_config(self, vector: *mut sys::ap_conf_vector_t, value: *mut c_void) {
        // SAFETY: as above.
        unsafe { *vector.cast::<*mut c_void>().add((*self.raw).module_index as usize) = value };
    }
}

/// A regular expression.
pub struct Regex {
    raw: *mut sys::ap_regex_t,
}

// SAFETY: an expression is only read once it is made; httpd matches by one from many threads.
unsafe impl Send for Regex {}
// SAFETY: as above.
unsafe impl Sync for Regex {}

impl Regex {
    /// Compiles an expression, which lives as long as the pool; nothing of one that httpd does not take.
    ///
    /// # Safety
    /// It must not be used any longer than the pool lives.
    pub unsafe fn new(text: &[u8], ignores_case: bool, pool: Pool<'_>) -> Option<Self> {
        let text = CString::new(text).ok()?;
        let flags = sys::AP_REG_EXTENDED | if ignores_case { sys::AP_REG_ICASE } else { 0 };
        // SAFETY: a C string, and a pool that nobody else uses meanwhile.
        let raw = unsafe { sys::ap_pregcomp(pool.raw, text.as_ptr(), flags) };
        (!raw.is_null()).then_some(Self { raw })
    }

    /// What it captures of a text, first all that it matches; nothing if it does not match.
    pub fn captures<'t>(&self, text: &'t CStr) -> Option<[&'t [u8]; 10]> {
        // SAFETY: plain numbers.
        let mut places: [sys::ap_regmatch_t; 10] = unsafe { std::mem::zeroed() };
        // SAFETY: a live expression (the promise of whoever made it), a C string, and as many places as it is told.
        if unsafe { sys::ap_regexec(self.raw, text.as_ptr(), places.len(), places.as_mut_ptr(), 0) } != 0 {
            return None;
        }
        let end = |place: c_int| usize::try_from(place).unwrap_or(usize::MAX);
        Some(places.map(|place| text.to_bytes().get(end(place.rm_so)..end(place.rm_eo)).unwrap_or_default()))
    }
}
