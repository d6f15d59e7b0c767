//! What is never served from a release before.
//!
//! Each site has a plain asset beside what must not be served: a test that serves neither proves nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use harness::raw::{RawResponse, ask};
use harness::{Httpd, Mpm, Site, on_each_mpm};

use super::site::{NAMES, PROTOCOLS, clients, deploy, get, http2, public, retain, script, site, start};

/// What stands in every file that must not be served, as it is in the file and as a run of it shows it.
const SECRET: &str = "SECRET";
const RUN: &str = "EXECUTED";

/// What runs as a script, as PHP and as SSI, and shows [`SECRET`] if it is only sent.
const CODE: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nEXE%s' CUTED # SECRET\n\
    # <?php echo 'EXE' . 'CUTED'; ?> <!--#set var=\"x\" value=\"EXE\" --><!--#echo var=\"x\" -->CUTED\n";

/// Asserts that this is an answer without anything of a file of a release before.
fn assert_hidden(what: &str, response: &RawResponse, statuses: &[u16]) {
    assert!(statuses.contains(&response.status()), "{what}: {response:?}");
    for word in [SECRET, RUN, "export default"] {
        assert!(!response.body.contains(word), "{what}: {response:?}");
    }
}

fn get_raw(httpd: &Httpd, path: &str) -> RawResponse {
    ask(httpd.port(), "GET", "localhost", path)
}

/// The errors of httpd and of other modules, which say why nothing is served.
fn expect_errors(httpd: &Httpd) {
    for text in ["[core:error]", "[authz_core:error]", "[include:error]", "[cgi:error]", "[cgid:error]", "AH0"] {
        httpd.expect_error(text);
    }
}

/// Files of the oldest release that a handler, a type or a filter would run; by the server's configuration.
const RUNS: [(&str, &str, &str); 13] = [
    ("a.php", "", "no type"),
    ("a.php", "AddType application/x-httpd-php .php", "the type of PHP"),
    ("a.js", "AddType application/x-httpd-php .js", "the type of PHP for scripts"),
    ("a.php.js", "AddHandler application/x-httpd-php .php", "a handler for one of two extensions"),
    (
        "a.js",
        "<FilesMatch \"\\.js$\">\nSetHandler \"proxy:unix:${RUN}/fpm.sock|fcgi://localhost\"\n</FilesMatch>",
        "php-fpm",
    ),
    ("a.js", "AddHandler cgi-script .js\nOptions +ExecCGI", "CGI"),
    ("a.cgi", "AddType application/x-httpd-cgi .cgi", "the type of CGI"),
    ("a.shtml", "", "SSI as the harness has it"),
    ("a.js", "AddOutputFilter INCLUDES .js", "SSI for scripts"),
    ("a.js", "AddOutputFilterByType INCLUDES text/javascript", "SSI by type"),
    ("a.js", "SetOutputFilter INCLUDES;DEFLATE", "SSI for all"),
    ("a.js", "SetOutputFilter SUBSTITUTE\nSubstitute s/SECRET/EXECUTED/", "another filter"),
    ("a.js", "FilterDeclare smart\nFilterProvider smart INCLUDES \"true\"\nFilterChain smart", "a filter of any name"),
];

fn runs(mpm: Mpm) {
    let site = site();
    let modules =
        [&["include", "filter", "deflate", "substitute", "proxy", "proxy_fcgi", mpm.cgi_module()][..], http2(mpm)]
            .concat();
    // One server for all cases, each with a directory of its own.
    let mut cases = PROTOCOLS.to_owned();
    for (number, (file, directives, _)) in RUNS.iter().enumerate() {
        site.write_script(&public("41", &format!("build/{number}/{file}")), CODE);
        site.write_script(&public("41", &format!("build/{number}/plain.css")), CODE);
        cases += &format!("\n<Directory \"${{ROOT}}/current/public/build/{number}\">\n{directives}\n</Directory>\n");
    }
    cases += "<Location \"/build/by-url/\">\nSetHandler cgi-script\nOptions +ExecCGI\n</Location>";
    site.write_script(&public("41", "build/by-url/a.js"), CODE);
    let httpd = start(&site, mpm, &cases, &modules);
    expect_errors(&httpd);
    deploy(&site, "43");
    for client in clients(&httpd, mpm) {
        let hidden = |path: &str, what: &str| {
            let (status, body) = get(&client, path);
            assert_eq!(status, 404, "{what}: {body}");
            assert!(!body.contains(SECRET) && !body.contains(RUN), "{what}: {body}");
        };
        for (number, (file, directives, what)) in RUNS.iter().enumerate() {
            hidden(&format!("/build/{number}/{file}"), what);
            // What concerns scripts alone leaves styles alone. (A filter by type is there for every type.)
            if directives.contains(".js") {
                assert_eq!(get(&client, &format!("/build/{number}/plain.css")), (200, CODE.to_owned()), "{what}");
            }
        }
        hidden("/build/by-url/a.js", "CGI by URL");
    }
}

