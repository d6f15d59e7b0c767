//! A pin: where one docroot leads, for as long as a request tree lives.
//!
//! Owns: what a request needs of the answer for a docroot. Must not: look a docroot up.

use std::ffi::CStr;
use std::sync::Arc;

use docroot::sections::Mapping;
use docroot::{Answer, Failure, Resolution, Terminated};

use crate::config::server::Site;
use crate::httpd::{Root, Text};
use crate::module::Realdoc;

/// The answer for one docroot.
#[derive(Clone, Copy)]
pub struct Pin<'r> {
    /// The docroot that was looked up. A computed one below a pinned link is looked up behind that link.
    pub path: &'r CStr,
    /// The links that were followed before that lookup.
    pub before: Option<&'r Mapping>,
    /// Where the links of the docroot lead. None if there are no links, or if they could not be followed.
    pub resolution: Option<&'r Resolution>,
    /// Whether the process retains the resolution as long as the configuration.
    pub is_retained: bool,
    /// Why nothing behind the links may be served.
    pub refused: Option<&'r Failure>,
    /// The docroot that requests get: the resolved one, or else the configured one.
    pub document_root: Text<'r>,
}

impl<'r> Pin<'r> {
    /// The pin of a server's docroot whose resolution the process retains.
    pub fn retained(resolution: &'r Resolution, site: &'r Site<'r>) -> Self {
        Self { is_retained: true, ..Self::resolved(resolution, site.docroot().path(), site.configured()) }
    }

    /// The pin of any answer for the docroot `path`, which requests know as `configured`. `root` owns what the answer
    /// points to.
    pub fn owned(answer: &Answer, path: &'r CStr, configured: Text<'r>, root: Root<'r>) -> Self {
        let as_configured = Self::as_configured(path, configured);
        match answer {
            Answer::Resolved(resolution) if resolution.has_links() => {
                let owned: &Arc<Resolution> = root.own::<Realdoc, _>(Arc::clone(&resolution.resolution));
                Self::resolved(owned, path, configured)
            }
            Answer::Refused(failure) => {
                Self { refused: Some(&**root.own::<Realdoc, _>(Arc::clone(failure))), ..as_configured }
            }
            Answer::Resolved(_) | Answer::AsConfigured => as_configured,
        }
    }

    fn resolved(resolution: &'r Resolution, path: &'r CStr, configured: Text<'r>) -> Self {
        let resolved = resolved_docroot(resolution);
        Self {
            resolution: resolved.map(|_| resolution),
            document_root: resolved.unwrap_or(configured),
            ..Self::as_configured(path, configured)
        }
    }

    fn as_configured(path: &'r CStr, configured: Text<'r>) -> Self {
        Self { path, before: None, resolution: None, is_retained: false, refused: None, document_root: configured }
    }

    /// The configured path and the real path of this docroot. None if no link was followed.
    pub fn mapping(self) -> Option<Mapping> {
        let mapping = self.resolution?.mapping(self.path);
        Some(self.before.map_or(mapping.clone(), |before| mapping.after(before)))
    }
}

/// The docroot that a resolution gives to requests. None if there are no links: then requests keep the server's.
#[inline]
pub fn resolved_docroot(resolution: &Resolution) -> Option<Text<'_>> {
    if resolution.has_links() { Some(text(resolution.docroot_terminated())) } else { None }
}

/// A string of a resolution as httpd takes it.
#[inline]
pub fn text(string: Terminated<'_>) -> Text<'_> {
    // SAFETY: the last byte of a `Terminated` is a NUL.
    unsafe { Text::from_bytes(string.bytes()) }
}
