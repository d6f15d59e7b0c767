//! Real threads that flip and look up as fast as they can.
//!
//! Owns: a stress, for sanitizers too, and the counts without which it proves nothing. Must not: be the only test of
//! anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use docroot::{Answer, Cache, Docroot, Event, Os, Resolution, Rules, flip};

use crate::c_path;

/// So many flip at once.
const FLIPPERS: usize = 10;
const LOOKERS: usize = 4;

/// A docroot of one flipper's own, `link -> release-<number>`, so that its possible targets are known.
struct Own {
    link: PathBuf,
    /// The number of the last flip that is over.
    flipped: AtomicUsize,
    /// When it was over, in nanoseconds of [`Os::now`].
    over: AtomicU64,
}

fn release_of(answer: &Answer) -> usize {
    release_in(answer.resolved().expect("a release is always there"))
}

fn release_in(resolution: &Resolution) -> usize {
    let name = resolution.release().expect("a release").to_str().expect("text");
    assert!(resolution.docroot().to_str().expect("text").ends_with(name), "a torn chain: {resolution:?}");
    name.strip_prefix("release-").and_then(|number| number.parse().ok()).expect("a number")
}

/// What all threads of the stress share.
struct Stress {
    shared: PathBuf,
    own: Vec<Own>,
    cache: Cache,
    rules: usize,
    docroots: Vec<Arc<Docroot>>,
    of_shared: Arc<Docroot>,
    stop: AtomicBool,
    looks: AtomicUsize,
    /// Lookups whose possible answers were known.
    judged: AtomicUsize,
    /// Requests with a remembered answer, which need no lookup.
    remembered: AtomicUsize,
    /// Requests for which a check is enough.
    checked: AtomicUsize,
    /// Flips that were seen.
    seen: AtomicUsize,
    flips: AtomicUsize,
}

/// As many as one flipper goes through in turns.
const RELEASES: usize = 50;
const WINDOW: Duration = Duration::from_millis(2);

impl Stress {
    fn new(root: &Path) -> Self {
        for number in 0..RELEASES {
            fs::create_dir(root.join(format!("release-{number}"))).expect("a release");
        }
        let link = |name: &str| {
            let link = root.join(name);
            flip(&link, "release-0".as_ref()).expect("a flip");
            link
        };
        let shared = link("shared");
        let own: Vec<Own> = (0..FLIPPERS)
            .map(|number| Own {
                link: link(&format!("own-{number}")),
                flipped: AtomicUsize::new(0),
                over: AtomicU64::new(Os::now().nanoseconds()),
            })
            .collect();
        let mut cache = Cache::default();
        let rules = cache.rules(&Rules::default());
        let mut docroot = |link: &Path| cache.configured(&c_path(link), rules).expect("an absolute path");
        let docroots = own.iter().map(|own| docroot(&own.link)).collect();
        let of_shared = docroot(&shared);
        cache.settle();
        let [looks, judged, remembered, checked, seen, flips] = [const { AtomicUsize::new(0) }; 6];
        Self {
            shared,
            own,
            cache,
            rules,
            docroots,
            of_shared,
            stop: AtomicBool::new(false),
            looks,
            judged,
            remembered,
            checked,
            seen,
            flips,
        }
    }

