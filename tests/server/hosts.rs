//! Virtual hosts: each answers from its own docroot, whatever name the client sends.
//!
//! Owns: the choice between docroots. Must not: test names that httpd itself maps to directories.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use harness::raw::{Raw, RawResponse};
use harness::{Config, Httpd, Memory, Mpm, Site, host_names, on_each_mpm, page};

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

/// How many names are more than any table should hold.
pub const DISTINCT: usize = 100_000;

fn names_take_no_memory(mpm: Mpm) {
    let site = site();
    let children = mpm.fewest_children();
    let httpd = Httpd::start(&site, mpm, &config().children(children, 16));
    // The default host answers them all.
    let send_names = |prefix: &str, count| {
        let name = |number| format!("{prefix}-{number}.test");
        host_names::ask_each(httpd.port(), "/page.html", count, name, |response| {
            assert_eq!((response.status(), page::tokens(&response.body)), (200, vec![1]));
        });
    };
    send_names("warm-up", 2_000);
    let before = Memory::of_children(&httpd, children);
    send_names("name", DISTINCT);
    let after = Memory::of_children(&httpd, children);
    println!("{DISTINCT} names: {before:?} to {after:?}");
    after.assert_flat_since(&before);
}

on_each_mpm!(forged_hosts, docroots_are_never_exchanged);
on_each_mpm!(many_host_names, names_take_no_memory);
