//! `<Directory>` sections as httpd has read them.
//!
//! Owns: copying a section to another path, and what a section allows of `.htaccess` files. Must not: decide which sections
//! go where.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::ptr;

use apache_sys as sys;

use super::config_tree::Definition;
use super::foreign_module::ForeignModule;
use super::pool::Pool;
use super::server::Server;

/// A `<Directory>` section of a server, as requests use it.
#[derive(Clone, Copy)]
pub struct Section<'s> {
    pub(super) raw: *mut sys::ap_conf_vector_t,
    life: PhantomData<&'s ()>,
}

// SAFETY: a section is written when it is made, by one thread, and only read from then on.
unsafe impl Send for Section<'_> {}
// SAFETY: as above.
unsafe impl Sync for Section<'_> {}

impl<'s> Section<'s> {
    /// # Safety
    /// `raw` is a section that httpd has made, and lives for `'s`.
    pub(super) unsafe fn new(raw: *mut sys::ap_conf_vector_t) -> Self {
        Self { raw, life: PhantomData }
    }

    /// Core's part. Null where httpd has read a file without any directive of core's.
    pub(super) fn core(self) -> *const sys::core_dir_config {
        // SAFETY: every section is a configuration vector.
        unsafe { sys::realdoc_core_dir_config(self.raw) }
    }

    /// Core's part, if there is one.
    fn core_part(self) -> Option<&'s sys::core_dir_config> {
        // SAFETY: core's part lives as long as the section, and nobody writes to it once it is made.
        unsafe { self.core().as_ref() }
    }

    /// The path that the section is for, without the slash at its end, and whether it has wildcards. None for a regular
    /// expression.
    pub fn path(self) -> Option<(&'s [u8], bool)> {
        let core = self.core_part().filter(|core| !core.d.is_null() && core.r.is_null())?;
        // SAFETY: httpd keeps the path of a section as a C string of the configuration.
        let path = unsafe { CStr::from_ptr(core.d) }.to_bytes();
        Some((path.strip_suffix(b"/").unwrap_or(path), core.d_is_fnmatch() != 0))
    }

    /// The text of the section's regular expression. None for a path.
    pub fn expression(self) -> Option<&'s [u8]> {
        let core = self.core_part().filter(|core| !core.d.is_null() && !core.r.is_null())?;
        // SAFETY: httpd keeps the text of the expression where others have a path, as a C string.
        Some(unsafe { CStr::from_ptr(core.d) }.to_bytes())
    }

    /// Whether the section has a regular expression.
    pub fn is_regex(self) -> bool {
        self.core_part().is_some_and(|core| !core.r.is_null())
    }

    /// The address. For comparing addresses only.
    pub fn address(self) -> usize {
        self.raw.addr()
    }

    /// Whether it has directives of a module.
    pub fn concerns(self, module: ForeignModule<'_>) -> bool {
        // SAFETY: a section has as many entries as there are modules.
        !unsafe { module.config(self.raw) }.is_null()
    }

    /// Whether `<Files>` or `<If>` stand in it.
    pub fn has_nested(self) -> bool {
        let has = |sections: *const sys::apr_array_header_t| {
            // SAFETY: null or an array of httpd.
            unsafe { sections.as_ref() }.is_some_and(|sections| sections.nelts > 0)
        };
        self.core_part().is_some_and(|core| has(core.sec_file) || has(core.sec_if))
    }

    /// Copies the section to another path, which is absolute and has no slash at its end; the root is empty.
    pub fn at(self, path: &[u8], is_wildcard: bool, parts: &CopyParts<'s>) -> SectionCopy<'s> {
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
            SectionCopy(Self::new(copy))
        }
    }
}

/// A copy of a section that nobody uses yet, so that it may still be written to.
pub struct SectionCopy<'s>(Section<'s>);

impl<'s> SectionCopy<'s> {
    /// The section, as requests use it.
    pub fn finished(self) -> Section<'s> {
        self.0
    }

    /// Runs directives of a module again for the path that the copy stands at. Directives of other modules are left out:
    /// what those modules made of them is shared with the section that was copied, and must not be written to.
    ///
    /// # Errors
    /// What the module says of the directive that it does not take.
    pub fn run_again(
        &mut self,
        module: ForeignModule<'s>,
        directives: &[Definition<'s>],
        server: Server<'s>,
        pool: Pool<'s>,
    ) -> Result<(), String> {
        // In httpd's own form, one behind the other.
        let mut first: *mut sys::ap_directive_t = ptr::null_mut();
        for directive in directives.iter().rev().filter(|directive| module.has_directive(directive.name_bytes())) {
            // SAFETY: a node of httpd's tree, of which this is a copy that leads on to another copy.
            let copy = unsafe { sys::ap_directive_t { next: first, ..*directive.raw } };
            first = ptr::from_ref(pool.alloc(copy)).cast_mut();
        }
        // SAFETY: as httpd does for each `.htaccess` file while threads serve requests: all that is written is the
        // vector, which is ours alone, and what is made in the pool. Zeroes are what httpd begins with, but for the limit
        // on methods, of which there is none.
        unsafe {
            module.set_config(self.0.raw, ptr::null_mut());
            let mut parameters = sys::cmd_parms {
                limited: -1,
                override_: (sys::OR_ALL | sys::ACCESS_CONF) as c_int,
                pool: pool.raw,
                temp_pool: pool.raw,
                server: server.raw,
                path: (*self.0.core()).d,
                ..std::mem::zeroed()
            };
            let error = sys::ap_walk_config(first, &mut parameters, self.0.raw);
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

/// What `.htaccess` files may say in a directory, by sections that live for `'s`.
#[derive(Clone, Copy)]
pub struct Override<'s> {
    pub(super) directives: u32,
    pub(super) options: c_int,
    pub(super) list: *mut sys::apr_table_t,
    life: PhantomData<&'s ()>,
}

// SAFETY: the table is one of the configuration, which nobody changes.
unsafe impl Send for Override<'_> {}
// SAFETY: as above.
unsafe impl Sync for Override<'_> {}

impl<'s> Override<'s> {
    /// The default of a server, for directories without a section.
    pub fn default_of(server: Server<'s>) -> Self {
        let nothing = Self { directives: 0, options: 0, list: ptr::null_mut(), life: PhantomData };
        // SAFETY: a server has defaults for its directories, which httpd makes for each.
        unsafe { nothing.merged_with(sys::realdoc_core_dir_config((*server.raw).lookup_defaults)) }
    }

    /// The same after another section, which may allow more or less.
    #[must_use]
    pub fn merged(self, section: Section<'s>) -> Self {
        // SAFETY: core's part of a section, or null.
        unsafe { self.merged_with(section.core()) }
    }

    /// # Safety
    /// `core` is null or the core part of a section that lives for `'s`.
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

    /// Whether nothing is allowed: httpd then opens no file.
    pub fn is_nothing(self) -> bool {
        // SAFETY: null or a table of the configuration.
        self.directives == 0 && (self.list.is_null() || unsafe { sys::apr_is_empty_table(self.list) } != 0)
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
            (0..(*sections).nelts as usize).map(|index| Section::new(*elements.add(index))).collect()
        }
    }
}
