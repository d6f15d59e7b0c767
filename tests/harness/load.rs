//! Load on a site that flips, and the count of what came back.
//!
//! Owns: concurrency, bounds, and what a run must have seen to prove anything. Must not: know how the site is served.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Protocol};
use crate::flipper::{Flipper, Moment, is_fresh};
use crate::page::{Page, Verdict};
use crate::readiness;

/// How many connections (h2c: concurrent streams on one connection) a load has.
pub const CONNECTIONS: usize = 8;

/// Counts of one load, and the first few things that were wrong.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests that were answered or failed.
    pub requests: u64,
    /// Requests during which a flip began or returned.
    pub overlapped: u64,
    /// Flips during the load.
    pub flips: u64,
    /// Responses with pieces of several releases.
    pub mixed: u64,
    /// Responses that were an error, incomplete, or none.
    pub failed: u64,
    /// Whole responses of a release that was already gone when the request was sent.
    pub stale: u64,
    /// The releases that whole responses came from.
    pub releases: BTreeSet<usize>,
    /// What was wrong, with examples.
    pub examples: Vec<String>,
}

const EXAMPLES: usize = 5;

/// A load to run: pages in turn, on some connections, up to certain bounds.
#[derive(Clone, Debug)]
pub struct Load {
    pages: Vec<Page>,
    protocol: Protocol,
    lasts: Duration,
    least_requests: u64,
    ends_after: Duration,
}

impl Load {
    /// Asks for these pages in turn for a short while.
    #[must_use]
    pub fn new(pages: &[Page]) -> Self {
        Self {
            pages: pages.to_vec(),
            protocol: Protocol::Http1,
            lasts: Duration::from_millis(1500),
            least_requests: 200,
            ends_after: Duration::from_secs(20),
        }
    }

    /// Speaks something else than HTTP/1.1 with keep-alive.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Lasts that long, instead of the usual one and a half seconds.
    #[must_use]
    pub fn lasts(mut self, time: Duration) -> Self {
        self.lasts = time;
        self
    }

    /// Ends after so many requests at the earliest, and after this time at the latest.
    #[must_use]
    pub fn bounds(mut self, least_requests: u64, ends_after: Duration) -> Self {
        self.least_requests = least_requests;
        self.ends_after = ends_after;
        self
    }

    /// Runs on the server at `base`.
    #[must_use]
    pub fn run(&self, base: &str, flipper: &Flipper) -> Tally {
        self.run_while(base, flipper, |_, _| {})
    }

    /// Runs on the server at `base`; `meanwhile` is called again and again with the time since the start and the
    /// number of requests so far.
    pub fn run_while(&self, base: &str, flipper: &Flipper, mut meanwhile: impl FnMut(Duration, u64)) -> Tally {
        self.run_until(base, flipper, |time, requests| {
            meanwhile(time, requests);
            true
        })
    }

    /// The same, but it does not end before `meanwhile` says that it is done.
    pub fn run_until(&self, base: &str, flipper: &Flipper, mut meanwhile: impl FnMut(Duration, u64) -> bool) -> Tally {
        let total = Mutex::new(Tally::default());
        let requests = AtomicU64::new(0);
        let stop = AtomicBool::new(false);
        let before = flipper.now();
        let start = Instant::now();
        let shared = (self.protocol == Protocol::H2c).then(|| Client::new(base, self.protocol));
        let stop = &stop;
        thread::scope(|scope| {
            for connection in 0..CONNECTIONS {
                let (total, requests, shared) = (&total, &requests, &shared);
                scope.spawn(move || {
                    let client = shared.clone().unwrap_or_else(|| Client::new(base, self.protocol));
                    let mut tally = Tally::default();
                    for page in self.pages.iter().cycle().skip(connection) {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let sent = flipper.now();
                        let response = client.get(&page.path);
                        let received = flipper.now();
                        let verdict = match response {
                            Ok(response) => page.judge(response.status, &response.body),
                            Err(error) => Verdict::Failed(format!("{}: {error:#}", page.path)),
                        };
                        tally.count(page, verdict, sent, received, flipper.releases());
                        requests.fetch_add(1, Ordering::Relaxed);
                    }
                    total.lock().unwrap_or_else(PoisonError::into_inner).add(tally);
                });
            }
            // A panic in `meanwhile` must end the load too.
            let _stops = StopsAtDrop(stop);
            readiness::becomes_true(self.ends_after, || {
                let (time, requests) = (start.elapsed(), requests.load(Ordering::Relaxed));
                let done = meanwhile(time, requests);
                done && time >= self.lasts && requests >= self.least_requests
            });
        });
        let mut tally = total.into_inner().unwrap_or_else(PoisonError::into_inner);
        tally.flips = flipper.now().returned - before.returned;
        tally
    }
}

struct StopsAtDrop<'a>(&'a AtomicBool);

impl Drop for StopsAtDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Tally {
    fn count(&mut self, page: &Page, verdict: Verdict, sent: Moment, received: Moment, releases: usize) {
        self.requests += 1;
        if sent.returned < received.begun {
            self.overlapped += 1;
        }
        match verdict {
            Verdict::Whole(release) => {
                self.releases.insert(release);
                if !is_fresh(release, sent, received, releases) {
                    self.stale += 1;
                    self.example(format!("{}: stale: release {release}, {sent:?} to {received:?}", page.path));
                }
            }
            Verdict::Mixed(found) => {
                self.mixed += 1;
                self.example(format!("{}: mixed: releases {found:?}", page.path));
            }
            Verdict::Failed(reason) => {
                self.failed += 1;
                self.example(reason);
            }
        }
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text);
        }
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.overlapped += other.overlapped;
        self.mixed += other.mixed;
        self.failed += other.failed;
        self.stale += other.stale;
        self.releases.extend(other.releases);
        for example in other.examples {
            self.example(example);
        }
    }

    /// What the run lacks to prove anything, if it lacks something.
    #[must_use]
    pub fn proves_nothing(&self) -> Option<String> {
        let lack = if self.requests == 0 {
            "no request"
        } else if self.flips == 0 {
            "no flip"
        } else if self.overlapped == 0 {
            "no request overlapped a flip"
        } else if self.releases.len() < 3 && self.mixed == 0 {
            "fewer than three releases were seen"
        } else {
            return None;
        };
        Some(format!("the run proves nothing, {lack}: {self}"))
    }

    /// Asserts that every response was whole and that the run proves it.
    ///
    /// # Panics
    /// If not.
    pub fn assert_whole(&self) {
        println!("{self}");
        assert!(self.mixed == 0 && self.failed == 0, "{self}\n{}", self.examples.join("\n"));
        assert_eq!(self.proves_nothing(), None);
    }

    /// Asserts that every response was whole and of a release that was current during its request.
    ///
    /// # Panics
    /// If not.
    pub fn assert_whole_and_fresh(&self) {
        self.assert_whole();
        assert!(self.stale == 0, "{self}\n{}", self.examples.join("\n"));
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} requests, {} flips, {} overlapped, {} releases seen: {} mixed, {} failed, {} stale",
            self.requests,
            self.flips,
            self.overlapped,
            self.releases.len(),
            self.mixed,
            self.failed,
            self.stale
        )
    }
}
