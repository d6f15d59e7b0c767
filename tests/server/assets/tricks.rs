//! Assets of a release before against directives that make a harmless name run something.

use std::os::unix::fs::PermissionsExt;

use harness::error_log::lines_of;
use harness::raw::ask;
use harness::{Mpm, Site, on_each_mpm};

use super::site::{deploy, get, public, retain, script, site, start};

/// What shows that a file was sent, and what shows that it was run.
const CODE: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nEXE%s' CUTED # SECRET\n\
    # <!--#set var=\"x\" value=\"EXE\" --><!--#echo var=\"x\" -->CUTED\n";

/// What the `.htaccess` of an old release says to have `a.js` beside it run. All of it is valid.
const TRICKS: [&str; 10] = [
    "FilterDeclare deflate\nFilterProvider deflate INCLUDES true\nFilterChain deflate",
    "FilterDeclare BUFFER\nFilterProvider BUFFER INCLUDES true\nFilterChain BUFFER",
    "AddOutputFilterByType DEFLATE text/javascript\nFilterProvider BYTYPE:DEFLATE INCLUDES true",
    "FilterDeclare realdoc_asset\nFilterProvider realdoc_asset INCLUDES true\nFilterChain realdoc_asset",
    "FilterDeclare h2_x\nFilterProvider h2_x INCLUDES true\nFilterChain h2_x",
    "AddOutputFilterByType INCLUDES text/html text/javascript",
    "ForceType \"text/javascript; charset=utf-8\"\nAddOutputFilterByType INCLUDES TEXT/JavaScript text/javascript",
    // A filter that goes by a type which a filter before it sets.
    "FilterDeclare BYTYPE:INCLUDES CONTENT_SET\nAddOutputFilterByType INCLUDES text/html\nFilterChain BYTYPE:INCLUDES\n\
     Header set Content-Type text/html",
    "SetHandler default-handler\nAction default-handler /cgi-bin/run",
    "<If \"true\">\nSetHandler server-parsed\n</If>",
];

fn place_tricks(site: &Site) {
    for (number, rules) in TRICKS.iter().enumerate() {
        site.write_script(&public("41", &format!("build/{number}/a.js")), CODE);
        let rules = format!("Options +Includes +ExecCGI\n{rules}\n");
        site.write(&public("41", &format!("build/{number}/.htaccess")), &rules);
    }
    site.write_script(
        "cgi/run",
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nEXECUTED'; cat \"$PATH_TRANSLATED\"\n",
    );
}

