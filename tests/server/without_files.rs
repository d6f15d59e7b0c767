//! Requests that map to no file, or are odd: the module changes nothing that anyone can see.
//!
//! Owns: the comparison with an httpd without the module, byte by byte. Must not: flip.

use harness::raw::{RawResponse, exchange};
use harness::{Config, Httpd, Mpm, Site, on_each_mpm};

/// Requests and the status that both servers answer.
const REQUESTS: [(&str, u16); 13] = [
    ("OPTIONS * HTTP/1.1", 200),
    ("OPTIONS /page.html HTTP/1.1", 200),
    ("GET http://front.test/page.html HTTP/1.1", 200),
    ("GET http://other.test/absent HTTP/1.1", 404),
    ("GET /page.html HTTP/1.0", 200),
    ("HEAD /page.html HTTP/1.1", 200),
    ("HEAD /absent HTTP/1.1", 404),
    ("TRACE /page.html HTTP/1.1", 200),
    ("GET /proxied/page.html HTTP/1.1", 200),
    ("GET /proxied/absent HTTP/1.1", 404),
    ("POST /page.html HTTP/1.1", 200),
    ("CONNECT other.test:443 HTTP/1.1", 405),
    ("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", 400),
];

/// A response with the methods of `Allow`, whose order is httpd's accident, in the order of the alphabet.
pub fn comparable(response: &RawResponse) -> RawResponse {
    let in_order = |line: &str| match line.strip_prefix("Allow: ") {
        Some(methods) => {
            let mut methods: Vec<&str> = methods.split(',').collect();
            methods.sort_unstable();
            format!("Allow: {}\n", methods.join(","))
        }
        None => format!("{line}\n"),
    };
    RawResponse { head: response.head.lines().map(in_order).collect(), body: response.body.clone() }
}

fn nothing_changes(mpm: Mpm) {
    let site = Site::with_releases(1, |release| release.plain_page("page.html"));
    site.write("backend/page.html", "the backend's page");
    let backend = Httpd::start_without_module(&site, mpm, &Config::new("DocumentRoot \"${ROOT}/backend\""));
    let config = Config::new(&format!(
        "DocumentRoot \"${{ROOT}}/current\"\nTraceEnable On\nProxyPass \"/proxied/\" \"{}\"",
        backend.url("/")
    ))
    .modules(&["proxy", "proxy_http"]);
    let (with, without) = (Httpd::start(&site, mpm, &config), Httpd::start_without_module(&site, mpm, &config));
    for httpd in [&with, &without] {
        httpd.expect_error("AH00026: found %2f");
        httpd.expect_error("AH10244: invalid URI path");
        // What older ones (2.4.41) say instead.
        httpd.expect_error("AH00126: Invalid URI in request");
    }
    for (request, status) in REQUESTS {
        let answers = [&with, &without].map(|httpd| {
            exchange(httpd.port(), &format!("{request}\r\nHost: front.test\r\nConnection: close\r\n\r\n"))
        });
        assert_eq!(comparable(&answers[0]), comparable(&answers[1]), "{request}");
        assert_eq!(answers[0].status(), status, "{request}: {answers:?}");
    }
}

on_each_mpm!(no_file, nothing_changes);
