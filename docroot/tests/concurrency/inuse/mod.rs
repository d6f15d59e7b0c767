//! The proof that no release is removed under a request: requests count, look and serve, while a tool flips, reads and
//! removes, in every order.
//!
//! Owns: what each side does, as it should and sabotaged. What counts, looks and reads is the library's: a request makes the
//! same calls as the module's `src/request/begin.rs`, which presumes what a lookup found last, and as its `in_use.rs`. Each
//! access of the shared memory or of what is presumed, each reading of the clock and each system call is one step.

mod explore;
mod memory;
mod tests;
mod view;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use corosensei::Yielder;
use docroot::inuse::format::{ANY, COUNTERS, LOOKING, RECORDS, RUNNING, SHARD_COUNT, WINDOW};
use docroot::inuse::{EntryCell, Looking, Release, Slot, SlotDrain, Ticket, Words};
use docroot::{Answer, Cache, Docroot, Event, Lookup, Moment, Releases, Resolution, RetainedId, Rules, Served};

use crate::c_path;
use crate::world::{Change, Unit, World};

use memory::{Memory, pause, resumed, wait};
use view::View;

/// How a request goes about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    /// As it should.
    Honest,
    /// As it should, by [`Docroot::enter`], which presumes what is served.
    Enters,
    /// It does not compare what it presumed with what is served.
    BelievesPresumed,
    /// It looks first and counts afterwards: the clock and the links that it goes by are those from before the count.
    LooksFirst,
    /// It ends its looking before it counts.
    LooksTooShort,
    /// It goes on with the last good release whether or not that is claimed.
    IgnoresClaim,
    /// It believes looks that its parent made.
    BelievesParent,
}

/// How a tool goes about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    /// As it should.
    Honest,
    /// It does not wait for the window.
    IgnoresWindow,
    /// With a reader that knows where the one counter is: it reads who looks, and then the counter.
    ByHand,
    /// The same, in the wrong order.
    CountersFirst,
}

#[derive(Clone)]
struct Scenario {
    /// How many steps a look counts.
    window: u64,
    /// Whether the process remembers where the docroot leads.
    is_warm: bool,
    /// Whether it has an entry for that release.
    has_entry: bool,
    /// Whether the link leads to the next release already, and the last lookup has seen that, but requests presume the release
    /// before: a slower lookup has said so since.
    is_stale: bool,
    /// Whether only requests know the docroot, so that each of them needs a lookup.
    is_computed: bool,
    /// Whether it claims its slot only while the scenario runs.
    claims_late: bool,
    /// Whether a request of another docroot needs an entry, and the release's entry is the next to be used.
    reuses: bool,
    /// Where requests never see an entry change: sabotage.
    ids_are_stale: bool,
    releases: Option<&'static str>,
    requests: &'static [Request],
    tool: Tool,
    flips: &'static [Change],
    interruptions: usize,
}

const USUAL: Scenario = Scenario {
    window: 0,
    is_warm: true,
    has_entry: true,
    is_stale: false,
    is_computed: false,
    claims_late: false,
    reuses: false,
    ids_are_stale: false,
    releases: None,
    requests: &[Request::Honest, Request::Honest],
    tool: Tool::Honest,
    flips: &[Change::Link("/c", Some("/2"))],
    interruptions: 2,
};

/// The release that is to be removed.
const OLD: &str = "/1";
const UNIT: Unit = Unit(1_000_000);
/// As many retired releases keep their entries.
const RETIRED: usize = 32;

fn release(path: &str) -> Release {
    let inode = path.bytes().fold(7, |hash: u64, byte| hash * 31 + u64::from(byte));
    Release::new(path.as_bytes(), 1, inode)
}

/// The paths that a docroot may lead to.
const PATHS: [&str; 3] = [OLD, "/2", "/3"];

/// What all threads of one run share.
struct Run {
    world: World,
    memory: Memory,
    slot: Slot<Memory>,
    cache: Cache,
    rules: usize,
    /// The docroot, if the configuration names it.
    configured: Option<Arc<Docroot>>,
    /// What the last lookup found, or what a slower one has put there since.
    presumed: Cell<Option<RetainedId>>,
    window: u64,
    /// The entry of a release that nobody removes.
    other: EntryCell,
    /// Whether a tool is about to remove the release.
    is_claimed: Cell<bool>,
    /// When the process claimed its slot, if it has.
    claimed: Cell<Option<Moment>>,
    /// How many requests were served from the release, and how many when it was gone.
    served: Cell<[u64; 2]>,
    /// How many requests needed no lookup.
    entered: Cell<u64>,
    is_removed: Cell<bool>,
}

