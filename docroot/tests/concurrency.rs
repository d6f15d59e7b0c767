//! The cache under many threads: every interleaving of a few looks with flips, and a stress of real threads.
//!
//! Owns: the scheduler that explores the interleavings, and what must hold in each. Must not: depend on luck, except
//! in the stress, which is there for sanitizers too.
//!
//! What may interleave: the locks of the cache are held for instants and never across a call of [`System`] (here that
//! would be a deadlock), so that what a look does is a row of atomic actions: read the clock, read what is known, call,
//! call, ..., write what is known. Between any two of them any thread may go on next. All orders are tried, one after
//! the other, by coroutines on one thread; in scenarios of too many actions, all in which a thread that could go on is
//! interrupted a few times at most. What is left to real threads is the memory model, and that is the locks' own affair.
//!
//! `INTERRUPTIONS=9 make test-schedules` interrupts more often than usual, and
//! `STRESS_SECONDS=60 cargo test -p docroot --test concurrency stress` stresses for longer.

#![cfg(not(miri))]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use docroot::{
    Answer, Cache, Docroot, Errno, FileId, Mode, Moment, News, Os, Releases, Rules, Status, System, Timestamp, flip,
};

/// One step of the scheduler takes as long.
#[derive(Clone, Copy)]
struct Unit(u64);

/// What was so since which step.
type History<T> = Vec<(u64, T)>;

/// A file system whose every change is remembered with its step.
struct World {
    unit: Unit,
    step: Cell<u64>,
    /// The text of each link, and since when; no text is no link.
    links: RefCell<BTreeMap<&'static str, History<Option<&'static str>>>>,
    /// Whether each directory exists, and since when.
    directories: RefCell<BTreeMap<&'static str, History<bool>>>,
}

/// A change that a flipper makes in one step.
#[derive(Clone, Copy, Debug)]
enum Change {
    Link(&'static str, Option<&'static str>),
    Directory(&'static str, bool),
    /// Several at once: a directory above them moves.
    All(&'static [Change]),
}

impl World {
    fn new(unit: Unit, links: &[(&'static str, &'static str)], directories: &[&'static str]) -> Self {
        Self {
            unit,
            step: Cell::new(0),
            links: RefCell::new(links.iter().map(|&(link, text)| (link, vec![(0, Some(text))])).collect()),
            directories: RefCell::new(directories.iter().map(|&path| (path, vec![(0, true)])).collect()),
        }
    }

    fn now(&self) -> Moment {
        Moment::from_nanoseconds((1_000_000 + self.step.get()) * self.unit.0)
    }

    fn change(&self, change: Change) {
        let step = self.step.get();
        match change {
            Change::Link(link, text) => self.links.borrow_mut().entry(link).or_default().push((step, text)),
            Change::Directory(path, is_there) => {
                self.directories.borrow_mut().entry(path).or_default().push((step, is_there));
            }
            Change::All(changes) => changes.iter().for_each(|&change| self.change(change)),
        }
    }

    fn text(&self, link: &str) -> Option<&'static str> {
        self.links.borrow().get(link).and_then(|history| history.last()).and_then(|&(_, text)| text)
    }

    fn is_directory(&self, path: &str) -> bool {
        self.directories.borrow().get(path).and_then(|history| history.last()).is_some_and(|&(_, is_there)| is_there)
    }

    /// Where a path leads now.
    fn follow(&self, path: &str) -> Option<String> {
        let mut at = String::new();
        let mut ahead: Vec<String> = path.split('/').rev().filter(|name| !name.is_empty()).map(str::to_owned).collect();
        while let Some(name) = ahead.pop() {
            at = at + "/" + &name;
            if let Some(text) = self.text(&at) {
                at.clear();
                ahead.extend(text.split('/').rev().filter(|name| !name.is_empty()).map(str::to_owned));
            } else if !self.is_directory(&at) {
                return None;
            }
        }
        Some(at)
    }

    /// Whether `link` had a text for which `holds` at a step from `from` to `to`. The text before comes with it.
    fn had(
        &self,
        link: &str,
        from: u64,
        to: u64,
        holds: impl Fn(Option<&'static str>, Option<&'static str>) -> bool,
    ) -> bool {
        let links = self.links.borrow();
        let history = &links[link];
        (0..history.len()).any(|index| {
            let (since, text) = history[index];
            let before = index.checked_sub(1).and_then(|before| history[before].1);
            let until = history.get(index + 1).map_or(u64::MAX, |&(step, _)| step);
            since <= to && until > from && holds(text, before)
        })
    }
}

/// What a looker sees: the world, with points around each call where others may go on.
struct Seen<'w> {
    world: &'w World,
    yielder: &'w Yielder<(), ()>,
    /// Whether what is known was read since the last call.
    has_read: Cell<bool>,
}

impl<'w> Seen<'w> {
    fn new(world: &'w World, yielder: &'w Yielder<(), ()>) -> Self {
        Self { world, yielder, has_read: Cell::new(true) }
    }

