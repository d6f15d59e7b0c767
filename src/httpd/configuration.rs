//! The configuration as httpd has read it: `<Directory>` sections, and where they are written.
//!
//! Owns: copying a section to another path, with httpd's own functions, and which directives concern a server. Must
//! not: decide which sections go where.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::ptr;

use apache_sys as sys;

use super::{Pool, Server};

/// A `<Directory>` section of a server, as requests use it.
#[derive(Clone, Copy)]
pub struct Section<'s> {
    raw: *mut sys::ap_conf_vector_t,
    life: PhantomData<&'s ()>,
}

impl<'s> Section<'s> {
    /// The path that the section is for, which may have wildcards; nothing of a regular expression.
    pub fn path(self) -> Option<&'s CStr> {
        // SAFETY: every section has a core part, whose path is null or a C string of the configuration.
        unsafe {
            let core = sys::realdoc_core_dir_config(self.raw);
            if core.is_null() || (*core).d.is_null() || !(*core).r.is_null() {
                return None;
            }
            Some(CStr::from_ptr((*core).d))
        }
    }

    /// A copy of the section for another path, which must be absolute and may have wildcards.
    pub fn copy_for(self, path: &[u8], pool: Pool<'s>) -> Self {
        // As httpd writes the paths of sections: with a slash at the end.
        let path = pool.copy(&[path, b"/"].concat());
        // SAFETY: httpd's functions, called as httpd itself does when it reads a section, while there is one thread.
        // The merge with an empty vector copies the pointers to what each module made of the section's directives.
        // The core part is the only one that knows its path. It is made by core's own functions, because its size
        // depends on the httpd that is running, and is ours alone; its path and all else live in the pool.
        unsafe {
            let copy = sys::ap_merge_per_dir_configs(pool.raw, sys::ap_create_per_dir_config(pool.raw), self.raw);
            let core_module = &raw mut sys::core_module;
            let create = (*core_module).create_dir_config.expect("core configures directories");
            let merge = (*core_module).merge_dir_config.expect("core merges directories");
            let empty = create(pool.raw, path.as_ptr().cast_mut());
            let core = merge(pool.raw, empty, sys::realdoc_core_dir_config(self.raw).cast());
            sys::realdoc_set_module_config(copy, core_module, core);
            let core = core.cast::<sys::core_dir_config>();
            (*core).d = path.as_ptr().cast_mut();
            (*core).set_d_is_fnmatch(u32::from(sys::apr_fnmatch_test(path.as_ptr()) != 0));
            (*core).d_components = path.to_bytes().iter().filter(|&&byte| byte == b'/').count() as u32;
            Self { raw: copy, life: PhantomData }
        }
    }
}

impl<'s> Server<'s> {
    /// The `<Directory>` sections that requests to this server meet, in the order of their depth.
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

    /// Adds sections so that each comes before all that are as deep: those which are there already win.
    pub fn add_sections(self, new: &[Section<'s>], pool: Pool<'s>) {
        let old = self.sections();
        // SAFETY: while the configuration is being checked there is one thread. The array is a new one, because a
        // virtual host without sections of its own shares the memory of the main server's. httpd then sorts it by
        // depth, which keeps the order of equals.
        unsafe {
            let count = (new.len() + old.len()) as i32;
            let sections = sys::apr_array_make(pool.raw, count, size_of::<*mut sys::ap_conf_vector_t>() as i32);
            for section in new.iter().chain(&old) {
                sys::apr_array_push(sections).cast::<*mut sys::ap_conf_vector_t>().write(section.raw);
            }
            (*sys::realdoc_core_server_config(self.raw)).sec_dir = sections;
            sys::ap_core_reorder_directories(pool.raw, self.raw);
        }
    }
}

/// A directive as it is written in a configuration file.
#[derive(Clone, Copy)]
pub struct Definition<'s> {
    raw: *const sys::ap_directive_t,
    life: PhantomData<&'s ()>,
}

impl<'s> Definition<'s> {
    /// All directives of these names (of sections: `<Directory`) in the configuration, wherever they are nested, in the
    /// order of the files.
    ///
    /// # Safety
    /// Only while the configuration is being read or checked, before there are threads.
    pub unsafe fn all(names: &[&str]) -> Vec<Self> {
        let mut found = Vec::new();
        // SAFETY: httpd's tree of the configuration, complete by now, and read by its only thread.
        let mut level = vec![unsafe { sys::ap_conftree }.cast_const()];
        while let Some(mut node) = level.pop() {
            while !node.is_null() {
                let definition = Self { raw: node, life: PhantomData };
                if names.iter().any(|name| definition.is(name)) {
                    found.push(definition);
                }
                // SAFETY: a node of the tree; its children are null or another node.
                unsafe {
                    if !(*node).first_child.is_null() {
                        level.push((*node).first_child);
                    }
                    node = (*node).next;
                }
            }
        }
        found
    }

    /// The directive's name; of a section it begins with `<`.
    pub fn name(self) -> String {
        String::from_utf8_lossy(self.name_bytes()).into_owned()
    }

