//! HTTP/2 without TLS on event: many streams of one connection, each on its own release.
//!
//! Owns: h2c under flips. Must not: test TLS.

use std::time::Duration;

use harness::{FlipMode, Flipper, Httpd, Load, Mpm, Protocol};

use crate::ssi;

#[test]
fn http2_event() {
    let site = ssi::site("public");
    // Pages that include files which are mapped into memory crash httpd 2.4.71 over HTTP/2, without this module too.
    let text = "Protocols h2c http/1.1\nEnableMMAP Off";
    let config = ssi::config("current/public").modules(&["http2"]).text(text);
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let load = Load::new(&ssi::pages()).protocol(Protocol::H2c).lasts(Duration::from_secs(2));
    load.run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}
