//! Bounded polls: the one place where a test may wait.
//!
//! Owns: waiting for a state, with a deadline. Must not: wait for time itself to pass.

use std::thread;
use std::time::{Duration, Instant};

use crate::memcheck;

const POLL_EVERY: Duration = Duration::from_millis(5);

/// Asks `probe` again and again until it answers with something, at most for `within` (on a bare
/// machine).
pub fn poll<T>(within: Duration, probe: impl FnMut() -> Option<T>) -> Option<T> {
    poll_with(within, || thread::sleep(POLL_EVERY), probe)
}

/// Like [`poll`], without a pause between two questions: for what is true in a moment, and is waited for thousands of
/// times.
pub fn poll_closely<T>(within: Duration, probe: impl FnMut() -> Option<T>) -> Option<T> {
    poll_with(within, thread::yield_now, probe)
}

fn poll_with<T>(within: Duration, pause: impl Fn(), mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + memcheck::patience(within);
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause();
    }
}

/// Like [`poll`], for a probe that only says yes or no.
pub fn becomes_true(within: Duration, mut probe: impl FnMut() -> bool) -> bool {
    poll(within, || probe().then_some(())).is_some()
}
