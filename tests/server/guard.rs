//! `RealdocReleases` as a guard: a link that leads anywhere else never serves a byte.
//!
//! Owns: targets that are refused, whatever the URL says and however the link came to lead there. Must not: test
//! sections that follow (see `sections`) or links that are gone where nothing is refused (see `failures`).

use std::fs;

use harness::error_log::lines_of;
use harness::raw::{RawResponse, ask};
use harness::{Config, Httpd, Mpm, Site, on_each_mpm};

/// What stands in every file outside of the releases.
const SECRET: &str = "SECRET";

/// Requests for files that are under the link: by the docroot, and by everything else that leads there.
const BY_DOCROOT: [&str; 13] = [
    "/",
    "/index.html",
    "/file.txt",
    "/file.txt?query",
    "//file.txt",
    "/./file.txt",
    "/absent/../file.txt",
    "/%66ile.txt",
    "/file%2etxt",
    "/sub",
    "/sub/",
    "/sub/../sub/file.txt",
    "/absent",
];
const BY_ALIAS: [&str; 13] = [
    "/static/file.txt",
    "/static/",
    "/static",
    "//static//file.txt",
    "/static/./file.txt",
    "/absent/../static/file.txt",
    "/%73tatic/%66ile.txt",
    "/match/file.txt",
    "/cgi-bin/script",
    "/cgi-bin/script/path/info",
    "/rewritten/file.txt",
    "/dots/file.txt",
    "/static/absent",
];

/// The first port's server has its docroot and everything else under the link; `{link}` is relative to the site.
const ALL_WAYS: &str = r#"
    DocumentRoot "${ROOT}/{link}/public"
    DirectoryIndex index.html
    Alias /static "${ROOT}/{link}/static"
    AliasMatch "^/match/(.*)$" "${ROOT}/{link}/static/$1"
    ScriptAlias /cgi-bin "${ROOT}/{link}/cgi-bin"
    Alias /dots "${ROOT}/{link}/public/../static"
    Alias /beside "${ROOT}/beside"
    RewriteEngine On
    RewriteRule ^/rewritten/(.*)$ "${ROOT}/{link}/static/$1" [L]
"#;

fn config(mpm: Mpm, directives: &str) -> Config {
    Config::new(&ALL_WAYS.replace("{link}", "current"))
        .text(directives)
        .modules(&["alias", "dir", "headers", "include", "rewrite", mpm.cgi_module()])
        .children(1, 8)
}

/// A tree as a release has it, each file of it holding `text`.
fn tree(site: &Site, at: &str, text: &str) {
    for file in
        ["public/index.html", "public/file.txt", "public/sub/index.html", "public/sub/file.txt", "static/file.txt"]
    {
        site.write(&format!("{at}/{file}"), text);
    }
    site.write_script(
        &format!("{at}/cgi-bin/script"),
        &format!("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n{text}'\n"),
    );
}

/// Two releases, a tree outside, and a directory beside all of them with a page that includes parts of a release.
fn site() -> Site {
    let site = Site::new();
    tree(&site, "releases/1", "release 1");
    tree(&site, "releases/2", "release 2");
    tree(&site, "outside", SECRET);
    site.write(
        "beside/page.shtml",
        "beside <!--#include virtual=\"/file.txt\" --><!--#include virtual=\"/static/file.txt\" -->\
         <!--#include virtual=\"/cgi-bin/script\" -->",
    );
    site
}

/// Makes the link lead to this text, in one step.
fn lead(site: &Site, text: &str) {
    site.flip_link("current", text);
}

/// What a server answers to these paths, by GET and by HEAD.
fn answers(httpd: &Httpd, paths: &[&str]) -> Vec<(String, RawResponse)> {
    ["GET", "HEAD"]
        .into_iter()
        .flat_map(|method| paths.iter().map(move |path| (method, *path)))
        .map(|(method, path)| (format!("{method} {path}"), ask(httpd.port(), method, "localhost", path)))
        .collect()
}

/// Asserts that these paths are all answered with 503, and nothing of the tree outside is told.
fn assert_refused(httpd: &Httpd, paths: &[&str], when: &str) {
    assert_hidden(httpd, paths, when, &[503]);
}