    /// Whether that is its name.
    pub fn is(self, name: &str) -> bool {
        self.name_bytes().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether it is one that others stand in.
    pub fn is_section(self) -> bool {
        self.name_bytes().first() == Some(&b'<')
    }

    fn name_bytes(self) -> &'s [u8] {
        // SAFETY: a node's directive is a C string of the configuration.
        unsafe { CStr::from_ptr((*self.raw).directive) }.to_bytes()
    }

    /// What follows the name, as it is written; of a section, with the `>`.
    pub fn arguments(self) -> &'s CStr {
        // SAFETY: a node's arguments are null or a C string of the configuration.
        unsafe { if (*self.raw).args.is_null() { c"" } else { CStr::from_ptr((*self.raw).args) } }
    }

    /// Where the `<VirtualHost>` begins that it stands in, if it stands in one.
    pub fn virtual_host(self) -> Option<(&'s CStr, u32)> {
        let mut node = self.raw;
        loop {
            // SAFETY: a node's parent is null or a node; a node has a file name, a C string, and a line number.
            unsafe {
                node = (*node).parent;
                if node.is_null() {
                    return None;
                }
                let definition = Self { raw: node, life: PhantomData };
                if definition.is("<VirtualHost") {
                    return Some((CStr::from_ptr((*node).filename), (*node).line_num as u32));
                }
            }
        }
    }

    /// A section as its first line says it.
    pub fn title(self) -> String {
        let arguments = self.arguments().to_string_lossy();
        format!("{} {}>", self.name(), arguments.trim_end_matches('>'))
    }

    /// The file and the line.
    pub fn place(self) -> String {
        // SAFETY: a node has a file name, a C string, and a line number.
        unsafe { format!("{}:{}", text((*self.raw).filename), (*self.raw).line_num) }
    }

    /// Whether the section keeps somebody out: has a `Require` that is not `all granted`.
    pub fn denies(self) -> bool {
        let grants = |definition: Self| {
            let arguments = definition.arguments().to_string_lossy().to_ascii_lowercase();
            arguments.split_ascii_whitespace().eq(["all", "granted"])
        };
        self.any_child(&|child| child.is("Require") && !grants(child))
    }

    /// Whether a directive with this beginning of a name stands in the section, at any depth.
    pub fn contains(self, beginning: &str) -> bool {
        let begins =
            |name: &str| name.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning));
        self.any_child(&|child| begins(&child.name()))
    }

    fn any_child(self, is_it: &dyn Fn(Self) -> bool) -> bool {
        // SAFETY: the children of a node are null or nodes.
        let mut child = unsafe { (*self.raw).first_child };
        while !child.is_null() {
            let definition = Self { raw: child, life: PhantomData };
            if is_it(definition) || definition.any_child(is_it) {
                return true;
            }
            // SAFETY: as above.
            child = unsafe { (*child).next };
        }
        false
    }

    /// The path that a section is for, as httpd writes it in the section's core part but without the slash at the
    /// end; nothing where it is a regular expression.
    pub fn path(self) -> Option<Vec<u8>> {
        let arguments = self.arguments().to_bytes();
        let arguments = arguments.strip_suffix(b">").unwrap_or(arguments);
        if self.is("<DirectoryMatch") || arguments.trim_ascii_start().starts_with(b"~") {
            return None;
        }
        let word = CString::new(arguments).ok()?;
        Some(first_word(&word))
    }
}

/// What is made of directives, by the virtual host that they stand in. With thousands of virtual hosts, each must find its
/// own without looking at those of all others.
pub struct ByHost<'s, T> {
    of_all: Vec<T>,
    of_host: HashMap<(&'s CStr, u32), Vec<T>>,
}

impl<T> Default for ByHost<'_, T> {
    fn default() -> Self {
        Self { of_all: Vec::new(), of_host: HashMap::new() }
    }
}

impl<'s, T> ByHost<'s, T> {
    /// Adds what is made of a directive.
    pub fn add(&mut self, definition: Definition<'s>, made: T) {
        match definition.virtual_host() {
            Some(place) => self.of_host.entry(place).or_default().push(made),
            None => self.of_all.push(made),
        }
    }

    /// What concerns a server: what stands outside of all virtual hosts, which inherit it, and what stands in itself.
    pub fn of(&self, server: Server<'s>) -> impl Iterator<Item = &T> {
        // Most configurations have none in any, and to hash a place takes longer than to see that.
        let place = if self.of_host.is_empty() { None } else { server.place() };
        let of_host = place.and_then(|place| self.of_host.get(&place)).map_or(&[][..], Vec::as_slice);
        self.of_all.iter().chain(of_host)
    }
}

/// The first word of a directive's arguments, which may be quoted, without slashes at its end.
fn first_word(arguments: &CStr) -> Vec<u8> {
    let text = arguments.to_bytes().trim_ascii_start();
    let word = match text.split_first() {
        Some((quote @ (b'"' | b'\''), rest)) => rest.split(|byte| byte == quote).next().unwrap_or_default(),
        _ => text.split(u8::is_ascii_whitespace).next().unwrap_or_default(),
    };
    let end = word.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    word[..end].to_vec()
}

/// # Safety
/// The string is null or a C string.
unsafe fn text(string: *const c_char) -> String {
    if ptr::eq(string, ptr::null()) {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}