    /// A call with a point behind it, and one before it if what is known was read since the last.
    fn call<T>(&self, call: impl FnOnce() -> T) -> T {
        if self.has_read.take() {
            self.yielder.suspend(());
        }
        let result = call();
        self.yielder.suspend(());
        result
    }

    /// An error ends a walk, and what is known is read for what to serve instead.
    fn failing<T>(&self, result: Result<T, Errno>) -> Result<T, Errno> {
        self.has_read.set(result.as_ref().is_err_and(|errno| *errno != Errno(libc::EINVAL)));
        result
    }
}

impl System for Seen<'_> {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        let result = self.call(|| {
            let path = path.to_str().expect("text");
            match self.world.text(path) {
                Some(text) => Ok(text.as_bytes().to_vec()),
                None if self.world.is_directory(path) => Err(Errno(libc::EINVAL)),
                None => Err(Errno(libc::ENOENT)),
            }
        });
        self.failing(result)
    }

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        self.call(|| self.world.text(path.to_str().expect("text")).is_some_and(|now| now.as_bytes() == text))
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        let result = self.call(|| {
            let real = self.world.follow(path.to_str().expect("text")).ok_or(Errno(libc::ENOENT))?;
            let inode = real.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
            let changed = Timestamp { seconds: 1, nanoseconds: 0 };
            Ok(Status { is_directory: true, id: FileId { device: 1, inode, changed } })
        });
        self.failing(result)
    }

    fn file_clock(&self) -> Timestamp {
        Timestamp { seconds: 2, nanoseconds: 0 }
    }
}

/// One look: when it began and ended, and what it found.
struct Done {
    thread: usize,
    began: u64,
    ended: u64,
    answer: Answer,
}

/// What the threads of a scenario do.
#[derive(Clone)]
struct Scenario {
    unit: Unit,
    docroot: &'static str,
    mode: Mode,
    /// Whether only requests know the docroot.
    is_computed: bool,
    links: &'static [(&'static str, &'static str)],
    directories: &'static [&'static str],
    releases: Option<&'static str>,
    /// How many steps a look counts.
    window: u64,
    /// Whether somebody has looked before.
    is_warm: bool,
    /// How many looks each looker does.
    lookers: &'static [usize],
    flippers: &'static [&'static [Change]],
    /// How often a thread is interrupted that could go on; as often as possible if that is not set.
    interruptions: Option<usize>,
}

const USUAL: Scenario = Scenario {
    unit: Unit(1_000_000),
    docroot: "/c",
    mode: Mode::Realpath,
    is_computed: false,
    links: &[("/c", "/1")],
    directories: &["/1", "/2", "/3"],
    releases: None,
    window: 0,
    is_warm: false,
    lookers: &[1, 1],
    flippers: &[&[Change::Link("/c", Some("/2")), Change::Link("/c", Some("/3"))]],
    interruptions: None,
};

/// The cache under test.
struct Looks {
    cache: Cache,
    rules: usize,
    path: CString,
    /// The entry of a docroot that the configuration names.
    configured: Option<Arc<Docroot>>,
    every: Duration,
}

impl Looks {
    fn new(scenario: &Scenario, rules: Rules) -> Self {
        let mut cache = Cache::default();
        let rules = cache.rules(&rules);
        let path = c_path(scenario.docroot.as_ref());
        let configured = (!scenario.is_computed).then(|| cache.configured(&path, rules).expect("an absolute path"));
        Self { cache, rules, path, configured, every: Duration::from_nanos(scenario.window * scenario.unit.0) }
    }

