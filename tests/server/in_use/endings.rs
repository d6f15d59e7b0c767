//! Requests that end late, badly, or not at all.
//!
//! Owns: that a request counts up to its last byte, and not a moment longer when its process or its client dies.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::page::END;
use harness::raw::Raw;
use harness::{Client, Config, Httpd, Mpm, Protocol, Release, Site, on_each_mpm, readiness};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Deployed, assert_all_end, drain_and_remove, running};

const LARGE: usize = 64 << 20;
const HALF: usize = LARGE / 2;
const WITHIN: Duration = Duration::from_secs(20);

/// A large file, and a script that shows a file of its release at its end.
fn fill(release: &Release) {
    release.plain_page("public/page.html");
    let large = File::create(release.directory().join("public/large")).expect("a file");
    large.set_len(LARGE as u64).expect("a large file");
    release.write("part.html", &format!("{}{END}", release.token()));
    let script = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nbegun\\n'\nsleep 2\ncat ../part.html\n";
    release.write_script("cgi/slow", script);
    release.write_script(
        "cgi/short",
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nsleep 0.05\ncat ../part.html\n",
    );
}

fn deployed() -> Deployed<fn(&Release)> {
    Deployed::new(fill, &["current"])
}

fn server(site: &Site, mpm: Mpm) -> Httpd {
    let text = "DocumentRoot \"${ROOT}/current/public\"\nScriptAlias \"/cgi\" \"${ROOT}/current/cgi\"";
    Httpd::start(site, mpm, &Config::new(text).modules(&["alias", mpm.cgi_module()]))
}

/// A client that has received half of a large file.
fn half_read(httpd: &Httpd) -> Raw {
    let mut connection = Raw::connect(httpd.port());
    connection.send("GET /large HTTP/1.0\r\n\r\n");
    let _ = connection.receive_bytes(HALF);
    connection
}

fn finish(connection: Raw) {
    // What is sent may be shorter by the header that was read before.
    let rest = connection.everything();
    assert!(rest.len() >= HALF, "{} bytes are left", rest.len());
}

fn assert_running(httpd: &Httpd, release: &std::path::Path, count: u64) {
    let is_so = || running(httpd, release) == count;
    assert!(readiness::becomes_true(WITHIN, is_so), "{} run, not {count}", running(httpd, release));
}

/// A script that goes on for two seconds finds its files, and a release is drained no sooner.
fn slow_script(mpm: Mpm) {
    let mut deployed = deployed();
    let httpd = server(&deployed.site, mpm);
    let client = httpd.client();
    let script = thread::spawn(move || client.get("/cgi/slow").expect("a response"));
    let release = deployed.release();
    assert_running(&httpd, &release, 1);
    let before = deployed.deploy();
    drain_and_remove(&[&httpd], &before);
    let response = script.join().expect("no panic");
    assert!(response.status == 200 && response.body.contains(END), "{response:?}");
    assert_all_end(&httpd);
}

/// A client reads slowly, and httpd is restarted gracefully meanwhile: the old generation still counts.
fn half_read_download(mpm: Mpm) {
    let mut deployed = deployed();
    let httpd = server(&deployed.site, mpm);
    let connection = half_read(&httpd);
    let before = deployed.deploy();
    assert_running(&httpd, &before, 1);
    httpd.graceful_restart();
    assert_eq!(httpd.client().get("/page.html").expect("a response").status, 200);
    assert_running(&httpd, &before, 1);
    thread::scope(|scope| {
        let drain = scope.spawn(|| drain_and_remove(&[&httpd], &before));
        assert!(!drain.is_finished());
        finish(connection);
        drain.join().expect("it is free then");
    });
}

/// A child that is killed counts no more, and the others go on.
fn killed_child(mpm: Mpm) {
    let mut deployed = deployed();
    let httpd = server(&deployed.site, mpm);
    // A child, and the daemon for scripts, which is one too.
    for error in ["AH00051", "AH00052", "AH01239"] {
        httpd.expect_error(error);
    }
    let connection = half_read(&httpd);
    let before = deployed.deploy();
    assert_running(&httpd, &before, 1);
    for child in httpd.children() {
        kill(Pid::from_raw(child as i32), Signal::SIGKILL).expect("a child");
    }
    assert_running(&httpd, &before, 0);
    drain_and_remove(&[&httpd], &before);
    drop(connection);
    assert!(readiness::becomes_true(WITHIN, || httpd.client().get("/page.html").is_ok_and(|it| it.status == 200)));
}

