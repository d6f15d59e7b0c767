//! The tickets of a request that is counted.

use docroot::inuse::Ticket;
use smallvec::SmallVec;

/// The tickets of one lookup: one for each directory of its resolution, nearly always one.
pub type Tickets = SmallVec<[Ticket; 1]>;
