//! What is served from a release before, and by which sections.

use std::fs;
use std::time::Duration;

use harness::raw::ask;
use harness::{Httpd, Mpm, on_each_mpm, readiness};

use super::site::{NAMES, PROTOCOLS, clients, deploy, get, http2, public, retain, script, site, start};

fn after_flips(mpm: Mpm) {
    let site = site();
    let httpd = start(&site, mpm, PROTOCOLS, http2(mpm));
    for client in clients(&httpd, mpm) {
        site.flip_link("current", "releases/41");
        retain(&site, &["41"]);
        assert_eq!(get(&client, "/build/app.42.js").0, 404, "never deployed");
        for (last, name) in NAMES.iter().enumerate() {
            deploy(&site, name);
            for old in &NAMES[..=last] {
                assert_eq!(get(&client, &format!("/build/app.{old}.js")), script(old), "{name} is live");
                assert_eq!(get(&client, &format!("/build/app.{old}.js?v=1")), script(old), "with a query");
            }
            assert_eq!(get(&client, "/build/same.js"), (200, (*name).to_owned()), "the pinned release wins");
            assert_eq!(get(&client, "/index.html"), (200, (*name).to_owned()));
            assert_eq!(get(&client, "/build/none.js").0, 404);
        }
    }
}

on_each_mpm!(assets_after_flips, after_flips);

fn without_the_directive(mpm: Mpm) {
    let site = site();
    let httpd = Httpd::start(&site, mpm, &super::site::config("RealdocReleases \"${ROOT}/releases/*\""));
    deploy(&site, "43");
    assert_eq!(get(&httpd.client(), "/build/app.41.js").0, 404);
}

on_each_mpm!(assets_without_the_directive, without_the_directive, event);

/// A rollback: pages of the release that was live have its names, too.
#[test]
fn a_rollback_serves_the_newer_release() {
    let site = site();
    let httpd = start(&site, Mpm::Event, "", &[]);
    deploy(&site, "43");
    site.flip_link("current", "releases/42");
    retain(&site, &["42", "43", "41"]);
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.43.js"), script("43"));
    assert_eq!(get(&client, "/build/app.41.js"), script("41"));
    retain(&site, &["42", "41"]);
    assert_eq!(get(&client, "/build/app.43.js").0, 404, "it was marked bad");
}

/// Nothing of the response tells of another release but the log, and nothing about caches is added.
#[test]
fn the_response_is_that_of_a_plain_file() {
    let site = site();
    let more = "Header set X-Release \"%{REALDOC_RELEASE}e\"\nHeader set X-Asset \"%{REALDOC_ASSET_RELEASE}e\"";
    let httpd = start(&site, Mpm::Event, more, &[]);
    deploy(&site, "43");
    site.age();
    let client = httpd.client();
    let old = client.get("/build/app.41.js").expect("a response");
    let new = client.get("/build/app.43.js").expect("a response");
    let names = |response: &harness::Response| {
        let mut names: Vec<_> = response.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&old), names(&new));
    assert_eq!(old.header("vary"), "");
    assert_eq!(old.header("content-type"), "text/javascript");
    assert_eq!((old.header("x-release"), old.header("x-asset")), ("43", "41"), "the pin does not change");
    assert_eq!((new.header("x-release"), new.header("x-asset")), ("43", "(null)"));
    let tag = old.header("etag").to_owned();
    let again = client.request("/build/app.41.js", &[("If-None-Match", &tag)]).expect("a response");
    assert_eq!(again.status, 304);
    let part = client.request("/build/app.41.js", &[("Range", "bytes=0-5")]).expect("a response");
    assert_eq!((part.status, part.body.as_str()), (206, "export"));
    let head = ask(httpd.port(), "HEAD", "localhost", "/build/app.41.js");
    assert_eq!((head.status(), head.body.as_str()), (200, ""));
    assert!(head.head.contains("Content-Length: 19"), "{}", head.head);
    let line = "GET /build/app.41.js HTTP/1.1 200 asset=41 release=43";
    let log = || fs::read_to_string(httpd.run_file("assets.log")).unwrap_or_default();
    let found = readiness::becomes_true(Duration::from_secs(5), || log().contains(line));
    assert!(found, "{}", log());
    assert!(log().contains("GET /build/app.43.js HTTP/1.1 200 asset=- release=43"), "{}", log());
}

