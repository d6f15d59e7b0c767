//! Where a docroot leads, in every layout of links and every mode: what applications see of it.
//!
//! Owns: `DOCUMENT_ROOT`, `CONTEXT_DOCUMENT_ROOT` and `SCRIPT_FILENAME` for the layouts that `docs/directives.md`
//! shows. Must not: flip.

use std::fmt::Write as _;

use harness::{Config, Httpd, Mpm, Site};

/// What a page shows of its docroot.
pub const SHOW: &str = "[<!--#echo var=\"DOCUMENT_ROOT\" -->][<!--#echo var=\"CONTEXT_DOCUMENT_ROOT\" -->]\
     [<!--#echo var=\"SCRIPT_FILENAME\" -->]";

/// One virtual host and what its docroot must be resolved to. Paths are relative to the site.
struct Case {
    docroot: String,
    directives: String,
    expected: String,
}

impl Case {
    fn new(docroot: String, directives: &str, expected: String) -> Self {
        Self { docroot, directives: directives.to_owned(), expected }
    }
}

fn config(cases: &[Case]) -> Config {
    let mut text = String::from("Header always set X-Root \"expr=%{DOCUMENT_ROOT}\"\n");
    for (number, Case { docroot, directives, .. }) in cases.iter().enumerate() {
        write!(
            text,
            "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName case-{number}.test\n\
             DocumentRoot \"${{ROOT}}/{docroot}\"\n{directives}\n</VirtualHost>\n"
        )
        .expect("a String takes all");
    }
    Config::new(&text).modules(&["include", "headers"])
}

fn check(site: &Site, cases: &[Case]) {
    let httpd = Httpd::start(site, Mpm::Event, &config(cases));
    let client = httpd.client();
    let mut wrong = String::new();
    for (number, Case { docroot, directives, expected }) in cases.iter().enumerate() {
        let response = client.get_from(&format!("case-{number}.test"), "/show.shtml").expect("a response");
        let root = site.root().join(expected).display().to_string();
        let shown = format!("[{root}][{root}][{root}/show.shtml]");
        if (response.status, response.body.trim(), response.header("X-Root")) != (200, &shown, &root) {
            writeln!(
                wrong,
                "{docroot} with {directives:?}: {} {} X-Root {}, not {shown}",
                response.status,
                response.body.trim(),
                response.header("X-Root"),
            )
            .expect("a String takes all");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// `release-12` with a page at its top and one in `htdocs`.
fn release_12(site: &Site, at: &str) {
    site.write(&format!("{at}/release-12/show.shtml"), SHOW);
    site.write(&format!("{at}/release-12/htdocs/show.shtml"), SHOW);
}

#[test]
fn current_to_a_to_a_release() {
    // The directory of `current`, the texts of `current` and of `A`, and where `A` is.
    let layouts = [
        ("absolute", "", "{here}/A", "", "{here}/release-12"),
        ("relative", "", "A", "", "release-12"),
        ("dotted", "", "./A", "", "./release-12"),
        ("up", "www/", "../x/A", "x/", "../release-12"),
        ("dots", "www/", "./.././x/A", "x/", ".././release-12"),
        ("to-a-slash", "", "A/", "", "release-12/"),
    ];
    let site = Site::new();
    let mut cases = Vec::new();
    for (name, current_in, current_text, a_in, a_text) in layouts {
        let here = site.root().join(name).display().to_string();
        release_12(&site, name);
        site.symlink(&format!("{name}/{current_in}current"), current_text.replace("{here}", &here));
        site.symlink(&format!("{name}/{a_in}A"), a_text.replace("{here}", &here));
        for below in ["", "/htdocs"] {
            let docroot = format!("{name}/{current_in}current{below}");
            let release = format!("{name}/release-12{below}");
            cases.push(Case::new(docroot.clone(), "", release.clone()));
            cases.push(Case::new(docroot.clone(), "UseReadlink Off", release));
            cases.push(Case::new(docroot, "UseReadlink On", format!("{name}/{a_in}A{below}")));
        }
    }
    check(&site, &cases);
}

#[test]
fn readlink_from_a_path() {
    let site = Site::new();
    release_12(&site, "real");
    site.symlink("data", "real");
    site.symlink("real/current", "A");
    site.symlink("real/A", "release-12");
    site.directory("other");

    let docroot = "data/current/htdocs";
    // `data` is the first link; with the look beginning at `current`, that one is.
    let (first, second, unresolved) = ("real/current/htdocs", "data/A/htdocs", docroot);
    let cases: Vec<Case> = [
        ("On", first),
        ("\"${ROOT}\"", first),
        ("/", first),
        ("\"${ROOT}/data\"", first),
        ("\"${ROOT}/data/current\"", second),
        ("\"${ROOT}/data/current/\"", second),
        // Below the last link there is none to replace.
        ("\"${ROOT}/data/current/htdocs\"", unresolved),
        // No ancestors: another directory, half a name, something below.
        ("\"${ROOT}/other\"", first),
        ("\"${ROOT}/data/cur\"", first),
        ("\"${ROOT}/data/current/htdocs/below\"", first),
    ]
    .into_iter()
    .map(|(value, expected)| Case::new(docroot.to_owned(), &format!("UseReadlink {value}"), expected.to_owned()))
    .collect();
    check(&site, &cases);
}

#[test]
fn a_docroot_without_a_link_stays() {
    let site = Site::new();
    release_12(&site, "plain");
    let docroot = "plain/release-12/htdocs";
    let cases = ["", "UseReadlink On"].map(|directives| Case::new(docroot.to_owned(), directives, docroot.to_owned()));
    check(&site, &cases);
}
