//! What processes count, as others read it.
//!
//! Owns: which slots count, and what one reads in them while their processes go on. Must not: take what cannot be read
//! for zero.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::inuse::format::{
    ALIVE, ANY, ARENA, CELLS, ENTRIES, HEADER, HEADER_WORDS, LENGTH, LINE, LOOKING, MAGIC, PATH_MAX, SHARD_COUNT,
    SHARDS, STATE, UNCOUNTED, VERSION, WINDOW, counter_of, record, record_of, slot_offset, slots_in, split,
};
use crate::inuse::os::{self, Mapping};
use crate::inuse::process::{OWNER_WORDS, OwnerWords, Process};
use crate::inuse::release::Release;
use crate::inuse::words::Words;
use crate::os::system::Errno;

/// Why nothing is known. It is never the same as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// There is no such file: no server counts there.
    Missing,
    /// The file may not be read.
    Forbidden,
    /// Something else is there.
    NotRegular,
    /// It has another format.
    OtherVersion,
    /// It contradicts itself, or was never written.
    Damaged,
    /// A process serves requests and could not have a slot.
    Uncounted,
    /// It was deleted or replaced while it was being read.
    Deleted,
    /// The system refuses.
    Io(Errno),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no such file: no server counts requests there"),
            Self::Forbidden => f.write_str("no permission to read it"),
            Self::NotRegular => f.write_str("it is no regular file"),
            Self::OtherVersion => f.write_str("it is of another version of mod_realdoc"),
            Self::Damaged => f.write_str("it is damaged"),
            Self::Uncounted => f.write_str("a server process could not get a slot and counts no requests"),
            Self::Deleted => f.write_str("it was deleted"),
            Self::Io(errno) => errno.fmt(f),
        }
    }
}

impl std::error::Error for Unknown {}

impl From<io::Error> for Unknown {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => Self::Missing,
            Some(libc::EACCES | libc::EPERM) => Self::Forbidden,
            Some(libc::ELOOP | libc::ENXIO) => Self::NotRegular,
            errno => Self::Io(Errno(errno.unwrap_or(libc::EIO))),
        }
    }
}

/// Whether a release is in use at one moment. That it is free says nothing of the next moment: that needs a
/// [`Drain`](crate::inuse::Drain).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InUse {
    /// No request uses it.
    Free,
    /// So many requests use it, or may use it.
    Requests(u64),
    /// Nobody can tell.
    Unknown(Unknown),
}

/// The requests of one release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The release.
    pub release: Release,
    /// How many run.
    pub running: u64,
    /// How many there were since each process that lives gave it an entry.
    pub total: u64,
    /// How many of them the server failed to answer (5xx).
    pub failed: u64,
}

/// What all processes count at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Each release that has an entry, in no order.
    pub releases: Vec<Usage>,
    /// How many requests run that may use any release: no entry was free.
    pub any: u64,
    /// How many walks look for a release.
    pub looking: u64,
    /// How many processes count.
    pub processes: u64,
    /// The longest time for which one of them goes without a look.
    pub window: Duration,
}

impl Snapshot {
    /// How many requests use, or may use, a release or what is below it.
    pub fn running(&self, release: &Release) -> u64 {
        let of_release = self.releases.iter().filter(|usage| release.covers(&usage.release));
        self.any + of_release.map(|usage| usage.running).sum::<u64>()
    }

    fn add(&mut self, slot: &mut Counts, releases: &mut HashMap<Release, usize>) {
        self.any += slot.any;
        self.looking += slot.looking;
        self.processes += 1;
        self.window = self.window.max(slot.window);
        for usage in slot.releases.drain(..) {
            let at = *releases.entry(usage.release.clone()).or_insert(self.releases.len());
            match self.releases.get_mut(at) {
                None => self.releases.push(usage),
                Some(sum) => {
                    sum.running += usage.running;
                    sum.total += usage.total;
                    sum.failed += usage.failed;
                }
            }
        }
    }
}

/// What one slot counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub any: u64,
    pub looking: u64,
    pub window: Duration,
    pub releases: Vec<Usage>,
}

/// A file of requests, open for reading. A process that has claimed a slot of it must not open one: see [`File::reader`].
///
/// [`File::reader`]: crate::inuse::File::reader
#[derive(Clone, Debug)]
pub struct Reader(Arc<fs::File>);

