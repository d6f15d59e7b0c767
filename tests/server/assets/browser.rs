//! A visitor in a real browser: a page of the first release imports a script when three flips have gone by.

use std::fs;
use std::process::Command;
use std::time::Duration;

use harness::browser::Browser;
use harness::{Config, Httpd, Mpm, Site, on_each_mpm, readiness};

use super::site::{NAMES, config, public, retain, site};

/// Longer than anything takes on a busy machine; nobody waits for it unless a test fails.
const WITHIN: Duration = Duration::from_secs(60);

/// Imports a script of its own release once the last release is live, and tells the server what has come of it.
const PAGE: &str = "<!doctype html><script type=\"module\">
const tell = what => fetch('/told?' + what, { cache: 'no-store' });
await tell('loaded');
while ((await fetch('/last.txt', { cache: 'no-store' })).status !== 200) {
    await new Promise(again => setTimeout(again, 20));
}
try {
    tell('got-' + (await import('/build/app.41.js')).default);
} catch (error) {
    tell('failed');
}
</script>";

/// HTTP/2 needs TLS in a browser.
const TLS: &str = "SSLEngine On\nSSLCertificateFile \"${ROOT}/key.pem\"\nProtocols h2\nEnableMMAP Off\n\
                   SSLSessionCache none";

fn make_certificate(site: &Site) {
    let key = site.root().join("key.pem").display().to_string();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"])
        .args(["-keyout", &key, "-out", &format!("{key}.crt")])
        .output()
        .expect("running openssl: install it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text =
        fs::read_to_string(&key).expect("a key") + &fs::read_to_string(format!("{key}.crt")).expect("a certificate");
    fs::write(key, text).expect("a file for both");
}

/// What the page has told the server in the end.
fn told(mpm: Mpm, directives: &str, is_http2: bool) -> String {
    let site = site();
    for name in NAMES {
        site.write(&public(name, "told"), "");
    }
    site.write(&public("41", "page.html"), PAGE);
    site.write(&public("44", "last.txt"), "");
    let mut config: Config = config(directives);
    if is_http2 {
        make_certificate(&site);
        config = config.text(TLS).modules(&["ssl", "http2", "socache_shmcb"]);
    }
    let httpd = Httpd::start(&site, mpm, &config);
    let scheme = if is_http2 { "https" } else { "http" };
    let browser = Browser::open(&format!("{scheme}://127.0.0.1:{}/page.html", httpd.port()));
    let log = || fs::read_to_string(httpd.run_file("assets.log")).unwrap_or_default();
    let wait_for = |text: &str| {
        let found = readiness::becomes_true(WITHIN, || log().contains(text));
        assert!(found, "no {text:?} in the log:\n{}\n{}", log(), browser.said());
    };
    wait_for("/told?loaded ");
    for last in 1..NAMES.len() {
        let names: Vec<&str> = NAMES[..=last].iter().rev().copied().collect();
        site.flip_link("current", format!("releases/{}", NAMES[last]));
        retain(&site, &names);
    }
    let result = readiness::poll(WITHIN, || {
        let log = log();
        let told = log.lines().filter_map(|line| line.split_once("/told?")).map(|(_, told)| told.to_owned());
        told.filter_map(|told| told.split(' ').next().map(str::to_owned)).find(|told| told != "loaded")
    });
    let result = result.unwrap_or_else(|| panic!("no result:\n{}\n{}", log(), browser.said()));
    let protocol = if is_http2 { "HTTP/2.0" } else { "HTTP/1.1" };
    wait_for(&format!("/build/app.41.js {protocol}"));
    drop(browser);
    result
}

const WITH: &str = super::site::ASSETS;
const WITHOUT: &str = "RealdocReleases \"${ROOT}/releases/*\"";

fn a_visitor_gets_the_script(mpm: Mpm) {
    assert_eq!(told(mpm, WITH, false), "got-41");
}

fn a_visitor_gets_the_script_over_http2(mpm: Mpm) {
    assert_eq!(told(mpm, WITH, true), "got-41");
}

on_each_mpm!(assets_in_a_browser, a_visitor_gets_the_script, prefork, worker, event);
on_each_mpm!(assets_in_a_browser_http2, a_visitor_gets_the_script_over_http2, worker, event);

#[test]
fn without_the_directive_a_visitor_gets_an_error() {
    assert_eq!(told(Mpm::Event, WITHOUT, false), "failed");
}
