//! What is seen of a release.

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
