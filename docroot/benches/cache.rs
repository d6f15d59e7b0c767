//! The cost of a lookup alone, on one thread and on many at once, with real links in a temporary directory.
//!
//! Must not: need a web server; `make bench` shows the share of a lookup in a request.

use std::ffi::{CStr, CString};
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use docroot::{Cache, Docroot, Mode, Os, Rules, flip};
use tempfile::TempDir;

/// Longer than the benchmark, so that no lookup is due again.
const WINDOW: Duration = Duration::from_secs(3600);
const STRICT: Duration = Duration::ZERO;
const THREADS: [usize; 3] = [1, 8, 64];
const FLIP_EVERY: Duration = Duration::from_millis(10);

/// `a/b/c/d/current/htdocs` with two releases.
struct Tree {
    _directory: TempDir,
    link: std::path::PathBuf,
}

impl Tree {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let base = directory.path().canonicalize().expect("its real path").join("a/b/c/d");
        for release in ["1", "2"] {
            std::fs::create_dir_all(base.join("releases").join(release).join("htdocs")).expect("a release");
        }
        let link = base.join("current");
        flip(&link, "releases/1".as_ref()).expect("a link");
        Self { _directory: directory, link }
    }

    /// The docroot as one that the configuration names; the cache that it is of must live as long.
    fn docroot(&self, rules: &Rules) -> (Cache, Arc<Docroot>) {
        let mut cache = Cache::default();
        let rules = cache.rules(rules);
        let docroot = cache.configured(&c_path(&self.link.join("htdocs")), rules).expect("an absolute path");
        (cache, docroot)
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL")
}

/// As a request does: a lookup only if no answer is remembered, and a check is not enough.
fn ask(docroot: &Docroot, every: Duration) {
    let now = Os::now();
    let window = every.as_nanos().try_into().expect("less than centuries");
    if black_box(docroot.remembered(now, window)).is_none() && black_box(docroot.checked(&Os, now, window)).is_none() {
        drop(black_box(docroot.lookup(&Os, now, every)));
    }
}

fn readlink() -> Rules {
    Rules { mode: Mode::Readlink { from: None }, ..Rules::default() }
}

fn one_look(criterion: &mut Criterion) {
    let tree = Tree::new();
    let mut group = criterion.benchmark_group("lookup");
    for (name, rules, every) in
        [("window", Rules::default(), WINDOW), ("strict", Rules::default(), STRICT), ("readlink", readlink(), STRICT)]
    {
        let (_cache, docroot) = tree.docroot(&rules);
        group.bench_function(name, |bencher| bencher.iter(|| ask(&docroot, every)));
    }
    group.bench_function("first of a docroot", |bencher| {
        bencher.iter_batched(
            || tree.docroot(&Rules::default()),
            |(cache, docroot)| {
                ask(&docroot, STRICT);
                (cache, docroot)
            },
            criterion::BatchSize::SmallInput,
        );
    });
    group.bench_function("clock alone", |bencher| bencher.iter(Os::now));
    let (cache, path) = computed(&tree.link.join("htdocs"));
    group.bench_function("window, computed docroot", |bencher| {
        bencher.iter(|| cache.computed(black_box(&path), 0, &Os, Os::now(), WINDOW));
    });
    group.finish();
}

fn computed(path: &Path) -> (Cache, CString) {
    let mut cache = Cache::default();
    cache.rules(&Rules::default());
    (cache, c_path(path))
}

/// The time of a lookup while other threads look up the same docroot, with the lookups of all threads counted.
fn contention(criterion: &mut Criterion) {
    let tree = Tree::new();
    let (cache, path) = computed(&tree.link.join("htdocs"));
    let (_cache, configured) = tree.docroot(&Rules::default());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for release in ["releases/2", "releases/1"].iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                flip(&tree.link, release.as_ref()).expect("a flip");
                thread::sleep(FLIP_EVERY);
            }
        });
        let mut group = criterion.benchmark_group("contention under 100 flips per second");
        for threads in THREADS {
            for (name, every) in [("window", Duration::from_secs(2)), ("strict", STRICT)] {
                group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                    bencher.iter_custom(|lookups| on_threads(threads, lookups, || ask(&configured, every)));
                });
            }
            group.bench_function(BenchmarkId::new("window, computed docroot", threads), |bencher| {
                let path: &CStr = &path;
                bencher.iter_custom(|lookups| {
                    on_threads(threads, lookups, || {
                        drop(black_box(cache.computed(path, 0, &Os, Os::now(), Duration::from_secs(2))));
                    })
                });
            });
        }
        group.finish();
        stop.store(true, Ordering::Relaxed);
    });
}

/// The time of `lookups` lookups that so many threads share.
fn on_threads(threads: usize, lookups: u64, lookup: impl Fn() + Sync) -> Duration {
    let barrier = Barrier::new(threads + 1);
    let each = lookups.div_ceil(threads as u64);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    for _ in 0..each {
                        lookup();
                    }
                })
            })
            .collect();
        barrier.wait();
        let begin = Instant::now();
        for worker in workers {
            worker.join().expect("no panic");
        }
        begin.elapsed()
    })
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30);
    targets = one_look, contention
}
criterion_main!(benches);
