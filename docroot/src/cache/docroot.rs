//! One docroot, and where it leads as far as this process knows.
//!
//! Owns: how long a lookup counts, and what is served while resolution fails. Must not: hold a lock across a system
//! call, so that a slow file system holds up only the threads that must ask it.

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU16, AtomicU64};
use std::time::Duration;

use parking_lot::{RwLock, RwLockWriteGuard};

use crate::cache::answer::{Answer, Served};
use crate::cache::failures::FailureState;
use crate::cache::lookup::{Event, Lookup, Stats};
use crate::cache::retained::{Retained, RetainedId};
use crate::config::rules::{Mode, Rules};
use crate::os::system::{Moment, System};
use crate::resolve::failure::Failure;
use crate::resolve::resolution::{DirectoryId, Resolution};
use crate::resolve::resolver::resolve;

mod counted;

/// One system call cannot see every change (a renamed ancestor, for example); a walk at least this often can.
const WALK_EVERY: Duration = Duration::from_secs(1);
const WALK_EVERY_NANOSECONDS: u64 = WALK_EVERY.as_secs() * 1_000_000_000;

/// The error of a docroot that is no absolute path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAbsolute;

impl fmt::Display for NotAbsolute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a docroot must be an absolute path")
    }
}

impl std::error::Error for NotAbsolute {}

/// One docroot, shared by all threads.
///
/// The three atomics are all that most requests read, which saves the 50 instructions of a lock and a reference count.
/// Only holders of the write lock write them, `served` before both times: a reader that has seen a time gets an answer at
/// least as new as that time.
#[derive(Debug)]
pub struct Docroot {
    path: CString,
    rules: Arc<Rules>,
    /// Where resolutions are retained.
    retained: Arc<Retained>,
    /// Whether resolutions of this docroot are retained: the configuration names it. Computed docroots come and go.
    retains: bool,
    /// The start of the last lookup that read the file system; zero before the first. The answer was true then or
    /// later.
    last_lookup: AtomicU64,
    /// The start of the last walk, if it succeeded; else zero.
    last_success: AtomicU64,
    /// The [`RetainedId`] of the answer; zero if the answer is not retained.
    served: AtomicU16,
    state: RwLock<State>,
}

/// Small, because there may be thousands of docroots.
#[derive(Debug, Default)]
struct State {
    /// The number of walks.
    walks: u64,
    /// The start of the last walk; see [`State::last_walk`].
    last_walk: Moment,
    /// The outcome of the last walk that succeeded.
    success: Option<Success>,
    /// The witness of that outcome, if the texts of the links are not the witness.
    directory: DirectoryId,
    /// The failures. In a box, because nearly all docroots never fail.
    failures: Option<Box<FailureState>>,
}

/// Where a docroot leads, or led before the present failure.
#[derive(Clone, Debug)]
struct Success {
    served: Served,
    /// The start of the walk that first led there.
    since: Moment,
    /// The resolution of this docroot that was retained last.
    newest: Option<RetainedId>,
}

impl Success {
    /// The address of the resolution, which identifies it.
    fn address(&self) -> *const Resolution {
        Arc::as_ptr(&self.served.resolution)
    }
}

