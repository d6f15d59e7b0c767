//! Every way to a file under the link that is not the docroot: `Alias`, `AliasMatch`, `ScriptAlias`, mod_rewrite.
//!
//! Owns: that they stay on the release of the request, under flips and after each flip. Must not: test docroots that
//! are computed (see `computed`) or refused targets (see `guard`).

use std::path::{Path, PathBuf};

use harness::page::{END, FILLER, token};
use harness::raw::ask;
use harness::{Config, FlipMode, Flipper, Httpd, Load, Mpm, Page, Release, Site, flipper, on_each_mpm};

/// The ways of [`ALL_WAYS`] by which a page includes parts.
const WAYS: [&str; 4] = ["static", "match", "rewritten", "dots"];
const PARTS: usize = 6;

/// What [`fill`]'s page shows: head, parts, each script's tokens, foot.
const TOKENS: usize = 1 + WAYS.len() * PARTS + SCRIPT_TOKENS + 1;
/// A script's own token, one of a file beside it, one of a file that it finds by the docroot, and one in the docroot.
const SCRIPT_TOKENS: usize = 4;

const ALL_WAYS: &str = r#"
    DocumentRoot "${ROOT}/{link}/public"
    Alias /static "${ROOT}/{link}/static"
    AliasMatch "^/match/(.*)$" "${ROOT}/{link}/static/$1"
    Alias /dots "${ROOT}/{link}/public/../static"
    ScriptAlias /cgi-bin "${ROOT}/{link}/cgi-bin"
    RewriteEngine On
    RewriteRule ^/rewritten/(.*)$ "${ROOT}/{link}/static/$1" [L]
"#;

/// Parts that each release names differently or alike, half of them large.
fn fill(release: &Release) {
    let (number, token) = (release.number(), release.token());
    let mut page = format!("{token}\n");
    for way in WAYS {
        for part in 0..PARTS {
            let name = if part % 2 == 0 { format!("{way}-{part}.html") } else { format!("{way}-{part}-{number}.html") };
            let filler: String = if part % 3 == 0 { FILLER.to_string().repeat(32 * 1024) } else { String::new() };
            release.write(&format!("static/{name}"), &format!("{token}{filler}\n"));
            page.push_str(&format!("<!--#include virtual=\"/{way}/{name}\" -->\n"));
        }
    }
    page.push_str(&format!("<!--#include virtual=\"/cgi-bin/script-{number}\" -->\n{token}{END}\n"));
    release.write("public/page.shtml", &page);
    release.write(&format!("public/file-{number}"), &token);
    release.write(&format!("cgi-bin/file-{number}"), &token);
    release.write(&format!("file-{number}"), &token);
    for (script, end) in [(format!("script-{number}"), ""), ("script".to_owned(), END)] {
        release.write_script(
            &format!("cgi-bin/{script}"),
            &format!(
                "#!/bin/sh\nprintf 'Content-Type: text/html\\n\\n{token}'\n\
                 cat file-{number} \"$DOCUMENT_ROOT/file-{number}\" \"${{SCRIPT_FILENAME%/*}}/../file-{number}\"\n\
                 printf '{end}'\n"
            ),
        );
    }
    for way in ["static", "match", "rewritten", "dots"] {
        release.write(&format!("static/{way}.html"), &format!("{token}{END}"));
    }
}

fn pages() -> Vec<Page> {
    let plain = WAYS.map(|way| Page::new(&format!("/{way}/{way}.html"), 1));
    let mut pages = plain.to_vec();
    pages.push(Page::new("/page.shtml", TOKENS));
    pages.push(Page::new("/cgi-bin/script", SCRIPT_TOKENS));
    pages
}

fn config(mpm: Mpm, link: &str) -> Config {
    Config::new(&ALL_WAYS.replace("{link}", link)).modules(&["alias", "include", "rewrite", mpm.cgi_module()])
}