/// Asserts that these paths are answered with one of these statuses, and nothing of the tree outside is told.
fn assert_hidden(httpd: &Httpd, paths: &[&str], when: &str, statuses: &[u16]) {
    for (request, response) in answers(httpd, paths) {
        assert!(statuses.contains(&response.status()), "{when}: {request}: {response:?}");
        let all = format!("{response:?}");
        assert!(!all.contains(SECRET) && !all.contains("ETag") && !all.contains("Last-Modified"), "{request}: {all}");
    }
    let beside = ask(httpd.port(), "GET", "localhost", "/beside/page.shtml");
    assert_eq!(beside.status(), 200, "{when}: what is not under the link: {beside:?}");
    assert!(beside.body.starts_with("beside") && !beside.body.contains(SECRET), "{when}: {beside:?}");
}

/// Asserts that the paths show a release, apart from those that name no file or have none.
fn assert_served(httpd: &Httpd, release: &str, when: &str) {
    for path in ["/", "/file.txt", "/static/file.txt", "/match/file.txt", "/rewritten/file.txt", "/cgi-bin/script"] {
        let response = ask(httpd.port(), "GET", "localhost", path);
        assert_eq!((response.status(), response.body.as_str()), (200, release), "{when}: {path}");
    }
}

fn all_paths() -> Vec<&'static str> {
    [BY_DOCROOT, BY_ALIAS].concat()
}

const RELEASES: &str = "RealdocReleases \"${ROOT}/releases/*\"";

fn expect_errors(httpd: &Httpd) {
    // What mod_include says of a refused part, httpd of a missing file, and prefork of its only child.
    for text in ["AH00161", "[realdoc:error]", "[include:error]", "[cgi:error]", "[cgid:error]", "[core:error]"] {
        httpd.expect_error(text);
    }
}

fn start(site: &Site, mpm: Mpm, directives: &str) -> Httpd {
    let httpd = Httpd::start(site, mpm, &config(mpm, directives));
    expect_errors(&httpd);
    httpd
}

fn error_lines(httpd: &Httpd) -> Vec<String> {
    lines_of(&httpd.error_log(), "realdoc:error").into_iter().map(str::to_owned).collect()
}

fn outside_from_the_start(mpm: Mpm) {
    let site = site();
    site.symlink("current", site.root().join("outside"));
    // Without the module these requests do show what is outside: the list is worth something.
    let without = Httpd::start_without_module(&site, mpm, &config(mpm, ""));
    let shown = answers(&without, &all_paths());
    assert!(shown.iter().filter(|(_, response)| response.body.contains(SECRET)).count() > 15, "{shown:#?}");
    expect_errors(&without);

    let httpd = start(&site, mpm, RELEASES);
    assert_refused(&httpd, &all_paths(), "at the start");
    let lines = error_lines(&httpd);
    assert_eq!(lines.len(), 1, "one line for all these requests: {lines:#?}");
    let link = site.root().join("current/public").display().to_string();
    for word in [link.as_str(), "RealdocReleases", "503"] {
        assert!(lines[0].contains(word), "no {word:?} in {}", lines[0]);
    }
    lead(&site, "releases/2");
    assert_served(&httpd, "release 2", "once the link is right");
}

fn last_good_release(mpm: Mpm) {
    let site = site();
    site.symlink("current", "releases/1");
    let httpd = start(&site, mpm, RELEASES);
    assert_served(&httpd, "release 1", "at first");
    for (text, when) in [
        (site.root().join("outside").display().to_string(), "absolute"),
        ("outside".to_owned(), "relative"),
        ("releases/../outside".to_owned(), "through the releases"),
        ("releases/1/../../outside".to_owned(), "through a release"),
        ("releases".to_owned(), "the directory of the releases"),
    ] {
        lead(&site, &text);
        assert_served(&httpd, "release 1", when);
    }
    lead(&site, "releases/2");
    assert_served(&httpd, "release 2", "after a deploy");
    let lines = error_lines(&httpd);
    assert!(!lines.is_empty() && lines.len() <= 5, "no more than one line for each cause: {lines:#?}");
}