impl Docroot {
    /// A docroot before its first lookup.
    ///
    /// # Errors
    /// [`NotAbsolute`] if `path` is no absolute path, or has a NUL byte in it.
    pub fn new(path: &std::path::Path, rules: Rules) -> Result<Self, NotAbsolute> {
        let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| NotAbsolute)?;
        Self::at(&path, Arc::new(rules), Arc::default(), false)
    }

    pub(crate) fn at(
        path: &CStr,
        rules: Arc<Rules>,
        retained: Arc<Retained>,
        retains: bool,
    ) -> Result<Self, NotAbsolute> {
        if path.to_bytes().first() != Some(&b'/') {
            return Err(NotAbsolute);
        }
        Ok(Self {
            path: path.to_owned(),
            rules,
            retained,
            retains,
            last_lookup: AtomicU64::default(),
            last_success: AtomicU64::default(),
            served: AtomicU16::default(),
            state: RwLock::default(),
        })
    }

    /// The docroot as configured.
    pub fn path(&self) -> &CStr {
        &self.path
    }

    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// How far its links are followed.
    pub fn mode(&self) -> &Mode {
        &self.rules.mode
    }

    /// The state in this process.
    pub fn stats(&self) -> Stats {
        let state = self.state.read();
        Stats {
            answer: state.last_walk().map(|_| state.answer()),
            since: state.success.as_ref().map(|success| success.since),
            walks: state.walks,
            failures: state.failures.as_ref().map_or(0, |failures| failures.count),
        }
    }

    /// Where the docroot leads, if the last lookup began less than `window` nanoseconds before `now` and its answer is
    /// retained. The same answer as [`Docroot::lookup`] would give, without a lock or a write. Most requests in a
    /// window need nothing else.
    // Always, because a call costs 13 instructions of a request.
    #[inline(always)]
    pub fn remembered(&self, now: Moment, window: u64) -> Option<&Resolution> {
        let last_lookup = Moment::from_nanoseconds(self.last_lookup.load(Acquire));
        if !now.is_within_nanoseconds(last_lookup, window) {
            return None;
        }
        self.retained.get(self.served.load(Acquire))
    }

    /// Where the docroot leads, if `window` is zero, the answer is retained, and the texts of the links show that it
    /// still holds. The same answer as [`Docroot::lookup`] would give, with one system call as a rule, without a lock
    /// or a write. Most requests without a window need nothing else.
    ///
    /// With a window, a lookup must store its time. A chain whose witness is its directory needs a lookup too: the retained
    /// resolution is the same for another directory of the same name.
    #[inline]
    pub fn checked(&self, system: &impl System, now: Moment, window: u64) -> Option<&Resolution> {
        let last_success = Moment::from_nanoseconds(self.last_success.load(Acquire));
        if window != 0 || !now.is_within_nanoseconds(last_success, WALK_EVERY_NANOSECONDS) {
            return None;
        }
        // The answer may be of a later walk than `last_success`, or a fallback. In both cases the texts lead there.
        self.retained.get(self.served.load(Acquire)).filter(|resolution| resolution.has_texts(system))
    }

    /// Whether a resolution is a retained one of this docroot. Resolutions are compared by address.
    pub fn has_retained(&self, resolution: &Resolution) -> bool {
        let newest = self.state.read().success.as_ref().and_then(|success| success.newest);
        self.retained.has(newest, resolution)
    }

    /// The retained resolution of this number, which lives as long as the docroot.
    #[inline]
    pub fn retained(&self, id: RetainedId) -> Option<&Resolution> {
        self.retained.get(id.get())
    }

    /// Where the docroot leads: by a lookup that began less than `every` before `now`, else by a new one.
    ///
    /// `now` must have been read before the call, always by the same clock: a new lookup sees each flip that returned
    /// before `now`. Costs no system call inside `every`, one while nothing has changed, and a walk of the whole path
    /// after a change, while resolution fails, and once a second.
    pub fn lookup(&self, system: &impl System, now: Moment, every: Duration) -> Lookup {
        let candidate = {
            let state = self.state.read();
            if self.last_lookup(&state).is_some_and(|last| now.is_within(last, every)) {
                return Lookup { answer: state.answer(), event: None };
            }
            let must_walk = !state.last_walk().is_some_and(|last| now.is_within(last, WALK_EVERY));
            if must_walk || state.fallback().is_some() {
                None
            } else {
                state.success.clone().zip(Some(state.directory.clone()))
            }
        };
        if let Some((Success { served, .. }, directory)) = candidate
            && served.still_holds(&self.path, directory.as_deref(), system)
        {
            if !every.is_zero() {
                self.confirm(&served.resolution, now);
            }
            return Lookup { answer: Answer::Resolved(served), event: None };
        }
        self.walk(system, now)
    }

    /// The start of the last lookup. `state` shows that the lock is held, so that no thread is writing another one.
    fn last_lookup(&self, state: &State) -> Option<Moment> {
        state.last_walk().map(|_| Moment::from_nanoseconds(self.last_lookup.load(Relaxed)))
    }

    /// Publishes the answer of `state`, found by a lookup that began at `last_lookup`.
    fn publish(&self, state: &State, last_lookup: Moment) {
        self.served.store(state.answer_id().map_or(0, RetainedId::get), Release);
        self.last_success.store(state.last_success().map_or(0, Moment::nanoseconds), Release);
        self.last_lookup.store(last_lookup.nanoseconds(), Release);
    }

    /// Publishes that a lookup which began at `now` found `resolution` still valid.
    fn confirm(&self, resolution: &Arc<Resolution>, now: Moment) {
        let state = self.state.write();
        // Another thread may have seen a flip or a failure since, whose answer this lookup says nothing about.
        let is_answer = state.success.as_ref().map(Success::address) == Some(Arc::as_ptr(resolution));
        if is_answer && state.fallback().is_none() {
            self.publish(&state, self.last_lookup(&state).map_or(now, |last| last.max(now)));
        }
    }

    #[cold]
    fn walk(&self, system: &impl System, now: Moment) -> Lookup {
        let failure = match resolve(system, &self.path, &self.rules) {
            Ok((resolution, directory)) => match resolution.refusal(&self.path, &self.rules) {
                None => return self.succeed(resolution, directory, now),
                Some(refusal) => Arc::new(refusal),
            },
            Err(failure) => Arc::new(failure),
        };
        loop {
            let success = self.state.read().success.clone();
            let address = success.as_ref().map(Success::address);
            let fallback = match success.filter(|success| self.is_still_there(system, &success.served)) {
                Some(success) => Answer::Resolved(Served { is_linked: false, ..success.served }),
                None => self.without_fallback(&failure),
            };
            let state = self.state.write();
            // If another walk has succeeded meanwhile, its outcome is the fallback.
            if state.success.as_ref().map(Success::address) == address {
                return self.fail(state, failure, fallback, now);
            }
        }
    }

    /// The answer while resolution fails and no release can be the fallback.
    fn without_fallback(&self, failure: &Arc<Failure>) -> Answer {
        match self.rules.releases {
            Some(_) => Answer::Refused(Arc::clone(failure)),
            None => Answer::AsConfigured,
        }
    }

    /// Whether the outcome of the last success can be the fallback: a deleted release has no files, and one that a link
    /// has taken the place of may lead anywhere.
    fn is_still_there(&self, system: &impl System, last: &Resolution) -> bool {
        match self.rules.mode {
            Mode::Realpath => resolve(system, last.docroot(), &Rules::default())
                .is_ok_and(|(now, _)| !now.has_links() && now.docroot() == last.docroot()),
            // Readlink mode is for targets that have another link in them.
            Mode::Readlink { .. } => system.status(last.docroot()).is_ok_and(|status| status.is_directory),
        }
    }

    fn succeed(&self, resolution: Resolution, directory: DirectoryId, now: Moment) -> Lookup {
        let mut state = self.state.write();
        if self.is_newer(&state, now) {
            let served = Served { resolution: Arc::new(resolution), id: None, is_linked: true };
            return Lookup { answer: Answer::Resolved(served), event: None };
        }
        let before = state.success.clone();
        let (success, flipped_from) = match before {
            Some(before) if *before.served == resolution => (before, None),
            before => {
                let newest = before.as_ref().and_then(|before| before.newest);
                (self.success(resolution, newest, now), before.map(|before| before.served.resolution))
            }
        };
        let served = success.served.clone();
        state.success = Some(success);
        state.directory = directory;
        state.count_walk(now);
        let recovery = state.failures.as_mut().and_then(|failures| {
            failures.fallback = None;
            failures.log.recover()
        });
        self.publish(&state, now);
        let event = Event::Resolved { now: Arc::clone(&served.resolution), before: flipped_from, recovery };
        Lookup { answer: Answer::Resolved(served), event: Some(Box::new(event)) }
    }

    /// The success of a walk that began at `now` and led elsewhere than the one before.
    fn success(&self, resolution: Resolution, mut newest: Option<RetainedId>, now: Moment) -> Success {
        let (resolution, id) =
            if self.retains { self.retained.retain(resolution, &mut newest) } else { (Arc::new(resolution), None) };
        Success { served: Served { resolution, id, is_linked: true }, since: now, newest }
    }

    fn fail(
        &self,
        mut state: RwLockWriteGuard<'_, State>,
        failure: Arc<Failure>,
        fallback: Answer,
        now: Moment,
    ) -> Lookup {
        if self.is_newer(&state, now) {
            return Lookup { answer: fallback, event: None };
        }
        state.count_walk(now);
        let failures = state.failures.get_or_insert_default();
        failures.fallback = Some(fallback.clone());
        failures.last = Some(Arc::clone(&failure));
        failures.count += 1;
        let report = failures.log.claim(&failure, now);
        self.publish(&state, now);
        let event = Event::Failed { failure, fallback: fallback.clone(), report };
        Lookup { answer: fallback, event: Some(Box::new(event)) }
    }

    /// Whether the answer is of a lookup that began later than `now`, and must stay. A lookup a second or more ahead is
    /// none: no thread is so late, so the clock was set back, and its answer would stay for ever.
    fn is_newer(&self, state: &State, now: Moment) -> bool {
        self.last_lookup(state)
            .and_then(|last| last.since(now))
            .is_some_and(|ahead| !ahead.is_zero() && ahead < WALK_EVERY)
    }
}

impl State {
    /// The answer that requests get.
    fn answer(&self) -> Answer {
        match (self.fallback(), &self.success) {
            (Some(fallback), _) => fallback.clone(),
            (None, Some(success)) => Answer::Resolved(success.served.clone()),
            (None, None) => Answer::AsConfigured,
        }
    }

    /// The number of that answer.
    fn answer_id(&self) -> Option<RetainedId> {
        match self.fallback() {
            Some(fallback) => fallback.id(),
            None => self.success.as_ref()?.served.id,
        }
    }

    /// The start of the last walk, if it succeeded.
    fn last_success(&self) -> Option<Moment> {
        self.last_walk().filter(|_| self.fallback().is_none())
    }

    /// The answer while resolution fails; `None` if the last walk succeeded.
    fn fallback(&self) -> Option<&Answer> {
        self.failures.as_ref()?.fallback.as_ref()
    }

    /// The start of the last walk; `None` before the first.
    fn last_walk(&self) -> Option<Moment> {
        (self.walks != 0).then_some(self.last_walk)
    }

    fn count_walk(&mut self, now: Moment) {
        self.last_walk = now;
        self.walks += 1;
    }
}
