//! What the release build of the module needs of the process that loads it: symbols, libraries, protection.
//!
//! Owns: the list of httpd's and APR's symbols that it may use, and with it the oldest httpd it loads into. Must not:
//! start a server.
//!
//! That is httpd 2.4.1, the first release of 2.4: `ap_mmn.h`, where httpd writes down when a function was added, has
//! every function below under a 2.3 version or under none, which is before there was such a list for 2.3. httpd itself
//! refuses modules of another major number, which is 20120211 since 2.4.1. A function of a later 2.4 would make
//! `httpd -t` fail there with an undefined symbol, since the module is bound when it is loaded.
//!
//! The structures that the module reads only grow at their ends within one major number, and what it reads of them is
//! older too. It does not follow that a build for one machine runs on an older one: the C library has versions of its
//! own (a build on Debian 12 asks for glibc 2.34).

use std::collections::BTreeSet;
use std::process::Command;

use harness::Module;

/// Each with where it comes from: the version of `ap_mmn.h` that added it, or `-` if that was before 2.3.
const HTTPD: &[(&str, &str)] = &[
    ("ap_add_output_filter_handle", "-"),
    ("ap_build_config", "-"),
    ("ap_cfg_closefile", "-"),
    ("ap_check_cmd_context", "-"),
    ("ap_conftree", "-"),
    // 20110605.0 (2.3.13)
    ("ap_context_document_root", "2.3.13"),
    ("ap_create_per_dir_config", "-"),
    ("ap_directory_walk", "-"),
    ("ap_document_root", "-"),
    ("ap_exists_config_define", "-"),
    // 20111017.0 (2.3.15)
    ("ap_expr_str_exec", "2.3.15"),
    ("ap_file_walk", "-"),
    ("ap_find_linked_module", "-"),
    ("ap_get_output_filter_handle", "-"),
    ("ap_getword_conf", "-"),
    ("ap_hook_check_config", "2.3"),
    ("ap_hook_child_init", "-"),
    ("ap_hook_create_request", "-"),
    ("ap_hook_get_handler", "-"),
    ("ap_hook_log_transaction", "-"),
    ("ap_hook_map_to_storage", "-"),
    ("ap_hook_post_config", "-"),
    ("ap_hook_post_read_request", "-"),
    ("ap_hook_test_config", "-"),
    ("ap_location_walk", "-"),
    // 20100606.0 (2.3.6): what the macro ap_log_error calls.
    ("ap_log_error_", "2.3.6"),
    ("ap_merge_per_dir_configs", "-"),
    ("ap_mpm_query", "-"),
    ("ap_parse_htaccess", "-"),
    ("ap_pass_brigade", "-"),
    ("ap_pcfg_openfile", "-"),
    ("ap_pregcomp", "-"),
    ("ap_regexec", "-"),
    ("ap_register_output_filter", "-"),
    ("ap_remove_output_filter", "-"),
    ("ap_resolve_env", "-"),
    ("ap_rwrite", "-"),
    ("ap_server_root_relative", "-"),
    // 20110605.0 (2.3.13)
    ("ap_set_context_info", "2.3.13"),
    // 20110203.1 (2.3.11)
    ("ap_state_query", "2.3.11"),
    ("ap_top_module", "-"),
    ("ap_walk_config", "-"),
    ("core_module", "-"),
];

/// Of APR 1.0 and APR-util 1.0; httpd 2.4 asks for 1.4 and 1.3 at least.
const APR: &[&str] = &[
    "apr_allocator_create",
    "apr_allocator_owner_set",
    "apr_array_make",
    "apr_array_push",
    "apr_filepath_merge",
    "apr_is_empty_table",
    "apr_optional_hook_add",
    "apr_palloc",
    "apr_pool_cleanup_null",
    "apr_pool_cleanup_register",
    "apr_pool_create_unmanaged_ex",
    "apr_pool_destroy",
    "apr_pool_userdata_get",
    "apr_pool_userdata_setn",
    "apr_stat",
    "apr_table_addn",
    "apr_table_get",
    "apr_table_setn",
    "apr_table_unset",
];

/// The C library, what unwinds the stack on a panic, and the loader that belongs to the first.
const LIBRARIES: &[&str] = &["libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

fn output_of(program: &str, arguments: &[&str]) -> String {
    let module = Module::release().expect("the module");
    let output = Command::new(program).args(arguments).arg(module.file()).output();
    let output = output.unwrap_or_else(|error| panic!("running {program}: {error}: install binutils"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn it_uses_no_symbol_that_an_httpd_of_2_4_lacks() {
    let text = output_of("nm", &["--dynamic", "--undefined-only", "--format=posix"]);
    let undefined: BTreeSet<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    // The C library's symbols have a version, and those of the toolchain are weak or begin with an underscore.
    let is_servers =
        |symbol: &&&str| symbol.starts_with("ap_") || symbol.starts_with("apr_") || **symbol == "core_module";
    let used: BTreeSet<&str> = undefined.iter().filter(is_servers).copied().collect();
    let known: BTreeSet<&str> = HTTPD.iter().map(|(symbol, _)| *symbol).chain(APR.iter().copied()).collect();
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "not known to be in every httpd 2.4 (see include/ap_mmn.h of httpd): {unknown:?}");
    let unused: Vec<_> = known.difference(&used).collect();
    assert!(unused.is_empty(), "no longer used, take them off the list: {unused:?}");
    let others: Vec<_> = undefined
        .iter()
        .filter(|symbol| !known.contains(*symbol) && !symbol.contains('@') && !symbol.starts_with('_'))
        .collect();
    assert!(others.is_empty(), "of neither httpd nor the C library: {others:?}");
}

#[test]
fn it_needs_no_library_but_the_c_librarys() {
    let text = output_of("readelf", &["--dynamic", "--wide"]);
    let needed: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split_once('[')?.1.split_once(']').map(|(name, _)| name))
        .collect();
    assert!(!needed.is_empty() && needed.iter().all(|library| LIBRARIES.contains(library)), "{needed:?}");
}

#[test]
fn it_is_read_only_once_it_is_loaded() {
    let dynamic = output_of("readelf", &["--dynamic", "--wide"]);
    assert!(dynamic.contains("BIND_NOW"), "not bound at once:\n{dynamic}");
    assert!(!dynamic.contains("TEXTREL") && !dynamic.contains("RPATH") && !dynamic.contains("RUNPATH"), "{dynamic}");
    let segments = output_of("readelf", &["--segments", "--wide"]);
    assert!(segments.contains("GNU_RELRO"), "{segments}");
    let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect("a stack segment");
    assert!(stack.contains(" RW "), "an executable stack: {stack}");
    let both = segments.lines().any(|line| line.contains("LOAD") && line.contains("RWE"));
    assert!(!both, "writable code:\n{segments}");
}
