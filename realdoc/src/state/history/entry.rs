//! What the history consists of.

use std::path::PathBuf;
use std::process;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::os::process::user;

/// One thing that happened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// Unique.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// Why, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum What {
    /// Links were flipped to a release.
    Activate {
        /// The links.
        flips: Vec<Flip>,
    },
    /// Links were flipped back.
    Rollback {
        /// The links.
        flips: Vec<Flip>,
    },
    /// Links were flipped by an activation that failed or was interrupted, and back.
    PutBack {
        /// The links, from where they led for a while.
        flips: Vec<Flip>,
    },
    /// Links led elsewhere than recorded: somebody else had flipped them.
    Found {
        /// The links.
        flips: Vec<Flip>,
    },
    /// A release was marked: no rollback may lead to it.
    MarkBad {
        /// The release.
        release: String,
        /// Why.
        reason: Option<String>,
    },
    /// Another build has taken the place of a release, in a slot: earlier flips to it speak of what is gone.
    Overwrite {
        /// The slot.
        release: String,
    },
    /// A link is no instance any more.
    Forget {
        /// The instance, as it was called.
        instance: String,
        /// Its link.
        link: PathBuf,
    },
    /// The mark was taken back.
    MarkGood {
        /// The release.
        release: String,
    },
}

/// One link's change. A target is a release's name or, outside the releases directory, an absolute path.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Flip {
    /// The instance, as it was called then.
    pub instance: String,
    /// The link; it is what the history goes by.
    pub link: PathBuf,
    /// Where it led.
    pub from: Option<String>,
    /// Where it leads.
    pub to: Option<String>,
    /// Since when, if that was not when it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Entry {
    /// Something that happens now.
    #[must_use]
    pub fn now(what: What) -> Self {
        let at = Timestamp::now();
        Self { id: format!("{:x}-{:x}", at.as_microsecond(), process::id()), at, by: user(), why: None, what }
    }

    /// The links that it moved.
    #[must_use]
    pub fn flips(&self) -> &[Flip] {
        match &self.what {
            What::Activate { flips } | What::Rollback { flips } | What::PutBack { flips } | What::Found { flips } => {
                flips
            }
            What::MarkBad { .. } | What::MarkGood { .. } | What::Forget { .. } | What::Overwrite { .. } => &[],
        }
    }

    pub(super) fn flips_mut(&mut self) -> Option<&mut Vec<Flip>> {
        match &mut self.what {
            What::Activate { flips } | What::Rollback { flips } | What::PutBack { flips } | What::Found { flips } => {
                Some(flips)
            }
            What::MarkBad { .. } | What::MarkGood { .. } | What::Forget { .. } | What::Overwrite { .. } => None,
        }
    }
}
