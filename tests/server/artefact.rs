//! The built module as a file: its symbols and its names.
//!
//! Owns: what existing configurations and other modules rely on. Must not: test installation.

use std::process::Command;

use harness::{Config, Httpd, Module, Mpm, Site};

#[test]
fn it_exports_one_symbol() {
    let module = Module::release().expect("the module");
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(module.file())
        .output()
        .expect("running nm: install binutils");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let symbols: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(symbols, ["realdoc_module"]);
}

fn site() -> Site {
    Site::with_releases(1, |release| release.plain_page("page.html"))
}

#[test]
fn it_is_known_by_the_name_of_the_c_module() {
    let site = site();
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current"
        <IfModule mod_realdoc.c>
            Header set X-By-Name yes
        </IfModule>
        <IfModule realdoc_module>
            Header set X-By-Symbol yes
        </IfModule>
        "#,
    )
    .modules(&["headers"]);
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    let response = httpd.client().get("/page.html").expect("a response");
    assert_eq!((response.header("X-By-Name"), response.header("X-By-Symbol")), ("yes", "yes"));
}

#[test]
fn httpd_lists_it() {
    let said = Httpd::ask(&site(), Mpm::Event, &Config::new("DocumentRoot \"${ROOT}/current\""), &["-M"]);
    assert!(said.lines().any(|line| line.trim() == "realdoc_module (shared)"), "{said}");
}

#[test]
fn httpd_lists_its_directives() {
    let said = Httpd::ask(&site(), Mpm::Event, &Config::new("DocumentRoot \"${ROOT}/current\""), &["-L"]);
    for directive in ["RealpathEvery", "UseReadlink", "Realdoc"] {
        assert!(said.contains(&format!("{directive} (mod_realdoc.c)")), "{said}");
    }
}
