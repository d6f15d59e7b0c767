//! Which releases have requests, told to whoever removes releases: a file that web server processes count in.
//!
//! Owns: the file ([`mod@format`]), the counting ([`Slot`]) and the reading ([`Reader`], [`Drain`]). Must not: know a web
//! server, read a clock on its own (time is an argument), or contain `unsafe` outside `os.rs`.
//!
//! # The promise
//!
//! Once no link leads to a release, the window has passed and [`Drain`] says that the release is free, no request opens
//! another file in it.
//!
//! # The protocol
//!
//! A request **counts first and looks afterwards**, as with a hazard pointer:
//!
//! 1. [`Slot::enter`] adds to the counter of the release that the process remembers, and only then asks its caller to
//!    look: to read the clock (inside a window) or the link (without one). Where the answer is another now, the count is
//!    taken back.
//! 2. Else the request takes the slow way: [`Slot::look`] counts the walk as *looking*, the walk finds a release,
//!    [`Looking::enter`] counts that, and only then the looking ends.
//! 3. [`Slot::leave`] when the last byte is sent.
//!
//! The reader has seen that no link leads to the release R since the moment F. In each slot whose process lives it waits
//! until F + window, then reads *looking*, and only then the counters.
//!
//! # Why that is enough
//!
//! Let a request use R, and let the reader have read R's counter as zero at a time T > F + window.
//!
//! - It came the fast way. Its look either read the clock before F + window, because what is remembered was looked up
//!   before F, or read the link before F. It had counted before that. So the count was there before T, and zero means
//!   that the request has left.
//! - It came the slow way, and its walk read the link before F. Then it was *looking* before F, and went on looking until
//!   it had counted. The reader saw a moment after F without looking, so the count was there before that moment, and the
//!   reader read the counter after it.
//! - After T nobody comes: the clock and the link say so to the fast way, and the link to the slow way.
//!
//! So a slot that was free of R once stays free. Requests that count R for an instant and take the count back make the
//! reader wait, never err.
//!
//! Each access of the shared memory is sequentially consistent, on both sides, so that all that can happen is some order
//! of these steps; the tests go through the orders. A count must be visible before the look that follows, which is a
//! system call or the vDSO's clock. On x86 an atomic addition is a full barrier, and the vDSO orders its reading of the
//! clock behind it. On other processors a fence follows the addition; and there and everywhere the reader adds a
//! [margin](drain::MARGIN) to the window that is a million times what any store waits in a buffer.
//!
//! **Entries are used again.** A process gives the entry of a release that nobody uses to another. An [`EntryCell`]
//! remembers the entry with its generation, and [`Slot::enter`] counts first and compares the generation afterwards; who
//! takes an entry away changes the generation first and reads the counter afterwards. One of the two sees the other.
//!
//! # What a caller must do besides
//!
//! A process that cannot resolve a docroot may go on with the release that it knew last. No link leads there, so the
//! promise needs something else that the removal can be seen by: [`Looking::enter_unlinked`] counts first and asks
//! afterwards whether the release [is claimed](claim::is_claimed), and whoever removes a release holds a
//! [`Claim`] on it from before the [`Drain`] until it is removed.

pub mod claim;
pub mod drain;
pub mod format;

mod file;
mod os;
mod process;
mod reader;
mod release;
mod slot;
mod table;
mod words;

pub use claim::Claim;
pub use drain::{Drain, Progress, SlotDrain, SlotProgress};
pub use file::{CreateError, File};
pub use os::Mapping;
pub use process::Process;
pub use reader::{InUse, Reader, Snapshot, Unknown, Usage};
pub use release::Release;
pub use slot::{Counted, EntryCell, Looking, Slot, Ticket};
pub use words::Words;
