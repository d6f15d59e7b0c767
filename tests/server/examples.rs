//! The files in `conf/examples/`: they start, do what their comments say, and follow a flip.
//!
//! Owns: that what users copy works. Must not: change an example beyond its port and where it finds its files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use harness::module::workspace;
use harness::{Client, Config, Fpm, Httpd, Mpm, Site, on_each_mpm, readiness};

/// An example as it stands, but for its places.
fn example(site: &Site, name: &str) -> Config {
    let file = workspace().join("conf/examples").join(name);
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    // As distributions have it: there is a docroot, and what no section grants is denied.
    let before = "DocumentRoot \"${ROOT}\"\n<Directory \"${ROOT}\">\nRequire all denied\n</Directory>";
    Config::new(before).text(&placed(site, &text))
}

/// What the documentation shows, with the test's directory for the system's and the test's port.
pub fn placed(site: &Site, text: &str) -> String {
    let root = site.root().display();
    text.replace("/srv/", &format!("{root}/srv/"))
        .replace("/run/php/php8.2-fpm.sock", &format!("{root}/php-fpm/fpm.sock"))
        .replace("/var/log/apache2/", &format!("{root}/log/"))
        .replace("*:80>", "*:${PORT}>")
}

/// Starts httpd with the example, unless the module has a warning about it.
fn start(site: &Site, mpm: Mpm, config: &Config) -> Httpd {
    for arguments in [&["-t"][..], &["-t", "-D", "DUMP_REALDOC"]] {
        let said = Httpd::ask(site, mpm, config, arguments);
        assert!(said.contains("Syntax OK") && !said.contains("[realdoc:"), "{said}");
    }
    Httpd::start(site, mpm, config)
}

fn get(client: &Client, host: &str, path: &str) -> (u16, String) {
    let response = client.get_from(host, path).expect("a response");
    (response.status, response.body.trim().to_owned())
}

/// Asserts that each path is answered with this status and, where it is served, this text.
fn check(client: &Client, host: &str, expected: &[(&str, u16, &str)]) {
    for &(path, status, text) in expected {
        let (found, body) = get(client, host, path);
        assert_eq!(found, status, "{host} {path}: {body}");
        assert!(status != 200 || body == text, "{host} {path}: {body:?}, not {text:?}");
    }
}

/// Shows what an application can tell of itself.
const PHP: &str = "<?php echo __DIR__ . ' ' . $_SERVER['REALDOC_RELEASE'] . ' ' . $_SERVER['REALDOC_DOCUMENT_ROOT']\
    . ' ' . $_SERVER['REQUEST_URI'];";

fn front_controller(mpm: Mpm) {
    let site = Site::new();
    for release in ["41", "42"] {
        let write = |path: &str, text: &str| site.write(&format!("srv/app/releases/{release}/{path}"), text);
        write("public/index.php", PHP);
        write("public/style.css", release);
        write("public/.env", "secret");
        write("public/uploads/cat.txt", release);
        write("public/uploads/evil.php", "<?php echo 'run';");
        write("build/app.js", release);
        write("config.txt", "secret");
    }
    site.write("srv/app/shared/media/dog.txt", "shared");
    site.write("srv/app/shared/media/evil.php", "<?php echo 'run';");
    site.symlink("srv/app/current", "releases/41");
    let _fpm = Fpm::start(&site, 2).expect("php-fpm");

    let config = example(&site, "front-controller.conf").modules(&["dir", "alias", "proxy", "proxy_fcgi"]);
    let httpd = start(&site, mpm, &config);
    httpd.expect_error("AH01630: client denied by server configuration");
    let client = httpd.client();
    let root = site.root().display();
    for release in ["41", "42", "41"] {
        site.flip_link("srv/app/current", format!("releases/{release}"));
        let page = |uri: &str| {
            format!("{root}/srv/app/releases/{release}/public {release} {root}/srv/app/current/public {uri}")
        };
        check(
            &client,
            "app.example",
            &[
                ("/", 200, &page("/")),
                ("/index.php", 200, &page("/index.php")),
                ("/blog/7?x=1", 200, &page("/blog/7?x=1")),
                ("/style.css", 200, release),
                ("/uploads/cat.txt", 200, release),
                ("/build/app.js", 200, release),
                ("/media/dog.txt", 200, "shared"),
                ("/.env", 403, ""),
                ("/uploads/evil.php", 403, ""),
                ("/uploads/absent", 404, ""),
                ("/media/evil.php", 403, ""),
                ("/build/absent.js", 404, ""),
            ],
        );
    }
}

