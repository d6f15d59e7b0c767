//! The memory of a slot, as counting and reading see it.

use std::ops::Range;

use parking_lot::{Mutex, MutexGuard};

/// The words of one slot, shared between processes. Each access is one step that is sequentially consistent with all
/// others; tests put a memory here that lets others go on between any two.
pub trait Words {
    /// The value of a word.
    fn load(&self, word: usize) -> u64;

    /// Sets a word.
    fn store(&self, word: usize, value: u64);

    /// Adds to a word. Whatever this thread does next, system calls and readings of clocks too, comes after the addition
    /// for all processors.
    fn add(&self, word: usize, value: u64);

    /// Subtracts from a word.
    fn subtract(&self, word: usize, value: u64);

    /// Whether this is the process that claimed the slot, and not one forked from it.
    fn is_own(&self) -> bool;

    /// Makes sure that these words can be written: where no memory is left, a store would kill the process.
    fn reserve(&self, words: Range<usize>) -> bool;

    /// Waits for a lock of this process.
    fn lock<'m, T>(&self, mutex: &'m Mutex<T>) -> MutexGuard<'m, T> {
        mutex.lock()
    }
}
