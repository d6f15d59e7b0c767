//! Processes that are stopped, as by Ctrl-Z.
//!
//! Owns: telling that one is, and ending it. Must not: decide that one may be ended.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Whether a process is stopped, and goes on only if somebody lets it (`kill -CONT`).
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may contain anything. `t` is one that a debugger looks at.
    stat.rsplit_once(')').is_some_and(|(_, fields)| fields.trim_start().starts_with('T'))
}

/// Ends a stopped process, if it is `the_one`. Says whether it did.
///
/// The descriptor is opened before both are looked at: a process that gets the number later is not ended.
#[must_use]
pub fn end(pid: u32, the_one: impl FnOnce() -> bool) -> bool {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    let Ok(process) = pidfd_open(number, PidfdFlags::empty()) else { return false };
    is_stopped(pid) && the_one() && pidfd_send_signal(&process, Signal::KILL).is_ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    use rustix::process::kill_process;

    use super::*;

    #[test]
    fn only_a_stopped_process_is_ended() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id();
        assert!(!is_stopped(pid) && !end(pid, || true));
        kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
        while !is_stopped(pid) {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(!end(pid, || false));
        assert!(is_stopped(pid));
        assert!(end(pid, || true));
        assert!(!child.wait().unwrap().success());
        assert!(!is_stopped(0) && !end(0, || true));
    }
}
