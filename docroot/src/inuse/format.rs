//! Where everything is in the file.
//!
//! All numbers are 64-bit words of the machine: the file never leaves it. The file begins with:
//!
//! | word | content |
//! |---|---|
//! | 0 | [`MAGIC`] |
//! | 1 | [`VERSION`] |
//! | 2 | [`SLOT_WORDS`] |
//! | 3 | [`ENTRIES`] |
//!
//! Behind it lies one slot of [`SLOT_WORDS`] after the other, as many as there ever were processes at once. The file is
//! sparse: memory is only taken by what a slot uses. The byte number n of the file is locked (`F_SETLK`) by the process
//! that owns slot n; the byte [`UNCOUNTED`] by processes that could have none.
//!
//! A slot:
//!
//! | at | content |
//! |---|---|
//! | [`COUNTERS`] | for each four entries one cache line a shard, each with four pairs: requests, failed requests |
//! | [`RECORDS`] | [`ENTRIES`] records of four words: id, device, inode, where the path is (first cell, length) |
//! | [`ARENA`] | the paths of the releases, in cells of a cache line |
//! | [`HEADER`] | who owns the slot and whether it lives, the window, how many are looking, the counters of *any* release |
//!
//! The header is the last page, so that a process makes the file long enough by writing its own header.
//!
//! The word of requests has two counters, so that one addition is enough for both: how many run ([`RUNNING`], the lower
//! bits) and how many there were since the entry was given out.
//!
//! The id of a record is zero while the entry belongs to no release, or is being written. Else it is where the entry is
//! in the slot and its generation, which no other use of an entry has.

/// The first word of the file, and of a slot that is ready.
pub const MAGIC: u64 = u64::from_le_bytes(*b"realdoc\x01");
/// The version of all that is said here.
pub const VERSION: u64 = 1;

/// Where the first slot begins: a multiple of any page that a kernel maps.
pub const FIRST: u64 = 1 << 16;
/// Memory is reserved in steps of so many words: 4 KiB.
pub const PAGE_WORDS: usize = 512;
/// The words of a slot: 8 MiB, of which a process with one release uses four pages. A power of two, so that a mask keeps
/// an index inside.
pub const SLOT_WORDS: usize = 1 << 20;
/// The bytes of a slot.
pub const SLOT_BYTES: u64 = SLOT_WORDS as u64 * 8;
/// The most slots: so many bytes of the file are tried for a lock.
pub const SLOTS: u64 = 1 << 16;

/// The byte that is locked, together with others, by a process that has no slot and serves requests all the same.
pub const UNCOUNTED: u64 = SLOTS;

/// The releases that a slot has room for at once; requests of others count for *any* release.
pub const ENTRIES: usize = 1 << 14;
/// The words of a record.
pub const RECORD: usize = 4;
/// The most shards of a counter: one cache line each.
pub const SHARDS: usize = 4;
/// The words of a cache line, which are those of a cell of the arena too.
pub const LINE: usize = 8;
/// Where the counters begin: first, so that the number of a pair is that of a request's ticket.
pub const COUNTERS: usize = 0;
/// Where the records begin.
pub const RECORDS: usize = ENTRIES * SHARDS * 2;
/// Where the paths begin.
pub const ARENA: usize = RECORDS + ENTRIES * RECORD;
/// How many cells there are for paths.
pub const CELLS: usize = (HEADER - ARENA) / LINE;
/// Where the header is.
pub const HEADER: usize = SLOT_WORDS - PAGE_WORDS;

/// [`MAGIC`] once the slot is ready, zero while a process claims it.
pub const STATE: usize = HEADER;
/// The number of the owning process, in its own PID namespace.
pub const PID: usize = HEADER + 1;
/// When that process started, in clock ticks since boot.
pub const START: usize = HEADER + 2;
/// Which boot of the machine that was: two words.
pub const BOOT: usize = HEADER + 3;
/// The PID namespace of the process.
pub const NAMESPACE: usize = HEADER + 5;
/// The longest window of the process, in nanoseconds.
pub const WINDOW: usize = HEADER + 6;
/// How many shards the counters have.
pub const SHARD_COUNT: usize = HEADER + 7;
/// How many entries were ever given out.
pub const LENGTH: usize = HEADER + LINE;
/// How many walks there are: two counters, so that one of them comes to zero while walks go on.
pub const LOOKING: [usize; 2] = [HEADER + 2 * LINE, HEADER + 3 * LINE];
/// Which of the two new walks count in.
pub const LOOKING_NOW: usize = HEADER + 4 * LINE;
/// A robust mutex that the owner holds: the kernel marks it when the owner ends in whatever way, and whoever reads it needs
/// no view of the owner's PID namespace.
pub const ALIVE: usize = HEADER + 5 * LINE;
/// The pairs of counters of requests whose release has no entry, one line a shard.
pub const ANY: usize = HEADER + 8 * LINE;

