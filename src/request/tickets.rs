//! The tickets of a request that is counted.

use std::cell::Cell;

use docroot::inuse::Ticket;
use smallvec::SmallVec;

use crate::request::slot::slot;

/// The tickets of one lookup: one for each directory of its resolution, nearly always one.
pub type Tickets = SmallVec<[Ticket; 1]>;

/// A ticket that a tree keeps. If nobody takes it, it is given back with the pool of the tree: a module that writes logs may
/// run a subrequest after `log_transaction` of this module, and that may be counted.
pub struct KeptTicket(Cell<Option<Ticket>>);

impl KeptTicket {
    /// Keeps a ticket.
    pub fn new(ticket: Ticket) -> Self {
        Self(Cell::new(Some(ticket)))
    }

    /// The ticket, unless it was taken.
    pub fn take(&self) -> Option<Ticket> {
        self.0.take()
    }
}

impl Drop for KeptTicket {
    fn drop(&mut self) {
        if let Some((ticket, slot)) = self.take().zip(slot()) {
            slot.leave(ticket);
        }
    }
}
