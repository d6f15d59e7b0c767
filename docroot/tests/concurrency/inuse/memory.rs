//! The memory of a slot, in which other threads may go on before each access.
//!
//! Owns: where a thread may be interrupted. Must not: choose which one goes on.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use corosensei::Yielder;
use docroot::inuse::Words;
use docroot::inuse::format::{COUNTERS, HEADER, RECORD, RECORDS};
use parking_lot::{Mutex, MutexGuard};

thread_local! {
    /// Of the coroutine that runs; none while a scenario is set up.
    static YIELDER: Cell<Option<*const Yielder<(), ()>>> = const { Cell::new(None) };
    /// Whether the coroutine that just paused waits for others.
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

/// Says which coroutine runs: at its start, and whenever it may have paused other than by [`pause`].
pub fn resumed(yielder: Option<&Yielder<(), ()>>) {
    YIELDER.set(yielder.map(|yielder| yielder as *const _));
}

/// Lets others go on.
pub fn pause() {
    if let Some(yielder) = YIELDER.get() {
        // SAFETY: the coroutine that runs has set it, and its yielder lives as long as the coroutine.
        unsafe { &*yielder }.suspend(());
        YIELDER.set(Some(yielder));
    }
}

/// Goes on only after others did.
pub fn wait() {
    WAITS.set(true);
    pause();
}

/// Whether the coroutine that paused last waits for others.
pub fn takes_wait() -> bool {
    WAITS.take()
}

/// The memory of a slot, or the view that one side has of it.
#[derive(Clone, Default)]
pub struct Memory {
    words: Rc<RefCell<HashMap<usize, u64>>>,
    /// A word that is never seen to change, with its value: sabotage.
    pub stale: Rc<Cell<Option<(usize, u64)>>>,
}

impl Memory {
    /// The same memory, seen as it is.
    pub fn true_view(&self) -> Self {
        Self { words: Rc::clone(&self.words), stale: Rc::default() }
    }

    /// A value without a pause.
    pub fn peek(&self, word: usize) -> u64 {
        self.words.borrow().get(&word).copied().unwrap_or(0)
    }
}

/// Whether it makes a difference when a word is read. What an entry is of changes only while its id is zero; and of the
/// entries, the first two are those that the release may have.
fn matters(word: usize) -> bool {
    word >= HEADER || (COUNTERS..RECORDS).contains(&word) || word == RECORDS || word == RECORDS + RECORD
}

impl Words for Memory {
    fn load(&self, word: usize) -> u64 {
        if matters(word) {
            pause();
        }
        match self.stale.get() {
            Some((stale, value)) if stale == word => value,
            _ => self.peek(word),
        }
    }

    fn store(&self, word: usize, value: u64) {
        if matters(word) {
            pause();
        }
        self.words.borrow_mut().insert(word, value);
    }

    fn add(&self, word: usize, value: u64) {
        pause();
        *self.words.borrow_mut().entry(word).or_default() += value;
    }

    fn subtract(&self, word: usize, value: u64) {
        pause();
        let mut words = self.words.borrow_mut();
        let word = words.entry(word).or_default();
        *word = word.checked_sub(value).expect("a count below zero");
    }

    fn is_own(&self) -> bool {
        true
    }

    fn reserve(&self, _: Range<usize>) -> bool {
        true
    }

    fn lock<'m, T>(&self, mutex: &'m Mutex<T>) -> MutexGuard<'m, T> {
        loop {
            if let Some(guard) = mutex.try_lock() {
                return guard;
            }
            wait();
        }
    }
}
