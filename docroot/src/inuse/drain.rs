//! Waiting until no request uses a release.
//!
//! Owns: the order in which a slot is read, which is half of the proof ([`crate::inuse`]). Must not: wait itself, or read
//! a clock.

use std::collections::HashMap;
use std::time::Duration;

use crate::inuse::format::{LOOKING, WINDOW};
use crate::inuse::process::Process;
use crate::inuse::reader::{Reader, Unknown, counts};
use crate::inuse::release::Release;
use crate::inuse::words::Words;
use crate::os::system::Moment;

/// What is added to the windows: longer than any processor keeps a store to itself.
pub const MARGIN: Duration = Duration::from_millis(1);
/// How often it is worth while to look.
const POLL: Duration = Duration::from_millis(10);

/// One slot, read again and again until it is free of a release.
#[derive(Clone, Debug, Default)]
pub struct SlotDrain {
    /// Which of the two counters of walks were zero once.
    looked: [bool; 2],
    is_free: bool,
}

/// How far a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotProgress {
    /// Whether the release is free there, for good.
    pub is_free: bool,
    /// How many requests use the release, or may use it.
    pub running: u64,
    /// How much of the window is left.
    pub window: Duration,
}

impl SlotDrain {
    /// Reads the slot. No link leads to `release` since `since`; `now` was read before the call.
    ///
    /// # Errors
    /// [`Unknown::Damaged`] if the slot contradicts itself.
    pub fn poll(
        &mut self,
        words: &impl Words,
        release: &Release,
        since: Moment,
        now: Moment,
    ) -> Result<SlotProgress, Unknown> {
        if self.is_free {
            return Ok(SlotProgress { is_free: true, running: 0, window: Duration::ZERO });
        }
        let passed = now.since(since).unwrap_or_default();
        let window = Duration::from_nanos(words.load(WINDOW)).saturating_sub(passed);
        let is_due = window.is_zero() && now >= since;
        if is_due {
            for (looked, &word) in self.looked.iter_mut().zip(&LOOKING) {
                // Each of them once: who looks now began later.
                *looked = *looked || words.load(word) == 0;
            }
        }
        let may_be_free = is_due && self.looked == [true; 2];
        // Only now: who was looking has counted before the looking ended.
        let (counts, are_whole) = counts(words, |counted| release.covers(counted))?;
        let running = counts.any + counts.releases.iter().map(|usage| usage.running).sum::<u64>();
        self.is_free = may_be_free && are_whole && running == 0;
        Ok(SlotProgress { is_free: self.is_free, running, window })
    }
}

/// A release to which no link leads any more, until no request uses it.
///
/// The caller has seen to it, under a lock that all who flip links take, that no link leads to the release, nor to
/// anything in it, and holds a [`Claim`](crate::inuse::Claim) on it.
#[derive(Debug)]
pub struct Drain {
    files: Vec<FileDrain>,
    release: Release,
    since: Moment,
}

/// One file of a drain.
#[derive(Debug)]
struct FileDrain {
    reader: Reader,
    /// By the number of the slot and its process.
    slots: HashMap<(u64, Process), SlotDrain>,
}

/// How far a [`Drain`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether the release is free, and will be until a link leads there again.
    pub is_free: bool,
    /// How many requests use the release, or may use it.
    pub running: u64,
    /// When to poll again.
    pub wait: Duration,
}

impl Drain {
    /// Begins to drain `release`, to which no link leads since `since`: a moment read after the last flip.
    ///
    /// # Errors
    /// [`Unknown::Missing`] without files: then nobody knows of the requests.
    pub fn new(files: Vec<Reader>, release: Release, since: Moment) -> Result<Self, Unknown> {
        if files.is_empty() {
            return Err(Unknown::Missing);
        }
        let files = files.into_iter().map(|reader| FileDrain { reader, slots: HashMap::new() }).collect();
        Ok(Self { files, release, since })
    }

    /// Reads all slots. `now` is the present moment, by the same clock as `since` and the servers'
    /// ([`Os::now`](crate::Os::now)).
    ///
    /// # Errors
    /// [`Unknown`] if a file cannot be read any more. The release may be in use.
    pub fn poll(&mut self, now: Moment) -> Result<Progress, Unknown> {
        let since = Moment::from_nanoseconds(self.since.nanoseconds().saturating_add(MARGIN.as_nanos() as u64));
        let mut progress = Progress { is_free: true, running: 0, wait: Duration::ZERO };
        let mut window = Duration::MAX;
        for FileDrain { reader, slots: drains } in &mut self.files {
            let slots = reader.slots()?;
            for slot in &slots {
                let Some(words) = &slot.words else {
                    // Its process is not ready yet, and serves nobody.
                    progress.is_free = false;
                    continue;
                };
                let drain = drains.entry((slot.number, slot.process)).or_default();
                let slot = drain.poll(words, &self.release, since, now)?;
                progress.running += slot.running;
                if !slot.is_free {
                    progress.is_free = false;
                    window = window.min(slot.window);
                }
            }
            // Of processes that have ended nothing is remembered.
            drains.retain(|&(number, process), _| {
                slots.iter().any(|slot| slot.number == number && slot.process == process)
            });
        }
        if !progress.is_free {
            progress.wait = if window == Duration::MAX { POLL } else { window.max(POLL) };
        }
        Ok(progress)
    }
}