    fn flip(&self, flipper: usize) {
        let own = &self.own[flipper];
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            number += 1;
            let text = format!("release-{}", number % RELEASES);
            flip(&own.link, text.as_ref()).expect("a flip");
            own.over.store(Os::now().nanoseconds(), Ordering::Relaxed);
            own.flipped.store(number, Ordering::Release);
            flip(&self.shared, text.as_ref()).expect("a flip");
            self.flips.fetch_add(2, Ordering::Relaxed);
            thread::yield_now();
        }
    }

    fn lookup(&self, every: Duration) {
        let computed = c_path(&self.shared);
        while !self.stop.load(Ordering::Relaxed) {
            for (own, docroot) in self.own.iter().zip(&self.docroots) {
                let flipped = own.flipped.load(Ordering::Acquire);
                let over = own.over.load(Ordering::Relaxed);
                let now = Os::now();
                let window = every.as_nanos().try_into().expect("a short window");
                let found = if let Some(resolution) = docroot.remembered(now, window) {
                    self.remembered.fetch_add(1, Ordering::Relaxed);
                    release_in(resolution)
                } else if let Some(resolution) = docroot.checked(&Os, now, window) {
                    self.checked.fetch_add(1, Ordering::Relaxed);
                    release_in(resolution)
                } else {
                    let lookup = docroot.lookup(&Os, now, every);
                    if let Some(Event::Resolved { before: Some(_), .. }) = lookup.event.as_deref() {
                        self.seen.fetch_add(1, Ordering::Relaxed);
                    }
                    release_of(&lookup.answer)
                };
                // The next flip may be done and not yet counted.
                let later = own.flipped.load(Ordering::Acquire) + 1;
                // Inside a window, older ones may be found too.
                let is_due = every.is_zero() || u128::from(now.nanoseconds().saturating_sub(over)) > every.as_nanos();
                if is_due && later - flipped < RELEASES {
                    let may = (flipped..=later).any(|number| number % RELEASES == found);
                    self.judged.fetch_add(1, Ordering::Relaxed);
                    assert!(may, "release {found} after flip {flipped} and before {later}, every {every:?}");
                }
            }
            release_of(&self.of_shared.lookup(&Os, Os::now(), Duration::ZERO).answer);
            let lookup = self.cache.computed(&computed, self.rules, &Os, Os::now(), WINDOW);
            release_of(&lookup.expect("an absolute path").1.answer);
            self.looks.fetch_add(FLIPPERS + 2, Ordering::Relaxed);
        }
    }
}

/// Real threads on real links: ten flippers flip one link that they share and one of their own each, while lookers look
/// at all of them through one cache, with and without a window, and at docroots that only requests know.
#[test]
fn stress() {
    let seconds = std::env::var("STRESS_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(2);
    let dir = tempfile::tempdir().expect("a directory");
    let stress = Arc::new(Stress::new(&dir.path().canonicalize().expect("its path")));
    let mut threads = Vec::new();
    for flipper in 0..FLIPPERS {
        let stress = Arc::clone(&stress);
        threads.push(thread::spawn(move || stress.flip(flipper)));
    }
    for looker in 0..LOOKERS {
        let stress = Arc::clone(&stress);
        // Half of them have a window.
        let every = if looker % 2 == 0 { Duration::ZERO } else { WINDOW };
        threads.push(thread::spawn(move || stress.lookup(every)));
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    // The one wait for time to pass: the stress lasts that long, unless a thread fails before.
    while Instant::now() < end && !threads.iter().any(thread::JoinHandle::is_finished) {
        thread::sleep(Duration::from_millis(20));
    }
    stress.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no panic");
    }
    for (own, docroot) in stress.own.iter().zip(&stress.docroots) {
        let found = release_of(&docroot.lookup(&Os, Os::now(), Duration::ZERO).answer);
        assert_eq!(found, own.flipped.load(Ordering::Relaxed) % RELEASES, "the last flip is seen");
    }
    let [looks, judged, remembered, checked, seen, flips] =
        [&stress.looks, &stress.judged, &stress.remembered, &stress.checked, &stress.seen, &stress.flips]
            .map(|count| count.load(Ordering::Relaxed));
    println!(
        "{looks} looks ({judged} judged, {remembered} remembered, {checked} checked) by {LOOKERS} threads, {flips} flips by {FLIPPERS}, \
         {seen} seen"
    );
    assert!(judged > 1000 && seen > 10, "{judged} looks judged, {seen} flips seen");
    assert!(remembered > 1000 && checked > 100, "{remembered} looks remembered, {checked} checked");
}
