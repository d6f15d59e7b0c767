//! Deploys that remove the release before as soon as it is free, under every kind of request.
//!
//! Owns: that no response misses a file, and that without waiting some do.

use std::sync::atomic::Ordering;

use harness::page::END;
use harness::{Config, Fpm, Httpd, Mpm, Page, Protocol, Release, on_each_mpm};

use super::{Deployed, Visit, assert_all_end, drain_and_remove, remove, under_load};
use crate::php::php_of;

/// How many files a page is made of.
const PARTS: usize = 8;
/// Where the links are: the docroot's, and the computed docroot's.
const LINKS: [&str; 2] = ["current", "hosts/127.0.0.1/current"];
const CONNECTIONS: usize = 2;

fn deploys() -> usize {
    std::env::var("REALDOC_DEPLOYS").ok().and_then(|number| number.parse().ok()).unwrap_or(50)
}

fn fill(release: &Release) {
    let token = release.token();
    let number = release.number();
    for folder in ["public", "alias"] {
        let mut page = token.clone();
        for part in 0..PARTS {
            release.write(&format!("{folder}/part-{number}-{part}.html"), &token);
            page.push_str(&format!("<!--#include file=\"part-{number}-{part}.html\" -->\n"));
        }
        release.write(&format!("{folder}/page.shtml"), &format!("{page}{END}"));
    }
    let mut php = token.clone();
    let mut script = String::from("#!/bin/sh\nprintf 'Content-Type: text/html\\n\\n'\n");
    for part in 0..PARTS {
        let wait = if part == PARTS / 2 { "usleep(5000);" } else { "" };
        php.push_str(&format!("<?php {wait} include __DIR__ . '/part-{number}-{part}.html' ?>\n"));
    }
    release.write("public/index.php", &format!("{php}{END}"));
    for part in 0..PARTS {
        script.push_str(&format!("cat ../public/part-{number}-{part}.html\n"));
    }
    release.write_script("cgi/script", &format!("{script}printf '{END}'\n"));
}

/// Each kind of request on one server.
fn visits(httpd: &Httpd, mpm: Mpm) -> Vec<Visit> {
    let ssi = || Page::new("/page.shtml", PARTS + 1);
    let base = httpd.url("");
    let mut visits = vec![
        Visit {
            base: base.clone(),
            protocol: Protocol::Http1,
            pages: vec![
                ssi(),
                Page::new("/index.php", PARTS + 1),
                Page::new("/alias/page.shtml", PARTS + 1),
                Page::new("/cgi/script", PARTS),
            ],
        },
        Visit {
            base: format!("http://127.0.0.1:{}", httpd.ports()[1]),
            protocol: Protocol::Http1NewConnections,
            pages: vec![ssi()],
        },
    ];
    if mpm == Mpm::Event {
        visits.push(Visit { base, protocol: Protocol::H2c, pages: vec![ssi()] });
    }
    visits
}

/// A site, its server, and the php-fpm of that.
type Running = (Deployed<fn(&Release)>, Httpd, Option<Fpm>);

fn site_and_server(mpm: Mpm, directives: &str) -> Running {
    let deployed = Deployed::new(fill as fn(&Release), &LINKS);
    let (config, fpm) = php_of(&deployed.site, mpm, 4, "");
    let config: Config =
        config.modules(&["include", "alias", "vhost_alias", mpm.cgi_module()]).more_ports(1).text(&format!(
            r#"
        # Pages that include files which are mapped into memory crash httpd over HTTP/2, without this module too.
        EnableMMAP Off
        DocumentRoot "${{ROOT}}/current/public"
        Alias "/alias" "${{ROOT}}/current/alias"
        ScriptAlias "/cgi" "${{ROOT}}/current/cgi"
        <VirtualHost *:${{PORT_2}}>
            VirtualDocumentRoot "${{ROOT}}/hosts/%0/current/public"
        </VirtualHost>
        {directives}
        "#
        ));
    let config = if mpm == Mpm::Event { config.modules(&["http2"]).text("Protocols h2c http/1.1") } else { config };
    let httpd = Httpd::start(&deployed.site, mpm, &config);
    (deployed, httpd, fpm)
}

/// Deploys and removes each release once it is free.
fn drained(mpm: Mpm, directives: &str) {
    let (mut deployed, httpd, _fpm) = site_and_server(mpm, directives);
    let (seen, ()) = under_load(&visits(&httpd, mpm), CONNECTIONS, || {
        for _ in 0..deploys() {
            let before = deployed.deploy();
            drain_and_remove(&[&httpd], &before);
        }
    });
    println!("{mpm:?} {directives:?}: {} requests, {} deploys", seen.requests.load(Ordering::Relaxed), deploys());
    seen.assert_none_bad();
    let counted = assert_all_end(&httpd);
    assert_eq!(counted.releases.iter().map(|usage| usage.failed).sum::<u64>(), 0, "{counted:?}");
}

fn strict(mpm: Mpm) {
    drained(mpm, "");
}

fn in_a_window(mpm: Mpm) {
    drained(mpm, "RealpathEvery 20ms\nRealdocReleases \"${ROOT}/releases/*\"");
}

/// The same without a wait: requests lose their files. This shows that the tests above would see it.
fn at_once(mpm: Mpm) {
    let (mut deployed, httpd, _fpm) = site_and_server(mpm, "RealpathEvery 20ms");
    httpd.expect_error("");
    let (seen, ()) = under_load(&visits(&httpd, mpm), CONNECTIONS, || {
        for _ in 0..20 {
            let before = deployed.deploy();
            remove(&before);
        }
    });
    assert!(seen.bad.load(Ordering::Relaxed) > 0, "no response of {seen:?} misses anything");
}

on_each_mpm!(deploys_strict, strict);
on_each_mpm!(deploys_in_a_window, in_a_window);
on_each_mpm!(deploys_without_a_drain, at_once, prefork, event);
