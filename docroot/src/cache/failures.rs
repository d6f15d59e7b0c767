//! The failure log: which failures and recoveries are reported, and when.
//!
//! Owns: all throttling. Each cause is reported at once, a reminder follows every ten seconds, and the recovery from
//! logged failures is reported once. Must not: write a log. A lookup hands a [`PendingReport`] to its caller, who writes.
//!
//! ```text
//! walk fails ------claim---> PendingReport ---commit---> logged: no report of this cause for ten seconds
//!                                         \----drop---> withdrawn: the next failed walk reports
//! walk succeeds --recover--> PendingReport ---commit---> logged: no report before another failure is logged
//!                                         \----drop---> withdrawn: the next successful walk reports
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;

use crate::cache::answer::Answer;
use crate::os::system::Moment;
use crate::resolve::failure::Failure;

/// The time between reminders of a failure that goes on or comes back.
const REMIND_EVERY: Duration = Duration::from_secs(10);
/// The number of causes with a reminder of their own. While all of them were reported lately, another cause is not.
const CAUSES_MAX: usize = 4;

/// The failures of a docroot.
#[derive(Debug, Default)]
pub(crate) struct FailureState {
    /// The answer while resolution fails; `None` after a success.
    pub(crate) fallback: Option<Answer>,
    /// The last failure.
    pub(crate) last: Option<Arc<Failure>>,
    /// The number of walks that failed.
    pub(crate) count: u64,
    /// The reports.
    pub(crate) log: Arc<FailureLog>,
}

/// The reports of one docroot, or of all docroots without an entry in the cache.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    /// The causes claimed lately, each with the start of the walk that claimed it.
    causes: Mutex<Vec<(Arc<Failure>, Moment)>>,
    /// The number of failures logged.
    logged: AtomicU64,
    /// The number of those whose recovery is logged or pending.
    recovered: AtomicU64,
}

/// A failure or a recovery that is due to be logged. While it exists, no other lookup reports the same.
///
/// [`commit`](Self::commit) it when it is logged. Dropping it instead withdraws the claim, and the next walk that fails
/// for this cause, or succeeds, gets the report. Needs no docroot to be alive, and may be dropped by a process that has
/// interrupted itself.
#[derive(Debug)]
#[must_use = "dropping a report withdraws it"]
pub struct PendingReport {
    /// `None` once committed.
    log: Option<Arc<FailureLog>>,
    claim: Claim,
}

#[derive(Debug)]
enum Claim {
    /// A failure, with the start of its walk.
    Failure(Arc<Failure>, Moment),
    /// A recovery: the values of [`FailureLog::recovered`] before and after.
    Recovery { before: u64, after: u64 },
}

