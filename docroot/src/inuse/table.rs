//! Which entry of a slot belongs to which release.
//!
//! Owns: the entries and the memory of their paths; one thread at a time, on the slow way only. Must not: take an entry
//! from a release that has requests.
//!
//! An entry is used again once its release is retired and free, and [`RETIRED_KEPT`] were retired after it, so that an
//! operator still sees the releases before. So a slot needs as many entries as docroots lead to releases, and a few more,
//! for any number of deploys.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::inuse::format::{
    ARENA, CELLS, ENTRIES, LENGTH, LINE, PAGE_WORDS, PATH_MAX, RECORD, RECORDS, SHARDS, SLOT_WORDS, counter,
    generation_of, id, record, record_of, split,
};
use crate::inuse::release::Release;
use crate::inuse::words::Words;

/// So many retired releases keep their entries for people to read.
const RETIRED_KEPT: usize = 32;
/// So many entries are tried for another release before a request counts for any.
const TRIES: usize = 64;

/// The entries of a slot, as their process knows them.
#[derive(Debug)]
pub(crate) struct Table {
    shards: usize,
    /// The generation of an entry's first use.
    generation: u64,
    entries: Vec<Entry>,
    by_release: HashTable<u16>,
    hasher: DefaultHashBuilder,
    /// Entries whose releases are retired, the oldest first.
    retired: VecDeque<u16>,
    /// The entry that is tried next when all are given out.
    hand: usize,
    /// A bit for each cell that a path lies in.
    cells: Vec<u64>,
    /// A bit for each page that may be written.
    reserved: [u64; SLOT_WORDS / PAGE_WORDS / 64],
}

#[derive(Debug)]
struct Entry {
    release: Release,
    /// The id while it belongs to the release.
    id: u64,
    /// The first cell of the path.
    cell: usize,
    is_retired: bool,
}

/// How many cells a path takes.
fn cells_of(path: &[u8]) -> usize {
    path.len().div_ceil(LINE * 8).max(1)
}

impl Table {
    pub fn new(shards: usize, generation: u64) -> Self {
        Self {
            shards,
            generation,
            entries: Vec::new(),
            by_release: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            retired: VecDeque::new(),
            hand: 0,
            cells: Vec::new(),
            reserved: [0; SLOT_WORDS / PAGE_WORDS / 64],
        }
    }

    /// The id of the entry of a release; nothing if there is no room for one.
    pub fn entry(&mut self, words: &impl Words, release: &Release) -> Option<u64> {
        if let Some(found) = self.find(release) {
            let entry = &mut self.entries[found];
            entry.is_retired = false;
            return Some(entry.id);
        }
        let cell = self.reserve_cells(words, release.bytes())?;
        let Some((entry, generation)) = self.free_entry(words) else {
            self.mark_cells(cell, cells_of(release.bytes()), false);
            return None;
        };
        Some(self.publish(words, entry, generation, release, cell))
    }

    /// Lets the entry of this id be used for another release.
    pub fn retire(&mut self, id: u64) {
        let number = (record_of(id).wrapping_sub(RECORDS)) / RECORD;
        if let Some(entry) = self.entries.get_mut(number).filter(|entry| entry.id == id)
            && !std::mem::replace(&mut entry.is_retired, true)
        {
            // It may be there from the last time.
            self.retired.retain(|&entry| usize::from(entry) != number);
            self.retired.push_back(number as u16);
        }
    }

    fn find(&self, release: &Release) -> Option<usize> {
        let is_it = |&entry: &u16| self.entries[usize::from(entry)].release == *release;
        self.by_release.find(self.hasher.hash_one(release), is_it).map(|&entry| usize::from(entry))
    }

    /// An entry that belongs to no release, and its generation.
    fn free_entry(&mut self, words: &impl Words) -> Option<(usize, u64)> {
        if let Some(free) = self.free_retired(words, RETIRED_KEPT) {
            return Some(free);
        }
        let next = self.entries.len();
        if next < ENTRIES && self.reserve_entry(words, next) {
            return Some((next, self.generation));
        }
        if let Some(free) = self.free_retired(words, 0) {
            return Some(free);
        }
        for _ in 0..TRIES.min(next) {
            self.hand = (self.hand + 1) % next;
            if let Some(generation) = self.take_away(words, self.hand) {
                return Some((self.hand, generation));
            }
        }
        None
    }

