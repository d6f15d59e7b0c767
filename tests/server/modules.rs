//! What `docs/modules.md` says of httpd's own modules and of PHP, with the lines that it shows.
//!
//! Owns: that what goes wrong does, and that the lines mend it. Must not: load a module that httpd does not bring along
//! (see `third_party`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use harness::document::texts;
use harness::raw::{RawResponse, exchange};
use harness::{Config, Httpd, Mpm, Site, on_each_mpm, readiness};

use crate::examples::placed;
use crate::php::php_of;
use crate::sections::warnings;

/// The lines under a heading of the page.
pub fn lines(site: &Site, heading: &str, kind: &str) -> Vec<String> {
    texts("docs/modules.md", heading, kind).iter().map(|text| placed(site, text)).collect()
}

/// What the module has against a configuration, with the words of each.
#[track_caller]
pub fn assert_warnings(site: &Site, mpm: Mpm, config: &Config, expected: &[&[&str]]) {
    let said = warnings(&Httpd::ask(site, mpm, config, &["-t"]));
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (line, words) in said.iter().zip(expected) {
        assert!(words.iter().all(|word| line.contains(word)), "no {words:?} in {line}");
    }
}

/// What is said of a directory below the link.
pub const ALLOWS: &[&str] = &["allows", "/current leads", "the directory that the releases are in"];
/// What is said of a comparison with a name below the link.
pub const COMPARES: &[&str] = &["compares names of files", "/current leads", "<Directory> or <Location>"];

const DOCROOT: &str = "DocumentRoot \"${ROOT}/srv/app/current/public\"\n";
const RELEASES: &str = "RealdocReleases \"${ROOT}/srv/app/releases/*\"\n";

/// Releases 41 and 42, of which the first is live, with these files.
pub fn site(files: &[(&str, &str)]) -> Site {
    let site = Site::new();
    for release in ["41", "42"] {
        for (path, text) in files {
            site.write(&format!("srv/app/releases/{release}/{path}"), &text.replace("{release}", release));
        }
    }
    site.symlink("srv/app/current", "releases/41");
    site
}

/// Makes another release live.
pub fn flip(site: &Site, release: &str) {
    site.flip_link("srv/app/current", format!("releases/{release}"));
}

const PUT: &str = "PUT {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{lock}Content-Length: 3\r\n\r\nnew";
const LOCK: &str = "LOCK {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Type: text/xml\r\n\
     Content-Length: {length}\r\n\r\n";
const LOCK_BODY: &str = "<?xml version=\"1.0\"?><D:lockinfo xmlns:D=\"DAV:\"><D:lockscope><D:exclusive/></D:lockscope>\
     <D:locktype><D:write/></D:locktype></D:lockinfo>";

/// Locks a file, and returns the token.
fn lock(httpd: &Httpd, path: &str) -> String {
    let head = LOCK.replace("{path}", path).replace("{length}", &LOCK_BODY.len().to_string());
    let response = exchange(httpd.port(), &(head + LOCK_BODY));
    assert_eq!(response.status(), 200, "{response:?}");
    let token = response.head.lines().find_map(|line| line.strip_prefix("Lock-Token: ")).expect("a token");
    token.trim().to_owned()
}

fn put(httpd: &Httpd, path: &str, token: Option<&str>) -> RawResponse {
    let lock = token.map(|token| format!("If: ({token})\r\n")).unwrap_or_default();
    exchange(httpd.port(), &PUT.replace("{path}", path).replace("{lock}", &lock))
}

/// A directory that httpd's children may write to.
fn writable(site: &Site, path: &str) {
    site.directory(path);
    fs::set_permissions(site.root().join(path), fs::Permissions::from_mode(0o777)).expect("permissions");
}

fn dav_locks(mpm: Mpm) {
    let site = site(&[("public/dav/file.txt", "old")]);
    for directory in ["releases/41/public/dav", "releases/42/public/dav", "shared/dav", "shared/locks"] {
        writable(&site, &format!("srv/app/{directory}"));
    }
    for (lines, path, kept) in [
        (
            "DavLockDB \"${ROOT}/srv/app/shared/locks/db\"\n<Location /dav>\nDav On\n</Location>".to_owned(),
            "/dav/file.txt",
            false,
        ),
        (lines(&site, "mod_dav", "apache").concat(), "/dav/new.txt", true),
    ] {
        flip(&site, "41");
        let config = Config::new(DOCROOT).text(&lines).modules(&["alias", "dav", "dav_fs"]);
        let httpd = Httpd::start(&site, mpm, &config);
        httpd.expect_error("[dav:error]");
        assert!(matches!(put(&httpd, path, None).status(), 201 | 204));
        let token = lock(&httpd, path);
        assert_eq!(put(&httpd, path, None).status(), 423);
        flip(&site, "42");
        let by_others = put(&httpd, path, None).status();
        let by_holder = put(&httpd, path, Some(&token)).status();
        assert_eq!([by_others, by_holder], if kept { [423, 204] } else { [204, 412] }, "{lines}");
    }
}