impl Run {
    fn new(scenario: &Scenario) -> Self {
        let world = World::new(UNIT, &[("/c", OLD)], &[OLD, "/2", "/3", "/9"]);
        let releases = scenario.releases.map(|pattern| {
            let mut releases = Releases::default();
            releases.add(pattern.as_bytes()).expect("a pattern");
            releases
        });
        let mut cache = Cache::default();
        let rules = cache.rules(&Rules { releases, ..Rules::default() });
        let path = c_path("/c".as_ref());
        let configured = (!scenario.is_computed).then(|| cache.configured(&path, rules).expect("an absolute path"));
        let memory = Memory::default();
        memory.store(SHARD_COUNT, 1);
        memory.store(WINDOW, scenario.window * UNIT.0);
        Self {
            slot: Slot::new(memory.clone(), Moment::default(), 1),
            memory,
            world,
            cache,
            rules,
            configured,
            presumed: Cell::default(),
            window: scenario.window * UNIT.0,
            other: EntryCell::new(),
            is_claimed: Cell::new(false),
            claimed: Cell::new((!scenario.claims_late).then(Moment::default)),
            served: Cell::new([0; 2]),
            entered: Cell::new(0),
            is_removed: Cell::new(false),
        }
    }

    /// What happened before.
    fn set_up(&self, scenario: &Scenario, yielder: &Yielder<(), ()>) {
        let warm = scenario.is_warm.then(|| self.lookup(&View::new(&self.world, yielder), Duration::ZERO));
        resumed(None);
        self.presumed.set(warm.as_ref().and_then(|(_, lookup)| lookup.answer.id()));
        let enter = |path: &str, entry: &EntryCell| {
            let ticket = self.slot.look().enter(&release(path), entry, 0);
            self.slot.leave(ticket);
        };
        let old = EntryCell::new();
        let old = warm.as_ref().and_then(|(_, lookup)| lookup.answer.resolved()).map_or(&old, |found| found.entry());
        if scenario.has_entry {
            enter(OLD, old);
        }
        if scenario.reuses {
            self.slot.retire(old);
            for number in 0..RETIRED {
                let entry = EntryCell::new();
                enter(&format!("/old/{number}"), &entry);
                self.slot.retire(&entry);
            }
        }
        if scenario.ids_are_stale {
            self.memory.stale.set(Some((RECORDS, self.memory.peek(RECORDS))));
        }
        if scenario.is_stale {
            self.world.change(Change::Link("/c", Some("/2")));
            self.lookup(&View::new(&self.world, yielder), Duration::ZERO);
        }
        resumed(Some(yielder));
    }

    fn every(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    fn request(&self, how: Request, yielder: &Yielder<(), ()>) {
        resumed(Some(yielder));
        pause();
        let found = self.configured.as_ref().and_then(|docroot| self.fast(how, docroot, yielder));
        let Some((ticket, path)) = found.or_else(|| self.slow(how, yielder)) else { return };
        for _ in 0..2 {
            pause();
            let [served, lost] = self.served.get();
            let is_lost = !self.world.is_directory(path);
            self.served.set([served + 1, lost + u64::from(is_lost)]);
        }
        self.slot.leave(ticket);
    }

    fn name(resolution: &Resolution) -> &'static str {
        let path = resolution.docroot().to_str().expect("text");
        PATHS.into_iter().find(|&known| known == path).expect("a release")
    }

    /// As the module does it where no lookup is needed.
    fn fast(&self, how: Request, docroot: &Docroot, yielder: &Yielder<(), ()>) -> Option<(Ticket, &'static str)> {
        let clock = || {
            pause();
            let now = self.world.now();
            pause();
            now
        };
        let view = View::new(&self.world, yielder);
        let (ticket, resolution) = if how == Request::Enters {
            docroot.enter(&self.slot, 0, &view, clock, self.window)?
        } else {
            pause();
            let presumed = docroot.retained(self.presumed.get()?)?;
            let seen = (how == Request::LooksFirst).then(clock);
            let view = if seen.is_some() { view.frozen("/c") } else { view };
            let ticket = self.slot.count(presumed.entry(), 0)?.confirm();
            let now = seen.unwrap_or_else(clock);
            let confirms = match how {
                Request::BelievesPresumed => {
                    docroot.remembered(now, self.window).or_else(|| docroot.checked(&view, now, self.window)).is_some()
                }
                _ => docroot.confirms(presumed, &view, now, self.window),
            };
            if !confirms {
                self.slot.withdraw(ticket);
                return None;
            }
            (ticket, presumed)
        };
        self.entered.set(self.entered.get() + 1);
        Some((ticket, Self::name(resolution)))
    }

