//! `REALDOC_DOCUMENT_ROOT` and `REALDOC_RELEASE`: what applications and logs are told.
//!
//! Owns: both variables in SSI, CGI, PHP and the access log, in subrequests and internal redirects, for configured and
//! computed docroots. Must not: flip under load.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use harness::raw::ask;
use harness::{Config, Httpd, Mpm, Site, on_each_mpm, readiness};

const SSI: &str = "[<!--#echo var=\"REALDOC_DOCUMENT_ROOT\" -->][<!--#echo var=\"REALDOC_RELEASE\" -->]";
const CGI: &str =
    "#!/bin/sh\nprintf 'Content-Type: text/html\\n\\n[%s][%s]' \"$REALDOC_DOCUMENT_ROOT\" \"$REALDOC_RELEASE\"\n";
const PHP: &str = "[<?= $_SERVER['REALDOC_DOCUMENT_ROOT'] ?? '(none)' ?>][<?= getenv('REALDOC_RELEASE') ?>]";

/// A release `releases/<number>/public` with a page of each kind, and pages that lead to another.
fn fill(site: &Site, number: usize) {
    let release = site.release(number);
    release.write("public/show.shtml", SSI);
    release.write("public/index.shtml", SSI);
    release.write("public/error.shtml", SSI);
    release.write("public/nested.shtml", &format!("{SSI}<!--#include virtual=\"/show.shtml\" -->"));
    release.write("public/cgi.shtml", "<!--#include virtual=\"/cgi-bin/show\" -->");
    release.write("public/show.php", PHP);
    release.write_script("cgi-bin/show", CGI);
    release.write("public/empty.html", "");
}

const TEXT: &str = r#"
    UseCanonicalName Off
    DirectoryIndex index.shtml
    ErrorDocument 404 /error.shtml
    RewriteEngine On
    RewriteRule ^/rewritten$ /show.shtml [PT]
    LogFormat "%r [%{REALDOC_DOCUMENT_ROOT}e][%{REALDOC_RELEASE}e]" told
    CustomLog "${RUN}/told" told
    ScriptAlias /cgi-bin "${ROOT}/current/cgi-bin"
    <VirtualHost 127.0.0.1:${PORT_2}>
        ServerName localhost
        DocumentRoot "${ROOT}/plain"
        RewriteEngine On
        RewriteOptions Inherit
        VirtualDocumentRoot "${ROOT}/hosts/%0/current/public"
    </VirtualHost>
    <VirtualHost 127.0.0.1:${PORT_3}>
        ServerName localhost
        DocumentRoot "${ROOT}/plain"
    </VirtualHost>
    <VirtualHost 127.0.0.1:${PORT_4}>
        ServerName localhost
        DocumentRoot "${ROOT}/current/public"
        Realdoc Off
    </VirtualHost>
"#;

/// Requests, and how often each shows the two variables.
const REQUESTS: [(&str, usize); 9] = [
    ("/show.shtml", 1),
    ("/nested.shtml", 2),
    ("/", 1),
    ("/absent", 1),
    ("/rewritten", 1),
    ("/show.php", 1),
    ("/cgi-bin/show", 1),
    ("/cgi.shtml", 1),
    ("/empty.html", 0),
];

fn told(mpm: Mpm) {
    let site = Site::new();
    for number in [7, 8] {
        fill(&site, number);
    }
    site.symlink("current", "releases/7");
    site.symlink("hosts/one/current", site.release_directory(7));
    site.symlink("hosts/two/current", site.release_directory(8));
    for page in ["show.shtml", "index.shtml"] {
        site.write(&format!("plain/{page}"), SSI);
    }
    let (config, _fpm) = crate::php::php(&site, mpm);
    let config =
        config.text(TEXT).modules(&["alias", "include", "rewrite", "vhost_alias", mpm.cgi_module()]).more_ports(3);
    let httpd = Httpd::start(&site, mpm, &config);
    let [main, computed, plain, off] = httpd.ports() else { panic!("four ports") };
    let root = site.root().display().to_string();
    let mut log = BTreeSet::new();
    let mut check = |port: u16, host: &str, path: &str, count: usize, variables: &str| {
        let response = ask(port, "GET", host, path);
        assert_eq!(response.body.trim(), variables.repeat(count), "{host}{path}: {response:?}");
        if host != "off" {
            log.insert(format!("GET {path} HTTP/1.0 {}", variables.replace("(none)", "-")));
        }
    };
    let both = |docroot: &str, release: &str| format!("[{root}/{docroot}][{release}]");
    for (path, count) in REQUESTS {
        check(*main, "main", path, count, &both("current/public", "7"));
        // Scripts have an alias of their own, which mod_vhost_alias comes before.
        if !path.contains("cgi") {
            check(*computed, "one", path, count, &both("hosts/one/current/public", "7"));
            check(*computed, "two", path, count, &both("hosts/two/current/public", "8"));
        }
    }
    // A docroot without a link leads to no release; one that is left alone has no docroot to tell of.
    check(*plain, "plain", "/show.shtml", 1, &both("plain", "(none)"));
    check(*off, "off", "/show.shtml", 1, "[(none)][(none)]");

    let written = || fs::read_to_string(httpd.run_file("told")).unwrap_or_default();
    let complete = readiness::becomes_true(Duration::from_secs(5), || {
        let written = written();
        log.iter().all(|line| written.lines().any(|found| found == line))
    });
    assert!(complete, "log lines {log:#?} of which some are not in\n{}", written());
}

on_each_mpm!(variables, told);

/// The hook runs behind everything that may still compute a docroot or answer without a file, and right before httpd's
/// own walk of the directories.
#[test]
fn the_order_of_hooks() {
    let site = Site::with_releases(1, |release| release.plain_page("page.html"));
    // Loaded before and after ours by name: what counts is the order of hooks.
    let config =
        Config::new("DocumentRoot \"${ROOT}/current\"\n<Location /hooks>\nSetHandler server-info\n</Location>")
            .modules(&[
                "info",
                "proxy",
                "proxy_http",
                "proxy_fcgi",
                "lua",
                "rewrite",
                "vhost_alias",
                "http2",
                "dav",
                "speling",
            ]);
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    let page = ask(httpd.port(), "GET", "localhost", "/hooks?hooks").body;
    let (_, hook) = page.split_once("Map to Storage:").expect("the hook in question");
    let hook = hook.split_once("<dt>").map_or(hook, |(hook, _)| hook);
    let modules: Vec<&str> =
        hook.split("<a href=\"?").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
    let place = |name: &str| modules.iter().rposition(|module| *module == name);
    let ours = place("mod_realdoc.c").unwrap_or_else(|| panic!("{hook}"));
    assert_eq!(place("core.c"), Some(ours + 1), "{modules:?}");
    assert_eq!(ours + 2, modules.len(), "{modules:?}");
    for name in ["http_core.c", "mod_proxy.c", "mod_lua.c"] {
        assert!(place(name).is_some_and(|place| place < ours), "{name}: {modules:?}");
    }
    assert!(modules.iter().filter(|module| **module == "mod_realdoc.c").count() == 1, "{modules:?}");
}
