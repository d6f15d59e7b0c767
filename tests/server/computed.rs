//! Docroots that exist only at request time: mod_vhost_alias by name and by address, and mod_lua.
//!
//! Owns: that they are pinned like any other, one host's never for another, and at no cost for names that lead nowhere.
//! Must not: test what `Host` headers do without computed docroots (see `hosts`).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use harness::error_log::{lines_of, pid};
use harness::raw::ask;
use harness::release::{PHP_TOKENS, SSI_TOKENS};
use harness::{
    Config, FlipMode, Flipper, Httpd, Load, Memory, Mpm, Page, Site, flipper, host_names, on_each_mpm, page, shim,
};

use crate::hosts::DISTINCT;

/// The host that a [`Load`] asks: the address is its name.
const HOST: &str = "127.0.0.1";

/// A link for that host to the releases of the site, and none of the name `current`.
fn hosted(at: &str, fill: impl Fn(&harness::Release)) -> Site {
    let site = Site::new();
    for number in 0..flipper::RELEASES {
        fill(&site.release(number));
    }
    site.symlink(&format!("{at}/{HOST}/current"), site.release_directory(0));
    site
}

fn rotate(site: &Site, at: &str) -> Flipper {
    let targets: Vec<PathBuf> = (0..flipper::RELEASES).map(|number| site.release_directory(number)).collect();
    Flipper::rotate(site.root().join(at).join(HOST).join("current"), targets, FlipMode::Rename)
}

fn pages() -> Vec<Page> {
    ["/page.shtml", "/docs/page.shtml"].iter().map(|path| Page::new(path, SSI_TOKENS)).collect()
}

fn ssi_site(at: &str) -> Site {
    hosted(at, |release| {
        release.ssi_page("public", "page.shtml");
        release.ssi_page("public", "docs/page.shtml");
    })
}

/// Hooks of mod_lua that set the docroot, at two times in the life of a request.
fn lua(site: &Site) {
    let docroot = site.root().join("hosts").join(HOST).join("current/public");
    let plain = site.root().join("plain");
    site.write(
        "hooks.lua",
        &format!(
            "require 'apache2'\nlocal docroot, plain = '{}', '{}'\n\
             function translate(r)\n  r:set_document_root(docroot)\n  return apache2.DECLINED\nend\n\
             function map(r)\n  r:set_document_root(docroot)\n  if r.filename:find(plain, 1, true) == 1 then\n    \
             r.filename = docroot .. r.filename:sub(#plain + 1)\n  end\n  return apache2.DECLINED\nend\n",
            docroot.display(),
            plain.display(),
        ),
    );
}

/// One port for each way to compute a docroot.
const WAYS: &str = r#"
    UseCanonicalName Off
    DocumentRoot "${ROOT}/plain"
    VirtualDocumentRoot "${ROOT}/hosts/%0/current/public"
    <VirtualHost 127.0.0.1:${PORT_2}>
        ServerName localhost
        DocumentRoot "${ROOT}/plain"
        VirtualDocumentRootIP "${ROOT}/hosts/%0/current/public"
    </VirtualHost>
    <VirtualHost 127.0.0.1:${PORT_3}>
        ServerName localhost
        DocumentRoot "${ROOT}/plain"
        VirtualDocumentRoot none
        LuaHookTranslateName "${ROOT}/hooks.lua" translate
    </VirtualHost>
    <VirtualHost 127.0.0.1:${PORT_4}>
        ServerName localhost
        DocumentRoot "${ROOT}/plain"
        VirtualDocumentRoot none
        LuaHookMapToStorage "${ROOT}/hooks.lua" map
    </VirtualHost>
"#;

fn every_way_under_flips(mpm: Mpm) {
    let site = ssi_site("hosts");
    site.directory("plain");
    lua(&site);
    let config = Config::new(WAYS).modules(&["include", "vhost_alias", "lua"]).more_ports(3);
    let httpd = Httpd::start(&site, mpm, &config);
    let flipper = rotate(&site, "hosts");
    for port in httpd.ports() {
        let load = Load::new(&pages()).lasts(Duration::from_millis(700));
        load.run(&format!("http://127.0.0.1:{port}"), &flipper).assert_whole_and_fresh();
    }
}

/// A page of parts that are files and parts that are made by scripts, and how many tokens it shows.
const SCRIPTED: (&str, usize) = ("/scripted.shtml", 12);

fn scripted_page(release: &harness::Release) {
    let (number, token) = (release.number(), release.token());
    let mut page = String::new();
    for part in 0..SCRIPTED.1 {
        match part % 6 {
            0 => page.push_str(&format!("<!--#include virtual=\"/cgi-bin/script-{number}\" -->\n")),
            _ => page.push_str(&format!("<!--#include virtual=\"/part-{number}.html\" -->\n")),
        }
    }
    release.write(&format!("public{}", SCRIPTED.0), &format!("{page}{}\n", page::END));
    release.write(&format!("public/part-{number}.html"), &token);
    release.write_script(
        &format!("cgi-bin/script-{number}"),
        &format!("#!/bin/sh\nprintf 'Content-Type: text/html\\n\\n{token}'\n"),
    );
}

