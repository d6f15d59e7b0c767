//! A thread that flips a site's link all the time, and the arithmetic of freshness.
//!
//! Owns: the sequence of flips and which releases a request may show. Must not: send requests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::site::Site;

/// How many releases a flipped site has: many, so that a release comes back only after as many flips.
pub const RELEASES: usize = 16;

/// The pause between two flips.
pub const EVERY: Duration = Duration::from_millis(3);

/// How a link is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlipMode {
    /// Atomically, by `rename(2)`.
    Rename,
    /// By `rm` and `ln -s`: for a moment there is no link.
    RemoveThenLink,
}

#[derive(Debug, Default)]
struct Sequence {
    begun: AtomicU64,
    returned: AtomicU64,
}

/// Where the sequence of flips stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The number of the last flip that began; the site starts with flip 0 done.
    pub begun: u64,
    /// The number of the last flip that returned.
    pub returned: u64,
}

/// Whether a request that was sent at `sent` and fully received at `received` may show `release`: whether a flip to
/// it was the latest at some time in between. Flip number `s` leads to release `s % releases`.
#[must_use]
pub fn is_fresh(release: usize, sent: Moment, received: Moment, releases: usize) -> bool {
    (sent.returned..=received.begun).take(releases).any(|flip| flip % releases as u64 == release as u64)
}

/// Flips a site's link through its releases in rotation until it is stopped or dropped.
#[derive(Debug)]
pub struct Flipper {
    sequence: Arc<Sequence>,
    releases: usize,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Flipper {
    /// Flips a site of [`RELEASES`] releases, whose link leads to release 0, every [`EVERY`].
    #[must_use]
    pub fn start(site: &Site, mode: FlipMode) -> Self {
        let targets: Vec<PathBuf> = (0..RELEASES).map(|number| site.release_directory(number)).collect();
        Self::rotate(site.link(), targets, mode)
    }

    /// Flips `link`, which leads to the first of `targets`, through all of them.
    #[must_use]
    pub fn rotate(link: PathBuf, targets: Vec<PathBuf>, mode: FlipMode) -> Self {
        Self::rotate_every(EVERY, link, targets, mode)
    }

    /// The same with another pause between two flips.
    #[must_use]
    pub fn rotate_every(every: Duration, link: PathBuf, targets: Vec<PathBuf>, mode: FlipMode) -> Self {
        let sequence = Arc::new(Sequence::default());
        let releases = targets.len();
        let (stop, stopped) = mpsc::channel::<()>();
        let counters = Arc::clone(&sequence);
        let thread = thread::spawn(move || {
            for number in 1_u64.. {
                match stopped.recv_timeout(every) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
                let target = &targets[usize::try_from(number % releases as u64).expect("a small number")];
                counters.begun.store(number, Ordering::SeqCst);
                match mode {
                    FlipMode::Rename => docroot::flip(&link, target).expect("a flip"),
                    FlipMode::RemoveThenLink => remove_then_link(&link, target),
                }
                counters.returned.store(number, Ordering::SeqCst);
            }
        });
        Self { sequence, releases, stop: Some(stop), thread: Some(thread) }
    }

    /// Where the sequence stands.
    #[must_use]
    pub fn now(&self) -> Moment {
        // In this order no flip can be missed: at worst one counts as overlapping that just did not.
        let returned = self.sequence.returned.load(Ordering::SeqCst);
        Moment { begun: self.sequence.begun.load(Ordering::SeqCst), returned }
    }

    /// How many releases it rotates through.
    #[must_use]
    pub fn releases(&self) -> usize {
        self.releases
    }

    /// Stops after the flip that is under way, and says how many there were.
    pub fn stop(mut self) -> u64 {
        self.join();
        self.now().returned
    }

    fn join(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the flipping thread panicked");
        }
    }
}

impl Drop for Flipper {
    fn drop(&mut self) {
        self.join();
    }
}

/// The flip that is not one: for a moment the link is gone.
pub fn remove_then_link(link: &Path, target: &Path) {
    fs::remove_file(link).expect("removing the link");
    symlink(target, link).expect("making the link again");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(begun: u64, returned: u64) -> Moment {
        Moment { begun, returned }
    }

    #[test]
    fn fresh_is_what_was_current_between_send_and_receive() {
        let (sent, received) = (moment(18, 17), moment(19, 18));
        let fresh: Vec<usize> = (0..16).filter(|release| is_fresh(*release, sent, received, 16)).collect();
        assert_eq!(fresh, [1, 2, 3]);
    }

    #[test]
    fn without_a_flip_only_the_current_release_is_fresh() {
        let at = moment(5, 5);
        let fresh: Vec<usize> = (0..16).filter(|release| is_fresh(*release, at, at, 16)).collect();
        assert_eq!(fresh, [5]);
    }
}
