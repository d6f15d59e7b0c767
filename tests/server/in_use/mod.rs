//! Releases that are removed as soon as no request uses them.
//!
//! Owns: a site that is deployed over and over, the load on it, and what the file of requests says. Must not: test how
//! requests are counted; the library does.

mod deploys;
mod endings;
mod fallback;
mod file;
mod group;
mod many;
mod status;
mod unclaimed;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use docroot::Os;
use docroot::inuse::{Claim, Drain, InUse, Reader, Release, Snapshot};
use harness::{Client, Httpd, Page, Protocol, Site, Verdict, readiness};

/// Longer than any request of these tests takes on a loaded machine.
const FREE_WITHIN: Duration = Duration::from_secs(20);

/// The file of a server.
pub fn reader(httpd: &Httpd) -> Reader {
    Reader::open(&httpd.run_file("realdoc.inuse")).expect("the file of requests")
}

/// What all processes count.
pub fn counted(httpd: &Httpd) -> Snapshot {
    reader(httpd).snapshot().expect("a snapshot")
}

/// How many requests run in the release at a path.
pub fn running(httpd: &Httpd, release: &Path) -> u64 {
    match reader(httpd).in_use(&Release::at(release).expect("a release")) {
        InUse::Free => 0,
        InUse::Requests(count) => count,
        InUse::Unknown(unknown) => panic!("{unknown}"),
    }
}

/// Waits until no process counts a request.
pub fn assert_all_end(httpd: &Httpd) -> Snapshot {
    let is_zero = |snapshot: &Snapshot| {
        snapshot.any == 0 && snapshot.looking == 0 && snapshot.releases.iter().all(|usage| usage.running == 0)
    };
    let found = readiness::poll(FREE_WITHIN, || Some(counted(httpd)).filter(is_zero));
    found.unwrap_or_else(|| panic!("requests that never end: {:?}", counted(httpd)))
}

/// Waits until a release, to which no link leads, is free by the files of these servers; removes it then, at once.
pub fn drain_and_remove(servers: &[&Httpd], release: &Path) {
    let since = Os::now();
    let found = Release::at(release).expect("a release");
    let claim = readiness::poll(FREE_WITHIN, || Claim::take(release).expect("a claim")).expect("nobody holds it");
    let readers = servers.iter().map(|httpd| reader(httpd)).collect();
    let mut drain = Drain::new(readers, found, since).expect("a drain");
    let is_free = readiness::poll_closely(FREE_WITHIN, || {
        let progress = drain.poll(Os::now()).expect("a file that tells");
        thread::sleep(progress.wait.min(Duration::from_millis(5)));
        progress.is_free.then_some(())
    });
    assert!(is_free.is_some(), "{} is never free: {:?}", release.display(), counted(servers[0]));
    remove(release);
    drop(claim);
}

/// Removes a release. Scripts may leave files there meanwhile.
pub fn remove(release: &Path) {
    fs::remove_dir_all(release).unwrap_or_else(|error| panic!("{}: {error}", release.display()));
}

/// The pages that one server is asked for, and how.
pub struct Visit {
    pub base: String,
    pub protocol: Protocol,
    pub pages: Vec<Page>,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: AtomicU64,
    pub bad: AtomicU64,
    examples: Mutex<Vec<String>>,
}

impl Seen {
    fn judge(&self, page: &Page, client: &Client) {
        let verdict = match client.get(&page.path) {
            Ok(response) => page.judge(response.status, &response.body),
            Err(error) => Verdict::Failed(format!("{}: {error:#}", page.path)),
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !matches!(verdict, Verdict::Whole(_)) {
            self.bad.fetch_add(1, Ordering::Relaxed);
            self.examples.lock().expect("no panic").push(format!("{}: {verdict:?}", page.path));
        }
    }

    pub fn assert_none_bad(&self) {
        let examples = self.examples.lock().expect("no panic");
        let (bad, requests) = (self.bad.load(Ordering::Relaxed), self.requests.load(Ordering::Relaxed));
        assert!(examples.is_empty(), "{bad} of {requests} are bad: {:#?}", &examples[..examples.len().min(8)]);
        assert!(requests > 0, "no request");
    }
}

/// Asks for pages on so many connections for each visit while `meanwhile` runs.
pub fn under_load<R>(visits: &[Visit], connections: usize, meanwhile: impl FnOnce() -> R) -> (Seen, R) {
    let (seen, stop) = (Seen::default(), AtomicBool::new(false));
    let result = thread::scope(|scope| {
        for visit in visits {
            for connection in 0..connections {
                let (seen, stop) = (&seen, &stop);
                scope.spawn(move || {
                    let client = Client::new(&visit.base, visit.protocol);
                    for page in visit.pages.iter().cycle().skip(connection) {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        seen.judge(page, &client);
                    }
                });
            }
        }
        let stops = StopsAtDrop(&stop);
        let result = meanwhile();
        drop(stops);
        result
    });
    (seen, result)
}

struct StopsAtDrop<'a>(&'a AtomicBool);

impl Drop for StopsAtDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A site with one release, which `fill` makes, as it makes the next ones.
pub struct Deployed<F> {
    pub site: Site,
    fill: F,
    /// The links that lead to the release.
    links: Vec<PathBuf>,
    number: usize,
}

impl<F: Fn(&harness::Release)> Deployed<F> {
    pub fn new(fill: F, links: &[&str]) -> Self {
        let site = Site::new();
        fill(&site.release(0));
        for link in links {
            site.symlink(link, site.release_directory(0));
        }
        Self { site, fill, links: links.iter().map(PathBuf::from).collect(), number: 0 }
    }

    /// The release that the links lead to.
    pub fn release(&self) -> PathBuf {
        self.site.release_directory(self.number)
    }

    /// Makes the next release and flips the links to it. Returns the release before.
    pub fn deploy(&mut self) -> PathBuf {
        let before = self.release();
        self.number += 1;
        (self.fill)(&self.site.release(self.number));
        for link in &self.links {
            self.site.flip_link(link.to_str().expect("text"), self.release());
        }
        before
    }
}
