//! A site that is configured for its link alone: with the module and one line, it answers as without the module.
//!
//! Owns: the comparison of statuses, headers and bodies over everything that `<Directory>` sections and `.htaccess`
//! files say, in the main server and in virtual hosts. Must not: flip while it asks.

use harness::raw::{RawResponse, ask};
use harness::{Config, Httpd, Mpm, Site, on_each_mpm};

use crate::without_files::comparable;

mod site;

use site::{SECTIONS, fill};

/// Requests as a method, a path, and the status that makes the comparison mean something.
const REQUESTS: &[(&str, &str, u16)] = &[
    ("GET", "/", 200),
    ("GET", "/index.html", 200),
    ("HEAD", "/index.html", 200),
    ("GET", "//index.html", 200),
    ("GET", "/sub/../index.html", 200),
    ("GET", "/%69ndex.html", 200),
    ("GET", "/page.html", 200),
    ("GET", "/page.html/path-info", 404),
    ("POST", "/page.html", 200),
    ("OPTIONS", "/page.html", 200),
    ("DELETE", "/page.html", 405),
    ("OPTIONS", "*", 200),
    ("GET", "/page.html?no", 403),
    ("GET", "/README.md", 403),
    ("GET", "/backup.bak", 403),
    ("GET", "/sub/deep/backup.inc", 403),
    ("GET", "/.htaccess", 403),
    ("GET", "/absent", 404),
    ("GET", "/sub/absent/", 404),
    ("GET", "/only-here.html", 200),
    ("GET", "/parts.shtml", 200),
    ("GET", "/dir", 301),
    ("GET", "/dir/", 200),
    ("GET", "/sub", 301),
    ("GET", "/sub/", 200),
    ("GET", "/sub/up", 200),
    ("GET", "/sub/here", 200),
    ("GET", "/sub/deep/page.html", 200),
    ("GET", "/empty/", 403),
    ("GET", "/pretty/path", 200),
    ("GET", "/moved", 302),
    ("GET", "/gone", 410),
    ("GET", "/forbidden", 403),
    ("GET", "/front/any", 200),
    ("GET", "/old/page", 301),
    ("GET", "/private/page.html", 403),
    ("GET", "/private/", 403),
    ("GET", "/private", 403),
    ("GET", "/private/deep/page.html", 403),
    ("GET", "/private/open/page.html", 200),
    ("GET", "/list/", 200),
    ("GET", "/limited/page.html", 200),
    ("POST", "/limited/page.html", 403),
    ("GET", "/only-get/page.html", 200),
    ("POST", "/only-get/page.html", 403),
    ("GET", "/far/page.html", 403),
    ("GET", "/uploads/page.html", 200),
    ("GET", "/uploads/page.shtml", 200),
    ("GET", "/as-is/answer", 299),
    ("GET", "/choice/page", 200),
    ("GET", "/follow/page.html", 200),
    ("GET", "/no-links/link/page.html", 403),
    ("GET", "/wild/page.html", 200),
    ("GET", "/wild/a1/page.html", 403),
    ("GET", "/wild/c1/page.html", 200),
    ("GET", "/denied-below/page.html", 403),
    ("GET", "/auth/page.html", 401),
    ("GET", "/static/file.txt", 200),
    ("GET", "/static/../static/file.txt", 200),
    ("GET", "/static/", 403),
    ("GET", "/static/absent", 404),
    ("GET", "/pictures/file.txt", 200),
    ("GET", "/app", 301),
    ("GET", "/app/", 200),
    ("GET", "/app/rewritten", 200),
    ("GET", "/app/moved", 302),
    ("GET", "/app/front/any", 200),
    ("GET", "/app/absent", 404),
    ("GET", "/cgi-bin/script", 200),
    ("GET", "/cgi-bin/script/path/info?x=y", 200),
    ("GET", "/cgi-bin/absent", 404),
    ("GET", "/elsewhere/file.txt", 403),
    ("GET", "/hidden/file.txt", 403),
];

/// The sites: their directory as they are configured, where it is, and what they have the module do.
const SITES: [(&str, &str, &str); 4] = [
    ("main", "main", ""),
    ("host", "host", ""),
    ("one-link", "one-link", "UseReadlink On"),
    // `www -> data/www` is a link too.
    ("www/chain", "data/www/chain", ""),
];

