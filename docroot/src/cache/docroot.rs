//! What a process knows of one docroot.
//!
//! Owns: how long a look counts, what is served when resolving fails, and what is worth reporting. Must not: hold a lock
//! across a system call; a slow file system may only hold the threads that must look at it.

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU16, AtomicU64};
use std::time::Duration;

use parking_lot::{RwLock, RwLockWriteGuard};

use crate::cache::retained::{Id, Kept};
use crate::config::rules::{Mode, Rules};
use crate::os::system::{Moment, System};
use crate::resolve::failure::Failure;
use crate::resolve::resolution::{DirectoryId, Resolution};
use crate::resolve::resolver::resolve;

/// A look with one system call cannot see everything (a renamed ancestor, say); a whole walk at least this often can.
const WALK_EVERY: Duration = Duration::from_secs(1);
const WALK_EVERY_NANOSECONDS: u64 = WALK_EVERY.as_secs() * 1_000_000_000;
/// How often a failure that goes on, or comes back, is reported again.
pub(crate) const REMIND_EVERY: Duration = Duration::from_secs(10);
/// How many causes are told apart for that; of more at once, only so many are reported.
const CAUSES_MAX: usize = 4;

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
    rules: Arc<Rules>,
    /// Where resolutions are kept for [`Docroot::remembered`].
    kept: Arc<Kept>,
    /// Whether those of this docroot are: it is one that the configuration names. Others come and go.
    keeps: bool,
    /// When the last look began, if there was one. What it saw was true then or later.
    looked: AtomicU64,
    /// When the last walk began, if it came through; else zero.
    came_through: AtomicU64,
    /// What is kept of what requests get: the [`Id`], or zero if it is not kept. Always stored before the two times, so
    /// that whoever has read one of them gets an answer at least as new. All are written by holders of the lock only.
    serving: AtomicU16,
    known: RwLock<Known>,
}

/// There may be thousands of these, nearly all of which never fail, so that it is small.
#[derive(Debug, Default)]
struct Known {
    /// How often the whole way was walked.
    walks: u64,
    /// When the last look began that walked it, if there was one.
    walked: Moment,
    /// What the last walk that came through led to.
    good: Option<Good>,
    /// What tells whether that still holds, where it is not its texts.
    directory: DirectoryId,
    /// What is to be remembered of failures, if there ever was one.
    trouble: Option<Box<Trouble>>,
}

/// Where a docroot leads, or led before the present failure.
#[derive(Clone, Debug)]
struct Good {
    resolution: Arc<Resolution>,
    /// When a walk first led there.
    since: Moment,
    /// Under which number it is kept.
    id: Option<Id>,
    /// The last one of this docroot that was kept.
    newest: Option<Id>,
}

impl Good {
    /// Where the resolution is, which tells it from any other.
    fn at(&self) -> *const Resolution {
        Arc::as_ptr(&self.resolution)
    }
}

/// The failures of a docroot.
#[derive(Debug, Default)]
struct Trouble {
    /// What requests get instead, if the last walk failed.
    serving: Option<Serving>,
    /// Whether the present failure was reported, so that its end must be.
    reported: bool,
    /// Whether it was before it was reported last: then its end must be, also if nobody was told that time.
    was_reported: bool,
    /// How many walks failed.
    failures: u64,
    /// Causes reported lately, and when.
    causes: Vec<(Failure, Moment)>,
}

/// What requests get.
#[derive(Clone, Debug)]
struct Serving {
    answer: Answer,
    /// Under which number it is kept.
    id: Option<Id>,
}

impl Serving {
    /// What a look found that has this to tell.
    fn with(self, news: Option<News>) -> Look {
        Look { answer: self.answer, id: self.id, news: news.map(Box::new) }
    }
}

/// What a request gets.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The docroot leads there.
    Resolved(Arc<Resolution>),
    /// It could not be resolved and is to be left as configured.
    AsConfigured,
    /// It leads out of the releases, or nowhere while it may lead into releases only. Nothing that lies under it may be
    /// served: left as configured, it would be followed again, and whoever moves the link could be faster.
    Refused(Arc<Failure>),
}

impl Answer {
    /// Where the docroot leads, if it may be served from.
    pub fn resolved(&self) -> Option<&Arc<Resolution>> {
        match self {
            Self::Resolved(resolution) => Some(resolution),
            Self::AsConfigured | Self::Refused(_) => None,
        }
    }
}

