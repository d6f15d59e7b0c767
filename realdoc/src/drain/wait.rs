//! Waiting, with and without the lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use docroot::Os;
use docroot::inuse::{Drain, Release};
use indicatif::ProgressBar;

use super::files::Files;
use super::usage::Use;
use crate::activation::relock;
use crate::error::{Context, Error, Result};
use crate::os::interrupt::Interrupt;
use crate::report::{Event, Report};
use crate::state::State;
use crate::state::hold::{self, Claims};
use crate::state::link::Hop;
use crate::state::watched::watched;
use crate::tool::Tool;

/// How often to look. Most requests are over sooner.
const PACE: Duration = Duration::from_millis(10);
/// A look takes so long at most, where httpd looks at the links for each request: also a command without any patience is
/// to see that a release is free.
const LOOK: Duration = Duration::from_secs(1);
/// What is over sooner is not worth a word.
const SOON: Duration = Duration::from_millis(300);
/// How long somebody who goes first may need to take what was let go.
const YIELD: Duration = Duration::from_secs(1);
/// How often a machine is told.
const TELL: Duration = Duration::from_secs(1);

/// A release, or any other directory, that is to become free.
#[derive(Debug)]
pub struct Draining {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What was seen last.
    pub seen: Use,
    subdirectory: PathBuf,
    claims: Option<Claims>,
    drain: Option<Drain>,
}

impl Draining {
    /// Begins. The caller has seen, under the lock, that no link leads to it.
    #[must_use]
    pub fn new(name: &str, path: &Path, subdirectory: &Path) -> Self {
        let (name, path, subdirectory) = (name.to_owned(), path.to_owned(), subdirectory.to_owned());
        Self { name, path, subdirectory, seen: Use::Window, claims: None, drain: None }
    }

    /// Looks whether it is free. Once it is, it stays free until a link leads there.
    ///
    /// # Errors
    /// It is not there.
    pub fn poll(&mut self, files: &Files) -> Result<&Use> {
        if self.seen != Use::Free {
            self.seen = self.look(files)?;
        }
        Ok(&self.seen)
    }

    fn look(&mut self, files: &Files) -> Result<Use> {
        if self.claims.is_none() {
            match hold::alone(&self.path, &self.subdirectory)? {
                Ok(claims) => self.claims = Some(claims),
                Err(holder) => return Ok(Use::Held(holder)),
            }
        }
        if self.drain.is_none() {
            let readers = match files {
                Files::Counted(readers) => readers.clone(),
                Files::Uncounted(why) | Files::Unreadable(why) => return Ok(Use::Unknown(why.clone())),
            };
            let release = Release::at(&self.path).context("look at", &self.path)?;
            match Drain::new(readers, release, Os::now()) {
                Ok(drain) => self.drain = Some(drain),
                Err(unknown) => return Ok(Use::Unknown(unknown.to_string())),
            }
        }
        let Some(drain) = &mut self.drain else { return Ok(Use::Window) };
        Ok(match drain.poll(Os::now()) {
            Err(unknown) => Use::Unknown(unknown.to_string()),
            Ok(progress) if progress.is_free => Use::Free,
            Ok(progress) if progress.running > 0 => Use::Requests(progress.running),
            Ok(_) => Use::Window,
        })
    }

    /// Whether nobody works in it without httpd, for whom there is no file of requests.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.claims.is_some()
    }
}

/// Fails unless all of them are free.
///
/// # Errors
/// [`Error::InUse`], or [`Error::Unknown`] if one of them is not known.
pub fn expect_free(drainings: &[Draining]) -> Result<()> {
    let reasons = |which: &dyn Fn(&Use) -> bool| {
        let which = drainings.iter().filter(|draining| which(&draining.seen));
        which.map(|draining| format!("{}: {}", draining.name, draining.seen.reason())).collect::<Vec<_>>().join("; ")
    };
    let unknown = reasons(&|seen| matches!(seen, Use::Unknown(_)));
    if !unknown.is_empty() {
        return Err(Error::Unknown(unknown));
    }
    let used = reasons(&|seen| *seen != Use::Free);
    if used.is_empty() { Ok(()) } else { Err(Error::InUse(used)) }
}

/// For how long to wait, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Until when requests are waited for; none if they are not.
    requests: Option<Instant>,
    /// Until when to wait for httpd to see the links.
    window: Instant,
}

impl Time {
    /// For requests, for so long.
    #[must_use]
    pub fn for_requests(time: Duration) -> Self {
        Self { requests: Some(later(time)), ..Self::for_window(time) }
    }

    /// Until httpd must have seen the links, but no longer than this.
    #[must_use]
    pub fn for_window(time: Duration) -> Self {
        Self { requests: None, window: later(time.max(LOOK)) }
    }