on_each_mpm!(dav_locks, dav_locks, prefork, event);

/// Denials by a name below the link, of which each is lost, and what the page says instead.
fn expressions(mpm: Mpm) {
    let site = site(&[("public/private/a.txt", "a"), ("public/internal/a.txt", "a"), ("public/secret/a.txt", "a")]);
    let lost = |condition: &str| format!("{condition}\nRequire all denied\n</If>\n");
    let name = "${ROOT}/srv/app/current/public/private/a.txt";
    let by_name = [
        lost(&format!("<If \"%{{REQUEST_FILENAME}} == '{name}'\">")),
        lost(&format!("<If \"%{{SCRIPT_FILENAME}} =~ m#^{name}#\">")),
        format!("<Location />\nRequire expr \"%{{REQUEST_FILENAME}} != '{name}'\"\n</Location>\n"),
    ];
    for lines in by_name {
        let config = Config::new(DOCROOT).text(&lines);
        let get = |httpd: &Httpd| httpd.client().get("/private/a.txt").expect("a response").status;
        assert_warnings(&site, mpm, &config, &[COMPARES]);
        let without = Httpd::start_without_module(&site, mpm, &config);
        without.expect_error("AH01630");
        assert_eq!([get(&without), get(&Httpd::start(&site, mpm, &config))], [403, 200], "{lines}");
    }
    let config = Config::new(DOCROOT).text(RELEASES).text(&lines(&site, "Expressions", "apache").concat());
    assert_warnings(&site, mpm, &config, &[]);
    let httpd = Httpd::start(&site, mpm, &config);
    httpd.expect_error("AH01630");
    for release in ["41", "42"] {
        flip(&site, release);
        for directory in ["private", "internal", "secret"] {
            let response = httpd.client().get(&format!("/{directory}/a.txt")).expect("a response");
            assert_eq!(response.status, 403, "{directory} of {release}");
        }
    }
}

on_each_mpm!(expressions, expressions, prefork, event);

/// Says that it runs, waits for the flip, and then reads a file of its own release.
const READS: &str = "<?php file_put_contents(__DIR__ . '/runs', '');\n\
     while (!@is_file($_SERVER['REALDOC_DOCUMENT_ROOT'] . '/last')) { clearstatcache(true); usleep(1000); }\n\
     echo @file_get_contents(__DIR__ . '/../part.txt') === '41' ? 'read' : 'denied';";

const RUNS_WITHIN: Duration = Duration::from_secs(20);

/// PHP follows the link too, at each file: a directory below the link is that of another release for a request that was
/// pinned before the flip.
#[test]
fn open_basedir() {
    let site = site(&[("part.txt", "{release}"), ("public/page.php", READS)]);
    writable(&site, "srv/app/releases/41/public");
    site.write("srv/app/releases/42/public/last", "");
    let below_link = "php_admin_value open_basedir \"${ROOT}/srv/app/current/\"".to_owned();
    let of_page = lines(&site, "open_basedir", "apache").concat();
    for (lines, shown, said) in [(below_link, "denied", &[ALLOWS][..]), (of_page, "read", &[])] {
        flip(&site, "41");
        let (config, _) = php_of(&site, Mpm::Prefork, 1, "");
        let config = config.text(DOCROOT).text(&lines);
        assert_warnings(&site, Mpm::Prefork, &config, said);
        let httpd = Httpd::start(&site, Mpm::Prefork, &config);
        let body = thread::scope(|scope| {
            let response = scope.spawn(|| httpd.client().get("/page.php").expect("a response"));
            let sign = site.root().join("srv/app/releases/41/public/runs");
            assert!(readiness::becomes_true(RUNS_WITHIN, || fs::remove_file(&sign).is_ok()), "the page does not run");
            flip(&site, "42");
            response.join().expect("a client").body
        });
        assert_eq!(body, shown, "{lines}");
    }
}