/// The server's own docroot lies behind the same link as the computed ones, `www -> data/www`.
fn behind_a_shared_link(mpm: Mpm) {
    let site = ssi_site("data/www");
    for number in 0..flipper::RELEASES {
        scripted_page(&site.release(number));
    }
    site.symlink("www", "data/www");
    site.write("data/www/html/index.html", "the server's own");
    let config = Config::new(
        r#"
        UseCanonicalName Off
        DocumentRoot "${ROOT}/www/html"
        VirtualDocumentRoot "${ROOT}/www/%0/current/public"
        VirtualScriptAlias "${ROOT}/www/%0/current/cgi-bin"
        "#,
    )
    .modules(&["include", "vhost_alias", mpm.cgi_module()]);
    let httpd = Httpd::start(&site, mpm, &config);
    let flipper = rotate(&site, "data/www");
    let pages = [pages(), vec![Page::new(SCRIPTED.0, SCRIPTED.1)]].concat();
    Load::new(&pages).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

/// A page behind a link of its own, with parts below a docroot that is computed for them alone, and below an `Alias` behind
/// the link of that.
fn for_parts_alone(mpm: Mpm) {
    const PARTS: [&str; 3] = ["/lua/part", "/static/part", "/lua/nested"];
    let include = |path: &&str| format!("<!--#include virtual=\"{path}.shtml\" -->\n");
    let site = Site::with_releases(flipper::RELEASES, |release| {
        release.write("tenant/lua/part.shtml", &release.token());
        release.write("tenant/lua/nested.shtml", &PARTS[..2].iter().map(include).collect::<String>());
        release.write("static/part.shtml", &release.token());
    });
    let page: String = PARTS.iter().map(include).collect();
    site.write("data/www/html/page.shtml", &format!("{}{}", page.repeat(3), page::END));
    site.symlink("www", "data/www");
    let docroot = site.root().join("current/tenant");
    site.write(
        "part.lua",
        &format!(
            "require 'apache2'\nfunction translate(r)\n  if r.uri:find('/lua/', 1, true) == 1 then\n    \
             r:set_document_root('{}')\n  end\n  return apache2.DECLINED\nend\n",
            docroot.display(),
        ),
    );
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/www/html"
        Alias /static "${ROOT}/current/static"
        LuaHookTranslateName "${ROOT}/part.lua" translate
        "#,
    )
    .modules(&["alias", "include", "lua"]);
    let httpd = Httpd::start(&site, mpm, &config);
    let flipper = Flipper::start(&site, FlipMode::Rename);
    Load::new(&[Page::new("/page.shtml", 12)]).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

/// A subrequest began before another one had a docroot computed, and has subrequests of its own after that.
fn beside_another(mpm: Mpm) {
    let site = Site::with_releases(1, |release| release.write("page.html", ""));
    site.write("data/page.html", "");
    site.symlink("data/current", site.release_directory(0));
    site.symlink("www", "data");
    site.write(
        "docroot.lua",
        &format!(
            "require 'apache2'\nfunction translate(r)\n  if r.uri == '/computed' then\n    \
             r:set_document_root('{}')\n  end\n  return apache2.DECLINED\nend\n",
            site.root().join("data/current").display(),
        ),
    );
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/www"
        RealpathEvery 1h
        LuaHookTranslateName "${ROOT}/docroot.lua" translate
        <Location "/beside">
            SetHandler beside
        </Location>
        "#,
    )
    .modules(&["lua"]);
    let httpd = Httpd::start(&site, mpm, &shim::beside(config));
    for _ in 0..2 {
        let third = httpd.client().get("/beside?/page.html,/computed,/current/page.html").expect("a response");
        assert_eq!(third.body, site.release_directory(0).join("page.html").display().to_string());
    }
}