    fn look(&self, system: &Seen<'_>, now: Moment) -> Answer {
        match &self.configured {
            Some(docroot) => docroot.look(system, now, self.every).answer,
            None => {
                let looked = self.cache.computed(&self.path, self.rules, system, now, self.every);
                looked.expect("an absolute path").1.answer
            }
        }
    }
}

/// Runs a scenario once. Which of the n threads that can go on does is what `choose(n, last)` says, where `last` is the
/// one that did so far.
fn run(scenario: &Scenario, mut choose: impl FnMut(usize, Option<usize>) -> usize) -> (Rc<World>, Vec<Done>) {
    let world = Rc::new(World::new(scenario.unit, scenario.links, scenario.directories));
    let releases = scenario.releases.map(|pattern| {
        let mut releases = Releases::default();
        releases.add(pattern.as_bytes()).expect("a pattern");
        releases
    });
    let looks = Rc::new(Looks::new(scenario, Rules { mode: scenario.mode.clone(), releases }));
    let done = Rc::new(RefCell::new(Vec::new()));
    let mut threads: Vec<Coroutine<(), (), ()>> = Vec::new();
    for (thread, &count) in scenario.lookers.iter().enumerate() {
        let (world, looks, done) = (Rc::clone(&world), Rc::clone(&looks), Rc::clone(&done));
        threads.push(thread_of(move |yielder| {
            for look in 0..count {
                if look > 0 {
                    yielder.suspend(());
                }
                let began = world.step.get();
                let now = world.now();
                yielder.suspend(());
                let answer = looks.look(&Seen::new(&world, yielder), now);
                done.borrow_mut().push(Done { thread, began, ended: world.step.get(), answer });
            }
        }));
    }
    if scenario.is_warm {
        let mut warm = {
            let (world, looks) = (Rc::clone(&world), Rc::clone(&looks));
            thread_of(move |yielder| {
                looks.look(&Seen::new(&world, yielder), world.now());
            })
        };
        while let CoroutineResult::Yield(()) = warm.resume(()) {}
        keep(warm.into_stack());
        // That look does not count any more.
        world.step.set(scenario.window);
    }
    for &changes in scenario.flippers {
        let world = Rc::clone(&world);
        threads.push(thread_of(move |yielder| {
            for (index, &change) in changes.iter().enumerate() {
                if index > 0 {
                    yielder.suspend(());
                }
                world.change(change);
            }
        }));
    }
    let mut last = None;
    while !threads.is_empty() {
        world.step.set(world.step.get() + 1);
        let next = choose(threads.len(), last);
        last = Some(next);
        if let CoroutineResult::Return(()) = threads[next].resume(()) {
            keep(threads.remove(next).into_stack());
            last = None;
        }
    }
    let done = std::mem::take(&mut *done.borrow_mut());
    (world, done)
}

thread_local! {
    /// Stacks of threads that have ended: a new one is a system call or two.
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

fn thread_of(body: impl FnOnce(&Yielder<(), ()>) + 'static) -> Coroutine<(), (), ()> {
    let stack = STACKS.with_borrow_mut(Vec::pop).unwrap_or_default();
    Coroutine::with_stack(stack, |yielder, ()| body(yielder))
}

fn keep(stack: DefaultStack) {
    STACKS.with_borrow_mut(|stacks| stacks.push(stack));
}

/// Runs a scenario in every order that there is, and says how many there are.
fn explore(name: &str, scenario: &Scenario, check: impl Fn(&World, &[Done])) {
    // Which of how many went on, at each step of the last run.
    let mut path: Vec<(usize, usize)> = Vec::new();
    let mut runs = 0_u64;
    loop {
        let (mut step, mut interruptions) = (0, 0);
        let mut order = Vec::new();
        let (world, done) = run(scenario, |threads, last| {
            let may_interrupt = last.is_none() || scenario.interruptions.is_none_or(|limit| interruptions < limit);
            if step == path.len() {
                path.push((0, if may_interrupt { threads } else { 1 }));
            }
            // First the one that did so far, then the others in turn.
            let chosen = path[step].0;
            let next = (last.unwrap_or(0) + chosen) % threads;
            interruptions += usize::from(last.is_some() && chosen > 0);
            step += 1;
            order.push(next);
            next
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&world, &done)));
        if let Err(payload) = result {
            eprintln!("in the order {order:?}");
            std::panic::resume_unwind(payload);
        }
        runs += 1;
        while path.last().is_some_and(|&(chosen, choices)| chosen + 1 == choices) {
            path.pop();
        }
        match path.last_mut() {
            Some((chosen, _)) => *chosen += 1,
            None => break,
        }
    }
    let limit = scenario.interruptions.map(|limit| format!(" of {limit} interruptions at most")).unwrap_or_default();
    println!("{name}: {runs} schedules{limit}");
}

