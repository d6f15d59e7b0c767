//! The answer that requests get.

use std::ops::Deref;
use std::sync::Arc;

use crate::cache::retained::RetainedId;
use crate::resolve::failure::Failure;
use crate::resolve::resolution::Resolution;

/// The answer to a request for a docroot.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Serve from where the docroot leads, or led before the present failure.
    Resolved(Served),
    /// The docroot could not be resolved: leave it as configured.
    AsConfigured,
    /// The docroot leads out of the releases, or nowhere although it must lead into a release. Serve nothing below it:
    /// as configured, its link would be followed again, and may lead elsewhere by then.
    Refused(Arc<Failure>),
}

/// A resolution that requests are served from.
#[derive(Clone, Debug)]
pub struct Served {
    /// Where the docroot leads.
    pub resolution: Arc<Resolution>,
    /// The number of the resolution for [`Docroot::retained`](crate::Docroot::retained), if it is retained.
    pub id: Option<RetainedId>,
    /// Whether the docroot led there at the last lookup. If not, it is the fallback while resolution fails.
    pub is_linked: bool,
}

impl Deref for Served {
    type Target = Resolution;

    fn deref(&self) -> &Resolution {
        &self.resolution
    }
}

impl Answer {
    /// Where the docroot leads, if requests are served from there.
    pub fn resolved(&self) -> Option<&Arc<Resolution>> {
        match self {
            Self::Resolved(served) => Some(&served.resolution),
            Self::AsConfigured | Self::Refused(_) => None,
        }
    }

    /// The number of that resolution, if it is retained.
    pub fn id(&self) -> Option<RetainedId> {
        match self {
            Self::Resolved(served) => served.id,
            Self::AsConfigured | Self::Refused(_) => None,
        }
    }
}
