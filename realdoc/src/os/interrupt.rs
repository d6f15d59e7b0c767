//! Ctrl-C and its relatives: remembered, passed on to a running child, acted on between two steps.
//!
//! Owns: the signal handlers. Must not: end the process; whoever does the work looks here where stopping is safe.

use std::fs;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::{Ending, Error, Result};
use crate::os::limit::{Family, Limit};

/// How long a child that takes too long has to end by itself when it is asked to.
const GRACE: Duration = Duration::from_secs(2);

/// Whether a signal has asked to stop. Clones share the answer.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The first signal that came, or 0.
    signal: AtomicI32,
    /// The child that is running now.
    child: Mutex<Option<Running>>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    pid: Pid,
    leads_group: bool,
}

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP are remembered instead of ending the process.
    ///
    /// A signal that the process was started to ignore (`nohup`) stays ignored.
    ///
    /// # Errors
    /// The system lets no handler or thread be made.
    pub fn install() -> io::Result<Self> {
        let interrupt = Self::default();
        let ignored = ignored_signals();
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
        let mut signals = Signals::new(wanted)?;
        let inner = Arc::clone(&interrupt.inner);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                let again = inner.signal.swap(signal, Ordering::SeqCst) != 0;
                inner.pass_on(again);
            }
        })?;
        Ok(interrupt)
    }

    /// The signal that came, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        Some(self.inner.signal.load(Ordering::SeqCst)).filter(|&signal| signal != 0)
    }

    /// Forgets the signal that came, and says which it was: from here on only another one counts.
    #[must_use]
    pub fn take(&self) -> Option<i32> {
        Some(self.inner.signal.swap(0, Ordering::SeqCst)).filter(|&signal| signal != 0)
    }

    /// Called where stopping is safe.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if a signal came.
    pub fn check(&self) -> Result<()> {
        self.signal().map_or(Ok(()), |signal| Err(Error::Interrupted(signal)))
    }

    /// Does `work` with `child` (reads what it writes) and waits for it. The child gets to know of signals meanwhile;
    /// one that ignores the first is killed by the second. Whatever takes longer than the limit is ended with everything
    /// that it has started; `work` is told when there is nothing more to wait for.
    ///
    /// # Errors
    /// As `wait(2)`.
    pub fn attend<T>(
        &self,
        child: &mut Child,
        leads_group: bool,
        limit: Limit,
        work: impl FnOnce(&mut Child, &GivenUp) -> T,
    ) -> io::Result<(T, Result<ExitStatus, Ending>)> {
        let pid = Pid::from_child(child);
        *self.inner.lock_child() = Some(Running { pid, leads_group });
        if self.signal().is_some() {
            // It came between the last check and now, and has found no child to be passed on to.
            self.inner.pass_on(false);
        }
        let watchdog = limit.time().map(|time| Watchdog::start(Family::of(pid, leads_group), time)).transpose()?;
        let given_up = watchdog.as_ref().map(|watchdog| watchdog.given_up.clone()).unwrap_or_default();
        let result = work(child, &given_up);
        // Without reaping: the number stays the child's until nobody can signal it anymore.
        let ended = loop {
            match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other,
            }
        };
        let timed_out = watchdog.is_some_and(Watchdog::stop);
        *self.inner.lock_child() = None;
        ended?;
        let status = child.wait()?;
        let ending = Ending::TimedOut { after: limit.time, key: limit.key };
        Ok((result, if timed_out { Err(ending) } else { Ok(status) }))
    }
}

/// Whether what a child writes is of no interest any more: it has been ended, and who still holds its pipe is a stranger.
#[derive(Clone, Debug, Default)]
pub struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    /// Whether it is.
    #[must_use]
    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Ends a child that takes too long.
struct Watchdog {
    stop: Sender<()>,
    thread: JoinHandle<Option<Family>>,
    given_up: GivenUp,
}

impl Watchdog {
    fn start(mut family: Family, time: Duration) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let given_up = GivenUp::default();
        let gives_up = given_up.clone();
        let waits = move |time| stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        let thread = thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            if !waits(time) {
                return None;
            }
            family.signal(Signal::TERM);
            if waits(GRACE) {
                family.signal(Signal::KILL);
                let _ = waits(GRACE);
            }
            gives_up.0.store(true, Ordering::SeqCst);
            Some(family)
        })?;
        Ok(Self { stop, thread, given_up })
    }

    /// Called when the child has ended and is not reaped. Says whether that was by the watchdog, and kills those of its
    /// children that have not listened.
    fn stop(self) -> bool {
        drop(self.stop);
        let family = self.thread.join().ok().flatten();
        family.map(|mut family| family.signal(Signal::KILL)).is_some()
    }
}

impl Inner {
    fn lock_child(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self, again: bool) {
        let child = self.lock_child();
        let Some(Running { pid, leads_group }) = *child else {
            return;
        };
        let signal = if again { Signal::KILL } else { Signal::TERM };
        // It may have ended just now; that is as good.
        let _ = if leads_group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    }
}

/// The signals that this process was started to ignore, one bit each.
fn ignored_signals() -> u64 {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        })
        .unwrap_or(0)
}
