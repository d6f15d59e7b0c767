//! Activation: links flipped to a release, all that are named or none; and flipped back, as many as can be.
//!
//! Owns: the order of its steps, putting back, and what the next command does after a crash in between. Must not:
//! replace anything that is no link; [`docroot::flip`] does not, and is the only thing here that changes a link.
//!
//! 1. Look at every link. An activation is refused if one cannot go well, before anything changes.
//! 2. Run the check command, without the lock, and see that nobody has flipped a link meanwhile.
//! 3. Write the journal: every link with its old and its new text.
//! 4. Flip each link. If one cannot be flipped, an activation puts the others back.
//! 5. Write the history: the activation has happened.
//! 6. Run the reload command, without the lock. It is owed until it has succeeded.
//!
//! A command that finds a journal knows how far the other one got: all links flipped, go on with 5; otherwise put back.
//!
//! A rollback is not refused. A link that cannot go back stays where it is, and the others go.

mod begin;
mod check;
mod flip;
mod plan;
mod prepare;
mod readable;
mod recover;
mod reload;
mod undo;
mod verify;

pub use begin::begin;
pub(crate) use begin::begin_whatever;
pub use flip::{Flipped, flip};
pub use plan::{Direction, Left, Move};
pub use prepare::prepare;
pub use recover::PutBack;
pub(crate) use recover::relock;
pub use reload::reload;
pub use verify::verify;
