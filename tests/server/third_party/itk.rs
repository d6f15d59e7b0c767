//! mpm-itk: a process for each connection, so that none has seen a release before.
//!
//! Owns: that requests are pinned and counted, and what a link costs that is missing for a moment. Must not: test prefork
//! itself.

use std::fs;
use std::fs::File;

use harness::error_log::lines_of;
use harness::installation::is_root;
use harness::raw::Raw;
use harness::release::SSI_TOKENS;
use harness::{Config, FlipMode, Flipper, Httpd, Load, Mpm, Page, Site, flipper};

use super::ThirdParty;
use crate::in_use::{assert_all_end, counted, drain_and_remove, running};

const ITK: ThirdParty = ThirdParty { symbol: "mpm_itk_module", file: "mpm_itk.so", package: "libapache2-mpm-itk" };

fn config(text: &str) -> Option<Config> {
    if !is_root() {
        eprintln!("SKIPPED: mpm-itk needs root");
        return None;
    }
    ITK.loaded(&format!("AssignUserID www-data www-data\n{text}"))
}

#[test]
fn under_flips() {
    let site = Site::with_releases(flipper::RELEASES, |release| release.ssi_page("public", "page.shtml"));
    let Some(config) = config("DocumentRoot \"${ROOT}/current/public\"") else { return };
    let httpd = Httpd::start(&site, Mpm::Prefork, &config.modules(&["include"]));
    let flipper = Flipper::start(&site, FlipMode::Rename);
    Load::new(&[Page::new("/page.shtml", SSI_TOKENS)]).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

/// As `docs/modules.md` says: there is no last good release, and each connection says so.
#[test]
fn a_missing_link() {
    const CONNECTIONS: usize = 10;
    let site = Site::with_releases(1, |release| release.plain_page("page.html"));
    for releases in ["", "RealdocReleases \"${ROOT}/releases/*\""] {
        site.flip(0);
        let Some(config) = config(&format!("{releases}\nDocumentRoot \"${{ROOT}}/current\"")) else { return };
        let httpd = Httpd::start(&site, Mpm::Prefork, &config);
        httpd.expect_error("[realdoc:error]");
        let status = || httpd.client().get("/page.html").expect("a response").status;
        assert_eq!(status(), 200);
        fs::remove_file(site.link()).expect("removing the link");
        for _ in 0..CONNECTIONS {
            assert_eq!(status(), 404);
        }
        assert_eq!(lines_of(&httpd.error_log(), "realdoc:error").len(), CONNECTIONS, "{}", httpd.error_log());
        site.flip(0);
        assert_eq!(status(), 200);
    }
}

/// The process of a connection counts in a slot of its own, which ends with it.
#[test]
fn requests_are_counted() {
    const LARGE: usize = 16 << 20;
    let site = Site::with_releases(2, |release| {
        release.plain_page("public/page.html");
        let large = File::create(release.directory().join("public/large")).expect("a file");
        large.set_len(LARGE as u64).expect("a large file");
    });
    let Some(config) = config("DocumentRoot \"${ROOT}/current/public\"") else { return };
    let httpd = Httpd::start(&site, Mpm::Prefork, &config);
    let before = site.release_directory(0);
    for _ in 0..3 {
        assert_eq!(httpd.client().get("/page.html").expect("a response").status, 200);
    }
    assert_all_end(&httpd);
    let mut connection = Raw::connect(httpd.port());
    connection.send("GET /large HTTP/1.0\r\n\r\n");
    let _ = connection.receive_bytes(LARGE / 2);
    assert_eq!(running(&httpd, &before), 1, "{:?}", counted(&httpd));
    site.flip(1);
    assert_eq!(httpd.client().get("/page.html").expect("a response").status, 200);
    assert_eq!(running(&httpd, &before), 1, "{:?}", counted(&httpd));
    drop(connection);
    drain_and_remove(&[&httpd], &before);
    assert_all_end(&httpd);
}
