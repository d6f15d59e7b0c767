//! What happens while a docroot does not resolve: the last good release, the log, and httpd's own answer.
//!
//! Owns: links that are gone or lead nowhere, and deploys that are not atomic. Must not: test what is never at fault.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use harness::error_log::{lines_of, pid};
use harness::raw::Raw;
use harness::{Client, Config, FlipMode, Flipper, Httpd, Load, Mpm, Protocol, Site, on_each_mpm, page, readiness};

use crate::ssi;

fn site() -> Site {
    Site::with_releases(2, |release| release.plain_page("page.html"))
}

/// The docroot with the module at the first port, and as without it at the second.
fn config() -> Config {
    Config::new(
        r#"
        DocumentRoot "${ROOT}/current"
        <VirtualHost 127.0.0.1:${PORT_2}>
            ServerName localhost
            DocumentRoot "${ROOT}/current"
            <IfModule mod_realdoc.c>
                Realdoc Off
            </IfModule>
        </VirtualHost>
        "#,
    )
    .more_ports(1)
}

/// How many lines of the module each process has logged at a level.
fn lines_by_process(httpd: &Httpd, level: &str) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    let log = httpd.error_log();
    for line in lines_of(&log, &format!("realdoc:{level}")) {
        *counts.entry(pid(line).expect("a process id")).or_default() += 1;
    }
    counts
}

fn remove_then_link(mpm: Mpm) {
    let site = ssi::site("public");
    let httpd = Httpd::start(&site, mpm, &ssi::config("current/public"));
    httpd.expect_error("[realdoc:error]");
    // A child that had not looked yet would have no last good release.
    drop(httpd.connect_to_children(mpm.usual_children().start, "/page.shtml"));
    let flipper = Flipper::start(&site, FlipMode::RemoveThenLink);
    let tally = Load::new(&ssi::pages()).run(&httpd.url(""), &flipper);
    // Not always fresh: a request that finds no link gets the last good release that its process knows of, which need
    // not be the last there was.
    tally.assert_whole();
    let lines = lines_by_process(&httpd, "error");
    // At first sight one line; a reminder is due only after ten seconds.
    assert!(lines.values().all(|count| *count == 1), "more than one line a process: {lines:?}");
}

fn link_removed(mpm: Mpm) {
    let site = site();
    let httpd = Httpd::start(&site, mpm, &config());
    httpd.expect_error("[realdoc:error]");
    let clients: Vec<Client> = (0..8).map(|_| httpd.client()).collect();
    let ask = |client: &Client| {
        let response = client.get("/page.html").expect("a response");
        (response.status, page::tokens(&response.body))
    };
    for client in &clients {
        assert_eq!(ask(client), (200, vec![0]));
    }

    fs::remove_file(site.link()).expect("removing the link");
    for request in 0..400 {
        assert_eq!(ask(&clients[request % clients.len()]), (200, vec![0]), "request {request} without a link");
    }
    let errors = lines_by_process(&httpd, "error");
    assert!(!errors.is_empty() && errors.values().all(|count| *count == 1), "error lines by process: {errors:?}");
    let log = httpd.error_log();
    for line in lines_of(&log, "realdoc:error") {
        assert!(line.contains(&site.link().display().to_string()) && line.contains("No such file"), "{line}");
    }

    site.flip(1);
    for request in 0..400 {
        assert_eq!(ask(&clients[request % clients.len()]), (200, vec![1]), "request {request} with a link again");
    }
    let all_said =
        readiness::becomes_true(Duration::from_secs(2), || lines_by_process(&httpd, "notice").len() == errors.len());
    let notices = lines_by_process(&httpd, "notice");
    assert!(
        all_said && notices.values().all(|count| *count == 1),
        "notices by process: {notices:?}, errors {errors:?}"
    );
    assert_eq!(lines_by_process(&httpd, "error"), errors, "no further error line");
}

/// Makes the link bad before any process has looked at it (httpd itself insists on a directory when it starts), and
/// asserts that the module then changes nothing, says why, and recovers.
fn never_good(mpm: Mpm, text: &str, cause: &str) {
    let site = site();
    site.write("file", "");
    let httpd = Httpd::start(&site, mpm, &config());
    httpd.expect_error("[realdoc:error]");
    httpd.expect_error("[core:error]");
    fs::remove_file(site.link()).expect("removing the link");
    site.symlink("current", text);

    let (with, without) = clients(&httpd);
    for path in ["/page.html", "/", "/absent"] {
        let [with, without] = answers([&with, &without], path);
        assert_eq!(with, without, "{path}");
        assert!(with.0 >= 400, "{path}: {with:?}");
    }
    let log = httpd.error_log();
    let lines = lines_of(&log, "realdoc:error");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains(&site.link().display().to_string()) && lines[0].contains(cause), "{}", lines[0]);

    site.flip(0);
    let [with, without] = answers([&with, &without], "/page.html");
    assert_eq!((with.0, without.0), (200, 200), "once the link is good");
}