/// For scenarios of too many orders.
fn a_few() -> Option<usize> {
    Some(std::env::var("INTERRUPTIONS").ok().and_then(|most| most.parse().ok()).unwrap_or(4))
}

/// Each answer was true at a step inside the look, or less than the window before it; and each link of its chain was.
fn is_fresh(scenario: &Scenario, world: &World, done: &[Done]) {
    for look in done {
        let from = (look.began + 1).saturating_sub(scenario.window.max(1));
        let Answer::Resolved(resolution) = &look.answer else {
            let was_gone = world.had("/c", from, look.ended, |text, _| text.is_none());
            assert!(was_gone, "thread {} at {}..{}: {:?}", look.thread, look.began, look.ended, look.answer);
            continue;
        };
        assert!(!resolution.links().is_empty());
        for link in resolution.links() {
            let path = link.path().to_str().expect("text");
            let target = link.target().to_str().expect("text");
            // A link's text leads to its target through the links behind it.
            let leads =
                |text: &str| resolution.reroot(text.as_bytes()).map_or(text == target, |led| led == target.as_bytes());
            // While a link is away, where it led before is served.
            let fits = world.had(path, from, look.ended, |text, before| text.or(before).is_some_and(leads));
            assert!(
                fits,
                "thread {} at {}..{}: {path} -> {target} is too old: {:?}",
                look.thread,
                look.began,
                look.ended,
                world.links.borrow()[path]
            );
        }
        let whole = resolution.reroot(scenario.docroot.as_bytes()).expect("under its links");
        assert_eq!(whole, resolution.docroot().to_bytes(), "a torn chain");
    }
}

fn explore_fresh(name: &str, scenario: &Scenario) {
    explore(name, scenario, |world, done| is_fresh(scenario, world, done));
}

const ONE_FLIP: &[&[Change]] = &[&[Change::Link("/c", Some("/2"))]];
const FLIP_AND_BACK: &[&[Change]] = &[&[Change::Link("/c", Some("/2")), Change::Link("/c", Some("/1"))]];

#[test]
fn two_cold_looks() {
    explore_fresh("two cold looks, two flips", &USUAL);
}

#[test]
fn two_warm_looks() {
    explore_fresh("two warm looks, two flips", &Scenario { is_warm: true, interruptions: a_few(), ..USUAL });
}

#[test]
fn a_look_after_a_look() {
    let scenario = Scenario { is_warm: true, lookers: &[2, 1], flippers: ONE_FLIP, interruptions: a_few(), ..USUAL };
    explore_fresh("two warm looks and one, one flip", &scenario);
}

#[test]
fn two_flippers() {
    let flippers: &[&[Change]] = &[&[Change::Link("/c", Some("/2"))], &[Change::Link("/c", Some("/3"))]];
    explore_fresh(
        "two warm looks, two flippers",
        &Scenario { is_warm: true, flippers, interruptions: a_few(), ..USUAL },
    );
}

#[test]
fn a_flip_and_back() {
    explore_fresh("two warm looks, a flip and back", &Scenario { is_warm: true, flippers: FLIP_AND_BACK, ..USUAL });
}

#[test]
fn windows() {
    for (name, flippers) in [("one flip", ONE_FLIP), ("a flip and back", FLIP_AND_BACK), ("two flips", USUAL.flippers)]
    {
        for window in [1, 7, 18] {
            let scenario =
                Scenario { window, is_warm: true, lookers: &[2, 1], flippers, interruptions: a_few(), ..USUAL };
            explore_fresh(&format!("two looks and one, {name}, a window of {window} steps"), &scenario);
        }
    }
}

