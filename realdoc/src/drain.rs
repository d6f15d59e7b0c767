//! Waiting until nobody uses a release, so that it may be removed or overwritten.
//!
//! Owns: the order of the steps. Must not: remove anything.
//!
//! 1. With the lock: no link that is known leads to the release.
//! 2. The release is claimed, which whoever works in it without httpd holds off (`flock -s RELEASE command`).
//! 3. Without the lock, because it may take long: the window of httpd's processes passes (`RealpathEvery`), and their
//!    counts of the release come to zero.
//! 4. With the lock again: every link is the one that it was in step 1. If one was flipped meanwhile, all begins anew.
//!
//! What is not known is not zero: without a file that httpd counts in, a release is [`Use::Unknown`].

mod files;
mod wait;

pub use files::{Counts, Files};
pub use wait::{Draining, Ended, Time, wait, wait_unlocked};

use crate::error::{Error, Result};

/// Whether a release is in use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Use {
    /// Nobody uses it, and nobody will until a link leads there.
    Free,
    /// So many requests use it, or may use it.
    Requests(u64),
    /// A process of httpd may not have looked at the links yet.
    Window,
    /// A process works in it, by these words.
    Held(String),
    /// Nobody can tell, for this reason.
    Unknown(String),
}

impl Use {
    /// How many requests run in it; none if that is unknown.
    #[must_use]
    pub fn requests(&self) -> Option<u64> {
        match self {
            Self::Free | Self::Window | Self::Held(_) => Some(0),
            Self::Requests(count) => Some(*count),
            Self::Unknown(_) => None,
        }
    }

    /// Why the release is kept.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Free => "nobody uses it".to_owned(),
            Self::Requests(1) => "1 request runs in it".to_owned(),
            Self::Requests(count) => format!("{count} requests run in it"),
            Self::Window => "httpd may not have seen the flip yet".to_owned(),
            Self::Held(holder) => format!("held by {holder}"),
            Self::Unknown(why) => format!("its requests are unknown: {why}"),
        }
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
