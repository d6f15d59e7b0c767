//! The configuration as it is written: httpd's tree of directives.
//!
//! Owns: what a directive says, where it stands, and which concern a server. Must not: know what httpd made of them.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;

use apache_sys as sys;

use super::configuring::Configuring;
use super::pool::{OwnPool, Pool};
use super::server::Server;

/// A directive as it is written in a configuration file.
#[derive(Clone, Copy)]
pub struct Definition<'s> {
    pub(super) raw: *const sys::ap_directive_t,
    life: PhantomData<&'s ()>,
}

// SAFETY: nobody changes httpd's tree of the configuration once it is read.
unsafe impl Send for Definition<'_> {}
// SAFETY: as above.
unsafe impl Sync for Definition<'_> {}

impl<'s> Definition<'s> {
    /// Calls `visit` for all directives of the configuration, wherever they are nested.
    ///
    /// The names of files that directives and servers come from are copied into the pool of the configuration before. Those
    /// of mod_macro are in a pool that httpd destroys before it serves.
    pub fn each(configuring: &Configuring<'s>, main: Server<'s>, mut visit: impl FnMut(Self)) {
        let mut copies: HashMap<*const c_char, &'s CStr> = HashMap::new();
        let mut lasting = |name: *const c_char| {
            // SAFETY: the name is a C string, which is there as long as httpd is configuring itself.
            let copy = || configuring.pool().copy(unsafe { CStr::from_ptr(name) }.to_bytes());
            if name.is_null() { name } else { copies.entry(name).or_insert_with(copy).as_ptr() }
        };
        for server in main.with_virtual_hosts() {
            // SAFETY: the server is live, and `Configuring` proves that only this thread reads or changes it.
            unsafe { (*server.raw).defn_name = lasting((*server.raw).defn_name) };
        }
        // SAFETY: httpd's tree of the configuration. `Configuring` proves that only this thread reads or changes it.
        let mut level = vec![unsafe { sys::ap_conftree }];
        while let Some(mut node) = level.pop() {
            while !node.is_null() {
                // SAFETY: a node of the tree.
                unsafe { (*node).filename = lasting((*node).filename) };
                visit(Self { raw: node, life: PhantomData });
                // SAFETY: its children are null or another node.
                unsafe {
                    if !(*node).first_child.is_null() {
                        level.push((*node).first_child);
                    }
                    node = (*node).next;
                }
            }
        }
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

    pub(super) fn name_bytes(self) -> &'s [u8] {
        // SAFETY: a node's directive is a C string of the configuration.
        unsafe { CStr::from_ptr((*self.raw).directive) }.to_bytes()
    }

    /// What follows the name, as it is written; of a section, with the `>`.
    pub fn arguments(self) -> &'s CStr {
        // SAFETY: a node's arguments are null or a C string of the configuration.
        unsafe { if (*self.raw).args.is_null() { c"" } else { CStr::from_ptr((*self.raw).args) } }
    }

    /// What follows the name, with the variables of the configuration replaced: what a directive gets that takes its
    /// arguments as one text.
    pub fn line(self) -> Vec<u8> {
        let mut pool = OwnPool::new();
        // SAFETY: a C string and a pool; httpd returns a C string that is either or in the pool.
        unsafe { CStr::from_ptr(sys::ap_resolve_env(pool.pool().raw, self.arguments().as_ptr())) }.to_bytes().to_vec()
    }

    /// The words of its arguments; of a section, without the `>`.
    pub fn words(self) -> Vec<Vec<u8>> {
        let arguments = self.arguments().to_bytes();
        let arguments = if self.is_section() { arguments.strip_suffix(b">").unwrap_or(arguments) } else { arguments };
        let mut pool = OwnPool::new();
        CString::new(arguments).map(|arguments| words(pool.pool(), &arguments)).unwrap_or_default()
    }

    /// The `<VirtualHost>` that it stands in, if it stands in one: as [`Server::origin`].
    pub fn virtual_host(self) -> Option<(usize, u32)> {
        let mut node = self.raw;
        loop {
            // SAFETY: a node's parent is null or a node; a node has the address of a file name and a line number.
            unsafe {
                node = (*node).parent;
                if node.is_null() {
                    return None;
                }
                let definition = Self { raw: node, life: PhantomData };
                if definition.is("<VirtualHost") {
                    return Some(((*node).filename.addr(), (*node).line_num as u32));
                }
            }
        }
    }

    /// Whether it stands in no section but that of a virtual host.
    pub fn is_of_server(self) -> bool {
        // SAFETY: a node's parent is null or a node.
        let parent = unsafe { (*self.raw).parent };
        parent.is_null() || Self { raw: parent, life: PhantomData }.is("<VirtualHost")
    }

    /// The file and the line.
    pub fn location(self) -> String {
        // SAFETY: a node has a file name, a C string, and a line number.
        unsafe { format!("{}:{}", text((*self.raw).filename), (*self.raw).line_num) }
    }

    /// Whether a directive with this beginning of a name stands in the section, at any depth.
    pub fn contains(self, beginning: &str) -> bool {
        let begins =
            |name: &str| name.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning));
        self.any_child(&|child| begins(&child.name()))
    }

    /// The directives that stand right in the section.
    pub fn children(self) -> impl Iterator<Item = Self> {
        // SAFETY: the children of a node are null or nodes, and so are those that follow each.
        let mut child = unsafe { (*self.raw).first_child }.cast_const();
        std::iter::from_fn(move || {
            let definition = (!child.is_null()).then_some(Self { raw: child, life: PhantomData })?;
            // SAFETY: as above.
            child = unsafe { (*child).next };
            Some(definition)
        })
    }

    /// The directives of a tree's top level, of which this is the first.
    ///
    /// # Safety
    /// `first` is null or a node of a tree that lives for `'s`.
    pub(super) unsafe fn siblings(first: *const sys::ap_directive_t) -> Vec<Self> {
        let mut siblings = Vec::new();
        let mut node = first;
        while !node.is_null() {
            siblings.push(Self { raw: node, life: PhantomData });
            // SAFETY: the caller's promise. Each node is followed by null or a node.
            node = unsafe { (*node).next };
        }
        siblings
    }

    fn any_child(self, is_it: &dyn Fn(Self) -> bool) -> bool {
        self.children().any(|child| is_it(child) || child.any_child(is_it))
    }

    /// The path that a section is for, as httpd writes it in the section's core part but without the slash at the
    /// end. None for a regular expression.
    pub fn path(self) -> Option<Vec<u8>> {
        let words = self.words();
        let path = words.first().filter(|path| !self.is("<DirectoryMatch") && *path != b"~")?;
        let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        Some(path[..end].to_vec())
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

/// # Safety
/// The string is null or a C string.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}
