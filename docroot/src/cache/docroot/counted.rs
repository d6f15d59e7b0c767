//! Requests that are counted: they count first and look afterwards.
//!
//! Owns: which look is enough after the count, and what a request must know to be counted. Must not: count by itself;
//! [`crate::inuse`] does.

use std::sync::atomic::Ordering::Acquire;

use smallvec::SmallVec;

use super::{Docroot, WALK_EVERY_NANOSECONDS};
use crate::cache::answer::Answer;
use crate::inuse::{Slot, Ticket, Words};
use crate::os::system::{Moment, System};
use crate::resolve::resolution::Resolution;

impl Docroot {
    /// Counts a request in `slot`, and then looks: the same answer as [`Docroot::remembered`] or [`Docroot::checked`] would
    /// give. If nothing comes back, nothing is counted: a docroot without links is not, and others need a
    /// [`Docroot::lookup`].
    ///
    /// `connection` chooses one of the counters, and `now` reads the clock.
    pub fn enter<W: Words>(
        &self,
        slot: &Slot<W>,
        connection: usize,
        system: &impl System,
        now: impl FnOnce() -> Moment,
        window: u64,
    ) -> Option<(Ticket, &Resolution)> {
        let presumed = self.retained.get(self.served.load(Acquire))?;
        let counted = slot.count(presumed.entry(), connection)?;
        self.confirms(presumed, system, now(), window).then(|| (counted.confirm(), presumed))
    }

    /// The second half of [`Docroot::enter`]: whether this docroot leads to `presumed`, a resolution that the process
    /// retains. The request must have been counted there ([`Slot::count`]) before the clock said `now`. If the answer is no,
    /// the request must not use the resolution, nor stay counted.
    ///
    /// The module's requests use the halves by themselves. They presume what the last lookup found, without a search, and put
    /// the ticket in its place before they read the clock, so that fewer registers are saved across that.
    #[inline(always)]
    pub fn confirms(&self, presumed: &Resolution, system: &impl System, now: Moment, window: u64) -> bool {
        // In this order: whether the last walk succeeded, and the answer, are at least as new as the time.
        let last_lookup = Moment::from_nanoseconds(self.last_lookup.load(Acquire));
        let last_success = self.last_success.load(Acquire);
        if self.served.load(Acquire) != presumed.retained_number() {
            return false;
        }
        if now.is_within_nanoseconds(last_lookup, window) {
            // No link leads to a fallback: a request must see for itself that nobody is about to remove that.
            last_success != 0
        } else {
            window == 0 && leads_to(presumed, system, now, last_success)
        }
    }

    /// The answer for a request that must not use the fallback, because somebody is about to remove that release.
    pub fn answer_without_fallback(&self) -> Answer {
        let state = self.state.read();
        let failure = state.failures.as_ref().and_then(|failures| failures.last.as_ref());
        failure.map_or(Answer::AsConfigured, |failure| self.without_fallback(failure))
    }

    /// The directories that requests served from `resolution` may open files in, and that somebody may remove: see
    /// [`Resolution::directories`].
    pub fn directories<'r>(&self, resolution: &'r Resolution) -> SmallVec<[&'r [u8]; 1]> {
        resolution.directories(self.rules.releases.as_ref())
    }
}

/// Whether the texts of the links show that a docroot leads to a resolution, as for [`Docroot::checked`]. Not inline, because
/// it needs room for the texts, which requests in a window do not.
#[inline(never)]
fn leads_to(resolution: &Resolution, system: &impl System, now: Moment, last_success: u64) -> bool {
    let last_success = Moment::from_nanoseconds(last_success);
    now.is_within_nanoseconds(last_success, WALK_EVERY_NANOSECONDS) && resolution.has_texts(system)
}
