//! How a process counts the requests of releases.
//!
//! Owns: that a request counts first and looks afterwards. Must not: know which entry a release has; that is `table.rs`.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;

use crate::inuse::format::{ANY, LINE, LOOKING, LOOKING_NOW, ONE, SHARDS, counter_of, record_of};
use crate::inuse::os::Mapping;
use crate::inuse::release::Release;
use crate::inuse::table::Table;
use crate::inuse::words::Words;
use crate::os::system::Moment;

/// The slot of this process: all threads count in it, without a lock or a system call.
#[derive(Debug)]
pub struct Slot<W = Mapping> {
    words: W,
    claimed: Moment,
    /// The number of shards less one.
    shard_mask: usize,
    table: Mutex<Table>,
}

/// Which entry a release has in the slot of this process. It is kept beside what the process remembers of the release,
/// is empty at first, and is filled by [`Looking::enter`]. Should the entry belong to another release since, nobody enters it
/// by this cell.
#[derive(Debug, Default)]
pub struct EntryCell(AtomicU64);

impl EntryCell {
    /// A cell for a release that has no entry yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }
}

/// One request that is counted. It must be given back to [`Slot::leave`], by any thread; there is no destructor, because
/// requests keep it where none would run.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that is never given back keeps a release in use for as long as the process lives"]
pub struct Ticket(u32);

impl Ticket {
    /// The ticket as a number, to be kept where only numbers are. It fits into 16 bits if the release has an entry.
    pub const fn into_raw(self) -> u32 {
        self.0
    }

    /// The ticket of a number that [`Ticket::into_raw`] gave, which must be used once.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    #[inline]
    fn new(word: usize) -> Self {
        // Counters come in pairs.
        Self((word / 2) as u32)
    }

    #[inline]
    fn word(&self) -> usize {
        self.0 as usize * 2
    }
}

impl<W: Words> Slot<W> {
    /// A slot in memory that is all zeros, claimed at `claimed`. Counters have `shards` cache lines: one where a process has
    /// one thread.
    pub fn new(words: W, claimed: Moment, shards: usize) -> Self {
        let shards = shards.clamp(1, SHARDS).next_power_of_two();
        // So no id of this slot equals one of a slot that was claimed before or after.
        let generation = claimed.nanoseconds() >> 10;
        Self { words, claimed, shard_mask: shards - 1, table: Mutex::new(Table::new(shards, generation)) }
    }

    /// Counts a request of the release that `entry` belongs to, and then looks. If `look` finds that the release is not
    /// what the request gets, or if `entry` is empty or outdated, nothing is counted and the request goes the slow way,
    /// by [`Slot::look`].
    ///
    /// `look` must read the clock, or the link, itself: what was read before it says nothing. `connection` is any number
    /// that differs between threads; it chooses the shard.
    #[inline(always)]
    pub fn enter<T>(
        &self,
        entry: &EntryCell,
        connection: usize,
        look: impl FnOnce() -> Option<T>,
    ) -> Option<(Ticket, T)> {
        let counted = self.count(entry, connection)?;
        let found = look()?;
        Some((counted.confirm(), found))
    }

