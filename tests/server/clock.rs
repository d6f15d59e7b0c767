//! Clocks that step back an hour.
//!
//! Owns: how soon a flip is seen after such a step. Must not: test the windows themselves (see `freshness`).

use std::time::{Duration, Instant};

use harness::shim::Clocks;
use harness::{Client, Config, Httpd, Mpm, Protocol, Site, on_each_mpm, page};

const WINDOW: Duration = Duration::from_secs(2);
const DAY: i64 = 24 * 60 * 60;

/// One port that looks every two seconds, and one that looks each time, at a docroot behind two links.
const TEXT: &str = r#"
    DocumentRoot "${ROOT}/current"
    RealpathEvery 2
    <VirtualHost 127.0.0.1:${PORT_2}>
        ServerName localhost
        DocumentRoot "${ROOT}/www/current"
        RealpathEvery 0
    </VirtualHost>
"#;

fn site() -> Site {
    let site = Site::with_releases(3, |release| release.plain_page("page.html"));
    site.symlink("www", "data");
    site.symlink("data/current", "../releases/0");
    site
}

fn flip(site: &Site, number: usize) {
    site.flip(number);
    site.flip_link("data/current", format!("../releases/{number}"));
}

/// The release that is shown, and the time of day by the server's clock.
fn shown(client: &Client) -> (usize, i64) {
    let response = client.get("/page.html").expect("a response");
    let date = response.header("Date");
    let time = date.split(' ').nth(4).unwrap_or_else(|| panic!("date {date:?}"));
    let time = time.split(':').fold(0, |sum, part| 60 * sum + part.parse::<i64>().expect("a number"));
    let [release] = page::tokens(&response.body)[..] else { panic!("{response:?}") };
    (release, time)
}

/// Asks until the new release is shown, and asserts that no request is answered from the old one that was sent later
/// than a window after the flip.
fn assert_seen_within_window(client: &Client, number: usize) {
    let flipped = Instant::now();
    loop {
        let sent = flipped.elapsed();
        if shown(client).0 == number {
            return;
        }
        assert!(sent <= WINDOW, "the old release {sent:?} after the flip");
    }
}

fn steps_back(mpm: Mpm, clocks: impl Fn(&Site) -> Clocks, ends_windows: bool) {
    let site = site();
    let clocks = clocks(&site);
    let httpd = Httpd::start(&site, mpm, &clocks.of(Config::new(TEXT).more_ports(1)));
    let client = |port: u16| Client::new(&format!("http://127.0.0.1:{port}"), Protocol::Http1);
    let [window, at_once] = httpd.ports() else { panic!("two ports") };
    let (window, at_once) = (client(*window), client(*at_once));
    let (_, before) = shown(&at_once);
    // A window begins, and an hour is taken from it.
    assert_eq!(shown(&window).0, 0);
    clocks.step_back();
    let (_, after) = shown(&at_once);
    let step = (before - after).rem_euclid(DAY);
    assert!((3_500..=3_600).contains(&step), "the server's clock stepped back by {step} s");
    flip(&site, 1);
    assert_eq!(shown(&at_once).0, 1, "at once");
    if ends_windows {
        assert_eq!(shown(&window).0, 1, "the step ends the window");
    } else {
        assert_seen_within_window(&window, 1);
    }
    flip(&site, 2);
    assert_eq!(shown(&at_once).0, 2, "at once, later");
    assert_seen_within_window(&window, 2);
}

fn wall_clock(mpm: Mpm) {
    steps_back(mpm, Clocks::wall, false);
}

fn all_clocks(mpm: Mpm) {
    steps_back(mpm, Clocks::all, true);
}

on_each_mpm!(wall_clock_back, wall_clock);
on_each_mpm!(all_clocks_back, all_clocks, prefork, event);
