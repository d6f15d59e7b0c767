//! Visitors of many hosts at once, while somebody does something to these hosts.
//!
//! Owns: concurrency, and the record of every response. Must not: know what is done meanwhile, or what it should show.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::client::{Client, Protocol};
use crate::load::CONNECTIONS;
use crate::page::{Page, Verdict};
use crate::readiness;

const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// What files' times are coarse by: the longest tick that Linux has.
const TICK: Duration = Duration::from_millis(10);

const EXAMPLES: usize = 5;

/// A crowd on its way: half of it visits all hosts in turn, the other half stays with one of them.
#[derive(Clone, Debug)]
pub struct Visitors<'a> {
    base: String,
    hosts: &'a [String],
    pages: &'a [Page],
    favourite: usize,
}

/// One request and what came of it.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Which of the hosts.
    pub host: usize,
    /// When it was sent.
    pub sent: SystemTime,
    /// When all of the response was there.
    pub received: SystemTime,
    /// What the response was.
    pub verdict: Verdict,
}

/// All visits of a crowd.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Them.
    pub visits: Vec<Visit>,
}

impl<'a> Visitors<'a> {
    /// Visitors of these pages of these hosts, on the server at `base`.
    #[must_use]
    pub fn new(base: &str, hosts: &'a [String], pages: &'a [Page]) -> Self {
        Self { base: base.to_owned(), hosts, pages, favourite: 0 }
    }

    /// Lets half of them stay with this host (and the last of the pages) instead of the first.
    #[must_use]
    pub fn favour(mut self, host: usize) -> Self {
        self.favourite = host;
        self
    }

    /// Does `what` while they visit: begins when each of them has seen a page, and goes on after it until each host
    /// has been visited once more.
    ///
    /// # Panics
    /// If a minute is not enough for that.
    pub fn during<T>(&self, what: impl FnOnce() -> T) -> (T, Record) {
        let record = Mutex::new(Record::default());
        let stop = AtomicBool::new(false);
        let seen: Vec<AtomicU64> = (0..CONNECTIONS).map(|_| AtomicU64::new(0)).collect();
        // How often each host was visited after it was done.
        let visited: Vec<AtomicU64> = self.hosts.iter().map(|_| AtomicU64::new(0)).collect();
        let returned = AtomicBool::new(false);
        let done = thread::scope(|scope| {
            for (connection, seen) in seen.iter().enumerate() {
                let (record, stop, visited, returned) = (&record, &stop, &visited, &returned);
                scope.spawn(move || {
                    let client = Client::new(&self.base, Protocol::Http1);
                    let mut visits = Vec::new();
                    for (host, page) in self.way(connection) {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let is_after = returned.load(Ordering::SeqCst);
                        visits.push(self.visit(&client, host, page));
                        seen.fetch_add(1, Ordering::SeqCst);
                        visited[host].fetch_add(u64::from(is_after), Ordering::SeqCst);
                    }
                    record.lock().unwrap_or_else(PoisonError::into_inner).visits.extend(visits);
                });
            }
            let all = |counts: &[AtomicU64]| counts.iter().all(|count| count.load(Ordering::SeqCst) > 0);
            let began = readiness::becomes_true(ANSWERS_WITHIN, || all(&seen));
            let result = began.then(what);
            returned.store(true, Ordering::SeqCst);
            let ended = began && readiness::becomes_true(ANSWERS_WITHIN, || all(&visited));
            stop.store(true, Ordering::Relaxed);
            result.filter(|_| ended)
        });
        let record = record.into_inner().unwrap_or_else(PoisonError::into_inner);
        match done {
            Some(result) => (result, record),
            None => panic!("the visitors did not get round: {record}\n{}", record.examples().join("\n")),
        }
    }

    /// The endless way of one of them.
    fn way(&self, connection: usize) -> Box<dyn Iterator<Item = (usize, &Page)> + '_> {
        let last = self.pages.last().expect("a page");
        if connection.is_multiple_of(2) {
            return Box::new(std::iter::repeat((self.favourite, last)));
        }
        // Every page of every host, each of them from another one on.
        let all = self.pages.iter().flat_map(|page| (0..self.hosts.len()).map(move |host| (host, page)));
        Box::new(all.cycle().skip(connection * self.hosts.len() / CONNECTIONS))
    }

    fn visit(&self, client: &Client, host: usize, page: &Page) -> Visit {
        let sent = SystemTime::now();
        let response = client.get_from(&self.hosts[host], &page.path);
        let received = SystemTime::now();
        let verdict = match response {
            Ok(response) => page.judge(response.status, &response.body),
            Err(error) => Verdict::Failed(format!("{error:#}")),
        };
        let verdict = match verdict {
            Verdict::Failed(reason) => Verdict::Failed(format!("{}{}: {reason}", self.hosts[host], page.path)),
            verdict => verdict,
        };
        Visit { host, sent, received, verdict }
    }
}

impl Record {
    /// How many responses had pieces of several releases.
    #[must_use]
    pub fn mixed(&self) -> usize {
        self.visits.iter().filter(|visit| matches!(visit.verdict, Verdict::Mixed(_))).count()
    }

    /// How many were an error, incomplete, or none.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.visits.iter().filter(|visit| matches!(visit.verdict, Verdict::Failed(_))).count()
    }

    /// How many requests for a host were under way at a moment that is known as exactly as the time of a file.
    #[must_use]
    pub fn overlapping(&self, host: usize, moment: SystemTime) -> usize {
        let of_host = self.visits.iter().filter(|visit| visit.host == host);
        of_host.filter(|visit| visit.sent < moment && moment + TICK < visit.received).count()
    }

    /// The first few that were mixed or failed.
    #[must_use]
    pub fn examples(&self) -> Vec<String> {
        let wrong = self.visits.iter().filter(|visit| !matches!(visit.verdict, Verdict::Whole(_)));
        wrong.take(EXAMPLES).map(|visit| format!("{visit:?}")).collect()
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} requests: {} mixed, {} failed", self.visits.len(), self.mixed(), self.failed())
    }
}