    /// The first half of [`Slot::enter`]: counts a request, which must look then. [`Counted::confirm`] is the other half.
    #[inline(always)]
    pub fn count(&self, entry: &EntryCell, connection: usize) -> Option<Counted<'_, W>> {
        let id = entry.0.load(Relaxed);
        if id == 0 {
            return None;
        }
        let counted = Counted::new(self, counter_of(id, self.shard(connection)));
        // Only now: whoever gives the entry away changes the id before reading the counter.
        if self.words.load(record_of(id)) != id {
            return None;
        }
        Some(counted)
    }

    /// Begins a look that may be slow. It must have begun before the first link is read, or the clock.
    pub fn look(&self) -> Looking<'_, W> {
        let now = (self.words.load(LOOKING_NOW) & 1) as usize;
        // New walks count in the other counter as soon as that is zero, so that this one comes to zero some time.
        let now = if self.words.load(LOOKING[1 - now]) == 0 { 1 - now } else { now };
        self.words.store(LOOKING_NOW, now as u64);
        self.words.add(LOOKING[now], 1);
        Looking { slot: self, word: LOOKING[now] }
    }

    /// How long a look may count for a request on the slow way, at most `window`. A look by the parent, before this process
    /// claimed its slot, does not count: no reader could see its request.
    pub fn window(&self, now: Moment, window: Duration) -> Duration {
        now.since(self.claimed).unwrap_or_default().min(window)
    }

    /// Takes back what [`Slot::count`] has counted, of a request that does not get the release.
    #[inline]
    pub fn withdraw(&self, ticket: Ticket) {
        drop(Counted { slot: self, word: ticket.word() });
    }

    /// Ends a request. In a process forked from this one it has no effect.
    #[inline]
    pub fn leave(&self, ticket: Ticket) {
        if self.words.is_own() {
            self.words.subtract(ticket.word(), 1);
        }
    }

    /// [`Slot::leave`] for a request that the server failed to answer (5xx).
    #[inline]
    pub fn leave_failed(&self, ticket: Ticket) {
        if self.words.is_own() {
            self.words.add(ticket.word() + 1, 1);
            self.words.subtract(ticket.word(), 1);
        }
    }

    /// Says that no docroot leads to the release of `entry` any more, as far as this process knows: its entry will be used
    /// for another once it is free. (Should a docroot lead there again, the release gets an entry again.)
    pub fn retire(&self, entry: &EntryCell) {
        self.words.lock(&self.table).retire(entry.0.load(Relaxed));
    }

    /// Whether this is the process that claimed the slot, and not one forked from it.
    pub fn is_own(&self) -> bool {
        self.words.is_own()
    }

    /// The memory of the slot.
    pub fn words(&self) -> &W {
        &self.words
    }

    #[inline]
    fn shard(&self, connection: usize) -> usize {
        (connection & self.shard_mask) * LINE
    }
}

/// A request that is counted for a release that it may not get. If it is dropped, nothing is counted.
#[must_use]
pub struct Counted<'s, W: Words> {
    slot: &'s Slot<W>,
    word: usize,
}

impl<'s, W: Words> Counted<'s, W> {
    #[inline]
    fn new(slot: &'s Slot<W>, word: usize) -> Self {
        slot.words.add(word, ONE);
        Self { slot, word }
    }

    /// The look has found that the request gets the release.
    #[inline]
    pub fn confirm(self) -> Ticket {
        let ticket = Ticket::new(self.word);
        std::mem::forget(self);
        ticket
    }
}

impl<W: Words> Drop for Counted<'_, W> {
    #[inline]
    fn drop(&mut self) {
        // It was no request of that release.
        self.slot.words.subtract(self.word, ONE);
    }
}

/// A look that is going on. No release becomes free meanwhile.
#[must_use]
pub struct Looking<'s, W: Words = Mapping> {
    slot: &'s Slot<W>,
    word: usize,
}

impl<W: Words> Looking<'_, W> {
    /// Counts a request of the release that this look has found, and remembers its entry in `entry`.
    pub fn enter(&self, release: &Release, entry: &EntryCell, connection: usize) -> Ticket {
        let slot = self.slot;
        let shard = slot.shard(connection);
        let mut table = slot.words.lock(&slot.table);
        let id = table.entry(&slot.words, release);
        let word = id.map_or(ANY + shard, |id| counter_of(id, shard));
        // Under the lock, so that nobody takes the entry away meanwhile.
        let counted = Counted::new(slot, word);
        drop(table);
        entry.0.store(id.unwrap_or(0), Relaxed);
        counted.confirm()
    }

    /// Counts a request of a release that no link leads to, which the process goes on with because it cannot resolve the
    /// docroot; and then asks whether the release [is claimed](crate::inuse::claim::is_claimed) by somebody who is about
    /// to remove it. If so, nothing is counted and the request must not use the release.
    pub fn enter_unlinked(
        &self,
        release: &Release,
        entry: &EntryCell,
        connection: usize,
        is_claimed: impl FnOnce() -> bool,
    ) -> Option<Ticket> {
        let ticket = self.enter(release, entry, connection);
        let counted = Counted { slot: self.slot, word: ticket.word() };
        if is_claimed() { None } else { Some(counted.confirm()) }
    }
}

impl<W: Words> Drop for Looking<'_, W> {
    fn drop(&mut self) {
        if self.slot.words.is_own() {
            self.slot.words.subtract(self.word, 1);
        }
    }
}
