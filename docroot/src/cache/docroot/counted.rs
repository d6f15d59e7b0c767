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
    #[inline(always)]
    pub fn enter<W: Words>(
        &self,
        slot: &Slot<W>,
        connection: usize,
        system: &impl System,
        now: impl Fn() -> Moment,
        window: u64,
    ) -> Option<(Ticket, &Resolution)> {
        let served = self.served.load(Acquire);
        let resolution = self.retained.get(served)?;
        let counted = slot.count(resolution.entry(), connection)?;
        let now = now();
        // In this order: whether the last walk succeeded, and the answer, are at least as new as the time.
        let last_lookup = Moment::from_nanoseconds(self.last_lookup.load(Acquire));
        let holds = if now.is_within_nanoseconds(last_lookup, window) {
            // No link leads to a fallback: a request must see for itself that nobody is about to remove that.
            self.last_success.load(Acquire) != 0 && self.served.load(Acquire) == served
        } else {
            self.leads_to(resolution, system, now, window)
        };
        holds.then(|| (counted.confirm(), resolution))
    }

    /// Whether the texts of the links show that the docroot leads to a retained resolution, as for [`Docroot::checked`].
    /// Not inline, because it needs room for the texts, which requests in a window do not.
    #[inline(never)]
    fn leads_to(&self, resolution: &Resolution, system: &impl System, now: Moment, window: u64) -> bool {
        let last_success = Moment::from_nanoseconds(self.last_success.load(Acquire));
        let is_recent = window == 0 && now.is_within_nanoseconds(last_success, WALK_EVERY_NANOSECONDS);
        is_recent && resolution.has_texts(system)
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
