//! Asks `apxs` where httpd's and APR's headers are, makes the bindings from them and compiles the shim.
//!
//! Owns: which headers are read, which names come through, and the one-line errors for what is missing on the machine.
//! Must not: hold any path or flag of one distribution. `APXS=/path/to/apxs` names another httpd.

use std::env;
use std::panic;
use std::path::PathBuf;
use std::process::{Command, exit};

/// What a distribution calls the package that brings `apxs` and the headers.
const HTTPD_HINT: &str = "install httpd's development files (Debian: apache2-dev, Fedora: httpd-devel) or name another apxs with APXS=/path/to/apxs";
const CLANG_HINT: &str = "install libclang (Debian: libclang-dev, Fedora: clang-devel)";

fn main() {
    println!("cargo::rerun-if-env-changed=APXS");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/headers.h");
    println!("cargo::rerun-if-changed=src/shim.c");

    let flags = compiler_flags();
    compile_shim(&flags);
    bind(&flags);
}

/// Ends the build with one line that says what to do about it.
fn give_up(why: &str) -> ! {
    println!("cargo::error={}", why.replace('\n', " "));
    exit(1)
}

/// The include paths and definitions that httpd and APR were built with: a struct that is laid out otherwise than
/// in the server (`off_t`, say) would corrupt memory.
fn compiler_flags() -> Vec<String> {
    let apxs = Apxs::find();
    let mut flags = vec![format!("-I{}", apxs.query("INCLUDEDIR"))];
    // Header changes of an httpd upgrade must reach the bindings.
    println!("cargo::rerun-if-changed={}/ap_release.h", apxs.query("INCLUDEDIR"));
    flags.extend(words(&apxs.query("EXTRA_CPPFLAGS")).filter(|flag| flag.starts_with("-D")));
    for config in ["APR_CONFIG", "APU_CONFIG"] {
        let program = apxs.query(config);
        flags.extend(words(&run(&program, &["--includes"])));
    }
    flags.extend(words(&run(&apxs.query("APR_CONFIG"), &["--cppflags"])));
    flags
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split_ascii_whitespace().map(str::to_owned)
}

/// The `apxs` of the httpd to build for.
struct Apxs {
    program: String,
}

impl Apxs {
    fn find() -> Self {
        if let Ok(program) = env::var("APXS") {
            return Self { program };
        }
        for program in ["apxs", "apxs2"] {
            if Command::new(program).args(["-q", "INCLUDEDIR"]).output().is_ok() {
                return Self { program: program.to_owned() };
            }
        }
        give_up(&format!("apxs not found: {HTTPD_HINT}"))
    }

    fn query(&self, variable: &str) -> String {
        run(&self.program, &["-q", variable])
    }
}

