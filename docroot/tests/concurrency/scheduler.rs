//! Coroutines that look up and flip, one at a time, in every order.
//!
//! Owns: the orders. Must not: judge an answer.
//!
//! What may interleave: the locks of the cache are held for instants and never across a call of [`System`] (here that
//! would be a deadlock), so that a lookup is a row of atomic actions: read the clock, read the state, call, call, ...,
//! write the state. Between any two of them any thread may go on next. All orders are tried, one after
//! the other, by coroutines on one thread; in scenarios of too many actions, all in which a thread that could go on is
//! interrupted a few times at most. The real threads of the stress test the rest: the time between the two words
//! that `Docroot::remembered` and `Docroot::checked` read without a lock, and the memory model.
//!
//! [`System`]: docroot::System

use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use docroot::{Answer, Cache, Docroot, Mode, Moment, Releases, Rules, Served};

use crate::c_path;
use crate::orders::Orders;
use crate::world::{Change, Seen, Unit, World};

/// One lookup: its start, its end and its answer.
pub struct Done {
    pub thread: usize,
    pub began: u64,
    pub ended: u64,
    pub answer: Answer,
}

/// What the threads of a scenario do.
#[derive(Clone)]
pub struct Scenario {
    pub unit: Unit,
    pub docroot: &'static str,
    pub mode: Mode,
    /// Whether only requests know the docroot.
    pub is_computed: bool,
    pub links: &'static [(&'static str, &'static str)],
    pub directories: &'static [&'static str],
    pub releases: Option<&'static str>,
    /// The number of steps that a lookup counts.
    pub window: u64,
    /// Whether there was a lookup before.
    pub is_warm: bool,
    /// The number of lookups of each looker.
    pub lookers: &'static [usize],
    pub flippers: &'static [&'static [Change]],
    /// How often a thread is interrupted that could go on; as often as possible if that is not set.
    pub interruptions: Option<usize>,
}

pub const USUAL: Scenario = Scenario {
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

    /// The answer for a request on this thread. Every other thread does a lookup also where a check would be enough.
    fn lookup(&self, thread: usize, system: &Seen<'_>, now: Moment) -> Answer {
        match &self.configured {
            Some(docroot) => {
                let window = self.every.as_nanos().try_into().expect("a short window");
                if thread.is_multiple_of(2)
                    && let Some(resolution) = docroot.checked(system, now, window)
                {
                    CHECKED.set(CHECKED.get() + 1);
                    return Answer::Resolved(Served {
                        resolution: Arc::new(resolution.clone()),
                        id: None,
                        is_linked: true,
                    });
                }
                // Whatever way it is asked for, the answer is the same.
                let remembered = docroot.remembered(now, window).cloned();
                let lookup = docroot.lookup(system, now, self.every);
                let kept = lookup.answer.id().and_then(|id| docroot.retained(id));
                assert!(
                    kept.is_none() || kept == lookup.answer.resolved().map(|found| &**found),
                    "{kept:?}: {lookup:?}"
                );
                assert!(remembered.is_none() || remembered.as_ref() == kept, "{remembered:?}: {lookup:?}");
                lookup.answer
            }
            None => {
                let looked = self.cache.computed(&self.path, self.rules, system, now, self.every);
                looked.expect("an absolute path").1.answer
            }
        }
    }
}

/// Runs a scenario once. `choose(n, last)` chooses among the n threads that can go on, where `last` is the one that did
/// so far.
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
            for lookup in 0..count {
                if lookup > 0 {
                    yielder.suspend(());
                }
                let began = world.step.get();
                let now = world.now();
                yielder.suspend(());
                let answer = looks.lookup(thread, &Seen::new(&world, yielder), now);
                done.borrow_mut().push(Done { thread, began, ended: world.step.get(), answer });
            }
        }));
    }
    if scenario.is_warm {
        let mut warm = {
            let (world, looks) = (Rc::clone(&world), Rc::clone(&looks));
            thread_of(move |yielder| {
                looks.lookup(0, &Seen::new(&world, yielder), world.now());
            })
        };
        while let CoroutineResult::Yield(()) = warm.resume(()) {}
        keep(warm.into_stack());
        // That lookup does not count any more.
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
    /// How many requests needed a check only.
    static CHECKED: Cell<u64> = const { Cell::new(0) };
    /// Stacks of threads that have ended: a new one is a system call or two.
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

pub fn thread_of(body: impl FnOnce(&Yielder<(), ()>) + 'static) -> Coroutine<(), (), ()> {
    let stack = STACKS.with_borrow_mut(Vec::pop).unwrap_or_default();
    Coroutine::with_stack(stack, |yielder, ()| body(yielder))
}

pub fn keep(stack: DefaultStack) {
    STACKS.with_borrow_mut(|stacks| stacks.push(stack));
}

/// Runs a scenario in every order that there is, and says how many there are.
pub fn explore(name: &str, scenario: &Scenario, check: impl Fn(&World, &[Done])) {
    let mut orders = Orders::new(scenario.interruptions);
    let mut runs = 0_u64;
    CHECKED.set(0);
    loop {
        let mut order = orders.begin();
        let (world, done) = run(scenario, |threads, last| order.choose(threads, last));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&world, &done)));
        if let Err(payload) = result {
            eprintln!("in the order {:?}", order.into_taken());
            std::panic::resume_unwind(payload);
        }
        runs += 1;
        if !orders.advance() {
            break;
        }
    }
    let limit = scenario.interruptions.map(|limit| format!(" of {limit} interruptions at most")).unwrap_or_default();
    let checked = CHECKED.get();
    println!("{name}: {runs} schedules{limit}, {checked} requests that needed a check only");
    // Else it would show nothing of them.
    assert!(checked > 0 || scenario.window > 0 || scenario.is_computed || !scenario.is_warm);
}

/// For scenarios of too many orders.
pub fn a_few() -> Option<usize> {
    Some(std::env::var("INTERRUPTIONS").ok().and_then(|most| most.parse().ok()).unwrap_or(4))
}