on_each_mpm!(assets_never_run, runs, prefork, worker, event);

/// The same by what an old release says itself.
const OWN_RULES: [&str; 9] = [
    "AddHandler cgi-script .js\nOptions +ExecCGI",
    "SetHandler application/x-httpd-php",
    "AddType application/x-httpd-php .js",
    "SetOutputFilter INCLUDES\nOptions +Includes",
    "AddOutputFilterByType INCLUDES text/javascript\nOptions +Includes",
    "ForceType text/html",
    "RewriteEngine On\nRewriteRule ^ secret.php",
    "RewriteEngine On\nRewriteRule ^ /secret.txt [L]",
    "Action text/javascript /cgi-bin/run virtual",
];

#[test]
fn assets_never_run_by_htaccess() {
    let site = site();
    for (number, rules) in OWN_RULES.iter().enumerate() {
        site.write_script(&public("41", &format!("build/{number}/a.js")), CODE);
        site.write(&public("41", &format!("build/{number}/.htaccess")), rules);
        site.write_script(&public("41", &format!("build/{number}/secret.php")), CODE);
    }
    site.write(&public("41", "secret.txt"), SECRET);
    let mpm = Mpm::Event;
    let more = "<Directory \"${ROOT}/current/public\">\nAllowOverride All\n</Directory>";
    let httpd = start(&site, mpm, more, &["include", "filter", "rewrite", "actions", mpm.cgi_module()]);
    expect_errors(&httpd);
    deploy(&site, "43");
    assert_eq!(get(&httpd.client(), "/build/app.41.js"), script("41"));
    for (number, rules) in OWN_RULES.iter().enumerate() {
        assert_hidden(rules, &get_raw(&httpd, &format!("/build/{number}/a.js")), &[404]);
    }
}

/// mod_actions: by the type of a file, or by the method.
#[test]
fn assets_never_start_an_action() {
    let site = site();
    site.write(&public("41", "build/a.css"), SECRET);
    site.write_script(
        "cgi/run",
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nEXECUTED'; cat \"$PATH_TRANSLATED\"\n",
    );
    let mpm = Mpm::Event;
    let more = "ScriptAlias /cgi-bin \"${ROOT}/cgi\"\nAction text/css /cgi-bin/run\n\
                <Location \"/build/sub\">\nScript GET /cgi-bin/run\n</Location>";
    site.write(&public("41", "build/sub/a.js"), SECRET);
    let httpd = start(&site, mpm, more, &["alias", "actions", mpm.cgi_module()]);
    expect_errors(&httpd);
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.41.js?x"), script("41"));
    assert_eq!(get(&client, "/build/sub/a.js"), (200, SECRET.to_owned()), "a Script is for queries");
    assert_hidden("Action", &get_raw(&httpd, "/build/a.css"), &[404]);
    assert_hidden("Script", &get_raw(&httpd, "/build/sub/a.js?x"), &[404]);
}

/// Types that are no assets, and files without one.
#[test]
fn assets_of_other_types() {
    let site = site();
    for name in ["page.html", "notes.txt", "data.xml", "none", ".env", ".htaccess", "a.map.txt", "big.zip"] {
        site.write(&public("41", &format!("build/{name}")), SECRET);
    }
    site.write(&public("41", "build/app.js.map"), "{}");
    site.write(&public("41", "build/icon.svg"), "<svg/>");
    let httpd = start(&site, Mpm::Event, "AddType application/zip .zip\nAddType text/xml .xml", &[]);
    expect_errors(&httpd);
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.js.map"), (200, "{}".to_owned()));
    assert_eq!(get(&client, "/build/icon.svg"), (200, "<svg/>".to_owned()));
    for name in ["page.html", "notes.txt", "data.xml", "none", ".env", ".htaccess", "a.map.txt", "big.zip"] {
        assert_hidden(name, &get_raw(&httpd, &format!("/build/{name}")), &[404]);
    }
}

