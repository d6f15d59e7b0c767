//! The failure log: which failures are reported, and when.
//!
//! Owns: all throttling. Each cause is reported at once, a reminder follows every ten seconds, and the recovery is
//! reported once. Must not: write a log. A lookup hands a [`PendingReport`] to its caller, who writes.
//!
//! ```text
//! walk fails ---claim---> PendingReport ---commit---> logged: no report of this cause for ten seconds
//!                                       \----drop---> withdrawn: the next failed walk reports
//! ```

use std::sync::Arc;
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
pub(crate) struct FailureLog(Mutex<Claims>);

#[derive(Debug, Default)]
struct Claims {
    /// The causes claimed lately, each with the start of the walk that claimed it.
    causes: Vec<(Arc<Failure>, Moment)>,
    /// Whether the recovery is to be reported: a report of the present failure is logged or pending.
    reports_recovery: bool,
    /// The same before the last claim, for the case that the last claim is withdrawn.
    reported_recovery: bool,
}

/// A failure that is due to be logged. While it exists, no other lookup reports the cause.
///
/// [`commit`](Self::commit) it when it is logged. Dropping it instead withdraws the claim, and the next walk that fails
/// reports the cause. Needs no docroot to be alive, and may be dropped by a process that has interrupted itself.
#[derive(Debug)]
#[must_use = "dropping a report withdraws it"]
pub struct PendingReport {
    /// `None` once committed.
    log: Option<Arc<FailureLog>>,
    cause: Arc<Failure>,
    claimed: Moment,
}

impl PendingReport {
    /// Notes that the failure is logged.
    pub fn commit(mut self) {
        self.log = None;
    }
}

impl Drop for PendingReport {
    fn drop(&mut self) {
        if let Some(log) = &self.log {
            log.withdraw(&self.cause, self.claimed);
        }
    }
}

impl FailureLog {
    /// Claims the report of a failure for a walk that began at `now`; `None` if the cause was claimed lately.
    pub(crate) fn claim(self: &Arc<Self>, failure: &Arc<Failure>, now: Moment) -> Option<PendingReport> {
        self.0.lock().claim(failure, now).then(|| self.pending(failure, now))
    }

    /// Claims the report of a failure of a docroot without an entry in the cache, in a log that all of them share.
    /// Clients choose the names of these docroots. That one does not exist is no error of the server and is not
    /// reported; a refusal is one, and any refusal counts as the same cause.
    pub(crate) fn claim_without_entry(self: &Arc<Self>, failure: &Arc<Failure>, now: Moment) -> Option<PendingReport> {
        if failure.errno().is_some() {
            return None;
        }
        let causes = &mut self.0.lock().causes;
        if causes.iter().any(|(_, claimed)| now.is_within(*claimed, REMIND_EVERY)) {
            return None;
        }
        *causes = vec![(Arc::clone(failure), now)];
        Some(self.pending(failure, now))
    }

    fn pending(self: &Arc<Self>, failure: &Arc<Failure>, now: Moment) -> PendingReport {
        PendingReport { log: Some(Arc::clone(self)), cause: Arc::clone(failure), claimed: now }
    }

    /// Ends the present failure. Returns whether the recovery is to be reported.
    pub(crate) fn recover(&self) -> bool {
        std::mem::take(&mut self.0.lock().reports_recovery)
    }

    /// Withdraws a claim, unless another walk has claimed the same cause since.
    fn withdraw(&self, cause: &Arc<Failure>, claimed: Moment) {
        /// Longer than any thread holds the lock. A process that ends may interrupt itself while it holds the lock, and
        /// drop its reports then; it must not wait for itself.
        const PATIENCE: Duration = Duration::from_millis(10);
        if let Some(mut claims) = self.0.try_lock_for(PATIENCE) {
            claims.withdraw(cause, claimed);
        }
    }
}

impl Claims {
    fn claim(&mut self, failure: &Arc<Failure>, now: Moment) -> bool {
        let is_due = |claimed: Moment| !now.is_within(claimed, REMIND_EVERY);
        if let Some((_, claimed)) = self.causes.iter_mut().find(|(cause, _)| cause == failure) {
            if !is_due(*claimed) {
                return false;
            }
            *claimed = now;
        } else {
            if self.causes.len() == CAUSES_MAX {
                let oldest = (0..CAUSES_MAX).min_by_key(|&index| self.causes[index].1).unwrap_or(0);
                if !is_due(self.causes[oldest].1) {
                    return false;
                }
                self.causes.swap_remove(oldest);
            }
            self.causes.push((Arc::clone(failure), now));
        }
        self.reported_recovery = std::mem::replace(&mut self.reports_recovery, true);
        true
    }

    fn withdraw(&mut self, cause: &Arc<Failure>, claimed: Moment) {
        let before = self.causes.len();
        self.causes.retain(|(other, at)| other != cause || *at != claimed);
        // The recovery of a failure that was claimed later is not for this claim to take back.
        if self.causes.len() < before && self.causes.iter().all(|(_, at)| *at < claimed) {
            self.reports_recovery &= self.reported_recovery;
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
        assert!(!log.recover(), "nothing was logged");
        let pending = log.claim(&failure, at(1)).expect("the first was withdrawn");
        assert!(log.claim(&failure, at(2)).is_none(), "it is pending");
        pending.commit();
        assert!(log.claim(&failure, at(3)).is_none(), "it is logged");
        assert!(log.recover());
        assert!(!log.recover(), "once");
        log.claim(&failure, at(11)).expect("the reminder").commit();
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
        let held = log.0.lock();
        drop(pending);
        drop(held);
        assert!(log.claim(&failure, at(1)).is_none(), "the claim stays, and is due again later");
    }
}