impl PendingReport {
    /// The report is logged.
    pub fn commit(mut self) {
        if let Some(log) = self.log.take()
            && matches!(self.claim, Claim::Failure(..))
        {
            log.logged.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for PendingReport {
    fn drop(&mut self) {
        if let Some(log) = &self.log {
            log.withdraw(&self.claim);
        }
    }
}

impl FailureLog {
    /// Claims the report of a failure for a walk that began at `now`; `None` if the cause was claimed lately.
    pub(crate) fn claim(self: &Arc<Self>, failure: &Arc<Failure>, now: Moment) -> Option<PendingReport> {
        let is_due = |claimed: Moment| !now.is_within(claimed, REMIND_EVERY);
        let mut causes = self.causes.lock();
        let index = match causes.iter().position(|(cause, _)| cause == failure) {
            None if causes.len() < CAUSES_MAX => causes.len(),
            // The oldest makes room.
            None => (0..CAUSES_MAX).min_by_key(|&index| causes[index].1).unwrap_or(0),
            Some(index) => index,
        };
        if causes.get(index).is_some_and(|(_, claimed)| !is_due(*claimed)) {
            return None;
        }
        let claimed = (Arc::clone(failure), now);
        match causes.get_mut(index) {
            Some(known) => *known = claimed,
            None => causes.push(claimed),
        }
        Some(self.pending(Claim::Failure(Arc::clone(failure), now)))
    }

    /// Claims the report of a failure of a docroot without an entry in the cache, in a log that all of them share.
    /// Clients choose the names of these docroots. A name that does not exist is no error of the server and is not
    /// reported; a refusal is one, and any refusal counts as the same cause.
    pub(crate) fn claim_without_entry(self: &Arc<Self>, failure: &Arc<Failure>, now: Moment) -> Option<PendingReport> {
        if failure.errno().is_some() {
            return None;
        }
        let mut causes = self.causes.lock();
        if causes.iter().any(|(_, claimed)| now.is_within(*claimed, REMIND_EVERY)) {
            return None;
        }
        *causes = vec![(Arc::clone(failure), now)];
        Some(self.pending(Claim::Failure(Arc::clone(failure), now)))
    }

    /// Claims the report of the recovery for a walk that succeeded; `None` if no failure was logged since the last one.
    pub(crate) fn recover(self: &Arc<Self>) -> Option<PendingReport> {
        let after = self.logged.load(Relaxed);
        let before = self.recovered.swap(after, Relaxed);
        (before != after).then(|| self.pending(Claim::Recovery { before, after }))
    }

    fn pending(self: &Arc<Self>, claim: Claim) -> PendingReport {
        PendingReport { log: Some(Arc::clone(self)), claim }
    }

    /// Withdraws a claim, unless another walk has claimed the same since.
    fn withdraw(&self, claim: &Claim) {
        /// Longer than any thread holds the lock. A process that ends may interrupt itself while it holds the lock, and
        /// drop its reports then; it must not wait for itself.
        const PATIENCE: Duration = Duration::from_millis(10);
        match claim {
            Claim::Failure(cause, claimed) => {
                if let Some(mut causes) = self.causes.try_lock_for(PATIENCE) {
                    causes.retain(|(other, at)| other != cause || at != claimed);
                }
            }
            // Fails if another walk has claimed a recovery since, which stays.
            Claim::Recovery { before, after } => {
                let _ = self.recovered.compare_exchange(*after, *before, Relaxed, Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::system::Errno;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanoseconds((1_000 + seconds) * 1_000_000_000)
    }

    fn missing() -> Arc<Failure> {
        Arc::new(Failure::new(b"/srv/current", Errno(libc::ENOENT)))
    }

    fn refused() -> Arc<Failure> {
        Arc::new(Failure::outside_releases(b"/etc"))
    }

    #[test]
    fn a_dropped_report_is_withdrawn_and_a_committed_one_is_not() {
        let (log, failure) = (Arc::new(FailureLog::default()), missing());
        drop(log.claim(&failure, at(0)).expect("the first"));
        assert!(log.recover().is_none(), "nothing was logged");
        let pending = log.claim(&failure, at(1)).expect("the first was withdrawn");
        assert!(log.claim(&failure, at(2)).is_none(), "it is pending");
        pending.commit();
        assert!(log.claim(&failure, at(3)).is_none(), "it is logged");
        log.recover().expect("the failure was logged").commit();
        assert!(log.recover().is_none(), "once");
        log.claim(&failure, at(11)).expect("the reminder").commit();
    }

    #[test]
    fn a_dropped_recovery_is_withdrawn_unless_another_was_claimed_since() {
        let (log, failure) = (Arc::new(FailureLog::default()), missing());
        log.claim(&failure, at(0)).expect("the first").commit();
        drop(log.recover().expect("the failure was logged"));
        let first = log.recover().expect("the first was withdrawn");
        assert!(log.recover().is_none(), "it is pending");
        log.claim(&failure, at(10)).expect("the reminder").commit();
        let second = log.recover().expect("another failure was logged");
        drop(first);
        assert!(log.recover().is_none(), "the second is pending");
        drop(second);
        assert!(log.recover().is_some(), "both are withdrawn");
    }

    #[test]
    fn a_failure_that_is_logged_after_the_recovery_is_recovered_from_by_the_next_walk() {
        let (log, failure) = (Arc::new(FailureLog::default()), missing());
        let slow = log.claim(&failure, at(0)).expect("the first");
        assert!(log.recover().is_none(), "it is not logged yet");
        slow.commit();
        log.recover().expect("it is logged now").commit();
    }

    #[test]
    fn docroots_without_entries_share_the_reports_of_refusals() {
        let log = Arc::new(FailureLog::default());
        assert!(log.claim_without_entry(&missing(), at(0)).is_none());
        drop(log.claim_without_entry(&refused(), at(0)).expect("the first"));
        log.claim_without_entry(&refused(), at(1)).expect("the first was withdrawn").commit();
        assert!(log.claim_without_entry(&Arc::new(Failure::outside_releases(b"/usr")), at(10)).is_none());
        assert!(log.claim_without_entry(&refused(), at(11)).is_some());
    }

    /// As a process does that interrupts itself.
    #[test]
    fn a_report_is_dropped_while_its_thread_holds_the_lock() {
        let (log, failure) = (Arc::new(FailureLog::default()), missing());
        let pending = log.claim(&failure, at(0));
        let held = log.causes.lock();
        drop(pending);
        drop(held);
        assert!(log.claim(&failure, at(1)).is_none(), "the claim stays, and is due again later");
    }
}
