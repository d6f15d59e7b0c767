//! A docroot on a file system that hangs: who waits, and who must not.
//!
//! Owns: requests while system calls for one docroot do not return. Must not: measure how long anything takes; what is
//! served while the calls hang did not wait for them.

use harness::raw::Raw;
use harness::shim::SlowFileSystem;
use harness::{Client, Config, Httpd, Mpm, Protocol, Site, on_each_mpm, page, readiness};
use std::time::Duration;

/// Everything below `slow` hangs, the link that leads to the releases too. The first port must look at it for each
/// request, the second may go by what is known, the third has another docroot and the fourth computes either.
const TEXT: &str = r#"
    UseCanonicalName Off
    DocumentRoot "${ROOT}/slow/current"
    <VirtualHost 127.0.0.1:${PORT_2}>
        ServerName localhost
        DocumentRoot "${ROOT}/slow/current"
        RealpathEvery 1h
    </VirtualHost>
    <VirtualHost 127.0.0.1:${PORT_3}>
        ServerName localhost
        DocumentRoot "${ROOT}/fast/current"
        <Location "/status">
            SetHandler server-status
        </Location>
    </VirtualHost>
    <VirtualHost 127.0.0.1:${PORT_4}>
        ServerName localhost
        DocumentRoot "${ROOT}/fast/current"
        VirtualDocumentRoot "${ROOT}/%0/current"
    </VirtualHost>
"#;

const ROUNDS: usize = 50;

fn hangs(mpm: Mpm) {
    let site = Site::new();
    for number in 0..2 {
        site.release(number).plain_page("page.html");
    }
    for place in ["slow", "fast"] {
        site.symlink(&format!("{place}/current"), site.release_directory(0));
    }
    let files = SlowFileSystem::at(&site, site.root().join("slow"));
    let children = mpm.fewest_children();
    let config = files.of(Config::new(TEXT).modules(&["status", "vhost_alias"]).more_ports(3).children(children, 16));
    let httpd = Httpd::start(&site, mpm, &config);
    httpd.expect_error("AH00161");
    let [must_look, within_window, elsewhere, computed] = httpd.ports() else { panic!("four ports") };
    let client = |port: &u16| Client::new(&format!("http://127.0.0.1:{port}"), Protocol::Http1);
    let get = |client: &Client, host: &str, path: &str| {
        let response = client.get_from(host, path).expect("a response");
        assert_eq!(response.status, 200, "{host}{path}: {}", response.body);
        response.body
    };
    let release = |client: &Client, host: &str| page::tokens(&get(client, host, "/page.html"));
    // Each of these stays with the process that has looked, now.
    let (others, fast) = ([client(within_window), client(within_window), client(elsewhere)], client(computed));
    for client in &others {
        assert_eq!(release(client, "localhost"), [0]);
    }
    assert_eq!(release(&fast, "fast"), [0]);
    let mut waiting = [(must_look, "localhost"), (must_look, "localhost"), (computed, "slow")].map(|(port, host)| {
        let mut raw = Raw::connect(*port);
        raw.send_get(host, "/page.html");
        assert_eq!(page::tokens(&raw.receive().body), [0]);
        (raw, host)
    });

    files.hang();
    for (raw, host) in &mut waiting {
        raw.send_get(host, "/page.html");
    }
    let all_held = || files.held() == waiting.len();
    assert!(readiness::becomes_true(Duration::from_secs(10), all_held), "{} calls held", files.held());
    site.flip_link("slow/current", site.release_directory(1));
    for _ in 0..ROUNDS {
        for client in &others {
            assert_eq!(release(client, "localhost"), [0]);
        }
        assert_eq!(release(&fast, "fast"), [0]);
        assert!(get(&others[2], "localhost", "/status?auto").contains("RealdocDocroot0: "));
    }
    assert_eq!(files.held(), waiting.len(), "nobody else has been held");
    println!("{} requests held, {} others answered meanwhile", waiting.len(), ROUNDS * (others.len() + 2));

    files.recover();
    for (raw, host) in &mut waiting {
        let response = raw.receive();
        assert_eq!((response.status(), page::tokens(&response.body)), (200, vec![1]), "{host}");
    }
}

on_each_mpm!(hanging, hangs);
