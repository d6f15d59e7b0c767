//! What a process remembers of its docroots.
//!
//! Owns: how long a look counts, what is served when resolving fails, what is worth reporting, and which docroots
//! share an entry. Must not: hold a lock across a system call; a slow file system may only hold the threads that must
//! look at it.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::resolve::{Failure, Mode, Resolution, resolve};
use crate::system::{Moment, System};

/// A look with one system call cannot see everything (a renamed ancestor, say); a whole walk at least this often can.
const WALK_EVERY: Duration = Duration::from_secs(1);
/// How often a failure that goes on, or comes back, is reported again.
const REMIND_EVERY: Duration = Duration::from_secs(10);
/// How many causes are told apart for that; of more at once, only so many are reported.
const CAUSES_MAX: usize = 4;

/// Keyed by docroot and mode: two virtual hosts with the same docroot share what is known of it.
#[derive(Debug, Default)]
pub struct Cache {
    configured: HashMap<(CString, Mode), Arc<Docroot>>,
}

impl Cache {
    /// The entry of a docroot that the configuration names, made at its first mention.
    ///
    /// # Errors
    /// [`NotAbsolute`] if `docroot` is no absolute path.
    pub fn configured(&mut self, docroot: &CStr, mode: &Mode) -> Result<Arc<Docroot>, NotAbsolute> {
        let key = (docroot.to_owned(), mode.clone());
        if let Some(known) = self.configured.get(&key) {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(Docroot::at(docroot, mode.clone())?);
        self.configured.insert(key, Arc::clone(&new));
        Ok(new)
    }
}

/// A docroot that is no absolute path has no meaning of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAbsolute;

impl fmt::Display for NotAbsolute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a docroot must be an absolute path")
    }
}

impl std::error::Error for NotAbsolute {}

/// One docroot, and what this process knows of where it leads. Shared by all threads.
#[derive(Debug)]
pub struct Docroot {
    path: CString,
    mode: Mode,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When the last look began. What it saw was true then or later.
    looked: Option<Moment>,
    /// When the last look began that walked the whole way.
    walked: Option<Moment>,
    /// What requests get; `None` leaves the docroot as configured.
    serving: Option<Arc<Resolution>>,
    /// What the last walk that came through led to.
    good: Option<Arc<Resolution>>,
    /// Whether the last walk failed.
    failing: bool,
    /// Whether the present failure was reported, so that its end must be.
    reported: bool,
    /// Causes reported lately, and when. On the heap, because most docroots never fail.
    causes: Vec<(Failure, Moment)>,
}

/// What one look found.
#[derive(Debug)]
pub struct Look {
    /// Where the docroot leads; `None` if it is to be left as configured.
    pub resolution: Option<Arc<Resolution>>,
    /// What the operator may want to know of it; nothing if nothing was walked.
    pub news: Option<News>,
}

/// What a walk has to tell.
#[derive(Debug)]
pub enum News {
    /// The docroot was resolved.
    Resolved {
        /// Where it leads.
        now: Arc<Resolution>,
        /// Where it led before, if that was elsewhere: a flip.
        before: Option<Arc<Resolution>>,
        /// Whether this ends a failure that was reported.
        recovered: bool,
    },
    /// The docroot could not be resolved.
    Failed {
        /// At which path, and why.
        failure: Failure,
        /// What requests get instead, if there is something.
        serving: Option<Arc<Resolution>>,
        /// Whether it is time to tell: for each cause at once, and again after a while.
        report: bool,
    },
}

