//! What a request holds.
//!
//! Owns: the two forms of it, and giving it to a request. Must not: choose what to hold.

use std::ffi::c_void;
use std::ptr;

use docroot::Resolution;
use docroot::inuse::Ticket;

use crate::config::server::Site;
use crate::httpd::{Request, RequestState, Root, Text};
use crate::module::Realdoc;
use crate::request::pin::{Pin, resolved_docroot};
use crate::request::tickets::Tickets;
use crate::request::tree::Tree;

/// What a request holds; its subrequests and internal redirects hold the same.
#[derive(Clone, Copy)]
pub enum Hold<'r> {
    /// The resolution of the server's docroot, which the process retains. Most requests need nothing else.
    Retained(&'r Resolution, Counted),
    /// For everything else: the lookup failed or is not logged, its answer is not retained, or there are several docroots.
    Tree(&'r Tree<'r>),
}

/// The number of the ticket that a tree was counted with, if it was. Only the root of the tree has one.
#[derive(Clone, Copy)]
pub struct Counted(Option<u16>);

impl Counted {
    /// No ticket.
    pub const NOT: Self = Self(None);
}

/// Marks a retained resolution, as the lowest bit of the pointer: most requests hold one, and one test tells.
const RETAINED: usize = 1;
/// Marks a retained resolution that has a ticket besides. The number of the ticket is above the bits that addresses of user
/// space have, which saves the 40 instructions of memory in the pool. Where addresses are longer, or pointers shorter, a
/// tree keeps the ticket.
const COUNTED: usize = 2;
/// Where the number begins.
const NUMBER: u32 = if HAS_ROOM { usize::BITS - u16::BITS } else { 0 };
const HAS_ROOM: bool = usize::BITS >= 64;
/// The bits of an address.
const ADDRESS: usize = (if HAS_ROOM { (1 << NUMBER) - 1 } else { usize::MAX }) & !(RETAINED | COUNTED);

