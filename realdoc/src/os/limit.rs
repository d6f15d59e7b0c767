//! How long a child may take.
//!
//! Owns: ending a child with everything that it has started. Must not: know what it is for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long something may take, and which key of the configuration says so.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// No time at all is no limit.
    pub time: Duration,
    /// The key in `[timeouts]`.
    pub key: &'static str,
}

impl Limit {
    /// The time, if there is a limit.
    #[must_use]
    pub fn time(self) -> Option<Duration> {
        Some(self.time).filter(|time| !time.is_zero())
    }
}

/// A child and everything that it has started.
///
/// A child that leads a process group is signalled with the group. On a terminal it does not, because there it must be
/// able to ask for a password; its descendants are looked up then, and remembered: who outlives its parent is nobody's
/// descendant any more.
#[derive(Debug)]
pub(super) struct Family {
    pid: Pid,
    leads_group: bool,
    descendants: BTreeSet<i32>,
}

impl Family {
    pub(super) fn of(pid: Pid, leads_group: bool) -> Self {
        Self { pid, leads_group, descendants: BTreeSet::new() }
    }

    /// Sends a signal to all of them. Who has ended just now needs none.
    pub(super) fn signal(&mut self, signal: Signal) {
        if self.leads_group {
            let _ = kill_process_group(self.pid, signal);
            return;
        }
        self.descendants.extend(descendants(self.pid));
        for pid in self.descendants.iter().copied().filter_map(Pid::from_raw).chain([self.pid]) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The processes that this one has started, and theirs.
fn descendants(pid: Pid) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let number = process.file_name().to_str().and_then(|name| name.parse().ok());
        let parent = fs::read_to_string(process.path().join("stat")).ok().and_then(|stat| parent(&stat));
        if let (Some(number), Some(parent)) = (number, parent) {
            children.entry(parent).or_default().push(number);
        }
    }
    let mut found = Vec::new();
    let mut waiting = vec![pid.as_raw_nonzero().get()];
    while let Some(parent) = waiting.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            waiting.push(child);
            found.push(child);
        }
    }
    found
}

/// The parent's number, which stands behind the name of the program; that may have any characters.
fn parent(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        assert_eq!(parent("12 (a) b) (c) S 11 12 3"), Some(11));
        assert_eq!(parent(""), None);
    }

    #[test]
    fn children_of_children_are_found() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 100 & wait"]).spawn().unwrap();
        let pid = Pid::from_child(&child);
        while descendants(pid).is_empty() {
            std::thread::yield_now();
        }
        Family::of(pid, false).signal(Signal::KILL);
        child.wait().unwrap();
    }
}
