//! How soon a flip is seen: at once by default, within the window of `RealpathEvery` otherwise.
//!
//! Owns: what requests after one flip show. Must not: flip all the time (see `ssi` and others).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use harness::raw::Raw;
use harness::{Client, Config, Httpd, Mpm, Site, on_each_mpm, page, readiness};

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 80;

fn site(releases: usize) -> Site {
    Site::with_releases(releases, |release| release.plain_page("page.html"))
}

fn config(directives: &str) -> Config {
    Config::new("DocumentRoot \"${ROOT}/current\"").text(directives)
}

/// The release that a request shows, or how it failed.
fn shown(client: &Client) -> Result<usize, String> {
    let response = client.get("/page.html").map_err(|error| format!("{error:#}"))?;
    match page::tokens(&response.body).first() {
        Some(release) if response.status == 200 => Ok(*release),
        _ => Err(format!("status {}", response.status)),
    }
}

fn release_of(client: &Client) -> usize {
    shown(client).expect("a release")
}

/// Clients with open connections that several children serve.
fn connected(httpd: &Httpd) -> Vec<Client> {
    let mut clients = httpd.connect_to_children(2, "/page.html");
    // The last one is of the second child; of the first there may be many.
    let spare = clients.len().saturating_sub(CONNECTIONS);
    clients.drain(..spare);
    while clients.len() < CONNECTIONS {
        clients.push(httpd.client());
    }
    clients
}

fn at_once(mpm: Mpm) {
    const RELEASES: usize = 4;
    let site = site(RELEASES);
    let httpd = Httpd::start(&site, mpm, &config(""));
    let clients = connected(&httpd);
    let (begin, end) = (Barrier::new(CONNECTIONS + 1), Barrier::new(CONNECTIONS + 1));
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for client in &clients {
            let (begin, end, wrong) = (&begin, &end, &wrong);
            scope.spawn(move || {
                for round in 1..=ROUNDS {
                    begin.wait();
                    // No panic here: the others wait at the barrier.
                    let shown = shown(client);
                    if shown != Ok(round % RELEASES) {
                        wrong.lock().expect("no panic while locked").push((round, shown));
                    }
                    end.wait();
                }
            });
        }
        for round in 1..=ROUNDS {
            site.flip(round % RELEASES);
            begin.wait();
            end.wait();
        }
    });
    let wrong = wrong.into_inner().expect("no panic while locked");
    let (count, of) = (wrong.len(), ROUNDS * CONNECTIONS);
    assert!(wrong.is_empty(), "{count} of {of} requests right after a flip to release round % {RELEASES}: {wrong:?}");
}

/// Asks all the time on all connections, flips once when every process has looked, and checks that the old release is
/// seen for a while but not longer than `window` after the flip.
fn within_window(mpm: Mpm, directive: &str, window: Duration) {
    let site = site(2);
    let httpd = Httpd::start(&site, mpm, &config(directive));
    let clients = connected(&httpd);
    let flipped: OnceLock<Instant> = OnceLock::new();
    let (asked, old_in_window, latest_old) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(None));
    thread::scope(|scope| {
        for client in &clients {
            let (flipped, asked, old_in_window, latest_old) = (&flipped, &asked, &old_in_window, &latest_old);
            scope.spawn(move || {
                loop {
                    let after_flip = flipped.get().map(Instant::elapsed);
                    let release = release_of(client);
                    asked.fetch_add(1, Ordering::Relaxed);
                    let Some(age) = after_flip else { continue };
                    if release == 0 {
                        old_in_window.fetch_add(1, Ordering::Relaxed);
                        let mut latest = latest_old.lock().expect("no panic while locked");
                        *latest = (*latest).max(Some(age));
                    }
                    if age > window + Duration::from_millis(300) {
                        return;
                    }
                }
            });
        }
        assert!(readiness::becomes_true(Duration::from_secs(5), || asked.load(Ordering::Relaxed) > 200));
        site.flip(1);
        flipped.set(Instant::now()).expect("one flip");
    });
    let latest = latest_old.into_inner().expect("no panic while locked");
    println!("{asked:?} requests, {old_in_window:?} old after the flip, the last of them after {latest:?}");
    assert!(latest.is_some(), "no old release after the flip: the window is not used, the test proves nothing");
    assert!(latest <= Some(window), "the old release {latest:?} after the flip");
}

fn window_of_two_seconds(mpm: Mpm) {
    within_window(mpm, "<IfModule mod_realdoc.c>\nRealpathEvery 2\n</IfModule>", Duration::from_secs(2));
}

fn window_of_half_a_second(mpm: Mpm) {
    within_window(mpm, "RealpathEvery 500ms", Duration::from_millis(500));
}

/// A header that began before the flip and was complete after it.
fn header_completed_after_the_flip(mpm: Mpm, directive: &str, window: Duration) {
    let site = site(2);
    let httpd = Httpd::start(&site, mpm, &config(directive));
    // This connection's child has looked just now, ...
    let mut slow = Raw::connect(httpd.port());
    slow.send_get("localhost", "/page.html");
    assert_eq!(page::tokens(&slow.receive().body), [0]);
    // ... gets a request that begins within the window of that look, ...
    slow.send("GET /page.html HTTP/1.1\r\nHost: loc");
    let other = httpd.client();
    release_of(&other);
    site.flip(1);
    let flipped = Instant::now();
    let over =
        readiness::becomes_true(Duration::from_secs(10), || flipped.elapsed() > window && release_of(&other) == 1);
    assert!(over, "another connection never sees the new release");
    // ... and sees the rest of it when the window is over.
    slow.send("alhost\r\n\r\n");
    assert_eq!(page::tokens(&slow.receive().body), [1]);
}

fn slow_header(mpm: Mpm) {
    header_completed_after_the_flip(mpm, "", Duration::ZERO);
}

fn slow_header_within_window(mpm: Mpm) {
    header_completed_after_the_flip(mpm, "RealpathEvery 500ms", Duration::from_millis(500));
}

on_each_mpm!(fresh_at_once, at_once);
on_each_mpm!(fresh_after_two_seconds, window_of_two_seconds);
on_each_mpm!(fresh_after_half_a_second, window_of_half_a_second);
on_each_mpm!(slow_client, slow_header);
on_each_mpm!(slow_client_with_window, slow_header_within_window);
