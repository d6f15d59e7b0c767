//! Data of the process that lives as long as a resolution.
//!
//! Owns: the boxed value and the note of the embedding program, the entry in which requests are counted, and the number
//! by which the resolution is retained. Must not: matter to where a docroot leads; two resolutions with different
//! attachments are equal.

use std::any::Any;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU16, AtomicUsize};

use crate::inuse::EntryCell;

/// Written once, read by any thread without a lock. A clone of the resolution has none of this.
#[derive(Default)]
pub struct Attachment {
    value: OnceLock<Box<dyn Any + Send + Sync>>,
    /// Three words that a request compares instead of a search in `value`, which saves 50 instructions a request.
    note: [AtomicUsize; 3],
    /// The entry of the release in the slot of this process.
    pub entry: EntryCell,
    /// The number by which the process retains the resolution; zero if it does not.
    pub retained: AtomicU16,
}

impl Attachment {
    /// The note; all words are zero until [`Attachment::set_note`].
    #[inline]
    pub fn note(&self) -> [usize; 3] {
        let [first, second, third] = &self.note;
        [first.load(Acquire), second.load(Relaxed), third.load(Relaxed)]
    }

    /// Sets the note, whose first two words must not be zero, unless another thread has.
    pub fn set_note(&self, [first, second, third]: [usize; 3]) {
        // The thread that wins the second word writes the others, the first one last. A reader of the first sees the others
        // (Release, Acquire).
        if self.note[1].compare_exchange(0, second, Relaxed, Relaxed).is_ok() {
            self.note[2].store(third, Relaxed);
            self.note[0].store(first, Release);
        }
    }

    /// The attached value.
    #[inline]
    pub fn value(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.value.get().map(|value| &**value)
    }

    /// The attached value, made by the first call.
    pub fn value_or_make<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> &(dyn Any + Send + Sync) {
        &**self.value.get_or_init(|| Box::new(make()))
    }
}

impl Clone for Attachment {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Attachment {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Attachment {}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.value.get().is_some() { "attached" } else { "nothing attached" })
    }
}