fn php_under_flips(mpm: Mpm) {
    let site = hosted("hosts", |release| release.php_page("public", "index.php"));
    // What the PHP configuration takes as the docroot.
    site.symlink("current", site.release_directory(0));
    let (config, _fpm) = crate::php::php(&site, mpm);
    let config = config
        .text("UseCanonicalName Off\nVirtualDocumentRoot \"${ROOT}/hosts/%0/current/public\"")
        .modules(&["vhost_alias"]);
    let httpd = Httpd::start(&site, mpm, &config);
    let flipper = rotate(&site, "hosts");
    let pages = [Page::new("/index.php", PHP_TOKENS), Page::new("/", PHP_TOKENS)];
    Load::new(&pages).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

on_each_mpm!(every_way, every_way_under_flips);
on_each_mpm!(shared_link, behind_a_shared_link);
on_each_mpm!(parts_alone, for_parts_alone);
on_each_mpm!(beside, beside_another);
on_each_mpm!(php, php_under_flips);

/// What a page of host `name` is, in a site of several hosts.
const SHOW: &str = "[<!--#echo var=\"DOCUMENT_ROOT\" -->][<!--#echo var=\"SCRIPT_FILENAME\" -->]\
     [<!--#echo var=\"REALDOC_DOCUMENT_ROOT\" -->][<!--#echo var=\"REALDOC_RELEASE\" -->]";

/// Hosts `a` and `b` with two releases each, `evil` and `worse` that lead outside, all behind `www -> data/www`.
fn three_hosts() -> Site {
    let site = Site::new();
    for host in ["a", "b"] {
        for release in ["one", "two"] {
            site.write(&format!("data/www/{host}/releases/{release}/show.shtml"), SHOW);
        }
        site.symlink(&format!("data/www/{host}/current"), "releases/one");
    }
    site.write("outside/show.shtml", "SECRET");
    site.write("outside/index.html", "SECRET");
    for host in ["evil", "worse"] {
        site.symlink(&format!("data/www/{host}/current"), "../../../outside");
    }
    site.symlink("www", "data/www");
    site.write("data/www/html/show.shtml", "the server's own");
    site
}

fn shown(site: &Site, host: &str, release: &str) -> String {
    let root = site.root().display();
    let directory = format!("{root}/data/www/{host}/releases/{release}");
    format!("[{directory}][{directory}/show.shtml][{root}/www/{host}/current][{release}]")
}

fn refused_hosts(mpm: Mpm) {
    // The server's docroot behind the shared link, one that is refused itself, and one that is not there.
    for docroot in ["www/html", "www/worse/current", "plain"] {
        let site = three_hosts();
        site.directory("plain");
        let config = Config::new(&format!("DocumentRoot \"${{ROOT}}/{docroot}\""))
            .text(
                r#"
                UseCanonicalName Off
                VirtualDocumentRoot "${ROOT}/www/%0/current"
                RealdocReleases "${ROOT}/data/www/*/releases/*"
                "#,
            )
            .modules(&["dir", "include", "vhost_alias"]);
        let httpd = Httpd::start(&site, mpm, &config);
        if docroot == "plain" {
            std::fs::remove_dir(site.root().join("plain")).expect("removing the server's docroot");
        }
        for round in ["one", "two"] {
            for host in ["a", "b"] {
                let response = ask(httpd.port(), "GET", host, "/show.shtml");
                assert_eq!(
                    (response.status(), response.body.as_str()),
                    (200, shown(&site, host, round).as_str()),
                    "{docroot}"
                );
            }
            for path in
                ["/show.shtml", "/", "/index.html", "//index.html", "/x/../index.html", "/%69ndex.html", "/absent"]
            {
                for method in ["GET", "HEAD"] {
                    let response = ask(httpd.port(), method, "evil", path);
                    assert_eq!(response.status(), 503, "{docroot}: {method} {path}: {response:?}");
                    let all = format!("{response:?}");
                    assert!(!all.contains("SECRET") && !all.contains("ETag"), "{docroot}: {path}: {all}");
                }
            }
            let absent = ask(httpd.port(), "GET", "absent", "/show.shtml");
            assert_eq!(absent.status(), 404, "{docroot}: {absent:?}");
            for host in ["a", "b"] {
                site.flip_link(&format!("data/www/{host}/current"), "releases/two");
            }
        }
        let log = httpd.error_log();
        let of_evil = lines_of(&log, "realdoc:error").into_iter().filter(|line| line.contains("/www/evil/current:"));
        let pids: Vec<Option<u32>> = of_evil.map(pid).collect();
        let processes: BTreeSet<Option<u32>> = pids.iter().copied().collect();
        assert!(!pids.is_empty() && pids.len() == processes.len(), "{docroot}: one line a process:\n{log}");
        httpd.expect_error("[realdoc:error]");
    }
}

on_each_mpm!(refused, refused_hosts);

fn names_that_lead_nowhere(mpm: Mpm) {
    let site = three_hosts();
    let children = mpm.fewest_children();
    let config = Config::new(
        r#"
        UseCanonicalName Off
        DocumentRoot "${ROOT}/data/www/html"
        VirtualDocumentRoot "${ROOT}/www/%0/current"
        # What a client sees of an error is always as long.
        ErrorDocument 404 none
        "#,
    )
    .modules(&["include", "vhost_alias"])
    .children(children, 16);
    let httpd = Httpd::start(&site, mpm, &config);
    let send_names = |prefix: &str, count| {
        let name = |number| format!("{prefix}-{}-{number}.test", "x".repeat(number % 50));
        host_names::ask_each(httpd.port(), "/absent.html", count, name, |response| {
            assert_eq!(response.status(), 404, "{response:?}");
        });
    };
    send_names("warm-up", 20_000);
    let before = Memory::of_children(&httpd, children);
    let log_before = httpd.error_log().lines().count();
    send_names("name", DISTINCT);
    let after = Memory::of_children(&httpd, children);
    println!("{DISTINCT} names: {before:?} to {after:?}");
    after.assert_flat_since(&before);
    let lines = httpd.error_log().lines().count() - log_before;
    assert!(lines < 20, "{lines} log lines for {DISTINCT} names:\n{}", httpd.error_log());
    let response = ask(httpd.port(), "GET", "a", "/show.shtml");
    assert_eq!(response.body, shown(&site, "a", "one"), "a host that is there");
    assert!(page::tokens(&response.body).is_empty());
}

on_each_mpm!(absent_names, names_that_lead_nowhere);