/// Files outside of the retained releases, and links that lead there or anywhere else.
fn links(mpm: Mpm) {
    let site = site();
    site.write("outside/a.js", SECRET);
    site.write(&public("41", "private/a.js"), SECRET);
    site.write("other/public/build/a.js", SECRET);
    let old = site.root().join(public("41", "build"));
    for (name, text) in [
        ("absolute.js", site.root().join("outside/a.js")),
        ("relative.js", "../../../../outside/a.js".into()),
        ("inside.js", "../private/a.js".into()),
        ("same.link.js", "app.41.js".into()),
        ("directory", "../private".into()),
        ("away", site.root().join("outside")),
    ] {
        symlink(text, old.join(name)).expect("a link");
    }
    // A release that is a link itself, and one elsewhere.
    site.symlink("releases/40", "../other");
    site.symlink("releases/39", "41");
    let follow = "<Directory \"${ROOT}/current/public\">\nAllowOverride All\nOptions -FollowSymLinks\n</Directory>";
    site.write(&public("41", "build/.htaccess"), "Options +FollowSymLinks");
    for more in ["", follow] {
        let httpd = start(&site, mpm, more, &[]);
        expect_errors(&httpd);
        deploy(&site, "43");
        if more.is_empty() {
            assert_eq!(get(&httpd.client(), "/build/app.41.js"), script("41"));
        }
        for path in ["absolute.js", "relative.js", "inside.js", "same.link.js", "directory/a.js", "away/a.js"] {
            assert_hidden(path, &get_raw(&httpd, &format!("/build/{path}")), &[403, 404]);
        }
        retain(&site, &["40", "39"]);
        for path in ["a.js", "app.41.js"] {
            assert_hidden("a release that is a link", &get_raw(&httpd, &format!("/build/{path}")), &[403, 404]);
        }
    }
}

on_each_mpm!(assets_behind_links, links, prefork, event);

#[test]
fn assets_of_releases_that_are_not_retained() {
    let site = site();
    let httpd = start(&site, Mpm::Event, "", &[]);
    httpd.expect_error("retained is ignored");
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.41.js"), script("41"));
    // Bad: the tool takes it out at once.
    retain(&site, &["43", "42"]);
    assert_eq!(get(&client, "/build/app.41.js").0, 404);
    // Removed, while it is still in the manifest.
    fs::remove_dir_all(site.root().join("releases/42")).expect("a release");
    assert_eq!(get(&client, "/build/app.42.js").0, 404);
    // Named by a path.
    site.write("outside/public/build/x.js", SECRET);
    for name in ["../outside", "/outside", ".", "..", "41/../../outside", ".realdoc"] {
        retain(&site, &[name]);
        assert_hidden(name, &get_raw(&httpd, "/build/x.js"), &[404]);
    }
    // Not admitted by the guard.
    site.write("releases/x44/public/build/x.js", SECRET);
    let narrow = "RealdocReleases \"${ROOT}/releases/4?\"";
    let httpd = start(&site, Mpm::Event, narrow, &[]);
    retain(&site, &["x44", "41"]);
    assert_eq!(get(&httpd.client(), "/build/app.41.js"), script("41"));
    assert_hidden("x44", &get_raw(&httpd, "/build/x.js"), &[404]);
}

/// What the current release has at that name is what answers, whatever it is.
#[test]
fn assets_that_the_current_release_has() {
    let site = site();
    for name in ["denied.js", "directory.js/x.js", "dangling.js", "script.js"] {
        site.write(&public("41", &format!("build/{name}")), SECRET);
    }
    let new = site.root().join(public("43", "build"));
    site.write(&public("43", "build/denied.js"), "denied");
    site.write(&public("43", "build/.htaccess"), "<Files \"denied.js\">\nRequire all denied\n</Files>");
    fs::write(new.join("directory.js"), "a file").expect("a file");
    symlink("nothing", new.join("dangling.js")).expect("a link");
    site.write(&public("43", "build/script.js"), "new");
    let more = "<Directory \"${ROOT}/current/public\">\nAllowOverride All\n</Directory>";
    let httpd = start(&site, Mpm::Event, more, &[]);
    expect_errors(&httpd);
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.41.js"), script("41"));
    assert_eq!(get(&client, "/build/script.js"), (200, "new".to_owned()));
    for name in ["denied.js", "directory.js/x.js", "dangling.js"] {
        assert_hidden(name, &get_raw(&httpd, &format!("/build/{name}")), &[403, 404]);
    }
}