    /// Whether what was seen may change in time.
    #[must_use]
    pub fn waits_for(&self, seen: &Use) -> bool {
        let now = Instant::now();
        match seen {
            Use::Free | Use::Unknown(_) => false,
            Use::Window => now < self.window,
            Use::Requests(_) | Use::Held(_) => self.requests.is_some_and(|until| now < until),
        }
    }
}

fn later(time: Duration) -> Instant {
    let now = Instant::now();
    // Longer than anybody lives.
    now.checked_add(time).unwrap_or(now + Duration::from_secs(1 << 32))
}

/// How a wait has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// There is nothing left to wait for, or no time.
    Settled,
    /// Somebody is about to flip links, who must not wait.
    Yielded,
}

/// Waits. `yields` is asked whether somebody else must not wait for what is claimed here.
///
/// # Errors
/// [`Error::Interrupted`], or a directory that is not there.
pub fn wait(
    report: Report,
    interrupt: &Interrupt,
    files: &Files,
    drainings: &mut [Draining],
    time: Time,
    yields: impl Fn() -> bool,
) -> Result<Ended> {
    let mut teller = Teller::new(report);
    loop {
        for draining in drainings.iter_mut() {
            draining.poll(files)?;
        }
        let waiting: Vec<&Draining> = drainings.iter().filter(|draining| time.waits_for(&draining.seen)).collect();
        if waiting.is_empty() {
            return Ok(Ended::Settled);
        }
        interrupt.check()?;
        teller.tell(&waiting);
        if yields() {
            return Ok(Ended::Yielded);
        }
        thread::sleep(PACE);
    }
}

/// Lets the lock go, waits, and takes the lock again. Whether all links are what they were when the wait began: otherwise
/// nothing that was seen is of any worth, and all begins anew.
///
/// # Errors
/// As [`wait`]; the lock cannot be had.
pub fn wait_unlocked(
    tool: &Tool,
    state: &mut State,
    files: &Files,
    drainings: &mut Vec<Draining>,
    time: Time,
) -> Result<bool> {
    let before = witness(tool, state)?;
    let store = state.store.clone();
    state.unlock();
    let ended = wait(tool.report, &tool.interrupt, files, drainings, time, || store.is_hold_wanted())?;
    if ended == Ended::Yielded {
        drainings.clear();
        // Whoever is to go first has the lock, and holds the release in a moment.
        store.let_hold(YIELD);
    }
    relock(tool, state)?;
    let is_as_before = ended != Ended::Yielded && witness(tool, state)? == before;
    if !is_as_before {
        drainings.clear();
    }
    Ok(is_as_before)
}

/// What tells whether a link was flipped, even back to where it led.
fn witness(tool: &Tool, state: &mut State) -> Result<BTreeMap<PathBuf, Vec<Hop>>> {
    let instances = state.instances(&tool.config, &tool.report)?;
    let links = watched(state, &instances);
    Ok(links.into_iter().map(|watched| (watched.link.clone(), watched.hops(&state.store))).collect())
}

/// Says what is waited for: in one line where nobody looks on, to a machine as it changes.
struct Teller {
    report: Report,
    spinner: Option<ProgressBar>,
    began: Instant,
    told: BTreeMap<String, (Use, Instant)>,
}

impl Teller {
    fn new(report: Report) -> Self {
        Self { report, spinner: None, began: Instant::now(), told: BTreeMap::new() }
    }

    fn tell(&mut self, waiting: &[&Draining]) {
        let is_worth_it = |draining: &&&Draining| draining.seen != Use::Window || self.began.elapsed() >= SOON;
        let waiting: Vec<&&Draining> = waiting.iter().filter(is_worth_it).collect();
        let Some(first) = waiting.first() else { return };
        if self.report.is_watched() {
            let more = if waiting.len() > 1 { format!(", and {} more", waiting.len() - 1) } else { String::new() };
            let message = format!("waiting for {}: {}{more}", first.name, first.seen.reason());
            self.spinner.get_or_insert_with(|| self.report.spinner(String::new())).set_message(message);
            return;
        }
        for draining in waiting {
            let is_due = self
                .told
                .get(&draining.name)
                .is_none_or(|(seen, at)| self.report.is_json() && *seen != draining.seen && at.elapsed() >= TELL);
            if is_due {
                self.told.insert(draining.name.clone(), (draining.seen.clone(), Instant::now()));
                self.report.say(&event(draining, self.began.elapsed()));
            }
        }
    }
}

fn event(draining: &Draining, waited: Duration) -> Event<'_> {
    let requests = draining.seen.requests();
    let seconds = (waited.as_secs_f64() * 1000.0).round() / 1000.0;
    Event::Draining { release: &draining.name, requests, reason: draining.seen.reason(), seconds }
}