fn under_flips(mpm: Mpm) {
    let site = Site::with_releases(flipper::RELEASES, fill);
    let httpd = Httpd::start(&site, mpm, &config(mpm, "current"));
    let flipper = Flipper::start(&site, FlipMode::Rename);
    Load::new(&pages()).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

fn with_readlink(mpm: Mpm) {
    let site = Site::with_releases(flipper::RELEASES, fill);
    let httpd = Httpd::start(&site, mpm, &config(mpm, "current").text("UseReadlink On"));
    let flipper = Flipper::start(&site, FlipMode::Rename);
    Load::new(&pages()).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

/// `www -> data/www`, and in there the link that flips; everything is configured through both.
fn through_two_links(mpm: Mpm) {
    let site = Site::with_releases(flipper::RELEASES, fill);
    site.symlink("www", "data/www");
    site.symlink("data/www/app", site.release_directory(0));
    let httpd = Httpd::start(&site, mpm, &config(mpm, "www/app"));
    let targets: Vec<PathBuf> = (0..flipper::RELEASES).map(|number| site.release_directory(number)).collect();
    let flipper = Flipper::rotate(site.root().join("data/www/app"), targets, FlipMode::Rename);
    Load::new(&pages()).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

/// The flips are visible to aliases although the docroot, which all releases share, stays the same directory.
fn shared_docroot(mpm: Mpm) {
    let site = Site::with_releases(flipper::RELEASES, |release| {
        fill(release);
        std::fs::rename(release.directory().join("public"), release.directory().join("own")).expect("renaming");
    });
    for number in 0..flipper::RELEASES {
        site.symlink(&format!("releases/{number}/public"), "../../shared");
    }
    let includes: String = (0..12).map(|_| "<!--#include virtual=\"/static/static-0.html\" -->").collect();
    site.write("shared/page.shtml", &format!("{includes}{END}"));
    let httpd = Httpd::start(&site, mpm, &config(mpm, "current").text("RealpathEvery 0"));
    let client = httpd.client();
    for flip in 1..=50 {
        let release = flip % flipper::RELEASES;
        site.flip(release);
        for path in ["/static/static.html", "/match/match.html", "/rewritten/rewritten.html"] {
            let response = client.get(path).expect("a response");
            assert_eq!(response.body, format!("{}{END}", token(release)), "flip {flip}: {path}");
        }
    }
    site.flip(0);
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let pages = [Page::new("/page.shtml", 12), Page::new("/static/static.html", 1)];
    Load::new(&pages).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

on_each_mpm!(all_ways, under_flips);
on_each_mpm!(readlink_mode, with_readlink, worker);
on_each_mpm!(two_links, through_two_links);
on_each_mpm!(one_docroot_for_all, shared_docroot);

const SHOW: &str = "[<!--#echo var=\"DOCUMENT_ROOT\" -->][<!--#echo var=\"CONTEXT_DOCUMENT_ROOT\" -->]\
     [<!--#echo var=\"CONTEXT_PREFIX\" -->][<!--#echo var=\"SCRIPT_FILENAME\" -->]";

#[test]
fn what_a_page_sees() {
    let site = Site::with_releases(1, |release| {
        release.write("public/show.shtml", SHOW);
        release.write("static/show.shtml", SHOW);
    });
    for elsewhere in ["current2", "currents", "current-", "plain", "releases/0/other"] {
        site.write(&format!("{elsewhere}/show.shtml"), SHOW);
    }
    // A link of its own that no docroot leads through.
    site.symlink("another", "plain");
    site.symlink("www", "data/www");
    site.symlink("data/www/app", "../../releases/0");
    let alias = |url: &str, path: &str| format!("Alias {url} \"${{ROOT}}/{path}\"\n");
    let docroot = |port: &str, path: &str, aliases: &str| {
        format!(
            "<VirtualHost 127.0.0.1:{port}>\nServerName localhost\nDocumentRoot \"${{ROOT}}/{path}\"\n{aliases}</VirtualHost>\n"
        )
    };
    let one_link = [
        alias("/static", "current/static"),
        alias("/docroot", "current/public"),
        alias("/link", "current"),
        alias("/dots", "current/./public/../static"),
        alias("/slashes", "current//static"),
        alias("/current2", "current2"),
        alias("/currents", "currents"),
        alias("/current-", "current-"),
        alias("/plain", "plain"),
        alias("/another", "another"),
        alias("/real", "releases/0/other"),
    ]
    .concat();
    let two_links = [alias("/static", "www/app/static"), alias("/behind", "data/www/app/static")].concat();
    let config = Config::new(&docroot("${PORT}", "current/public", &one_link))
        .text(&docroot("${PORT_2}", "www/app/public", &two_links))
        .modules(&["alias", "include"])
        .more_ports(1);
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    let [one, two] = httpd.ports() else { panic!("two ports") };
    let mut wrong = String::new();
    for (port, prefix, below, directory) in [
        (one, "", "", "releases/0/public"),
        (one, "/static", "", "releases/0/static"),
        (one, "/docroot", "", "releases/0/public"),
        (one, "/link", "/static", "releases/0"),
        (one, "/link", "/public", "releases/0"),
        (one, "/dots", "", "releases/0/static"),
        (one, "/slashes", "", "releases/0/static"),
        (one, "/current2", "", "current2"),
        (one, "/currents", "", "currents"),
        (one, "/current-", "", "current-"),
        (one, "/plain", "", "plain"),
        (one, "/another", "", "another"),
        (one, "/real", "", "releases/0/other"),
        (two, "", "", "releases/0/public"),
        (two, "/static", "", "releases/0/static"),
        (two, "/behind", "", "releases/0/static"),
    ] {
        let path = format!("{prefix}{below}/show.shtml");
        let response = ask(*port, "GET", "localhost", &path);
        let shown: Vec<&str> = response.body.trim().trim_matches(['[', ']']).split("][").collect();
        let root = site.root().join("releases/0/public").display().to_string();
        let directory = site.root().join(directory);
        let file = directory.join(below.trim_start_matches('/')).join("show.shtml").display().to_string();
        let [document_root, context, context_prefix, filename] = shown[..] else { panic!("{path}: {response:?}") };
        // httpd leaves the context as the configuration spells it.
        let same = |path: &Path| path.canonicalize().ok();
        let context_is_right = same(Path::new(context)) == same(&directory)
            && !context.contains("/current/")
            && !context.contains("/www/")
            && !context.contains("/app/");
        if response.status() != 200
            || !context_is_right
            || [document_root, context_prefix, filename] != [&root, prefix, &file]
        {
            wrong.push_str(&format!("{path}: {} {shown:?}\n", response.status()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
