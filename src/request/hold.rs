//! What a request holds.
//!
//! Owns: the two forms of it, and giving it to a request. Must not: choose what to hold.

use docroot::Resolution;

use crate::config::directives::Site;
use crate::httpd::{Request, Text};
use crate::request::pin::{Pin, resolved_docroot};
use crate::request::tree::Tree;

/// What a request holds; its subrequests and internal redirects hold the same.
#[derive(Clone, Copy)]
pub enum Hold<'r> {
    /// The resolution of the server's docroot, which the process retains. Most requests need nothing else.
    Retained(&'r Resolution),
    /// For everything else: the lookup failed or is not logged, its answer is not retained, or there are several docroots.
    Tree(&'r Tree<'r>),
}

impl<'r> Hold<'r> {
    /// The pin of the server's docroot, if there is one.
    pub fn server(self, site: &'r Site<'r>) -> Option<Pin<'r>> {
        match self {
            Self::Retained(resolution) => Some(Pin::retained(resolution, site)),
            Self::Tree(tree) => tree.server,
        }
    }

    /// The docroot that requests get. None if they keep the server's.
    #[inline]
    pub fn document_root(self) -> Option<Text<'r>> {
        match self {
            Self::Retained(resolution) => resolved_docroot(resolution),
            Self::Tree(tree) => tree.server.map(|pin| pin.document_root),
        }
    }

    /// Lets a request hold this, and gives it the docroot.
    #[inline]
    pub fn give_to(self, request: Request<'r>) {
        // Read before anything is written, so that the caller's reads of `self` need not be repeated.
        let document_root = self.document_root();
        request.set_hold(self);
        if let Some(document_root) = document_root {
            request.set_document_root(document_root);
        }
    }
}
