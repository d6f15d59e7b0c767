//! Bindings to the parts of Apache httpd 2.4 and APR that mod_realdoc uses.
//!
//! Owns: the raw declarations, made at build time from the headers of the httpd that `apxs` (or `APXS=`) names, and a
//! C shim that turns httpd's macros into functions. Must not: hold logic, or any wrapper that pretends to be safe;
//! those are in the module's `httpd.rs`.
//!
//! Nothing generated is committed: the layout of httpd's structures belongs to the server on the machine.

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals, missing_docs)]
// The generated code is httpd's API as it is, including its 128-bit layouts and its own way with pointers.
#![allow(clippy::all, clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

/// The module API generation that all of httpd 2.4 shares. httpd refuses to load a module of another one, so a build
/// against other headers could only make a module that does not load.
pub const MODULE_API_2_4: i32 = 20_120_211;

const _: () = assert!(MODULE_MAGIC_NUMBER_MAJOR == MODULE_API_2_4, "these are not the headers of an httpd 2.4");
// "AP24", the cookie that httpd 2.4 looks for in a module record.
const _: () = assert!(MODULE_MAGIC_COOKIE == 0x4150_3234);