/// The bits of a word of requests that say how many run.
pub const RUNNING: u64 = (1 << TOTAL_SHIFT) - 1;
/// Where in that word the number of all requests begins.
pub const TOTAL_SHIFT: u32 = 24;
/// What one request adds.
pub const ONE: u64 = (1 << TOTAL_SHIFT) | 1;

/// The longest path; a longer one has no entry.
pub const PATH_MAX: usize = 4095;

/// What the file begins with.
pub(crate) const HEADER_WORDS: [u64; 4] = [MAGIC, VERSION, SLOT_WORDS as u64, ENTRIES as u64];

const INDEX_BITS: u32 = SLOT_WORDS.trailing_zeros();
const RECORD_SHIFT: u32 = 64 - INDEX_BITS;
/// The generations of an entry before they begin again. Nobody holds on to an id for so many deploys.
const GENERATIONS: u64 = 1 << (64 - 2 * INDEX_BITS);

/// The id of an entry: where its record is, its generation, and where its first counter is. So laid out that a request
/// finds both with the fewest instructions.
#[inline]
pub(crate) const fn id(entry: usize, shards: usize, generation: u64) -> u64 {
    let generation = generation % GENERATIONS;
    ((record(entry) as u64) << RECORD_SHIFT) | (generation << INDEX_BITS) | counter(entry, shards) as u64
}

/// Where the record of an entry is.
#[inline]
pub(crate) const fn record(entry: usize) -> usize {
    RECORDS + entry * RECORD
}

/// Where the pair of counters of an entry is, of the first shard. Those of the others follow, a [`LINE`] each.
#[inline]
pub(crate) const fn counter(entry: usize, shards: usize) -> usize {
    entry / 4 * LINE * shards + entry % 4 * 2
}

/// [`counter`] of an id, so many words further.
#[inline]
pub(crate) const fn counter_of(id: u64, offset: usize) -> usize {
    (id as usize).wrapping_add(offset) & (SLOT_WORDS - 1)
}

/// [`record`] of an id.
#[inline]
pub(crate) const fn record_of(id: u64) -> usize {
    (id >> RECORD_SHIFT) as usize
}

/// The generation of an id.
pub(crate) const fn generation_of(id: u64) -> u64 {
    (id >> INDEX_BITS) % GENERATIONS
}

/// The two numbers of a word of requests: how many run, and how many there were.
pub(crate) const fn split(requests: u64) -> (u64, u64) {
    (requests & RUNNING, requests >> TOTAL_SHIFT)
}

/// Where slot `number` begins in the file.
pub(crate) const fn slot_offset(number: u64) -> u64 {
    FIRST + number * SLOT_BYTES
}

/// How many slots a file of this length has.
pub(crate) const fn slots_in(length: u64) -> u64 {
    length.saturating_sub(FIRST) / SLOT_BYTES
}

const _: () = {
    assert!(SLOT_WORDS.is_power_of_two() && SHARDS.is_power_of_two());
    assert!(counter(ENTRIES - 1, SHARDS) + (SHARDS - 1) * LINE + 2 <= RECORDS && ARENA < HEADER);
    // A ticket is which pair of counters: of an entry, in 16 bits.
    assert!(RECORDS / 2 <= 1 << 16 && ANY > ARENA && ANY + SHARDS * LINE <= SLOT_WORDS);
    // No id is zero, which is none, whatever its generation.
    assert!(id(0, 1, 0) != 0);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_entries_share_a_word() {
        for shards in [1, 2, SHARDS] {
            let mut used = std::collections::HashSet::new();
            for entry in 0..ENTRIES {
                for shard in 0..shards {
                    let at = counter(entry, shards) + shard * LINE;
                    assert!((0..RECORDS).contains(&at) && used.insert(at) && used.insert(at + 1));
                }
            }
        }
    }

    #[test]
    fn an_id_says_where_its_entry_is() {
        for (entry, generation) in [(0, 1), (1, 1), (77, 3), (ENTRIES - 1, GENERATIONS - 1)] {
            let id = id(entry, 4, generation);
            assert_eq!((counter_of(id, 0), record_of(id)), (counter(entry, 4), record(entry)));
            assert_eq!(generation_of(id), generation);
        }
        assert_eq!(slots_in(0), 0);
        assert_eq!((slots_in(slot_offset(3)), slots_in(slot_offset(3) - 1)), (3, 2));
    }
}
