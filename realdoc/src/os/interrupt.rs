//! Ctrl-C and its relatives: remembered, passed on to a running child, acted on between two steps.
//!
//! Owns: the signal handlers. Must not: end the process; whoever does the work looks here where stopping is safe.

use std::fs;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::{Error, Result};

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
    /// one that ignores the first is killed by the second.
    ///
    /// # Errors
    /// As `wait(2)`.
    pub fn attend<T>(
        &self,
        child: &mut Child,
        leads_group: bool,
        work: impl FnOnce(&mut Child) -> T,
    ) -> io::Result<(T, ExitStatus)> {
        let pid = Pid::from_child(child);
        *self.inner.lock_child() = Some(Running { pid, leads_group });
        if self.signal().is_some() {
            // It came between the last check and now, and has found no child to be passed on to.
            self.inner.pass_on(false);
        }
        let result = work(child);
        // Without reaping: the number stays the child's until nobody can signal it anymore.
        let ended = loop {
            match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other,
            }
        };
        *self.inner.lock_child() = None;
        ended?;
        Ok((result, child.wait()?))
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