    /// The entry of the release that was retired first and has no requests, if more than `kept` are retired.
    fn free_retired(&mut self, words: &impl Words, kept: usize) -> Option<(usize, u64)> {
        for _ in 0..self.retired.len().saturating_sub(kept).min(TRIES) {
            let entry = usize::from(self.retired.pop_front()?);
            // A docroot may lead there again since.
            if !self.entries[entry].is_retired {
                continue;
            }
            if let Some(generation) = self.take_away(words, entry) {
                return Some((entry, generation));
            }
            self.retired.push_back(entry as u16);
        }
        None
    }

    /// Takes an entry from its release if that has no requests, and returns the next generation.
    fn take_away(&mut self, words: &impl Words, entry: usize) -> Option<u64> {
        let Entry { ref release, id, cell, .. } = self.entries[entry];
        let (hash, count) = (self.hasher.hash_one(release), cells_of(release.bytes()));
        // First the id, then the counters: a request counts first and reads the id afterwards.
        words.store(record(entry), 0);
        let counters = |shard: usize| counter(entry, self.shards) + shard * LINE;
        let mut counted = [0; SHARDS];
        for (shard, counted) in counted.iter_mut().enumerate().take(self.shards) {
            *counted = words.load(counters(shard));
            if split(*counted).0 > 0 {
                words.store(record(entry), id);
                return None;
            }
        }
        for (shard, &counted) in counted.iter().enumerate().take(self.shards) {
            // Subtracted, because a request with an old id may count here for an instant.
            words.subtract(counters(shard), counted);
            words.store(counters(shard) + 1, 0);
        }
        if let Ok(found) = self.by_release.find_entry(hash, |&other| usize::from(other) == entry) {
            found.remove();
        }
        self.mark_cells(cell, count, false);
        Some(generation_of(id) + 1)
    }

    /// Gives an entry to a release.
    fn publish(&mut self, words: &impl Words, entry: usize, generation: u64, release: &Release, cell: usize) -> u64 {
        let id = id(entry, self.shards, generation);
        let (device, inode) = release.file();
        let path = release.bytes();
        words.store(record(entry) + 1, device);
        words.store(record(entry) + 2, inode);
        words.store(record(entry) + 3, (cell as u64) << 16 | path.len() as u64);
        for (at, bytes) in path.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            words.store(ARENA + cell * LINE + at, u64::from_ne_bytes(word));
        }
        words.store(record(entry), id);
        let known = Entry { release: release.clone(), id, cell, is_retired: false };
        if entry < self.entries.len() {
            self.entries[entry] = known;
        } else {
            self.entries.push(known);
            words.store(LENGTH, self.entries.len() as u64);
        }
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash = |&entry: &u16| hasher.hash_one(&entries[usize::from(entry)].release);
        self.by_release.insert_unique(hasher.hash_one(release), entry as u16, hash);
        id
    }

    fn reserve_entry(&mut self, words: &impl Words, entry: usize) -> bool {
        let counters = counter(entry, self.shards);
        self.reserve(words, record(entry), RECORD)
            && (0..self.shards).all(|shard| self.reserve(words, counters + shard * LINE, 2))
    }

    /// Cells for a path, of which the first is returned.
    fn reserve_cells(&mut self, words: &impl Words, path: &[u8]) -> Option<usize> {
        if path.len() > PATH_MAX {
            return None;
        }
        let count = cells_of(path);
        let is_taken = |cell: usize| self.cells.get(cell / 64).is_some_and(|bits| bits >> (cell % 64) & 1 == 1);
        let mut run = 0;
        let end = (0..CELLS).find(|&cell| {
            run = if is_taken(cell) { 0 } else { run + 1 };
            run == count
        })?;
        let cell = end + 1 - count;
        self.reserve(words, ARENA + cell * LINE, count * LINE).then(|| self.mark_cells(cell, count, true))?;
        Some(cell)
    }

    fn mark_cells(&mut self, first: usize, count: usize, are_taken: bool) {
        for cell in first..first + count {
            if self.cells.len() <= cell / 64 {
                self.cells.resize(cell / 64 + 1, 0);
            }
            let bit = 1 << (cell % 64);
            self.cells[cell / 64] = if are_taken { self.cells[cell / 64] | bit } else { self.cells[cell / 64] & !bit };
        }
    }

    /// Makes sure that words can be written, once for each page.
    fn reserve(&mut self, words: &impl Words, first: usize, count: usize) -> bool {
        (first / PAGE_WORDS..=(first + count - 1) / PAGE_WORDS).all(|page| {
            let (bits, bit) = (&mut self.reserved[page / 64], 1 << (page % 64));
            if *bits & bit == 0 && words.reserve(page * PAGE_WORDS..(page + 1) * PAGE_WORDS) {
                *bits |= bit;
            }
            *bits & bit != 0
        })
    }
}