    /// As the module does it where a lookup is needed.
    fn slow(&self, how: Request, yielder: &Yielder<(), ()>) -> Option<(Ticket, &'static str)> {
        let mut looking = self.slot.look();
        pause();
        let view = View::new(&self.world, yielder);
        let every = if how == Request::BelievesParent { self.every() } else { self.own_window(self.world.now()) };
        let (_docroot, Lookup { answer, event }) = self.lookup(&view, every);
        if let Some(Event::Resolved { before: Some(before), .. }) = event.as_deref() {
            self.slot.retire(before.entry());
        }
        let Answer::Resolved(served) = answer else { return None };
        let path = Self::name(&served);
        if how == Request::LooksTooShort {
            drop(looking);
            looking = self.slot.look();
        }
        let ticket = self.count(how, &looking, &served, event.is_some())?;
        pause();
        self.presumed.set(served.id.filter(|_| served.is_linked));
        Some((ticket, path))
    }

    /// Counts a request for what a lookup has found.
    fn count(&self, how: Request, looking: &Looking<'_, Memory>, served: &Served, is_walked: bool) -> Option<Ticket> {
        if served.is_linked
            && !is_walked
            && let Some((ticket, ())) = self.slot.enter(served.entry(), 0, || Some(()))
        {
            return Some(ticket);
        }
        let path = Self::name(served);
        let release = release(path);
        if served.is_linked {
            Some(looking.enter(&release, served.entry(), 0))
        } else {
            let is_claimed = || {
                pause();
                how != Request::IgnoresClaim && path == OLD && self.is_claimed.get()
            };
            looking.enter_unlinked(&release, served.entry(), 0, is_claimed)
        }
    }

    /// A lookup that begins now.
    fn lookup(&self, view: &View<'_>, every: Duration) -> (Arc<Docroot>, Lookup) {
        let now = self.world.now();
        match &self.configured {
            Some(docroot) => (Arc::clone(docroot), docroot.lookup(view, now, every)),
            None => {
                let path = c_path("/c".as_ref());
                self.cache.computed(&path, self.rules, view, now, every).expect("an absolute path")
            }
        }
    }

    /// As [`Slot::window`], which knows one moment of a claim only; here the slot is made before.
    fn own_window(&self, now: Moment) -> Duration {
        let since_claim = now.since(self.claimed.get().expect("a slot")).unwrap_or_default();
        self.slot.window(now, self.every()).min(since_claim)
    }

    fn tool(&self, scenario: &Scenario) {
        self.is_claimed.set(true);
        for &change in scenario.flips {
            pause();
            self.world.change(change);
        }
        let since = match scenario.tool {
            Tool::IgnoresWindow => Moment::default(),
            Tool::Honest | Tool::ByHand | Tool::CountersFirst => self.world.now(),
        };
        let mut drain = SlotDrain::default();
        let mut looked = [false; 2];
        let memory = self.memory.true_view();
        loop {
            pause();
            if self.claimed.get().is_none() {
                break;
            }
            let now = self.world.now();
            let is_free = match scenario.tool {
                Tool::Honest | Tool::IgnoresWindow => {
                    drain.poll(&memory, &release(OLD), since, now).expect("a sound slot").is_free
                }
                Tool::ByHand | Tool::CountersFirst if now.is_within_nanoseconds(since, self.window) => false,
                Tool::ByHand => has_looked(&memory, &mut looked) && is_zero(&memory),
                Tool::CountersFirst => is_zero(&memory) && has_looked(&memory, &mut looked),
            };
            if is_free {
                break;
            }
            wait();
        }
        pause();
        self.world.change(Change::Directory(OLD, false));
        self.is_removed.set(true);
    }
}

fn has_looked(memory: &Memory, looked: &mut [bool; 2]) -> bool {
    for (looked, &word) in looked.iter_mut().zip(&LOOKING) {
        *looked = *looked || memory.load(word) == 0;
    }
    *looked == [true; 2]
}

/// Whether nobody uses the release of the first entry, or any.
fn is_zero(memory: &Memory) -> bool {
    memory.load(COUNTERS) & RUNNING == 0 && memory.load(ANY) & RUNNING == 0
}