// SAFETY: this is the only such type of the module. The marks tell the types of pointers apart.
unsafe impl<'r> RequestState<'r> for Hold<'r> {
    type Module = Realdoc;

    #[inline]
    fn into_raw(self) -> *mut c_void {
        const { assert!(align_of::<Resolution>() > COUNTED && align_of::<Tree<'_>>() > COUNTED) };
        match self {
            Self::Retained(resolution, Counted(number)) => {
                let number = number.map_or(0, |number| (number as usize) << NUMBER | COUNTED);
                let resolution = ptr::from_ref(resolution).cast_mut().cast::<c_void>();
                // The bits that are added are free.
                resolution.wrapping_byte_add(number | RETAINED)
            }
            Self::Tree(tree) => ptr::from_ref(tree).cast_mut().cast(),
        }
    }

    #[inline]
    unsafe fn from_raw(raw: *mut c_void) -> Option<Self> {
        // SAFETY: the caller's promise. With the mark it is a resolution, else null or a tree.
        unsafe {
            if raw.addr() & RETAINED != 0 {
                let is_counted = HAS_ROOM && raw.addr() & COUNTED != 0;
                let number = is_counted.then_some((raw.addr() >> NUMBER) as u16);
                Some(Self::Retained(&*raw.map_addr(|raw| raw & ADDRESS).cast(), Counted(number)))
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

    /// The retained resolution that a request holds, if it holds one. By the pointer, because the compiler makes six
    /// instructions more of [`Hold::of`].
    #[inline]
    pub fn retained(request: Request<'_, 'r>) -> Option<&'r Resolution> {
        let raw = request.raw_state::<Self>();
        if raw.addr() & RETAINED == 0 {
            return None;
        }
        // SAFETY: with the mark it is a resolution that is valid for `'r`, as in `from_raw`.
        Some(unsafe { &*raw.map_addr(|raw| raw & ADDRESS).cast() })
    }

    /// The pin of the server's docroot, if there is one.
    pub fn server(self, site: &'r Site<'r>) -> Option<Pin<'r>> {
        match self {
            Self::Retained(resolution, _) => Some(Pin::retained(resolution, site)),
            Self::Tree(tree) => tree.server,
        }
    }

    /// The docroot that requests get. None if they keep the server's.
    #[inline]
    pub fn document_root(self) -> Option<Text<'r>> {
        match self {
            Self::Retained(resolution, _) => resolved_docroot(resolution),
            Self::Tree(tree) => tree.server.map(|pin| pin.document_root),
        }
    }

    /// This without its ticket, which only the root may have.
    #[inline]
    pub fn uncounted(self) -> Self {
        match self {
            Self::Retained(resolution, _) => Self::Retained(resolution, Counted::NOT),
            Self::Tree(_) => self,
        }
    }

    /// Lets a request hold this, without a ticket, and gives it the docroot.
    #[inline(always)]
    pub fn give_to(self, request: Request<'_, 'r>) {
        // Read before anything is written, so that the caller's reads of `self` need not be repeated.
        let document_root = self.document_root();
        request.set_state(self.uncounted());
        if let Some(document_root) = document_root {
            request.set_document_root(document_root);
        }
    }

    /// Gives the docroot to a request that holds this.
    #[inline(always)]
    pub fn give_docroot_to(self, request: Request<'_, 'r>) {
        if let Some(document_root) = self.document_root() {
            request.set_document_root(document_root);
        }
    }

    /// Whether a ticket has room beside a resolution.
    pub fn has_room(resolution: &Resolution) -> bool {
        HAS_ROOM && ptr::from_ref(resolution).addr() & !ADDRESS == 0
    }

    /// What the root of a tree holds that was counted by the entry of a retained resolution.
    ///
    /// # Safety
    /// The ticket comes from the entry of the resolution. Only resolutions that a ticket [has room](Self::has_room) beside get
    /// an entry, unless no ticket has room on this machine.
    #[inline(always)]
    pub unsafe fn entered(
        request: Request<'_, 'r>,
        site: &'r Site<'r>,
        resolution: &'r Resolution,
        ticket: Ticket,
    ) -> Self {
        if HAS_ROOM {
            Self::Retained(resolution, Counted(Some(ticket.into_raw() as u16)))
        } else {
            Self::counted_in_tree(request, site, resolution, [ticket])
        }
    }

    /// What the root of a tree holds that was counted for a retained resolution, in any way.
    pub fn counted(request: Request<'_, 'r>, site: &'r Site<'r>, resolution: &'r Resolution, ticket: Ticket) -> Self {
        let number = ticket.into_raw();
        match u16::try_from(number) {
            Ok(number) if Self::has_room(resolution) => Self::Retained(resolution, Counted(Some(number))),
            _ => Self::counted_in_tree(request, site, resolution, [Ticket::from_raw(number)]),
        }
    }

    /// As [`Hold::counted`], for any number of tickets: a tree keeps them.
    #[cold]
    pub fn counted_in_tree(
        request: Request<'_, 'r>,
        site: &'r Site<'r>,
        resolution: &'r Resolution,
        tickets: impl IntoIterator<Item = Ticket>,
    ) -> Self {
        let root = request.root();
        let tree = root.pool().alloc(Tree::new(site, Some(Pin::retained(resolution, site))));
        tree.keep_tickets(root, tickets);
        Self::Tree(tree)
    }

    /// Takes the ticket beside a resolution. The number stays where it is; without the mark it means nothing.
    #[inline]
    pub fn take_ticket(request: Request<'_, 'r>) -> Option<Ticket> {
        const BOTH: usize = RETAINED | COUNTED;
        // SAFETY: the same resolution without a ticket. The address of a tree has no such bit.
        let raw = unsafe { request.replace_raw_state::<Self>(|raw| raw.map_addr(|raw| raw & !COUNTED)) };
        (HAS_ROOM && raw.addr() & BOTH == BOTH).then(|| Ticket::from_raw((raw.addr() >> NUMBER) as u32))
    }

    /// Takes the tickets that the root of a tree has.
    pub fn take_tickets(root: Root<'r>) -> Tickets {
        match root.state() {
            Some(Self::Retained(resolution, Counted(Some(number)))) => {
                root.set_state(Self::Retained(resolution, Counted::NOT));
                Tickets::from_iter([Ticket::from_raw(number.into())])
            }
            Some(Self::Tree(tree)) => tree.take_tickets().collect(),
            _ => Tickets::new(),
        }
    }
}
