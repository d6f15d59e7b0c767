//! An earlier release is in use while an asset of it is sent.

use std::fs::File;
use std::time::Duration;

use docroot::inuse::Claim;
use harness::raw::Raw;
use harness::{Mpm, on_each_mpm, readiness};

use super::site::{deploy, get, public, script, site, start};
use crate::in_use::{assert_all_end, running};

fn counted(mpm: Mpm) {
    let site = site();
    let large = site.root().join(public("41", "build/large.js"));
    // More than all buffers on the way hold.
    File::create(large).and_then(|file| file.set_len(64 << 20)).expect("a large file");
    let httpd = start(&site, mpm, "", &[]);
    deploy(&site, "43");
    let release = |name: &str| site.root().join("releases").join(name);
    let mut reader = Raw::connect(httpd.port());
    reader.send_get("localhost", "/build/large.js");
    let _ = reader.receive_bytes(1024);
    assert_eq!(["41", "42", "43"].map(|name| running(&httpd, &release(name))), [1, 0, 1], "the asset, and the pin");
    drop(reader);
    let ends = readiness::becomes_true(Duration::from_secs(20), || running(&httpd, &release("41")) == 0);
    assert!(ends, "{} requests", running(&httpd, &release("41")));
    assert_eq!(get(&httpd.client(), "/build/app.41.js"), script("41"));
    assert_eq!(get(&httpd.client(), "/build/none.js").0, 404);
    assert_all_end(&httpd);
}

on_each_mpm!(assets_are_in_use, counted);

#[test]
fn a_release_that_is_about_to_go_serves_nothing() {
    let site = site();
    let httpd = start(&site, Mpm::Event, "", &[]);
    deploy(&site, "43");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/app.41.js"), script("41"));
    let claim = Claim::take(&site.root().join("releases/41")).expect("a claim").expect("nobody holds it");
    assert_eq!(get(&client, "/build/app.41.js").0, 404);
    assert_eq!(get(&client, "/build/app.42.js"), script("42"));
    drop(claim);
    assert_eq!(get(&client, "/build/app.41.js"), script("41"));
}