fn mass_hosting(mpm: Mpm) {
    let site = Site::new();
    for release in ["2.0", "2.1"] {
        let write = |path: &str, text: &str| site.write(&format!("srv/releases/{release}/public/{path}"), text);
        write("index.php", PHP);
        write("page.html", release);
        write(".env", "secret");
    }
    site.write("srv/private/public/page.html", "secret");
    for (host, target) in [("shop", "../releases/2.0"), ("blog", "../releases/2.0"), ("evil", "../private")] {
        site.symlink(&format!("srv/hosts/{host}.example"), target);
    }
    site.directory("log");
    let _fpm = Fpm::start(&site, 2).expect("php-fpm");

    let config = example(&site, "mass-hosting.conf").modules(&["vhost_alias", "dir", "proxy", "proxy_fcgi"]);
    let httpd = start(&site, mpm, &config);
    httpd.expect_error("AH01630: client denied by server configuration");
    httpd.expect_error("[realdoc:error]");
    let client = httpd.client();
    let root = site.root().display();
    for (shop, blog) in [("2.0", "2.0"), ("2.1", "2.0"), ("2.1", "2.1")] {
        for (host, release) in [("shop.example", shop), ("blog.example", blog)] {
            site.flip_link(&format!("srv/hosts/{host}"), format!("../releases/{release}"));
            let page = format!("{root}/srv/releases/{release}/public {release} {root}/srv/hosts/{host}/public /");
            check(
                &client,
                host,
                &[("/", 200, &page), ("/page.html", 200, release), ("/.env", 403, ""), ("/absent", 404, "")],
            );
        }
        check(&client, "evil.example", &[("/page.html", 503, "")]);
        check(&client, "absent.example", &[("/page.html", 404, "")]);
    }
    let log = readiness::poll(Duration::from_secs(5), || {
        fs::read_to_string(site.root().join("log/hosting.log")).ok().filter(|log| log.lines().count() >= 30)
    })
    .expect("a line for each request");
    assert!(log.lines().any(|line| line.starts_with("shop.example ") && line.ends_with("200 3 release=2.1")), "{log}");
    assert!(log.lines().any(|line| line.starts_with("evil.example ") && line.ends_with("release=-")), "{log}");
    assert!(httpd.error_log().contains("is outside RealdocReleases"), "{}", httpd.error_log());
}

fn cgi(mpm: Mpm) {
    let site = Site::new();
    for number in [41, 42] {
        let path = |name: &str| format!("srv/tools/releases/{number}/{name}");
        site.write(&path("htdocs/page.html"), &number.to_string());
        site.write(&path("lib/name"), &format!("lib {number}"));
        let script = "#!/bin/sh\necho Content-Type: text/plain\necho\n\
             echo \"$(cat ../lib/name) $REALDOC_RELEASE $REALDOC_DOCUMENT_ROOT $SCRIPT_FILENAME\"\n";
        for name in ["cgi-bin/tool", "cgi-bin/common.inc"] {
            site.write(&path(name), script);
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(site.root().join(path(name)), mode).expect("permissions");
        }
    }
    site.symlink("srv/tools/current", "releases/41");

    let config = example(&site, "cgi.conf").modules(&["alias", mpm.cgi_module()]);
    let httpd = start(&site, mpm, &config);
    httpd.expect_error("AH01630: client denied by server configuration");
    let client = httpd.client();
    let root = site.root().display();
    for release in ["41", "42", "41"] {
        site.flip_link("srv/tools/current", format!("releases/{release}"));
        let shown = format!(
            "lib {release} {release} {root}/srv/tools/current/htdocs {root}/srv/tools/releases/{release}/cgi-bin/tool"
        );
        check(
            &client,
            "tools.example",
            &[
                ("/page.html", 200, release),
                ("/cgi-bin/tool", 200, &shown),
                ("/cgi-bin/common.inc", 403, ""),
                ("/absent.html", 404, ""),
            ],
        );
    }
}

on_each_mpm!(front_controller_conf, front_controller);
on_each_mpm!(mass_hosting_conf, mass_hosting);
on_each_mpm!(cgi_conf, cgi);
