//! What a request holds.
//!
//! Owns: the two forms of it, and giving it to a request. Must not: choose what to hold.

use std::ffi::c_void;
use std::ptr;

use docroot::Resolution;

use crate::config::server::Site;
use crate::httpd::{Request, RequestState, Text};
use crate::module::Realdoc;
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

/// Marks a retained resolution, as the lowest bit of the pointer: most requests hold one, and one test tells.
const RETAINED: usize = 1;

// SAFETY: this is the only such type of the module. The mark tells the two types of pointers apart.
unsafe impl<'r> RequestState<'r> for Hold<'r> {
    type Module = Realdoc;

    #[inline]
    fn into_raw(self) -> *mut c_void {
        const { assert!(align_of::<Resolution>() > RETAINED && align_of::<Tree<'_>>() > RETAINED) };
        match self {
            Self::Retained(resolution) => {
                ptr::from_ref(resolution).cast_mut().cast::<c_void>().wrapping_byte_add(RETAINED)
            }
            Self::Tree(tree) => ptr::from_ref(tree).cast_mut().cast(),
        }
    }

    #[inline]
    unsafe fn from_raw(raw: *mut c_void) -> Option<Self> {
        // SAFETY: the caller's promise. With the mark it is a resolution, else null or a tree.
        unsafe {
            if raw.addr() & RETAINED != 0 {
                Some(Self::Retained(&*raw.wrapping_byte_sub(RETAINED).cast()))
            } else {
                raw.cast::<Tree<'r>>().as_ref().map(Self::Tree)
            }
        }
    }
}

impl<'r> Hold<'r> {
    /// What a request holds, if it is pinned yet.
    #[inline]
    pub fn of(request: Request<'_, 'r>) -> Option<Self> {
        request.state()
    }

    /// The retained resolution that a request holds, if it holds one.
    #[inline]
    pub fn retained(request: Request<'_, 'r>) -> Option<&'r Resolution> {
        match Self::of(request) {
            Some(Self::Retained(resolution)) => Some(resolution),
            _ => None,
        }
    }

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
    #[inline(always)]
    pub fn give_to(self, request: Request<'_, 'r>) {
        // Read before anything is written, so that the caller's reads of `self` need not be repeated.
        let document_root = self.document_root();
        request.set_state(self);
        if let Some(document_root) = document_root {
            request.set_document_root(document_root);
        }
    }
}
