//! The outcome of a lookup.

use std::sync::Arc;

use crate::cache::answer::Answer;
use crate::cache::failures::PendingReport;
use crate::os::system::Moment;
use crate::resolve::failure::Failure;
use crate::resolve::resolution::Resolution;

/// The outcome of a lookup of a docroot.
#[derive(Debug)]
pub struct Lookup {
    /// The answer for the request.
    pub answer: Answer,
    /// The event for the log; `None` if the lookup walked nothing. In a box, because most lookups have none and each
    /// request moves one around.
    pub event: Option<Box<Event>>,
}

/// The event of a walk.
#[derive(Debug)]
pub enum Event {
    /// The docroot was resolved.
    Resolved {
        /// Where it leads.
        now: Arc<Resolution>,
        /// Where it led before, if that was elsewhere: a flip.
        before: Option<Arc<Resolution>>,
        /// The report of the recovery from logged failures, if it is due. Commit it when it is logged.
        recovery: Option<PendingReport>,
    },
    /// The docroot could not be resolved.
    Failed {
        /// The path and the cause.
        failure: Arc<Failure>,
        /// The answer that requests get while resolution fails.
        fallback: Answer,
        /// The report of this failure, if it is due. Commit it when it is logged.
        report: Option<PendingReport>,
    },
}

/// The state of a docroot in this process, for people to read.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The answer that requests get; `None` before the first lookup.
    pub answer: Option<Answer>,
    /// The start of the walk that first led to the present target.
    pub since: Option<Moment>,
    /// The number of walks.
    pub walks: u64,
    /// The number of walks that failed or were refused.
    pub failures: u64,
}
