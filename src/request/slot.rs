//! The slot that this process counts its requests in.
//!
//! Owns: where every thread finds it. Must not: claim it.

use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Release};

use docroot::inuse::Slot;

/// A child of httpd claims it before its first request; nobody gives it back but the kernel.
static SLOT: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());

/// The slot of this process, if requests are counted. In a forked process it is its parent's before the first lookup.
#[inline]
pub fn slot() -> Option<&'static Slot> {
    // SAFETY: null, or a slot that `keep` has leaked.
    unsafe { SLOT.load(Acquire).as_ref() }
}

/// Keeps the slot that this process has claimed, for as long as the process lives.
pub fn keep(slot: Slot) {
    SLOT.store(Box::leak(Box::new(slot)), Release);
}

/// Forgets the slot of the process that this one was forked from.
pub fn forget() {
    SLOT.store(ptr::null_mut(), Release);
}