/// Other methods, and requests that did not come from the network.
#[test]
fn assets_for_other_requests() {
    let site = site();
    site.write(&public("43", "page.shtml"), "page <!--#include virtual=\"/build/app.41.js\" -->");
    site.write("static/app.41.js", SECRET);
    let more = "ErrorDocument 404 /build/app.41.js\nAlias /build/alias \"${ROOT}/current/public/build\"\n\
                RewriteEngine On\nRewriteRule ^/rewritten/(.*)$ ${ROOT}/current/public/build/$1 [L]\n\
                RewriteRule ^/passed/(.*)$ /build/$1 [PT]";
    let httpd = start(&site, Mpm::Event, more, &["include", "alias", "rewrite"]);
    expect_errors(&httpd);
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.41.js"), script("41"));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "PATCH", "TRACE", "BREW"] {
        let response = ask(httpd.port(), method, "localhost", "/build/app.41.js");
        assert!(!response.body.contains("export default"), "{method}: {response:?}");
        assert!(response.status() != 200 || ["OPTIONS", "TRACE"].contains(&method), "{method}: {response:?}");
    }
    for path in ["/none.html", "/build/none.js", "/build/alias/app.41.js", "/rewritten/app.41.js"] {
        assert_hidden(path, &get_raw(&httpd, path), &[404]);
    }
    let (status, body) = get(&client, "/page.shtml");
    assert!(status == 200 && body.starts_with("page ") && !body.contains("export"), "{body}");
}

/// Names that do not say plainly which file they mean.
fn names(mpm: Mpm) {
    let site = site();
    let deep = "/d".repeat(300);
    site.write(&public("41", &format!("build{deep}/x.js")), SECRET);
    site.write(&public("41", "build/sub/x.js"), SECRET);
    site.write(&public("41", "private/x.js"), SECRET);
    site.write("releases/41/x.js", SECRET);
    assert!(
        Command::new("mkfifo").arg(site.root().join(public("41", "build/fifo.js"))).status().expect("mkfifo").success()
    );
    fs::create_dir(site.root().join(public("41", "build/directory.js"))).expect("a directory");
    for slashes in ["Off", "On", "NoDecode"] {
        let httpd = start(&site, mpm, &format!("AllowEncodedSlashes {slashes}"), &[]);
        expect_errors(&httpd);
        deploy(&site, "43");
        assert_eq!(get(&httpd.client(), "/build/app.41.js"), script("41"));
        for path in [
            "/build/../private/x.js",
            "/build/../../x.js",
            "/build/../build/app.41.js",
            "/build/none/../app.41.js",
            "/none/../build/app.41.js",
            "/build/%2e%2e/private/x.js",
            "/build/%2e%2e/build/app.41.js",
            "/build/.%2e/build/app.41.js",
            "/build/sub%2fx.js",
            "/build%2fapp.41.js",
            "/build/sub%5cx.js",
            "/build/..%2fprivate%2fx.js",
            "/build/app.41.js%00",
            "/build/app.41.js%00.css",
            "/build/app.41.js/",
            "/build/app.41.js/more",
            "/build/fifo.js",
            "/build/directory.js",
            "/build/directory.js/",
            "/build/",
            "/build",
            "/BUILD/app.41.js",
            &format!("/build{deep}/x.js"),
            &format!("/build/{}.js", "a".repeat(300)),
            &format!("/build/{}", "a/".repeat(2000)),
        ] {
            assert_hidden(path, &get_raw(&httpd, path), &[400, 403, 404]);
        }
    }
}

on_each_mpm!(assets_odd_names, names, prefork, event);

/// Whatever is retained, what the other prefixes and paths have stays as it was.
#[test]
fn paths_outside_of_the_prefixes() {
    let site: Site = site();
    site.write(&public("41", "other/x.js"), SECRET);
    site.write(&public("41", "buildx.js"), SECRET);
    let httpd = start(&site, Mpm::Event, "", &[]);
    expect_errors(&httpd);
    deploy(&site, NAMES[2]);
    assert_eq!(get(&httpd.client(), "/build/app.41.js"), script("41"));
    for path in ["/other/x.js", "/buildx.js", "/x/build/app.41.js"] {
        assert_hidden(path, &get_raw(&httpd, path), &[404]);
    }
}
