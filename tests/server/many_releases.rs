//! More releases than a process keeps for requests to refer to: later ones are copied for each request.
//!
//! Owns: that nobody can tell the difference. Must not: test memory (see `memory`).

use std::time::Duration;

use harness::page::Verdict;
use harness::release::SSI_TOKENS;
use harness::{Httpd, Mpm, Page, Site, on_each_mpm, page, readiness};

use crate::ssi;

/// More than are kept of one docroot.
const RELEASES: usize = 40;
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// Each release is seen, and each page is whole: on the look that finds it, and inside its window.
fn each_is_served(mpm: Mpm) {
    let site = Site::with_releases(RELEASES, |release| release.ssi_page("", "page.shtml"));
    let page = Page::new("/page.shtml", SSI_TOKENS);
    for every in ["0", "20ms"] {
        let config = ssi::config("current")
            .text(&format!("RealpathEvery {every}\nHeader set Release %{{REALDOC_RELEASE}}e"))
            .modules(&["headers"]);
        let httpd = Httpd::start(&site, mpm, &config);
        // One connection, so that one child sees all of them.
        let client = httpd.client();
        let ask = || {
            let response = client.get(&page.path).expect("a response");
            // Of which release it was told, it must have been served; without a pin it is told of none.
            match page.judge(response.status, &response.body) {
                Verdict::Whole(number) => assert_eq!(response.header("Release"), number.to_string(), "{response:?}"),
                verdict => panic!("{verdict:?}"),
            }
            page::tokens(&response.body)[0]
        };
        for number in 0..RELEASES {
            site.flip(number);
            let mut asked = 0;
            let is_seen = readiness::becomes_true(SEEN_WITHIN, || {
                asked += 1;
                ask() == number
            });
            assert!(is_seen, "RealpathEvery {every}: release {number} is not seen");
            assert!(every != "0" || asked == 1, "release {number} is seen late");
            assert_eq!(ask(), number, "RealpathEvery {every}");
        }
    }
}

on_each_mpm!(many_releases, each_is_served);