#[test]
fn windows_of_slow_threads() {
    // So slow that a whole walk is due at each look, and that a late thread cannot be told from a clock set back.
    for window in [1, 4, 7] {
        let scenario =
            Scenario { unit: Unit(600_000_000), window, is_warm: true, lookers: &[1, 1], flippers: ONE_FLIP, ..USUAL };
        explore_fresh(&format!("two slow looks, one flip, a window of {window} steps"), &scenario);
    }
}

#[test]
fn three_lookers() {
    let scenario = Scenario {
        is_warm: true,
        lookers: &[1, 1, 1],
        flippers: ONE_FLIP,
        interruptions: a_few().map(|few| few - 1),
        ..USUAL
    };
    explore_fresh("three warm looks, one flip", &scenario);
}

#[test]
fn chains() {
    let scenario =
        Scenario { links: &[("/c", "/l"), ("/l", "/1")], flippers: &[&[Change::Link("/l", Some("/2"))]], ..USUAL };
    explore_fresh("two cold looks along a chain, its end flipped", &scenario);
    let flippers: &[&[Change]] = &[&[Change::Link("/c", Some("/3"))]];
    explore_fresh("two warm looks along a chain, its start flipped", &Scenario { is_warm: true, flippers, ..scenario });
}

#[test]
fn readlink_mode() {
    let scenario = Scenario {
        mode: Mode::Readlink { from: None },
        links: &[("/c", "/l"), ("/l", "/1")],
        flippers: &[&[Change::Link("/c", Some("/2")), Change::Link("/c", Some("/l"))]],
        ..USUAL
    };
    explore_fresh("two cold looks at the first of two links, a flip and back", &scenario);
}

#[test]
fn computed_docroots() {
    let scenario = Scenario { is_computed: true, window: 4, flippers: ONE_FLIP, ..USUAL };
    explore_fresh("two cold looks at a computed docroot, one flip, a window of 4 steps", &scenario);
}

#[test]
fn computed_docroots_again() {
    let scenario =
        Scenario { is_computed: true, flippers: ONE_FLIP, lookers: &[2, 1], interruptions: a_few(), ..USUAL };
    explore_fresh("two cold looks and one at a computed docroot, one flip", &scenario);
}

/// `rm` and `ln`: no look is lost, and what it finds is what was there last.
#[test]
fn a_link_that_is_made_anew() {
    let flippers: &[&[Change]] = &[&[Change::Link("/c", None), Change::Link("/c", Some("/2"))]];
    let scenario = Scenario { flippers, is_warm: true, interruptions: a_few(), ..USUAL };
    explore("two warm looks, the link removed and made anew", &scenario, |world, done| {
        assert!(done.iter().all(|look| look.answer.resolved().is_some()), "a look was lost");
        is_fresh(&scenario, world, done);
    });
}

/// A link that is away for a moment, and its release with it.
const AWAY: &[&[Change]] = &[&[
    Change::All(&[Change::Link("/c", None), Change::Directory("/1", false)]),
    Change::All(&[Change::Directory("/1", true), Change::Link("/c", Some("/1"))]),
]];

#[test]
fn failures_end() {
    let scenario = Scenario { window: 1, is_warm: true, flippers: AWAY, interruptions: a_few(), ..USUAL };
    explore_fresh("two warm looks, away and back, a window of 1 step", &scenario);
}

#[test]
fn no_window_prolongs_a_failure() {
    let scenario =
        Scenario { window: 7, is_warm: true, lookers: &[2, 1], flippers: AWAY, interruptions: a_few(), ..USUAL };
    explore_fresh("two warm looks and one, away and back, a window of 7 steps", &scenario);
}

/// Out of the releases: nothing outside is ever answered.
#[test]
fn the_guard_holds() {
    let scenario = Scenario {
        releases: Some("/[12]"),
        flippers: &[&[Change::Link("/c", Some("/3"))]],
        is_warm: true,
        interruptions: a_few(),
        ..USUAL
    };
    explore("two warm looks, out of the releases", &scenario, |_, done| {
        for look in done {
            let resolution = look.answer.resolved().expect("the last good is there");
            assert!(resolution.docroot() == c"/1", "{resolution:?}");
        }
    });
}

/// So many flip at once.
const FLIPPERS: usize = 10;
const LOOKERS: usize = 4;

/// A docroot of one flipper's own, `link -> release-<number>`, so that what it may lead to is known.
struct Own {
    link: PathBuf,
    /// The number of the last flip that is over.
    flipped: AtomicUsize,
    /// When it was over, in nanoseconds of [`Os::now`].
    over: AtomicU64,
}

