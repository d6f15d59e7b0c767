//! A docroot that cannot be resolved while its last good release is about to be removed.

use std::fs;

use docroot::Os;
use docroot::inuse::{Claim, Drain, Release};
use harness::{Config, Httpd, Mpm, Site, on_each_mpm, readiness};

use super::{FREE_WITHIN, counted, reader};

/// No link leads to the fallback, so a drain cannot see who will use it next. Requests see the claim instead.
fn claimed(mpm: Mpm) {
    for directives in ["", "RealpathEvery 50ms", "RealdocReleases \"${ROOT}/releases/*\""] {
        let site = Site::with_releases(2, |release| release.plain_page("public/page.html"));
        let text = format!("DocumentRoot \"${{ROOT}}/current/public\"\n{directives}");
        let httpd = Httpd::start(&site, mpm, &Config::new(&text));
        httpd.expect_error("[realdoc:error]");
        let client = httpd.client();
        let status = || client.get("/page.html").expect("a response").status;
        assert_eq!(status(), 200, "{directives}");
        fs::remove_file(site.link()).expect("a link");
        let goes_on =
            readiness::becomes_true(FREE_WITHIN, || httpd.error_log().contains("requests go on") || status() != 200);
        assert!(goes_on && status() == 200, "{directives}: the last good release");
        let release = site.release_directory(0);
        let claim = Claim::take(&release).expect("a claim").expect("nobody holds it");
        assert_eq!(status(), 404, "{directives}: it is about to be removed");
        let mut drain =
            Drain::new(vec![reader(&httpd)], Release::at(&release).expect("a release"), Os::now()).expect("a drain");
        let is_free = || drain.poll(Os::now()).expect("a file that tells").is_free;
        assert!(readiness::becomes_true(FREE_WITHIN, is_free), "{directives}: {:?}", counted(&httpd));
        drop(claim);
        assert_eq!(status(), 200, "{directives}: nobody wants to remove it any more");
    }
}

on_each_mpm!(a_claimed_fallback, claimed, prefork, event);
