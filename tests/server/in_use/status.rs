//! What mod_status says of requests.

use harness::raw::Raw;
use harness::{Config, Httpd, Mpm, Site, on_each_mpm, readiness};

const LARGE: u64 = 64 << 20;

fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
}

/// Three requests run in release 0 and a failed one has ended, whichever process is asked.
fn page(mpm: Mpm) {
    let site = Site::with_releases(2, |release| {
        let large = std::fs::File::create(release.directory().join("large")).expect("a file");
        large.set_len(LARGE).expect("a large file");
        release.write_script("fails.cgi", "#!/bin/sh\nprintf 'Status: 503 No\\n\\n'\n");
    });
    let text = "DocumentRoot \"${ROOT}/current\"\nAddHandler cgi-script .cgi\n\
        <Directory \"${ROOT}\">\nOptions +ExecCGI\n</Directory>\n\
        Redirect 302 /moved /\n<Location \"/status\">\nSetHandler server-status\n</Location>";
    let config = Config::new(text).modules(&["status", "alias", mpm.cgi_module()]);
    let httpd = Httpd::start(&site, mpm, &config);
    let client = httpd.client();
    assert_eq!(client.get("/fails.cgi").expect("a response").status, 503);
    let mut half_read: Vec<Raw> = (0..3).map(|_| Raw::connect(httpd.port())).collect();
    for connection in &mut half_read {
        connection.send("GET /large HTTP/1.0\r\n\r\n");
        let _ = connection.receive_bytes(4096);
    }
    site.flip(1);
    let release = |number: usize| site.release_directory(number).display().to_string();
    let says = |fields: &[(&str, &str)]| {
        readiness::becomes_true(std::time::Duration::from_secs(10), || {
            let text = httpd.client().get("/status?auto").expect("a response").body;
            fields.iter().all(|&(name, value)| field(&text, name).as_deref() == Some(value))
        })
    };
    let text = || client.get("/status?auto").expect("a response").body;
    // The request for the status runs in release 1 itself.
    let fields = [
        ("RealdocRelease0", release(0)),
        ("RealdocInUse0", "3".into()),
        ("RealdocRequests0", "4".into()),
        ("RealdocFailed0", "1".into()),
        ("RealdocRelease1", release(1)),
        ("RealdocInUse1", "1".into()),
        ("RealdocFailed1", "0".into()),
        ("RealdocInUseAny", "0".into()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert!(says(&fields), "{}", text());
    let html = client.get("/status").expect("a response").body;
    let row = format!("<tr><td>{}</td><td>3</td><td>4</td><td>1</td></tr>", release(0));
    assert!(html.contains(&row), "{html}");
    drop(half_read);
    assert!(says(&[("RealdocInUse0", "0"), ("RealdocRequests0", "4")]), "{}", text());
}

on_each_mpm!(the_page, page);