impl Docroot {
    /// A docroot of which nothing is known yet.
    ///
    /// # Errors
    /// [`NotAbsolute`] if `path` is no absolute path, or has a NUL byte in it.
    pub fn new(path: &std::path::Path, mode: Mode) -> Result<Self, NotAbsolute> {
        let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| NotAbsolute)?;
        Self::at(&path, mode)
    }

    fn at(path: &CStr, mode: Mode) -> Result<Self, NotAbsolute> {
        if path.to_bytes().first() != Some(&b'/') {
            return Err(NotAbsolute);
        }
        Ok(Self { path: path.to_owned(), mode, known: RwLock::default() })
    }

    /// The docroot as configured.
    pub fn path(&self) -> &CStr {
        &self.path
    }

    /// How its links are followed.
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// Where the docroot leads, from a look that is less than `every` old at `now`, else from a new look.
    ///
    /// `now` must have been read before the call, by the same clock each time: a flip that was over before `now` is
    /// seen by a new look. Costs no system call inside `every`, one while nothing has changed, and a walk of the
    /// whole path after a change, while resolving fails, and once a second.
    #[inline]
    pub fn look(&self, system: &impl System, now: Moment, every: Duration) -> Look {
        let candidate = {
            let known = self.known.read();
            if known.looked.is_some_and(|looked| now.is_within(looked, every)) {
                return Look { resolution: known.serving.clone(), news: None };
            }
            let due = !known.walked.is_some_and(|walked| now.is_within(walked, WALK_EVERY));
            if due || known.failing { None } else { known.good.clone() }
        };
        if let Some(resolution) = candidate
            && resolution.still_holds(system, &self.path)
        {
            if !every.is_zero() {
                self.confirm(&resolution, now);
            }
            return Look { resolution: Some(resolution), news: None };
        }
        self.walk(system, now)
    }

    /// Notes that a look which began at `now` found `resolution` still to hold.
    fn confirm(&self, resolution: &Arc<Resolution>, now: Moment) {
        let mut known = self.known.write();
        // Another thread may have seen a flip since; what it saw says nothing about `now`.
        if known.good.as_ref().is_some_and(|good| Arc::ptr_eq(good, resolution)) {
            known.looked = known.looked.max(Some(now));
        }
    }

    #[cold]
    fn walk(&self, system: &impl System, now: Moment) -> Look {
        match resolve(system, &self.path, &self.mode) {
            Ok(resolution) => self.succeed(Arc::new(resolution), now),
            Err(failure) => {
                let good = self.known.read().good.clone();
                // A release that was deleted cannot be served from; httpd's own answer is the honest one.
                let serving = good.filter(|good| system.status(good.docroot()).is_ok_and(|status| status.is_directory));
                self.fail(failure, serving, now)
            }
        }
    }

    fn succeed(&self, resolution: Arc<Resolution>, now: Moment) -> Look {
        let mut known = self.known.write();
        if known.is_newer_than(now) {
            return Look { resolution: Some(resolution), news: None };
        }
        let before = known.good.replace(Arc::clone(&resolution));
        known.serving = Some(Arc::clone(&resolution));
        known.looked = Some(now);
        known.walked = Some(now);
        known.failing = false;
        let recovered = std::mem::take(&mut known.reported);
        drop(known);
        let before = before.filter(|before| !before.leads_like(&resolution));
        let news = News::Resolved { now: Arc::clone(&resolution), before, recovered };
        Look { resolution: Some(resolution), news: Some(news) }
    }

    fn fail(&self, failure: Failure, serving: Option<Arc<Resolution>>, now: Moment) -> Look {
        let mut known = self.known.write();
        if known.is_newer_than(now) {
            return Look { resolution: serving, news: None };
        }
        known.serving = serving.clone();
        known.looked = Some(now);
        known.walked = Some(now);
        known.failing = true;
        let report = known.is_worth_reporting(&failure, now);
        known.reported |= report;
        drop(known);
        Look { resolution: serving.clone(), news: Some(News::Failed { failure, serving, report }) }
    }
}

impl Known {
    /// Whether a look that began at `now` must not replace what is known, because another one began later and ended
    /// sooner. If the clock was set back instead, nothing could ever replace it; no thread is late by so much.
    fn is_newer_than(&self, now: Moment) -> bool {
        self.looked.and_then(|looked| looked.since(now)).is_some_and(|ahead| !ahead.is_zero() && ahead < WALK_EVERY)
    }

    fn is_worth_reporting(&mut self, failure: &Failure, now: Moment) -> bool {
        if let Some((_, reported)) = self.causes.iter_mut().find(|(cause, _)| cause == failure) {
            let due = !now.is_within(*reported, REMIND_EVERY);
            if due {
                *reported = now;
            }
            return due;
        }
        if self.causes.len() == CAUSES_MAX {
            let oldest = (0..CAUSES_MAX).min_by_key(|&index| self.causes[index].1).unwrap_or(0);
            if now.is_within(self.causes[oldest].1, REMIND_EVERY) {
                return false;
            }
            self.causes.swap_remove(oldest);
        }
        self.causes.push((failure.clone(), now));
        true
    }
}