/// Two servers have files of their own; a release is free when both say so.
fn two_servers(mpm: Mpm) {
    let mut deployed = deployed();
    let (one, other) = (server(&deployed.site, mpm), server(&deployed.site, mpm));
    let connection = half_read(&other);
    let before = deployed.deploy();
    assert_running(&one, &before, 0);
    assert_running(&other, &before, 1);
    thread::scope(|scope| {
        let drain = scope.spawn(|| drain_and_remove(&[&one, &other], &before));
        finish(connection);
        drain.join().expect("it is free then");
    });
}

/// Clients that leave while httpd is starting a script, or while the script runs: no counter is off by one.
fn clients_that_leave(mpm: Mpm) {
    let seconds = std::env::var("REALDOC_ABORTS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let deployed = deployed();
    let httpd = server(&deployed.site, mpm);
    httpd.expect_error("");
    let (begun, sent) = (Instant::now(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..4_u64 {
            let (httpd, sent) = (&httpd, &sent);
            scope.spawn(move || {
                for number in 0_u64.. {
                    if begun.elapsed() > Duration::from_secs(seconds) {
                        break;
                    }
                    let mut connection = Raw::connect(httpd.port());
                    connection.send_get("localhost", if number % 4 == 0 { "/large" } else { "/cgi/short" });
                    thread::sleep(Duration::from_micros((number * 7 + client * 1300) % 6000));
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let counted = assert_all_end(&httpd);
    let total: u64 = counted.releases.iter().map(|usage| usage.total).sum();
    println!("{mpm:?}: {sent:?} clients left, {total} requests counted");
    assert!(total > 0, "{counted:?}");
}

/// Requests that httpd gives up before it has a file: errors of the header, `OPTIONS *`, and what is not HTTP.
fn odd_requests(mpm: Mpm) {
    let deployed = deployed();
    let httpd = server(&deployed.site, mpm);
    httpd.expect_error("Invalid method in request BREW");
    for request in [
        "GET /page.html HTTP/1.1\r\n\r\n",
        "GET /page.html HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET ftp://localhost/page.html HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "OPTIONS * HTTP/1.0\r\n\r\n",
        "TRACE / HTTP/1.0\r\n\r\n",
        "BREW /page.html HTTP/1.0\r\n\r\n",
        "POST /page.html HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
        "GET /page.html HTTP/1.1\r\nHost: localhost\r\nExpect: nothing\r\n\r\n",
        "GET /page.html HTTP/1.1\r\nHost: local",
        "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\nGET /page.html HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\r\n\r\n",
    ] {
        let mut connection = Raw::connect(httpd.port());
        connection.try_send(request.as_bytes());
        drop(connection.everything());
    }
    let counted = assert_all_end(&httpd);
    assert!(counted.releases.iter().any(|usage| usage.total > 0), "{counted:?}");
}

/// Subrequests of a module that writes logs, when the request has ended: they are pinned as it was, and none of them counts
/// for ever.
fn subrequests_of_a_log(mpm: Mpm) {
    let mut deployed = Deployed::new(fill as fn(&Release), &["current", "hosts/127.0.0.1/current"]);
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current/public"
        <VirtualHost *:${PORT_2}>
            VirtualDocumentRoot "${ROOT}/hosts/%0/current/public"
        </VirtualHost>
        CustomLog "${ROOT}/accesses" "%U" "expr=-U '/page.html'"
        "#,
    );
    let httpd = Httpd::start(&deployed.site, mpm, &config.modules(&["vhost_alias", "log_config"]).more_ports(1));
    let computed = Client::new(&format!("http://127.0.0.1:{}", httpd.ports()[1]), Protocol::Http1);
    for _ in 0..3 {
        for client in [&httpd.client(), &computed] {
            assert_eq!(client.get("/page.html").expect("a response").status, 200);
        }
    }
    let before = deployed.deploy();
    drain_and_remove(&[&httpd], &before);
    assert_all_end(&httpd);
    let accesses = std::fs::read_to_string(deployed.site.root().join("accesses")).expect("a log");
    assert!(accesses.contains("/page.html"), "the subrequests ran: {accesses:?}");
}

on_each_mpm!(a_slow_script, slow_script);
on_each_mpm!(a_half_read_download, half_read_download, worker, event);
on_each_mpm!(a_killed_child, killed_child);
on_each_mpm!(two_servers_of_one_release, two_servers, event);
on_each_mpm!(clients_leave, clients_that_leave);
on_each_mpm!(odd_requests_end, odd_requests);
on_each_mpm!(subrequests_of_logs, subrequests_of_a_log, prefork, event);