#[test]
fn compression_and_expiry_are_no_obstacle() {
    let site = site();
    // mod_deflate leaves short files alone.
    site.write(&public("41", "build/long.css"), &"a { color: red } ".repeat(1000));
    site.write(&public("41", "build/app.long.js"), &"'long'; ".repeat(1000));
    let more = "AddOutputFilterByType DEFLATE text/css\nExpiresActive On\nExpiresDefault \"access plus 1 year\"\n\
                <LocationMatch \"^/build/app\">\nSetOutputFilter DEFLATE\n</LocationMatch>\n\
                <Location \"/build/slow/\">\nSetOutputFilter RATE_LIMIT\nSetEnv rate-limit 4000\n</Location>";
    site.write(&public("41", "build/slow/x.js"), "slow");
    let modules = ["deflate", "filter", "expires", "ratelimit", "env"];
    let httpd = start(&site, Mpm::Event, more, &modules);
    deploy(&site, "43");
    let client = httpd.client();
    for path in ["/build/long.css", "/build/app.long.js"] {
        let response = client.request(path, &[("Accept-Encoding", "gzip")]).expect("a response");
        assert_eq!((response.status, response.header("content-encoding")), (200, "gzip"), "{path}");
        assert!(!response.header("expires").is_empty(), "{path}");
    }
    assert_eq!(get(&client, "/build/slow/x.js"), (200, "slow".to_owned()));
}

/// The sections and the `.htaccess` files of the release that has the file apply, by its configured and its real path.
fn sections(mpm: Mpm) {
    let site = site();
    site.write(
        &public("41", "build/.htaccess"),
        "Header set X-File 41\n<Files \"denied.js\">\nRequire all denied\n</Files>\n",
    );
    site.write(&public("42", "build/.htaccess"), "Header set X-File 42\n");
    for file in ["denied.js", "app.js.map", "secret/key.js", "real/key.js"] {
        site.write(&public("41", &format!("build/{file}")), "SECRET");
    }
    site.write(&public("41", "shut/.htaccess"), "Require all denied\n");
    site.write(&public("41", "shut/x.js"), "SECRET");
    let more = "RealdocAssets /build/ /shut/\n\
        <Directory \"${ROOT}/current/public\">\nAllowOverride All\nHeader set X-Configured yes\n</Directory>\n\
        <Directory \"${ROOT}/releases/41/public\">\nHeader set X-Real yes\n</Directory>\n\
        <Directory \"${ROOT}/current/public/build/secret\">\nRequire all denied\n</Directory>\n\
        <Directory \"${ROOT}/releases/*/public/build/real\">\nRequire all denied\n</Directory>\n\
        <DirectoryMatch \"/current/public/build\">\nHeader set X-Regex yes\n</DirectoryMatch>\n\
        <FilesMatch \"\\.map$\">\nRequire all denied\n</FilesMatch>\n\
        <Location \"/build/\">\nHeader set X-Location yes\n</Location>";
    let httpd = start(&site, mpm, more, &[]);
    httpd.expect_error("AH01630");
    deploy(&site, "43");
    let client = httpd.client();
    let response = client.get("/build/app.41.js").expect("a response");
    assert_eq!((response.status, response.body), script("41"));
    for (name, value) in
        [("x-file", "41"), ("x-configured", "yes"), ("x-real", "yes"), ("x-regex", "yes"), ("x-location", "yes")]
    {
        assert_eq!(response.headers.get(name).and_then(|value| value.to_str().ok()), Some(value), "{name}");
    }
    let response = client.get("/build/app.42.js").expect("a response");
    assert_eq!((response.header("x-file"), response.header("x-real")), ("42", ""));
    for path in ["/build/denied.js", "/build/app.js.map", "/build/secret/key.js", "/build/real/key.js", "/shut/x.js"] {
        let (status, body) = get(&client, path);
        assert_eq!(status, 403, "{path}");
        assert!(!body.contains("SECRET"), "{path}");
    }
}

on_each_mpm!(assets_sections, sections, prefork, event);

/// Every docroot below the link, with a docroot that is the release itself, and in the mode that reads one link.
#[test]
fn other_layouts() {
    for (docroot, file, mode) in
        [("current", "public/build/app.41.js", ""), ("current/public", "build/app.41.js", "UseReadlink On")]
    {
        let site = site();
        let more = format!(
            "RealdocAssets /build/ /public/build/\n{mode}\n<VirtualHost *:${{PORT}}>\nDocumentRoot \"${{ROOT}}/{docroot}\"\n</VirtualHost>"
        );
        let httpd = start(&site, Mpm::Event, &more, &[]);
        deploy(&site, "43");
        assert_eq!(get(&httpd.client(), &format!("/{file}")), script("41"), "{docroot} {mode}");
    }
}

/// A chain of links: an `.htaccess` above the link applies once, by whatever name it is reached.
#[test]
fn a_chain_of_links() {
    let site = site();
    site.symlink("www", ".");
    site.write(".htaccess", "Header add X-Above yes\n");
    let more = "<Directory \"${ROOT}\">\nAllowOverride All\n</Directory>\n\
        <VirtualHost *:${PORT}>\nDocumentRoot \"${ROOT}/www/current/public\"\n</VirtualHost>";
    let httpd = start(&site, Mpm::Event, more, &[]);
    deploy(&site, "43");
    let client = httpd.client();
    let above = |path: &str| {
        let response = client.get(path).expect("a response");
        (response.status, response.headers.get_all("x-above").iter().count())
    };
    assert_eq!(above("/build/app.43.js").0, 200);
    assert_eq!(above("/build/app.41.js"), above("/build/app.43.js"));
}