fn run(program: &str, args: &[&str]) -> String {
    match Command::new(program).args(args).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(output) => give_up(&format!(
            "`{program} {}` failed ({}): {HTTPD_HINT}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => give_up(&format!("cannot run {program}: {error}: {HTTPD_HINT}")),
    }
}

fn compile_shim(flags: &[String]) {
    let mut build = cc::Build::new();
    build.file("src/shim.c").warnings(true).extra_warnings(true);
    for flag in flags {
        build.flag(flag);
    }
    // httpd's own headers have unused parameters.
    build.flag("-Wno-unused-parameter");
    if let Err(error) = build.try_compile("realdoc_shim") {
        give_up(&format!("the shim does not compile ({error}): {HTTPD_HINT}"));
    }
}

fn bind(flags: &[String]) {
    // The runtime-loaded libclang reports its absence by a panic of many lines; one line is more use.
    panic::set_hook(Box::new(|_| {}));
    let generated = panic::catch_unwind(|| {
        bindgen::Builder::default()
            .header("src/headers.h")
            .clang_args(flags)
            .use_core()
            .rust_edition(bindgen::RustEdition::Edition2024)
            .default_macro_constant_type(bindgen::MacroTypeVariation::Signed)
            .prepend_enum_name(false)
            .derive_debug(false)
            // httpd's comments are not Markdown, and its headers are where to read them.
            .generate_comments(false)
            .layout_tests(true)
            .allowlist_recursively(true)
            // Structures that the module reads or fills.
            .allowlist_type("module|command_rec|cmd_parms|request_rec|server_rec|core_server_config|core_dir_config|core_request_config|conn_rec|apr_status_t|ap_filter_t|ap_filter_rec_t|ap_LINK_handler_t")
            // Functions that it calls.
            .allowlist_function("ap_hook_(create_request|post_read_request|map_to_storage|log_transaction|child_init|check_config|test_config|post_config)")
            .allowlist_function("ap_(document_root|context_document_root|set_context_info)")
            .allowlist_function("ap_(check_cmd_context|getword_conf|exists_config_define|rwrite|state_query|mpm_query|server_root_relative)")
            .allowlist_function("ap_(create_per_dir_config|merge_per_dir_configs|parse_htaccess|walk_config)")
            .allowlist_function("ap_(build_config|cfg_closefile|pcfg_openfile|resolve_env)")
            .allowlist_function("ap_(directory_walk|file_walk|location_walk|expr_str_exec|find_linked_module|pregcomp|regexec)")
            .allowlist_function("apr_(palloc|pool_cleanup_register|pool_cleanup_null|table_get|table_setn|table_addn|table_unset|array_make|array_push)")
            .allowlist_function("apr_(filepath_merge|stat|optional_hook_add)")
            .allowlist_function("apr_(allocator_create|allocator_owner_set|pool_create_unmanaged_ex|pool_destroy|pool_userdata_get|pool_userdata_setn|is_empty_table)")
            .allowlist_function("ap_(hook_get_handler|register_output_filter|get_output_filter_handle|add_output_filter_handle|remove_output_filter|pass_brigade)")
            .allowlist_function("realdoc_.*")
            .allowlist_var("MODULE_MAGIC_(NUMBER_MAJOR|NUMBER_MINOR|COOKIE)")
            .allowlist_var("APR_HOOK_(REALLY_FIRST|FIRST|MIDDLE|LAST|REALLY_LAST)")
            .allowlist_var("OK|DECLINED|DONE|HTTP_INTERNAL_SERVER_ERROR|HTTP_SERVICE_UNAVAILABLE|HTTP_NOT_FOUND|HTTP_FORBIDDEN")
            .allowlist_var("AP_SQ_(MAIN_STATE|RUN_MODE|MS_CREATE_PRE_CONFIG|RM_NORMAL|RM_CONFIG_DUMP)")
            .allowlist_var("RSRC_CONF|ACCESS_CONF|OR_ALL|OR_UNSET|OPT_UNSET|AP_REG_(EXTENDED|ICASE)")
            .allowlist_var("NOT_IN_HTACCESS|NOT_IN_DIR_CONTEXT|NOT_IN_VIRTUALHOST|AP_MPMQ_IS_THREADED")
            .allowlist_var("APLOG_(EMERG|ALERT|CRIT|ERR|WARNING|NOTICE|INFO|DEBUG)")
            .allowlist_var("core_module|ap_top_module|AP_CORE_MODULE_INDEX|ap_conftree|APR_SUCCESS|APR_ENOENT|APR_FINFO_MIN|AP_FTYPE_(RESOURCE|PROTOCOL)|M_GET|METHODS|APR_FILEPATH_NOTRELATIVE|AP_STATUS_SHORT")
            .generate()
            .map_err(|error| error.to_string())
    });
    drop(panic::take_hook());
    let bindings = match generated {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(error)) => give_up(&format!("bindgen cannot read httpd's headers ({error}): {HTTPD_HINT}")),
        Err(_) => give_up(&format!("bindgen needs libclang and did not find it: {CLANG_HINT}")),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    if let Err(error) = bindings.write_to_file(out.join("bindings.rs")) {
        give_up(&format!("cannot write the bindings: {error}"));
    }
}