fn release_of(answer: &Answer) -> usize {
    let resolution = answer.resolved().expect("a release is always there");
    let name = resolution.release().expect("a release").to_str().expect("text");
    assert!(resolution.docroot().to_str().expect("text").ends_with(name), "a torn chain: {resolution:?}");
    name.strip_prefix("release-").and_then(|number| number.parse().ok()).expect("a number")
}

fn nanoseconds(moment: Moment) -> u64 {
    moment.since(Moment::from_nanoseconds(0)).expect("after the start").as_nanos().try_into().expect("a short run")
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
    /// Looks of which it was known where they had to lead.
    judged: AtomicUsize,
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
                over: AtomicU64::new(nanoseconds(Os::now())),
            })
            .collect();
        let mut cache = Cache::default();
        let rules = cache.rules(&Rules::default());
        let mut docroot = |link: &Path| cache.configured(&c_path(link), rules).expect("an absolute path");
        let docroots = own.iter().map(|own| docroot(&own.link)).collect();
        let of_shared = docroot(&shared);
        cache.settle();
        let [looks, judged, seen, flips] = [const { AtomicUsize::new(0) }; 4];
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
            own.over.store(nanoseconds(Os::now()), Ordering::Relaxed);
            own.flipped.store(number, Ordering::Release);
            flip(&self.shared, text.as_ref()).expect("a flip");
            self.flips.fetch_add(2, Ordering::Relaxed);
            thread::yield_now();
        }
    }

    fn look(&self, every: Duration) {
        let computed = c_path(&self.shared);
        while !self.stop.load(Ordering::Relaxed) {
            for (own, docroot) in self.own.iter().zip(&self.docroots) {
                let flipped = own.flipped.load(Ordering::Acquire);
                let over = own.over.load(Ordering::Relaxed);
                let now = Os::now();
                let look = docroot.look(&Os, now, every);
                let found = release_of(&look.answer);
                if let Some(News::Resolved { before: Some(_), .. }) = look.news.as_deref() {
                    self.seen.fetch_add(1, Ordering::Relaxed);
                }
                // The next flip may be done and not yet counted.
                let later = own.flipped.load(Ordering::Acquire) + 1;
                // Inside a window, older ones may be found too.
                let is_due = every.is_zero() || u128::from(nanoseconds(now).saturating_sub(over)) > every.as_nanos();
                if is_due && later - flipped < RELEASES {
                    let may = (flipped..=later).any(|number| number % RELEASES == found);
                    self.judged.fetch_add(1, Ordering::Relaxed);
                    assert!(may, "release {found} after flip {flipped} and before {later}, every {every:?}");
                }
            }
            release_of(&self.of_shared.look(&Os, Os::now(), Duration::ZERO).answer);
            let look = self.cache.computed(&computed, self.rules, &Os, Os::now(), WINDOW);
            release_of(&look.expect("an absolute path").1.answer);
            self.looks.fetch_add(FLIPPERS + 2, Ordering::Relaxed);
        }
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("a path")
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
        // Half of them accept what is a window old.
        let every = if looker % 2 == 0 { Duration::ZERO } else { WINDOW };
        threads.push(thread::spawn(move || stress.look(every)));
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    // The one wait for time to pass: it stresses for as long as it was told to, unless a thread fails before.
    while Instant::now() < end && !threads.iter().any(thread::JoinHandle::is_finished) {
        thread::sleep(Duration::from_millis(20));
    }
    stress.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no panic");
    }
    for (own, docroot) in stress.own.iter().zip(&stress.docroots) {
        let found = release_of(&docroot.look(&Os, Os::now(), Duration::ZERO).answer);
        assert_eq!(found, own.flipped.load(Ordering::Relaxed) % RELEASES, "the last flip is seen");
    }
    let [looks, judged, seen, flips] =
        [&stress.looks, &stress.judged, &stress.seen, &stress.flips].map(|count| count.load(Ordering::Relaxed));
    println!("{looks} looks ({judged} judged) by {LOOKERS} threads, {flips} flips by {FLIPPERS}, {seen} seen");
    assert!(judged > 1000 && seen > 10, "{judged} looks judged, {seen} flips seen");
}
