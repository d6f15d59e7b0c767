//! `[assets]`: how long httpd may serve the assets of a release that is no longer live.

use std::time::Duration;

use serde::Deserialize;

use super::value::Span;

/// How long a release is retained if the configuration does not say.
const USUAL: Duration = Duration::from_secs(24 * 3600);

/// `[assets]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Assets {
    /// How long a release is retained after it was last live. If it is set, a prune keeps such a release.
    pub keep_for: Option<Span>,
}

impl Assets {
    /// How long a release is retained after it was last live.
    #[must_use]
    pub fn time(self) -> Duration {
        self.keep_for.map_or(USUAL, |span| span.0)
    }
}
