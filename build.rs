//! How the module is linked.
//!
//! Owns: linker options of the loadable module. Must not: look for httpd; `apache-sys` does that.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Full RELRO: a module lives in a process that parses what strangers send.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,mod_realdoc.so");
}