/// What one look found.
#[derive(Debug)]
pub struct Look {
    /// What the request gets.
    pub answer: Answer,
    /// The same for as long as there is the docroot, for [`Docroot::kept`]; nothing where it is not kept.
    pub id: Option<Id>,
    /// What the operator may want to know of it; nothing if nothing was walked. In a box, because most looks have none
    /// and each request moves one around.
    pub news: Option<Box<News>>,
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
        /// What requests get instead.
        serving: Answer,
        /// Whether it is time to tell: for each cause at once, and again after a while.
        report: bool,
    },
}

/// What this process knows of a docroot, for people to read.
#[derive(Clone, Debug)]
pub struct Record {
    /// What requests get; nothing if there was no request yet.
    pub serving: Option<Answer>,
    /// When a walk first led to where the last successful one led.
    pub since: Option<Moment>,
    /// How often the whole way was walked.
    pub walks: u64,
    /// How many of these walks failed or were refused.
    pub failures: u64,
}

impl Docroot {
    /// A docroot of which nothing is known yet.
    ///
    /// # Errors
    /// [`NotAbsolute`] if `path` is no absolute path, or has a NUL byte in it.
    pub fn new(path: &std::path::Path, rules: Rules) -> Result<Self, NotAbsolute> {
        let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| NotAbsolute)?;
        Self::at(&path, Arc::new(rules), Arc::default(), false)
    }

    pub(crate) fn at(path: &CStr, rules: Arc<Rules>, kept: Arc<Kept>, keeps: bool) -> Result<Self, NotAbsolute> {
        if path.to_bytes().first() != Some(&b'/') {
            return Err(NotAbsolute);
        }
        Ok(Self {
            path: path.to_owned(),
            rules,
            kept,
            keeps,
            looked: AtomicU64::default(),
            came_through: AtomicU64::default(),
            serving: AtomicU16::default(),
            known: RwLock::default(),
        })
    }

    /// The docroot as configured.
    pub fn path(&self) -> &CStr {
        &self.path
    }

    /// How it is resolved.
    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// How its links are followed.
    pub fn mode(&self) -> &Mode {
        &self.rules.mode
    }

    /// What this process knows of it.
    pub fn record(&self) -> Record {
        let known = self.known.read();
        Record {
            serving: known.walked().map(|_| known.serving().answer),
            since: known.good.as_ref().map(|good| good.since),
            walks: known.walks,
            failures: known.trouble.as_ref().map_or(0, |trouble| trouble.failures),
        }
    }

    /// Where the docroot leads, if a look that is less than `window` nanoseconds old at `now` has found out, and if it
    /// is kept: what [`Docroot::look`] would answer then. It is all that most requests in a window need: no lock, nothing
    /// written, nothing counted.
    #[inline]
    pub fn remembered(&self, now: Moment, window: u64) -> Option<&Resolution> {
        let looked = Moment::from_nanoseconds(self.looked.load(Acquire));
        if !now.is_within_nanoseconds(looked, window) {
            return None;
        }
        self.kept.get(self.serving.load(Acquire))
    }

    /// Where the docroot leads, if there is no `window`, if it is kept, and if one system call is enough to see that it
    /// still leads there: what [`Docroot::look`] would answer then. It is all that most requests need where no look
    /// counts for longer than its request: no lock, nothing written, nothing counted. (After a window, a look must be
    /// noted. Of a chain, what tells is where it ends, which may be another directory of the same name.)
    #[inline]
    pub fn checked(&self, system: &impl System, now: Moment, window: u64) -> Option<&Resolution> {
        let walked = Moment::from_nanoseconds(self.came_through.load(Acquire));
        if window != 0 || !now.is_within_nanoseconds(walked, WALK_EVERY_NANOSECONDS) {
            return None;
        }
        // It may be from a later walk than that, or what is served instead of what a later walk did not find. Either way
        // it is where these texts lead.
        self.kept.get(self.serving.load(Acquire)).filter(|resolution| resolution.has_texts(system))
    }

    /// Whether a resolution that is kept is one of this docroot.
    pub fn has_kept(&self, resolution: &Resolution) -> bool {
        let newest = self.known.read().good.as_ref().and_then(|good| good.newest);
        self.kept.has(newest, resolution)
    }

    /// What a look had found, for as long as there is the docroot.
    #[inline]
    pub fn kept(&self, id: Id) -> Option<&Resolution> {
        self.kept.get(id.get())
    }

    /// Where the docroot leads, from a look that is less than `every` old at `now`, else from a new look.
    ///
    /// `now` must have been read before the call, by the same clock each time: a flip that was over before `now` is
    /// seen by a new look. Costs no system call inside `every`, one while nothing has changed, and a walk of the
    /// whole path after a change, while resolving fails, and once a second.
    pub fn look(&self, system: &impl System, now: Moment, every: Duration) -> Look {
        let candidate = {
            let known = self.known.read();
            if self.looked(&known).is_some_and(|looked| now.is_within(looked, every)) {
                return known.serving().with(None);
            }
            let due = !known.walked().is_some_and(|walked| now.is_within(walked, WALK_EVERY));
            if due || known.instead().is_some() { None } else { known.good.clone().zip(Some(known.directory.clone())) }
        };
        if let Some((Good { resolution, id, .. }, directory)) = candidate
            && resolution.still_holds(&self.path, directory.as_deref(), system)
        {
            if !every.is_zero() {
                self.confirm(&resolution, now);
            }
            return Look { answer: Answer::Resolved(resolution), id, news: None };
        }
        self.walk(system, now)
    }

    /// Takes back that a failure is reported, where whoever looked at `now` had no use for the docroot and told nobody, and
    /// nobody else was to tell since: the next walk that fails reports it. It gives up if it does not get the lock: a
    /// process that ends may interrupt itself while it holds it, and come by here.
    pub fn has_not_told(&self, failure: &Failure, now: Moment) {
        /// Nobody holds it for so long.
        const PATIENCE: Duration = Duration::from_millis(10);
        if let Some(mut known) = self.known.try_write_for(PATIENCE)
            && let Some(trouble) = &mut known.trouble
        {
            let known_causes = trouble.causes.len();
            trouble.causes.retain(|(cause, reported)| cause != failure || *reported != now);
            // What was left to somebody else since is told, or is theirs to take back.
            if trouble.causes.len() < known_causes && trouble.causes.iter().all(|(_, reported)| *reported < now) {
                trouble.reported &= trouble.was_reported;
            }
        }
    }

    /// When the last look began. `known` shows that the lock is held, so that nobody is just noting a new one.
    fn looked(&self, known: &Known) -> Option<Moment> {
        known.walked().map(|_| Moment::from_nanoseconds(self.looked.load(Relaxed)))
    }

    /// Lets requests have what is `known` now, from a look that began at `looked`.
    fn publish(&self, known: &Known, looked: Moment) {
        self.serving.store(known.id().map_or(0, Id::get), Release);
        self.came_through.store(known.came_through().map_or(0, Moment::nanoseconds), Release);
        self.looked.store(looked.nanoseconds(), Release);
    }

    /// Notes that a look which began at `now` found `resolution` still to hold.
    fn confirm(&self, resolution: &Arc<Resolution>, now: Moment) {
        let known = self.known.write();
        // Another thread may have seen a flip since, or a failure; what it saw says nothing about `now`.
        let holds = known.good.as_ref().map(Good::at) == Some(Arc::as_ptr(resolution));
        if holds && known.instead().is_none() {
            self.publish(&known, self.looked(&known).map_or(now, |looked| looked.max(now)));
        }
    }

    #[cold]
    fn walk(&self, system: &impl System, now: Moment) -> Look {
        let failure = match resolve(system, &self.path, &self.rules) {
            Ok((resolution, directory)) => match resolution.refusal(&self.path, &self.rules) {
                None => return self.succeed(resolution, directory, now),
                Some(refusal) => refusal,
            },
            Err(failure) => failure,
        };
        loop {
            let good = self.known.read().good.clone();
            let serving = match good.clone().filter(|good| self.is_still_good(system, &good.resolution)) {
                Some(Good { resolution, id, .. }) => Serving { answer: Answer::Resolved(resolution), id },
                None if self.rules.releases.is_some() => {
                    Serving { answer: Answer::Refused(Arc::new(failure.clone())), id: None }
                }
                None => Serving { answer: Answer::AsConfigured, id: None },
            };
            let known = self.known.write();
            // Another walk may have come through meanwhile; then requests go on with what that one led to.
            if known.good.as_ref().map(Good::at) == good.as_ref().map(Good::at) {
                return self.fail(known, failure, serving, now);
            }
        }
    }

    /// Whether requests may go on with what the docroot led to before: a release that was deleted cannot be served
    /// from, and one that a link has taken the place of may now be anywhere.
    fn is_still_good(&self, system: &impl System, good: &Resolution) -> bool {
        match self.rules.mode {
            Mode::Realpath => resolve(system, good.docroot(), &Rules::default())
                .is_ok_and(|(now, _)| !now.has_links() && now.docroot() == good.docroot()),
            // Another link may well stand there; that is what this mode is for.
            Mode::Readlink { .. } => system.status(good.docroot()).is_ok_and(|status| status.is_directory),
        }
    }

    fn succeed(&self, resolution: Resolution, directory: DirectoryId, now: Moment) -> Look {
        let mut known = self.known.write();
        if self.is_newer(&known, now) {
            return Look { answer: Answer::Resolved(Arc::new(resolution)), id: None, news: None };
        }
        let before = known.good.as_ref().map(|good| Arc::clone(&good.resolution));
        let leads_elsewhere = !before.as_ref().is_some_and(|before| **before == resolution);
        if leads_elsewhere {
            known.good = Some(self.good(resolution, known.good.as_ref().and_then(|good| good.newest), now));
        }
        known.directory = directory;
        known.note_walk(now);
        let recovered = known.trouble.as_mut().is_some_and(|trouble| {
            trouble.serving = None;
            std::mem::take(&mut trouble.reported)
        });
        self.publish(&known, now);
        let serving = known.serving();
        let news = serving.answer.resolved().map(|resolution| {
            let before = before.filter(|_| leads_elsewhere);
            News::Resolved { now: Arc::clone(resolution), before, recovered }
        });
        serving.with(news)
    }

    /// What a walk that began at `now` led to first.
    fn good(&self, resolution: Resolution, mut newest: Option<Id>, now: Moment) -> Good {
        let (resolution, id) =
            if self.keeps { self.kept.keep(resolution, &mut newest) } else { (Arc::new(resolution), None) };
        Good { resolution, since: now, id, newest }
    }

    fn fail(&self, mut known: RwLockWriteGuard<'_, Known>, failure: Failure, serving: Serving, now: Moment) -> Look {
        if self.is_newer(&known, now) {
            return serving.with(None);
        }
        known.note_walk(now);
        let trouble = known.trouble.get_or_insert_default();
        trouble.serving = Some(serving.clone());
        trouble.failures += 1;
        let report = trouble.is_worth_reporting(&failure, now);
        if report {
            trouble.was_reported = std::mem::replace(&mut trouble.reported, true);
        }
        self.publish(&known, now);
        let answer = serving.answer.clone();
        serving.with(Some(News::Failed { failure, serving: answer, report }))
    }

    /// Whether a look that began at `now` must not replace what is known, because another one began later and ended
    /// sooner. If the clock was set back instead, nothing could ever replace it; no thread is late by so much.
    fn is_newer(&self, known: &Known, now: Moment) -> bool {
        self.looked(known)
            .and_then(|looked| looked.since(now))
            .is_some_and(|ahead| !ahead.is_zero() && ahead < WALK_EVERY)
    }
}

impl Known {
    /// What requests get.
    fn serving(&self) -> Serving {
        match (self.instead(), &self.good) {
            (Some(instead), _) => instead.clone(),
            (None, Some(good)) => Serving { answer: Answer::Resolved(Arc::clone(&good.resolution)), id: good.id },
            (None, None) => Serving { answer: Answer::AsConfigured, id: None },
        }
    }

    /// Under which number that is kept.
    fn id(&self) -> Option<Id> {
        match self.instead() {
            Some(instead) => instead.id,
            None => self.good.as_ref()?.id,
        }
    }

    /// When the last walk began, if it came through.
    fn came_through(&self) -> Option<Moment> {
        self.walked().filter(|_| self.instead().is_none())
    }

    /// What requests get instead of what is there, because the last walk failed.
    fn instead(&self) -> Option<&Serving> {
        self.trouble.as_ref()?.serving.as_ref()
    }

    /// When the last look began that walked the whole way.
    fn walked(&self) -> Option<Moment> {
        (self.walks != 0).then_some(self.walked)
    }

    fn note_walk(&mut self, now: Moment) {
        self.walked = now;
        self.walks += 1;
    }
}

impl Trouble {
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