/// A server's rule that only sets a variable makes mod_rewrite map every URL.
#[test]
fn a_rule_of_the_server() {
    let site = site();
    let more = "RewriteEngine On\nRewriteRule ^ - [E=SEEN:1]\nRewriteRule ^/index.html$ /build/none.js [PT]";
    let httpd = start(&site, Mpm::Event, more, &["rewrite"]);
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.41.js"), script("41"));
    assert_eq!(get(&client, "/build/same.js"), (200, "43".to_owned()));
    assert_eq!(get(&client, "/index.html").0, 404);
}

/// A front controller answers what no release has.
#[test]
fn a_front_controller_in_htaccess() {
    let site = site();
    for name in NAMES {
        let rules = "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-d\nRewriteCond %{REQUEST_FILENAME} !-f\n\
                     RewriteRule ^ index.html [L]\n";
        site.write(&public(name, ".htaccess"), rules);
    }
    let more = "<Directory \"${ROOT}/current/public\">\nAllowOverride All\n</Directory>";
    let httpd = start(&site, Mpm::Event, more, &["rewrite"]);
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.41.js"), script("41"));
    assert_eq!(get(&client, "/build/none.js"), (200, "43".to_owned()));
    assert_eq!(get(&client, "/blog/7"), (200, "43".to_owned()));
}

/// Docroots of `VirtualDocumentRoot`: each host has its own releases, its own manifest and its own sections.
fn computed(mpm: Mpm) {
    let site = harness::Site::new();
    for (host, names) in [("a.example", ["41", "42"]), ("b.example", ["51", "52"])] {
        for name in names {
            let at = |path: &str| format!("hosts/{host}/releases/{name}/public/{path}");
            site.write(&at(&format!("build/app.{name}.js")), &format!("export default '{name}'"));
            site.write_script(&at(&format!("build/{name}.php.js")), "SECRET");
            site.write(&at(&format!("build/denied.{name}.js")), "SECRET");
        }
        site.symlink(&format!("hosts/{host}/current"), format!("releases/{}", names[1]));
        site.write(&format!("hosts/{host}/releases/.realdoc/retained"), &format!("{}\n{}\n", names[1], names[0]));
    }
    site.write("hosts/a.example/releases/41/public/build/.htaccess", "Header set X-File 41\n");
    // Another docroot without any release.
    site.write("hosts/plain.example/current/public/index.html", "plain");
    let directives = "UseCanonicalName Off\nVirtualDocumentRoot \"${ROOT}/hosts/%0/current/public\"\n\
        AddType text/javascript .js\nAddHandler application/x-httpd-php .php\n\
        RealdocReleases \"${ROOT}/hosts/*/releases/*\"\nRealdocAssets /build/\n\
        Alias /build/alias/ \"${ROOT}/hosts/a.example/current/public/build/\"\n\
        <Directory \"${ROOT}/hosts/*/current/public\">\nAllowOverride All\nHeader set X-Configured yes\n</Directory>\n\
        <DirectoryMatch \"/hosts/a.example/current/public/build\">\n<FilesMatch \"^denied\">\nRequire all denied\n\
        </FilesMatch>\n</DirectoryMatch>";
    let config = harness::Config::new(directives).modules(&["vhost_alias", "headers", "alias"]);
    let httpd = Httpd::start(&site, mpm, &config);
    httpd.expect_error("AH0");
    let client = httpd.client();
    let get = |host: &str, path: &str| client.get_from(host, path).expect("a response");
    for (host, old, new) in [("a.example", "41", "42"), ("b.example", "51", "52")] {
        for name in [old, new] {
            let response = get(host, &format!("/build/app.{name}.js"));
            assert_eq!((response.status, response.body.clone()), script(name), "{host}");
            assert_eq!(response.header("x-configured"), "yes", "{host} {name}");
        }
        assert_eq!(get(host, &format!("/build/{old}.php.js")).status, 404, "{host}");
        assert_eq!(get(host, "/build/none.js").status, 404, "{host}");
    }
    assert_eq!(get("a.example", "/build/app.41.js").header("x-file"), "41");
    assert_eq!(get("a.example", "/build/denied.41.js").status, 403);
    for (host, path) in [
        ("a.example", "/build/app.51.js"),
        ("b.example", "/build/app.41.js"),
        ("a.example", "/build/alias/app.41.js"),
        ("b.example", "/build/alias/app.41.js"),
        ("plain.example", "/build/app.41.js"),
        ("none.example", "/build/app.41.js"),
        ("..", "/build/app.41.js"),
    ] {
        let response = ask(httpd.port(), "GET", host, path);
        assert!(response.status() >= 400 && !response.body.contains("export"), "{host}{path}: {response:?}");
    }
}

on_each_mpm!(assets_of_computed_docroots, computed, prefork, event);
