//! Virtual hosts: each answers from its own docroot, whatever name the client sends.
//!
//! Owns: the choice between docroots. Must not: test names that httpd itself maps to directories.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use harness::process::private_memory;
use harness::raw::{Raw, RawResponse};
use harness::{Config, Httpd, Mpm, Site, on_each_mpm, page};

use crate::memory::children;

/// Four virtual hosts: two names at one address, and the first of the names at another port and another address.
const HOSTS: &str = r#"
    Listen 127.0.0.2:${PORT}
    <VirtualHost 127.0.0.1:${PORT}>
        ServerName one.test
        DocumentRoot "${ROOT}/host-1/current"
    </VirtualHost>
    <VirtualHost 127.0.0.1:${PORT}>
        ServerName two.test
        ServerAlias *.two.test
        DocumentRoot "${ROOT}/host-2/current/public"
    </VirtualHost>
    <VirtualHost 127.0.0.1:${PORT_2}>
        ServerName one.test
        DocumentRoot "${ROOT}/host-3/current"
    </VirtualHost>
    <VirtualHost 127.0.0.2:${PORT}>
        ServerName one.test
        DocumentRoot "${ROOT}/host-4/current"
    </VirtualHost>
"#;

/// The "release" that a page of host `n` shows is `n`.
fn site() -> Site {
    let site = Site::new();
    for host in 1..=4 {
        let text = format!("{}{}", page::token(host), page::END);
        site.write(&format!("host-{host}/release/page.html"), &text);
        site.write(&format!("host-{host}/release/public/page.html"), &text);
        site.symlink(&format!("host-{host}/current"), "release");
    }
    site
}

fn config() -> Config {
    Config::new(HOSTS).more_ports(1)
}

/// The three places where the four hosts listen.
fn addresses(httpd: &Httpd) -> [SocketAddr; 3] {
    let [port, other] = httpd.ports() else { panic!("two ports") };
    [
        SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
        SocketAddr::from((Ipv4Addr::LOCALHOST, *other)),
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), *port)),
    ]
}

/// Host headers, true and forged; `{port}` and `{other}` stand for the server's ports.
const NAMES: [&str; 18] = [
    "one.test",
    "two.test",
    "ONE.TEST",
    "sub.two.test",
    "one.test.",
    "one.test:{port}",
    "one.test:{other}",
    "two.test:{other}",
    "two.test:1",
    "three.test",
    "127.0.0.1",
    "127.0.0.2",
    "127.0.0.2:{other}",
    "localhost",
    "-",
    "..",
    "host-2",
    "xn--garbage.a-very-long-name.a-very-long-name.a-very-long-name.a-very-long-name.a-very-long-name.a-very-long-name",
];

/// One round over all addresses and names, each address on a connection of its own.
fn answers(httpd: &Httpd) -> Vec<(usize, &'static str, u16, Vec<usize>)> {
    let [port, other] = httpd.ports() else { panic!("two ports") };
    let mut answers = Vec::new();
    for (at, address) in addresses(httpd).into_iter().enumerate() {
        let mut connection = Raw::connect_to(address);
        for name in NAMES {
            let host = name.replace("{port}", &port.to_string()).replace("{other}", &other.to_string());
            connection.send_get(&host, "/page.html");
            let RawResponse { head, body } = connection.receive();
            if head.contains("Connection: close") {
                connection = Raw::connect_to(address);
            }
            let status = RawResponse { head, body: String::new() }.status();
            answers.push((at, name, status, page::tokens(&body)));
        }
    }
    answers
}

fn docroots_are_never_exchanged(mpm: Mpm) {
    let site = site();
    let expected = answers(&Httpd::start_without_module(&site, mpm, &config()));
    let shown = |at: usize, name: &str| {
        let found = expected.iter().find(|(found_at, found_name, ..)| (*found_at, *found_name) == (at, name));
        found.map(|(.., releases)| releases.as_slice())
    };
    assert_eq!(shown(0, "one.test"), Some([1].as_slice()));
    assert_eq!(shown(0, "two.test"), Some([2].as_slice()));
    assert_eq!(shown(1, "one.test"), Some([3].as_slice()));
    assert_eq!(shown(2, "one.test"), Some([4].as_slice()));

    let httpd = Httpd::start(&site, mpm, &config());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(answers(&httpd), expected);
                }
            });
        }
    });
}

const CONNECTIONS: usize = 4;
const PIPELINED: usize = 50;

/// How many names are more than any table should hold.
pub const DISTINCT: usize = 100_000;

/// Sends that many distinct host names over a few connections, and checks that the default host answers them all.
fn send_names(httpd: &Httpd, prefix: &str, count: usize) {
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut raw = Raw::connect(httpd.port());
                let own: Vec<usize> = (0..count).filter(|number| number % CONNECTIONS == connection).collect();
                for batch in own.chunks(PIPELINED) {
                    let mut requests = String::new();
                    for number in batch {
                        write!(requests, "GET /page.html HTTP/1.1\r\nHost: {prefix}-{number}.test\r\n\r\n")
                            .expect("a String takes all");
                    }
                    raw.send(&requests);
                    for _ in batch {
                        let response = raw.receive();
                        assert_eq!((response.status(), page::tokens(&response.body)), (200, vec![1]));
                    }
                }
            });
        }
    });
}

fn names_take_no_memory(mpm: Mpm) {
    const GROWTH: u64 = 2 * 1024 * 1024;
    let site = site();
    let httpd = Httpd::start(&site, mpm, &config().children(children(mpm), 16));
    let memory = || httpd.all_children(children(mpm)).into_iter().map(|pid| (pid, private_memory(pid).unwrap_or(0)));
    send_names(&httpd, "warm-up", 2_000);
    let before: Vec<(u32, u64)> = memory().collect();
    send_names(&httpd, "name", DISTINCT);
    let after: Vec<(u32, u64)> = memory().collect();
    println!("{DISTINCT} names: {before:?} to {after:?}");
    for ((pid, before), (after_pid, after)) in before.iter().zip(&after) {
        assert_eq!(pid, after_pid, "the children are the same");
        assert!(after.saturating_sub(*before) < GROWTH, "child {pid} grew from {before} to {after}");
    }
}

on_each_mpm!(forged_hosts, docroots_are_never_exchanged);
on_each_mpm!(many_host_names, names_take_no_memory);