impl Reader {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Unknown`] if it cannot be read or understood.
    pub fn open(path: &Path) -> Result<Self, Unknown> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        Self::of(Arc::new(file))
    }

    pub(crate) fn of(file: Arc<fs::File>) -> Result<Self, Unknown> {
        if !file.metadata()?.is_file() {
            return Err(Unknown::NotRegular);
        }
        match header_words(&file)? {
            Some(HEADER_WORDS) => Ok(Self(file)),
            Some([MAGIC, version, ..]) if version != VERSION => Err(Unknown::OtherVersion),
            _ => Err(Unknown::Damaged),
        }
    }

    /// What all processes count now.
    ///
    /// # Errors
    /// [`Unknown`] if one of them cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, Unknown> {
        let (mut snapshot, mut releases) = (Snapshot::default(), HashMap::new());
        for slot in self.slots()? {
            if let Some(words) = &slot.words {
                // What is being given to another release has no requests.
                snapshot.add(&mut counts(words, |_| true)?.0, &mut releases);
            }
        }
        Ok(snapshot)
    }

    /// Whether a release is in use now.
    pub fn in_use(&self, release: &Release) -> InUse {
        match self.snapshot().map(|snapshot| snapshot.running(release)) {
            Ok(0) => InUse::Free,
            Ok(running) => InUse::Requests(running),
            Err(unknown) => InUse::Unknown(unknown),
        }
    }

    /// The slots of processes that live.
    pub(crate) fn slots(&self) -> Result<Vec<LiveSlot>, Unknown> {
        let metadata = self.0.metadata()?;
        if metadata.nlink() == 0 {
            return Err(Unknown::Deleted);
        }
        if os::is_locked(&self.0, UNCOUNTED, 1)? {
            return Err(Unknown::Uncounted);
        }
        let mut live = Vec::new();
        for number in 0..slots_in(metadata.len()) {
            // First the lock: who gets it later looks later, and finds no link to a release that none leads to.
            let is_locked = os::is_locked(&self.0, number, 1)?;
            let header = slot_header(&self.0, number)?;
            let process = Process::of(&header);
            let is_ready = header[STATE - HEADER] == MAGIC;
            let lives = is_locked || (is_ready && process.lives_without_lock(header[ALIVE - HEADER]));
            if !lives {
                continue;
            }
            let words = match header[STATE - HEADER] {
                MAGIC => Some(Mapping::shared(&self.0, number)?),
                // It is being claimed.
                0 => None,
                _ => return Err(Unknown::Damaged),
            };
            live.push(LiveSlot { number, process, words });
        }
        Ok(live)
    }
}

/// The slot of a process that lives.
pub(crate) struct LiveSlot {
    pub number: u64,
    pub process: Process,
    /// Its memory; none while the process is not ready.
    pub words: Option<Mapping>,
}

/// What a file begins with, if it is long enough.
pub(crate) fn header_words(file: &fs::File) -> io::Result<Option<[u64; 4]>> {
    read_words(file, 0)
}

/// The words of a slot's header that say whose it is.
pub(crate) fn slot_header(file: &fs::File, number: u64) -> io::Result<OwnerWords> {
    Ok(read_words(file, slot_offset(number) + HEADER as u64 * 8)?.unwrap_or([0; OWNER_WORDS]))
}

/// Words, read and not mapped: a file system gives memory to holes that are read through a mapping.
fn read_words<const N: usize>(file: &fs::File, offset: u64) -> io::Result<Option<[u64; N]>> {
    let mut bytes = vec![0; N * 8];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    Ok(Some(words))
}

/// So often an entry is read again that changes meanwhile.
const TRIES: usize = 4;

/// What a slot counts for releases that are asked for; and whether all of its entries could be read, which is not so for
/// one that is given to another release just now.
pub(crate) fn counts(words: &impl Words, is_asked: impl Fn(&Release) -> bool) -> Result<(Counts, bool), Unknown> {
    let shards = words.load(SHARD_COUNT) as usize;
    let length = words.load(LENGTH) as usize;
    if !(1..=SHARDS).contains(&shards) || length > ENTRIES {
        return Err(Unknown::Damaged);
    }
    let mut counts = Counts { window: Duration::from_nanos(words.load(WINDOW)), ..Counts::default() };
    let mut are_whole = true;
    for entry in 0..length {
        match (0..TRIES).find_map(|_| usage(words, entry, shards, &is_asked)) {
            Some(Ok(usage)) => counts.releases.extend(usage),
            Some(Err(unknown)) => return Err(unknown),
            None => are_whole = false,
        }
    }
    counts.any = (0..shards).map(|shard| split(words.load(ANY + shard * LINE)).0).sum();
    counts.looking = LOOKING.iter().map(|&word| words.load(word)).sum();
    Ok((counts, are_whole))
}

/// What is counted for the release of an entry, if that is asked for; nothing at all if the entry changed meanwhile.
fn usage(
    words: &impl Words,
    entry: usize,
    shards: usize,
    is_asked: impl Fn(&Release) -> bool,
) -> Option<Result<Option<Usage>, Unknown>> {
    let id = words.load(record(entry));
    if id == 0 {
        return None;
    }
    let found = release(words, entry);
    let is_asked = found.as_ref().is_some_and(is_asked);
    let mut sums = [0; 3];
    if is_asked {
        for shard in 0..shards {
            let (running, total) = split(words.load(counter_of(id, shard * LINE)));
            sums[0] += running;
            sums[1] += total;
            sums[2] += words.load(counter_of(id, shard * LINE + 1));
        }
    }
    // The id is set last and cleared first: what was read in between is of one release.
    if words.load(record(entry)) != id {
        return None;
    }
    let Some(release) = found.filter(|_| record_of(id) == record(entry)) else {
        return Some(Err(Unknown::Damaged));
    };
    let [running, total, failed] = sums;
    Some(Ok(is_asked.then_some(Usage { release, running, total, failed })))
}

fn release(words: &impl Words, entry: usize) -> Option<Release> {
    let [device, inode, at] = [1, 2, 3].map(|word| words.load(record(entry) + word));
    let (cell, length) = ((at >> 16) as usize, (at & 0xFFFF) as usize);
    if length > PATH_MAX || cell + length.div_ceil(LINE * 8) > CELLS {
        return None;
    }
    let mut path = Vec::with_capacity(length.next_multiple_of(8));
    for word in 0..length.div_ceil(8) {
        path.extend(words.load(ARENA + cell * LINE + word).to_ne_bytes());
    }
    path.truncate(length);
    Some(Release::new(&path, device, inode))
}