fn last_good_release_is_taken_away(mpm: Mpm) {
    let site = site();
    site.symlink("current", "releases/1");
    let httpd = start(&site, mpm, RELEASES);
    assert_served(&httpd, "release 1", "at first");
    fs::remove_file(site.link()).expect("removing the link");
    assert_served(&httpd, "release 1", "without a link");
    fs::rename(site.release_directory(1), site.root().join("old")).expect("moving the release");
    site.symlink("releases/1", "../outside");
    // That nothing is there is answered as httpd would; what matters is that nothing is told.
    assert_hidden(&httpd, &all_paths(), "a link in the place of the release", &[404, 503]);
    site.symlink("current", "releases/1");
    assert_refused(&httpd, &all_paths(), "a link to a link");
    lead(&site, "releases/2");
    assert_served(&httpd, "release 2", "after a deploy");
}

/// A link that is not there at the first look, for which a long window begins.
fn nothing_at_the_first_look(mpm: Mpm) {
    let site = site();
    // httpd insists on a docroot when it starts.
    site.symlink("current", "releases/1");
    let httpd = start(&site, mpm, &format!("{RELEASES}\nRealpathEvery 30"));
    fs::remove_file(site.link()).expect("removing the link");
    assert_hidden(&httpd, &all_paths(), "no link", &[404, 503]);
    site.symlink("current", "outside");
    assert_hidden(&httpd, &all_paths(), "outside, inside the window", &[404, 503]);
}

/// Texts that readlink mode must not take for a release.
fn readlink_texts(mpm: Mpm) {
    let site = site();
    site.symlink("current", "releases/1");
    let httpd = start(&site, mpm, &format!("{RELEASES}\nUseReadlink On"));
    for text in [
        "releases/1/../../outside",
        "releases/../outside",
        "releases/..//outside",
        "./releases/./../outside",
        "releases/1/../../releases/../outside/",
        "releases/1/../../../outside",
        "outside",
        "{root}/outside",
        "{root}/releases/../outside",
        "{root}/releases/1/../../outside",
    ] {
        lead(&site, &text.replace("{root}", &site.root().display().to_string()));
        assert_hidden(&httpd, &all_paths(), text, if text.contains("../../../") { &[404, 503] } else { &[503] });
    }
    lead(&site, "releases/2");
    assert_served(&httpd, "release 2", "once the link is right");
}

/// The link leads outside, and from there the docroot, but nothing else, comes back into a release.
fn there_and_back(mpm: Mpm) {
    let site = site();
    fs::rename(site.root().join("outside/public"), site.root().join("gone")).expect("moving the docroot outside");
    site.symlink("outside/public", site.release_directory(1).join("public"));
    site.symlink("current", "outside");
    let httpd = start(&site, mpm, RELEASES);
    assert_refused(&httpd, &all_paths(), "there and back");
    lead(&site, "releases/2");
    assert_served(&httpd, "release 2", "once the link is right");
}

/// The link leads to a directory above the releases, where only an earlier link may lead.
fn above_the_releases(mpm: Mpm) {
    for text in [".", "here", "here/here/."] {
        let site = site();
        tree(&site, ".", SECRET);
        site.symlink("here", ".");
        site.symlink("current", text);
        let httpd = start(&site, mpm, RELEASES);
        assert_refused(&httpd, &all_paths(), text);
    }
}

/// A computed docroot need not be written as httpd writes the files in it.
fn spelled_docroots(mpm: Mpm) {
    const HOSTS: [&str; 4] =
        ["${ROOT}//%0/public", "${ROOT}/x/../%0/public", "${ROOT}/%0/./public", "${ROOT}/%0//public/"];
    let site = site();
    tree(&site, ".", SECRET);
    site.directory("x");
    site.directory("releases/empty");
    for (spelling, readlink) in HOSTS.into_iter().flat_map(|spelling| [(spelling, "Off"), (spelling, "On")]) {
        let directives = format!("{RELEASES}\nUseReadlink {readlink}\nVirtualDocumentRoot \"{spelling}\"");
        let httpd = Httpd::start(&site, mpm, &Config::new(&directives).modules(&["vhost_alias", "dir"]));
        expect_errors(&httpd);
        for (text, status) in [(".", 503), ("outside", 503), ("releases/empty", 404)] {
            lead(&site, text);
            for path in BY_DOCROOT {
                let response = ask(httpd.port(), "GET", "current", path);
                let when = format!("{spelling}, UseReadlink {readlink}, {text}: {path}: {response:?}");
                assert!(response.status() == status && !response.body.contains(SECRET), "{when}");
            }
        }
    }
}