/// Clients of the docroot with the module and without it.
fn clients(httpd: &Httpd) -> (Client, Client) {
    let [with, without] = httpd.ports() else { panic!("two ports") };
    let client = |port| Client::new(&format!("http://127.0.0.1:{port}"), Protocol::Http1);
    (client(with), client(without))
}

fn answers(clients: [&Client; 2], path: &str) -> [(u16, String); 2] {
    clients.map(|client| {
        let response = client.get(path).expect("a response");
        (response.status, response.body)
    })
}

fn link_dangles(mpm: Mpm) {
    never_good(mpm, "releases/absent", "No such file");
}

fn link_loops(mpm: Mpm) {
    never_good(mpm, "current", "symbolic links");
}

fn link_to_a_file(mpm: Mpm) {
    never_good(mpm, "file", "Not a directory");
}

fn last_good_release_deleted(mpm: Mpm) {
    let site = site();
    let httpd = Httpd::start(&site, mpm, &config());
    httpd.expect_error("[realdoc:error]");
    httpd.expect_error("[core:error]");
    let (with, without) = clients(&httpd);
    assert_eq!(with.get("/page.html").expect("a response").status, 200);
    fs::remove_file(site.link()).expect("removing the link");
    assert_eq!(with.get("/page.html").expect("a response").status, 200, "from the last good release");
    fs::remove_dir_all(site.release_directory(0)).expect("removing the release");
    for path in ["/page.html", "/"] {
        let [with, without] = answers([&with, &without], path);
        assert_eq!(with, without, "{path}");
    }
    site.flip(1);
    let response = with.get("/page.html").expect("a response");
    assert_eq!((response.status, page::tokens(&response.body)), (200, vec![1]), "after the next deploy");
}

/// A failure is told of by a request that has use for the docroot, whoever looked first; and by none that has not.
fn told_where_it_matters(mpm: Mpm) {
    let site = site();
    site.write("elsewhere/page.html", "elsewhere");
    let text = "Alias /elsewhere \"${ROOT}/elsewhere\"\nAlias /also \"${ROOT}/current\"\n";
    for path in ["/page.html", "/also/page.html"] {
        site.flip(0);
        let httpd = Httpd::start(&site, mpm, &config().text(text).modules(&["alias"]));
        httpd.expect_error("[realdoc:error]");
        let mut connection = Raw::connect(httpd.port());
        let mut ask = |request: &str| {
            connection.send(format!("{request} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            connection.receive().status()
        };
        assert_eq!(ask("GET /page.html"), 200);
        fs::remove_file(site.link()).expect("removing the link");
        for _ in 0..3 {
            assert_eq!(ask("OPTIONS *"), 200);
            assert_eq!(ask("GET /elsewhere/page.html"), 200);
        }
        assert!(lines_by_process(&httpd, "error").is_empty(), "{}", httpd.error_log());
        for _ in 0..3 {
            assert_eq!(ask(&format!("GET {path}")), 200, "from the last good release");
            assert_eq!(ask("OPTIONS *"), 200);
        }
        let log = httpd.error_log();
        assert_eq!(lines_of(&log, "realdoc:error").len(), 1, "{path}: {log}");
    }
}

on_each_mpm!(told, told_where_it_matters, prefork, event);
on_each_mpm!(rm_then_ln, remove_then_link);
on_each_mpm!(removed, link_removed);
on_each_mpm!(dangling, link_dangles);
on_each_mpm!(loops, link_loops);
on_each_mpm!(leads_to_a_file, link_to_a_file);
on_each_mpm!(last_good_deleted, last_good_release_deleted);

#[test]
fn another_cause_is_another_line() {
    let site = site();
    let httpd = Httpd::start(&site, Mpm::Event, &config().children(1, 8));
    httpd.expect_error("[realdoc:error]");
    let client = httpd.client();
    let ask = || {
        for _ in 0..20 {
            assert_eq!(client.get("/page.html").expect("a response").status, 200);
        }
    };
    ask();
    fs::remove_file(site.link()).expect("removing the link");
    ask();
    site.write("file", "");
    site.symlink("current", "file");
    ask();
    let log = httpd.error_log();
    let lines = lines_of(&log, "realdoc:error");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].contains("No such file") && lines[1].contains("Not a directory"), "{lines:#?}");
}