/// The filters, handlers and actions have names that a plain file may have, and another meaning.
fn tricks(mpm: Mpm) {
    let site = site();
    place_tricks(&site);
    let more = "<Directory \"${ROOT}/current/public\">\nAllowOverride All\n</Directory>\n\
                ScriptAlias /cgi-bin \"${ROOT}/cgi\"";
    let modules = ["alias", "actions", "buffer", "deflate", "filter", "include", mpm.cgi_module()];
    let httpd = start(&site, mpm, more, &modules);
    httpd.expect_error("AH0");
    deploy(&site, "43");
    assert_eq!(get(&httpd.client(), "/build/app.41.js"), script("41"));
    let mut wrong = Vec::new();
    for (number, rules) in TRICKS.iter().enumerate() {
        let response = ask(httpd.port(), "GET", "localhost", &format!("/build/{number}/a.js"));
        // A file that is sent as it is would be right, too.
        let is_plain = response.status() == 200 && response.body == CODE;
        if !is_plain && (response.status() != 404 || response.body.contains("EXECUTED")) {
            wrong.push(format!("{rules}: {} {:?}", response.status(), response.body));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

on_each_mpm!(assets_tricked, tricks, prefork, event);

/// A module whose handler answers by the URL, whatever the name of the handler is.
#[test]
fn a_handler_that_takes_any_file() {
    let site = site();
    site.write("run.lua", "function handle(r)\n r:puts('EXECUTED')\n return apache2.OK\nend\n");
    for name in ["41", "43"] {
        site.write(&public(name, &format!("build/{name}/a.js")), CODE);
    }
    let more = "LuaMapHandler /a.js$ \"${ROOT}/run.lua\"\n\
                <Directory \"${ROOT}/current/public/build\">\nSetHandler default-handler\n</Directory>";
    let httpd = start(&site, Mpm::Event, more, &["lua"]);
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/43/a.js"), (200, "EXECUTED".to_owned()), "of the release itself");
    assert_eq!(get(&client, "/build/41/a.js"), (200, CODE.to_owned()));
}

/// A filter for pages leaves scripts alone, and so does one that is made of plain filters.
#[test]
fn filters_for_other_types_are_no_obstacle() {
    let site = site();
    let cases = [
        "AddOutputFilterByType INCLUDES text/html",
        "AddOutputFilterByType INCLUDES;DEFLATE text/html text/plain",
        "AddOutputFilterByType SUBSTITUTE text/html\nSubstitute s/a/b/",
        "FilterDeclare gzip CONTENT_SET\nFilterProvider gzip DEFLATE \"%{CONTENT_TYPE} =~ m#^text/#\"\nFilterChain gzip",
    ];
    let mut more = String::new();
    for (number, directives) in cases.iter().enumerate() {
        site.write(&public("41", &format!("build/{number}/a.js")), CODE);
        site.write(&public("41", &format!("build/{number}/a.js.map")), CODE);
        more += &format!("<Directory \"${{ROOT}}/current/public/build/{number}\">\n{directives}\n</Directory>\n");
    }
    let httpd = start(&site, Mpm::Event, &more, &["include", "filter", "deflate", "substitute"]);
    deploy(&site, "43");
    let client = httpd.client();
    for (number, directives) in cases.iter().enumerate() {
        for file in ["a.js", "a.js.map"] {
            assert_eq!(get(&client, &format!("/build/{number}/{file}")), (200, CODE.to_owned()), "{directives}");
        }
    }
}

/// Other ways of httpd to find a file for a URL: none of them finds one of an old release.
fn other_ways(mpm: Mpm) {
    let site = site();
    site.write(&public("41", "build/sub/index.js"), "SECRET");
    site.write(
        &public("41", "build/map.var"),
        "URI: app.41.js\nContent-Type: text/javascript\n\nURI: same.js\nContent-Type: text/javascript\n",
    );
    site.write_script(&public("41", "build/bits.html"), CODE);
    for name in [".env", ".git/config", ".htaccess", ".htpasswd", "config.php.map/x"] {
        site.write(&public("41", &format!("build/{name}")), "SECRET");
        site.write(&public("41", name), "SECRET");
    }
    site.write(&public("41", "build/run.php.map"), "<?php SECRET");
    site.write(&public("41", "root.js"), "root");
    site.write(&public("43", "inside.shtml"), "[<!--#include virtual=\"/build/app.41.js\" -->]");
    site.write(&public("43", "file.shtml"), "[<!--#include file=\"build/app.41.js\" -->]");
    let more = "RealdocAssets /\nDirectoryIndex index.js\nAddHandler type-map .var\nAddHandler application/x-httpd-php .php\n\
        ErrorDocument 403 /build/app.41.js\n\
        <Directory \"${ROOT}/current/public\">\nOptions +MultiViews +Indexes\nCheckSpelling On\nXBitHack full\n\
        <LimitExcept GET HEAD>\nRequire all denied\n</LimitExcept>\n</Directory>\n\
        <Files \".ht*\">\nRequire all denied\n</Files>\n\
        DavLockDB \"${RUN}/dav\"\n<Location \"/dav/\">\nDav On\n</Location>";
    site.write(&public("41", "dav/a.js"), "SECRET");
    let modules = ["include", "dir", "autoindex", "negotiation", "speling", "dav", "dav_fs"];
    let httpd = start(&site, mpm, more, &modules);
    httpd.expect_error("AH");
    httpd.expect_error("[include:error]");
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.41.js"), script("41"));
    assert_eq!(get(&client, "/root.js"), (200, "root".to_owned()), "the prefix of all URLs");
    for path in [
        "/build/sub",
        "/build/sub/",
        "/build/app.41",
        "/build/app",
        "/build/root",
        "/root",
        "/build/map.var",
        "/build/map",
        "/build/bits.html",
        "/build/APP.41.JS",
        "/build/app.41.jss",
        "/build/.env",
        "/build/.git/config",
        "/build/.htaccess",
        "/build/.htpasswd",
        "/.env",
        "/.git/config",
        "/.htaccess",
        "/build/config.php.map",
        "/build/run.php.map",
        "/build/app.41.js;x",
        "/build/app.41.js/",
        "/build/./%2e%2e/root.js",
        "//..//root.js",
        "/inside.shtml",
        "/file.shtml",
        "/missing.html",
        "/build/none.js",
    ] {
        let response = ask(httpd.port(), "GET", "localhost", path);
        for word in ["SECRET", "EXECUTED", "export default '41'"] {
            assert!(!response.body.contains(word), "{path}: {response:?}");
        }
        let is_page = path.ends_with(".shtml");
        assert!(is_page == (response.status() == 200), "{path}: {response:?}");
    }
    for method in ["PUT", "DELETE", "PROPFIND", "MKCOL", "LOCK", "COPY", "OPTIONS", "POST"] {
        for path in ["/dav/a.js", "/build/app.41.js"] {
            let response = ask(httpd.port(), method, "localhost", path);
            assert!(
                !response.body.contains("SECRET") && !response.body.contains("export"),
                "{method} {path}: {response:?}"
            );
        }
    }
    assert_eq!(std::fs::read_to_string(site.root().join(public("41", "dav/a.js"))).expect("a file"), "SECRET");
}

on_each_mpm!(assets_by_other_ways, other_ways, prefork, event);

/// A front controller answers what no release has, and its error documents are those of the release.
#[test]
fn a_fallback_resource() {
    let site = site();
    site.write(&public("41", "build/denied/.htaccess"), "Require all denied\nErrorDocument 403 /build/app.41.js\n");
    site.write(&public("41", "build/denied/a.js"), "SECRET");
    site.write(&public("43", "missing.html"), "missing");
    let more = "<Directory \"${ROOT}/current/public\">\nAllowOverride All\nFallbackResource /index.html\n</Directory>";
    let httpd = start(&site, Mpm::Event, more, &["dir"]);
    httpd.expect_error("AH0");
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.41.js"), script("41"));
    assert_eq!(get(&client, "/build/none.js"), (200, "43".to_owned()));
    let (status, body) = get(&client, "/build/denied/a.js");
    assert!(status == 403 && !body.contains("export") && !body.contains("SECRET"), "{status} {body}");
}

/// The error document of an asset that is denied, or that runs something, is sent as any other.
#[test]
fn error_documents_are_sent() {
    let site = site();
    site.write(&public("41", "build/.htaccess"), "<Files \"denied.js\">\nRequire all denied\n</Files>\n");
    site.write(&public("41", "build/denied.js"), "SECRET");
    site.write(&public("41", "build/page.html"), "SECRET");
    site.write(&public("43", "error.html"), "what is wrong");
    site.write(&public("43", "error.shtml"), "[<!--#set var=\"x\" value=\"RUN\" --><!--#echo var=\"x\" -->]");
    let more = "ErrorDocument 403 /error.shtml\nErrorDocument 404 /error.html\n\
                <Directory \"${ROOT}/current/public\">\nAllowOverride All\n</Directory>";
    let httpd = start(&site, Mpm::Event, more, &["include"]);
    httpd.expect_error("AH0");
    deploy(&site, "43");
    let client = httpd.client();
    for _ in 0..2 {
        assert_eq!(get(&client, "/build/denied.js"), (403, "[RUN]".to_owned()));
        assert_eq!(get(&client, "/build/page.html"), (404, "what is wrong".to_owned()));
        assert_eq!(get(&client, "/build/app.41.js"), script("41"));
    }
}

/// A file of an old release that httpd cannot read, and manifests that an editor has spoilt.
#[test]
fn unreadable_files_and_spoilt_manifests() {
    let site = site();
    let httpd = start(&site, Mpm::Event, "", &[]);
    httpd.expect_error("retained is ignored");
    httpd.expect_error("AH0");
    deploy(&site, "43");
    for (text, message) in [
        ("43\r\n41\r\n", "line 1 is no name of a release: '43"),
        ("43\n41\0\n", "line 2 is no name of a release: '41"),
        ("\u{feff}41\n42\n", "line 1 is no name of a release"),
    ] {
        retain(&site, &["43", "41"]);
        assert_eq!(get(&httpd.client(), "/build/app.41.js"), script("41"));
        retain(&site, &[text.trim_end_matches('\n')]);
        assert_eq!(get(&httpd.client(), "/build/app.42.js").0, 404, "{text:?}");
        let log = httpd.error_log();
        let lines = lines_of(&log, "realdoc:error");
        assert!(lines.iter().any(|line| line.contains(message)), "{text:?}: {lines:#?}");
    }
    // A release of which nothing can be read, and one that is a file.
    retain(&site, &["43", "42", "41"]);
    let build = site.root().join(public("42", "build"));
    std::fs::set_permissions(&build, std::fs::Permissions::from_mode(0o000)).expect("permissions");
    site.write("releases/file", "41");
    retain(&site, &["43", "file", "gone", "42", "41"]);
    assert_eq!(get(&httpd.client(), "/build/app.41.js"), script("41"));
    std::fs::set_permissions(&build, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// A retained release is removed, and another one put in its place, while it is asked for.
#[test]
fn a_release_that_is_replaced_meanwhile() {
    let site = site();
    let httpd = start(&site, Mpm::Event, "", &[]);
    httpd.expect_error("AH0");
    deploy(&site, "43");
    site.write("other/public/build/app.41.js", "SECRET");
    let client = httpd.client();
    let (release, away, link) = ("releases/41", "releases/away", site.root().join("releases/41"));
    let answers: Vec<u16> = (0..200)
        .map(|number| {
            match number % 4 {
                0 => std::fs::rename(site.root().join(release), site.root().join(away)).expect("away"),
                1 => std::os::unix::fs::symlink("../other", &link).expect("a link"),
                2 => std::fs::remove_file(&link).expect("no link"),
                _ => std::fs::rename(site.root().join(away), site.root().join(release)).expect("back"),
            }
            let (status, body) = get(&client, "/build/app.41.js");
            assert!(!body.contains("SECRET"), "{body}");
            assert_eq!(status == 200, number % 4 == 3, "{number}: {body}");
            status
        })
        .collect();
    assert!(answers.contains(&200) && answers.contains(&404));
}