/// The main server at the first port, and a virtual host for each other site.
fn config(mpm: Mpm) -> Config {
    let mut config = Config::new("ServerSignature On")
        .text("<Directory \"/\">\nAllowOverride None\nRequire all denied\nOptions FollowSymLinks\n</Directory>")
        .text("<Files \".ht*\">\nRequire all denied\n</Files>")
        .modules(&["alias", "asis", "auth_basic", "authn_core", "authn_file", "authz_host", "authz_user", "autoindex"])
        .modules(&["dir", "env", "headers", "include", "negotiation", "rewrite", mpm.cgi_module()])
        .more_ports(SITES.len() - 1)
        .grants_nothing();
    for (number, (site, real, mode)) in (1..).zip(SITES) {
        let text = SECTIONS
            .replace("{site}", &format!("${{ROOT}}/{site}"))
            .replace("{real}", &format!("${{ROOT}}/{real}"))
            .replace("{mode}", mode);
        config = config.text(&match number {
            1 => text,
            _ => format!("<VirtualHost 127.0.0.1:${{PORT_{number}}}>\nServerName host.test\n{text}\n</VirtualHost>"),
        });
    }
    config
}

/// What one server answers to everything, with its own port taken out.
fn answers(httpd: &Httpd) -> Vec<(String, RawResponse)> {
    let mut answers = Vec::new();
    for port in httpd.ports() {
        for (method, path, status) in REQUESTS {
            let RawResponse { head, body } = ask(*port, method, "host.test:80", path);
            let [head, body] = [head, body].map(|text| text.replace(&port.to_string(), "PORT"));
            // That of a script is there or not as the script's last bytes come early or late.
            let is_accident = |line: &str| path.starts_with("/cgi-bin/") && line.starts_with("Content-Length:");
            // A tag is weak while its file is less than a second old.
            let head = head.replace("ETag: W/", "ETag: ");
            let head = head.lines().filter(|line| !is_accident(line)).map(|line| format!("{line}\n")).collect();
            let name = format!("{method} {path}");
            let response = comparable(&RawResponse { head, body });
            assert_eq!(response.status(), *status, "{name}: {response:?}");
            answers.push((name, response));
        }
    }
    answers
}

fn assert_same(with: &[(String, RawResponse)], without: &[(String, RawResponse)]) {
    assert_eq!(with.len(), without.len());
    for (with, without) in with.iter().zip(without) {
        assert_eq!(with, without);
    }
}

fn link_only_configuration(mpm: Mpm) {
    let site = Site::new();
    site.write("passwords", "");
    site.symlink("www", "data/www");
    for (_, real, _) in SITES {
        fill(&site, real);
    }
    let (with, without) =
        (Httpd::start(&site, mpm, &config(mpm)), Httpd::start_without_module(&site, mpm, &config(mpm)));
    for httpd in [&with, &without] {
        for refusal in
            ["AH01630", "AH01797", "AH01276", "AH00037", "AH01264", "AH00670", "AH00128", "AH02811", "AH00682"]
        {
            httpd.expect_error(refusal);
        }
        // What SSI says of a part that is denied.
        httpd.expect_error("unable to include");
        httpd.expect_error("unable to lookup");
    }
    assert_same(&answers(&with), &answers(&without));

    for (_, real, _) in SITES {
        site.flip_link(&format!("{real}/current"), "releases/second");
    }
    let flipped = answers(&without);
    assert_same(&answers(&with), &flipped);
    assert!(flipped[1].1.body.contains("second"), "{:?}", flipped[1]);

    // Each generation makes the sections anew; a header that is appended would tell of one that stands there twice.
    for _ in 0..2 {
        with.graceful_restart();
        assert_same(&answers(&with), &flipped);
    }
    let order = flipped.iter().find(|(name, _)| name == "GET /wild/page.html").expect("an answer");
    assert!(order.1.head.contains("X-Order: site, link, docroot, htaccess, wild\n"), "{order:?}");
    let said = with.said();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("[realdoc:")).collect();
    assert!(ours.is_empty(), "nothing is to be said: {ours:#?}");
}

on_each_mpm!(written_for_the_link, link_only_configuration);
