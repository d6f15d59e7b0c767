//! A server process with all its children, gone when its owner is.
//!
//! Owns: start in a process group of its own, and the certain end of that group. Must not: know what the program is.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::readiness;

const STOPS_WITHIN: Duration = Duration::from_secs(10);
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// A running program and everything it forked.
#[derive(Debug)]
pub struct Process {
    child: Child,
    ended: bool,
}

impl Process {
    /// Starts `command` as the leader of a new process group. Should the thread that starts it die without a
    /// drop (Ctrl-C, SIGKILL), the kernel sends the leader SIGTERM. What it prints goes to the file `output`.
    ///
    /// # Errors
    /// What starting says.
    pub fn start(command: &Command, output: &Path) -> io::Result<Self> {
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        let output = File::create(output)?;
        wrapped.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(Self { child: wrapped.spawn()?, ended: false })
    }

    /// The process id of the leader.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Whether the leader has ended. It stays unreaped, so its id stays its own.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        self.ended || !matches!(waitid(Id::Pid(self.pid()), flags), Ok(WaitStatus::StillAlive))
    }

    /// Sends a signal to the leader.
    ///
    /// # Errors
    /// What `kill(2)` says.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        kill(self.pid(), signal).map_err(io::Error::from)
    }

    /// The process ids of the leader's children.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        let id = self.id();
        let mut children: Vec<u32> = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect();
        children.sort_unstable();
        children
    }

    /// Whether a child of the leader runs. One that has ended and waits to be reaped does not.
    #[must_use]
    pub fn has_running_child(&self) -> bool {
        self.children().into_iter().any(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // The state follows the name, which is in parentheses and may hold anything.
            stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
        })
    }

    /// Ends the leader in its own orderly way, then whatever is left of its group. Says whether the orderly way
    /// was enough.
    pub fn end(&mut self) -> bool {
        if self.ended {
            return true;
        }
        // Neither signal can hit a stranger: the leader is not reaped before the last line.
        let _ = self.signal(Signal::SIGTERM);
        let orderly = readiness::becomes_true(STOPS_WITHIN, || self.has_ended());
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
        self.ended = true;
        orderly
    }

    /// The exit status; none if a signal ended it or it still runs and must be ended first.
    pub fn end_status(&mut self) -> Option<i32> {
        let ended_by_itself = self.has_ended();
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let status = self.child.wait().ok()?;
        self.ended = true;
        status.code().filter(|_| ended_by_itself)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// How many threads a process has, if it is there.
#[must_use]
pub fn threads(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/task")).ok()?.count())
}

/// The resident memory of a process in bytes, without what is mapped from files.
#[must_use]
pub fn private_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// How many files, sockets and pipes a process has open.
#[must_use]
pub fn open_files(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// The number of the next descriptor that an idle process will be given.
///
/// # Panics
/// If it is not idle for long.
#[must_use]
pub fn next_descriptor(pid: u32) -> usize {
    const IDLE: usize = 10;
    let mut seen = Vec::new();
    let settled = readiness::poll(SETTLES_WITHIN, || {
        // The lowest that is free.
        seen.push((0..).find(|number| fs::symlink_metadata(format!("/proc/{pid}/fd/{number}")).is_err())?);
        let latest = seen.len().checked_sub(IDLE).map(|start| &seen[start..])?;
        latest.iter().all(|number| *number == latest[0]).then_some(latest[0])
    });
    settled.expect("a process that is idle for a moment")
}

/// Lets a process have descriptors below this number only.
///
/// # Panics
/// If the process is gone or the system refuses.
pub fn limit_descriptors(pid: u32, limit: usize) {
    // Only the user whose process it is may always do this; children of a root's server have been given another one.
    let user = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let id = |name: &str| {
        let line = user.lines().find_map(|line| line.strip_prefix(name)).expect("the ids of a process");
        line.split_whitespace().next().expect("a real id").to_owned()
    };
    let status = Command::new("setpriv")
        .args(["--reuid", &id("Uid:"), "--regid", &id("Gid:"), "--keep-groups", "--", "prlimit"])
        .args([format!("--pid={pid}"), format!("--nofile={limit}:")])
        .status();
    assert!(status.expect("running setpriv: install util-linux").success(), "prlimit refuses");
}
