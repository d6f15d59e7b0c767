//! A thousand deploys in the life of one process.

use harness::{Config, Httpd, Memory, Mpm, Release, on_each_mpm};

use super::{Deployed, counted, drain_and_remove};

const DEPLOYS: usize = 1000;

fn fill(release: &Release) {
    release.plain_page("page.html");
}

fn flat(mpm: Mpm) {
    let mut deployed = Deployed::new(fill, &["current"]);
    let text = "DocumentRoot \"${ROOT}/current\"\nRealdocReleases \"${ROOT}/releases/*\"";
    let httpd = Httpd::start(&deployed.site, mpm, &Config::new(text).children(1, 4));
    // There is one child, and it has a client.
    httpd.expect_error("AH00161");
    let client = httpd.client();
    let mut before = None;
    for number in 0..DEPLOYS {
        // The first releases are retained, each with its memory.
        if number == DEPLOYS / 10 {
            before = Some(Memory::of_children(&httpd, 1));
        }
        assert_eq!(client.get("/page.html").expect("a response").status, 200);
        let release = deployed.deploy();
        drain_and_remove(&[&httpd], &release);
        if number % 50 == 0 {
            let counted = counted(&httpd);
            assert!(counted.any == 0 && counted.releases.len() < 40, "{number}: {counted:?}");
        }
    }
    Memory::of_children(&httpd, 1).assert_flat_since(&before.expect("a hundred deploys"));
}

on_each_mpm!(a_thousand_deploys, flat, prefork, event);
