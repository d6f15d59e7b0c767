//! Requests that are counted before they look: they get the answers of others, and leave no count where they get none.
//!
//! Owns: [`Docroot::enter`], and what a fallback needs besides. Must not: test how a slot counts.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use docroot::inuse::format::{ENTRIES, LINE, SLOT_WORDS, TOTAL_SHIFT};
use docroot::inuse::{Release, Slot, Words};
use docroot::{Answer, Cache, Docroot, Rules};

use crate::fake::Fake;
use crate::{at, only_releases, seconds};

/// Memory of one thread.
struct Memory(RefCell<Vec<u64>>);

impl Words for Memory {
    fn load(&self, word: usize) -> u64 {
        self.0.borrow()[word]
    }

    fn store(&self, word: usize, value: u64) {
        self.0.borrow_mut()[word] = value;
    }

    fn add(&self, word: usize, value: u64) {
        self.0.borrow_mut()[word] += value;
    }

    fn subtract(&self, word: usize, value: u64) {
        self.0.borrow_mut()[word] -= value;
    }

    fn is_own(&self) -> bool {
        true
    }

    fn reserve(&self, _: Range<usize>) -> bool {
        true
    }
}

const WINDOW: u64 = 2_000_000_000;

fn slot() -> Slot<Memory> {
    Slot::new(Memory(RefCell::new(vec![0; SLOT_WORDS])), at(0), 1)
}

/// How many requests run.
fn running(slot: &Slot<Memory>) -> u64 {
    let entries = (0..ENTRIES / 4).map(|line| line * LINE);
    let words = entries.flat_map(|line| (0..4).map(move |pair| line + pair * 2));
    words.map(|word| slot.words().load(word) & ((1 << TOTAL_SHIFT) - 1)).sum()
}

fn configured(rules: &Rules) -> (Cache, Arc<Docroot>) {
    let mut cache = Cache::default();
    let rules = cache.rules(rules);
    let docroot = cache.configured(c"/srv/current", rules).unwrap();
    (cache, docroot)
}

/// A lookup, as a request makes one that is not counted yet; the entry is known from then on.
fn look_up(slot: &Slot<Memory>, files: &Fake, docroot: &Docroot, milliseconds: u64, window: u64) -> Answer {
    let looking = slot.look();
    let answer = docroot.lookup(files, at(milliseconds), Duration::from_nanos(window)).answer;
    if let Answer::Resolved(served) = &answer {
        let directories = docroot.directories(served);
        assert_eq!(directories.len(), 1);
        let ticket = looking.enter(&Release::new(directories[0], 1, 1), served.entry(), 0);
        slot.leave(ticket);
    }
    answer
}

/// What a request gets without a lookup; while it runs it is counted, and else nothing is.
fn entered(slot: &Slot<Memory>, files: &Fake, docroot: &Docroot, milliseconds: u64, window: u64) -> Option<String> {
    let entered = docroot.enter(slot, 0, files, || at(milliseconds), window);
    let found = entered.map(|(ticket, resolution)| {
        assert_eq!(running(slot), 1);
        slot.leave(ticket);
        resolution.docroot().to_str().unwrap().to_owned()
    });
    assert_eq!(running(slot), 0);
    found
}

#[test]
fn a_request_gets_what_is_remembered_or_nothing() {
    let (files, slot, (_cache, docroot)) = (Fake::new(), slot(), configured(&Rules::default()));
    assert_eq!(entered(&slot, &files, &docroot, 0, WINDOW), None);
    look_up(&slot, &files, &docroot, 0, WINDOW);
    files.flip("releases/2");
    assert_eq!(entered(&slot, &files, &docroot, 1_999, WINDOW).as_deref(), Some("/srv/releases/1"));
    assert_eq!(entered(&slot, &files, &docroot, 2_000, WINDOW), None, "the window is over");
    look_up(&slot, &files, &docroot, 2_000, WINDOW);
    assert_eq!(entered(&slot, &files, &docroot, 2_001, WINDOW).as_deref(), Some("/srv/releases/2"));
}

#[test]
fn without_a_window_the_link_is_read_after_the_count() {
    let (files, slot, (_cache, docroot)) = (Fake::new(), slot(), configured(&Rules::default()));
    look_up(&slot, &files, &docroot, 0, 0);
    files.calls();
    assert_eq!(entered(&slot, &files, &docroot, 1, 0).as_deref(), Some("/srv/releases/1"));
    assert_eq!(files.calls(), 1);
    files.flip("releases/2");
    assert_eq!(entered(&slot, &files, &docroot, 2, 0), None);
    look_up(&slot, &files, &docroot, 2, 0);
    assert_eq!(entered(&slot, &files, &docroot, 3, 0).as_deref(), Some("/srv/releases/2"));
}

/// No link leads to a fallback. Somebody may remove it at any time, so each request must ask.
#[test]
fn nobody_enters_a_fallback_without_a_question() {
    for (rules, window) in [(Rules::default(), WINDOW), (only_releases(), WINDOW), (Rules::default(), 0)] {
        let (files, slot, (_cache, docroot)) = (Fake::new(), slot(), configured(&rules));
        look_up(&slot, &files, &docroot, 0, window);
        files.unlink("/srv/current");
        for milliseconds in [2_000, 2_001] {
            let Answer::Resolved(served) = docroot.lookup(&files, at(milliseconds), seconds(2)).answer else {
                panic!("the last good release");
            };
            assert!(!served.is_linked);
            assert_eq!(entered(&slot, &files, &docroot, milliseconds, window), None);
        }
        match docroot.answer_without_fallback() {
            Answer::Refused(_) => assert!(rules.releases.is_some()),
            Answer::AsConfigured => assert!(rules.releases.is_none()),
            Answer::Resolved(_) => panic!("the release is about to go"),
        }
        files.flip("releases/2");
        look_up(&slot, &files, &docroot, 4_000, window);
        assert_eq!(entered(&slot, &files, &docroot, 4_001, window).as_deref(), Some("/srv/releases/2"));
    }
}