/// The link leads to a release, but the docroot leaves it by another link.
fn out_of_a_release(mpm: Mpm) {
    let site = site();
    fs::remove_dir_all(site.release_directory(1).join("public")).expect("removing the docroot of a release");
    site.symlink("releases/1/public", "../../outside/public");
    site.symlink("current", "releases/1");
    let httpd = start(&site, mpm, RELEASES);
    assert_refused(&httpd, &BY_DOCROOT, "the docroot");
    // The rest of the release is where it may be.
    let response = ask(httpd.port(), "GET", "localhost", "/static/file.txt");
    assert_eq!((response.status(), response.body.as_str()), (200, "release 1"));
}

/// An error page that is refused itself ends it; one that is elsewhere is shown.
fn error_pages(mpm: Mpm) {
    let site = site();
    site.write("beside/down.html", "down");
    site.symlink("current", "outside");
    for (page, shown) in
        [("/file.txt", false), ("/static/file.txt", false), ("/cgi-bin/script", false), ("/beside/down.html", true)]
    {
        let httpd = start(&site, mpm, &format!("{RELEASES}\nErrorDocument 503 {page}\nFallbackResource /file.txt"));
        for (request, response) in answers(&httpd, &all_paths()) {
            assert_eq!(response.status(), 503, "{page}: {request}: {response:?}");
            assert!(!response.body.contains(SECRET), "{page}: {request}: {response:?}");
            let is_shown = response.body == if request.starts_with("HEAD") { "" } else { "down" };
            assert!(is_shown || !shown, "{page}: {request}: {response:?}");
        }
    }
}

/// Requests that map to no file are answered as without the module, whatever the docroot is worth.
fn no_file(mpm: Mpm) {
    let site = site();
    site.write("backend/page.html", "the backend's page");
    site.symlink("current", "outside");
    let backend = Httpd::start_without_module(&site, Mpm::Event, &Config::new("DocumentRoot \"${ROOT}/backend\""));
    let proxy = format!("TraceEnable On\nProxyPass \"/proxied/\" \"{}\"", backend.url("/"));
    let modules = ["proxy", "proxy_http"];
    let with = Httpd::start(&site, mpm, &config(mpm, &format!("{RELEASES}\n{proxy}")).modules(&modules));
    let without = Httpd::start_without_module(&site, mpm, &config(mpm, &proxy).modules(&modules));
    for httpd in [&with, &without] {
        httpd.expect_error("AH00161");
    }
    for (method, path) in [
        ("OPTIONS", "*"),
        ("TRACE", "/"),
        ("TRACE", "/file.txt"),
        ("TRACE", "/static/file.txt"),
        ("GET", "/proxied/page.html"),
    ] {
        let [with, without] = [&with, &without].map(|httpd| ask(httpd.port(), method, "localhost", path));
        assert_eq!(
            crate::without_files::comparable(&with),
            crate::without_files::comparable(&without),
            "{method} {path}"
        );
        assert_eq!(with.status(), 200, "{method} {path}");
    }
    let lines = error_lines(&with);
    assert!(lines.is_empty(), "nobody asked for a file: {lines:#?}");
}

on_each_mpm!(outside, outside_from_the_start);
on_each_mpm!(last_good, last_good_release);
on_each_mpm!(last_good_replaced, last_good_release_is_taken_away, prefork, event);
on_each_mpm!(first_look, nothing_at_the_first_look, prefork, event);
on_each_mpm!(readlink_text, readlink_texts, worker);
on_each_mpm!(back_into_a_release, there_and_back, prefork, event);
on_each_mpm!(above_releases, above_the_releases, prefork, event);
on_each_mpm!(spelled, spelled_docroots, event);
on_each_mpm!(leaving_a_release, out_of_a_release, worker);
on_each_mpm!(error_document, error_pages, event);
on_each_mpm!(mapped_to_no_file, no_file, prefork, event);
