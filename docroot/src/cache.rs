//! The docroots of a process.
//!
//! Owns: which docroots share an entry, and which entries are evicted.

pub mod answer;
pub mod docroot;
pub mod failures;
pub mod lookup;
pub mod retained;

use std::ffi::CStr;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use lru::LruCache;
use parking_lot::Mutex;
use smallvec::SmallVec;

use self::docroot::{Docroot, NotAbsolute};
use self::failures::FailureLog;
use self::lookup::{Event, Lookup};
use self::retained::Retained;
use crate::config::rules::Rules;
use crate::os::system::{Moment, System};

/// The number of computed docroots that have an entry; the least recently used one is evicted.
pub const COMPUTED_MAX: usize = 4096;

/// The docroots of a process, keyed by path and rules, and never by a name that a client sent. Virtual hosts with the
/// same docroot share an entry.
pub struct Cache {
    rules: Vec<Arc<Rules>>,
    /// The index of each of `rules`, until [`Cache::settle`]: each virtual host may have rules of its own.
    by_rules: HashMap<Arc<Rules>, usize>,
    configured: Vec<Arc<Docroot>>,
    retained: Arc<Retained>,
    /// The index of each of `configured`, until [`Cache::settle`].
    by_path: ByPath,
    computed: Mutex<LruCache<Box<[u8]>, Arc<Docroot>>>,
    /// The reports of computed docroots that have no entry.
    log: Arc<FailureLog>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            by_rules: HashMap::new(),
            configured: Vec::new(),
            retained: Arc::default(),
            by_path: ByPath::default(),
            // A bounded one would allocate all at once, and most servers compute no docroot.
            computed: Mutex::new(LruCache::unbounded()),
            log: Arc::default(),
        }
    }
}

impl Cache {
    /// The number of these rules, which equal rules share.
    pub fn rules(&mut self, rules: &Rules) -> usize {
        if let Some(&number) = self.by_rules.get(rules) {
            return number;
        }
        let new = Arc::new(rules.clone());
        self.rules.push(Arc::clone(&new));
        self.by_rules.insert(new, self.rules.len() - 1);
        self.rules.len() - 1
    }

    /// The entry of a docroot that the configuration names. The first call makes it.
    ///
    /// # Errors
    /// [`NotAbsolute`] if `docroot` is no absolute path.
    pub fn configured(&mut self, docroot: &CStr, rules: usize) -> Result<Arc<Docroot>, NotAbsolute> {
        let hash = self.by_path.hasher.hash_one((docroot.to_bytes(), rules));
        let rules = &self.rules[rules];
        let is_it = |known: &Docroot| known.path() == docroot && Arc::ptr_eq(known.rules(), rules);
        let is_known = |slot: &Slot| slot.hash == hash && is_it(&self.configured[slot.index]);
        match self.by_path.slots.entry(hash, is_known, |slot| slot.hash) {
            Entry::Occupied(slot) => Ok(Arc::clone(&self.configured[slot.get().index])),
            Entry::Vacant(vacant) => {
                let new = Arc::new(Docroot::at(docroot, Arc::clone(rules), Arc::clone(&self.retained), true)?);
                vacant.insert(Slot { hash, index: self.configured.len() });
                self.configured.push(Arc::clone(&new));
                Ok(new)
            }
        }
    }

    /// Frees what only [`Cache::rules`] and [`Cache::configured`] need. Call it when the configuration is complete.
    pub fn settle(&mut self) {
        self.by_rules = HashMap::new();
        self.by_path = ByPath::default();
        self.rules.shrink_to_fit();
        self.configured.shrink_to_fit();
    }

    /// All docroots that the configuration names, in the order of their first mention.
    pub fn all_configured(&self) -> &[Arc<Docroot>] {
        &self.configured
    }

    /// The number of computed docroots that have an entry.
    pub fn computed_len(&self) -> usize {
        self.computed.lock().len()
    }

    /// A lookup of a docroot that was computed for a request, by the rules of this number. Returns the docroot too. It
    /// gets an entry if it resolves; host names that lead nowhere cost no memory.
    ///
    /// # Errors
    /// [`NotAbsolute`] if `docroot` is no absolute path.
    pub fn computed(
        &self,
        docroot: &CStr,
        rules: usize,
        system: &impl System,
        now: Moment,
        every: Duration,
    ) -> Result<(Arc<Docroot>, Lookup), NotAbsolute> {
        let mut key: SmallVec<[u8; 256]> = SmallVec::from_slice(&rules.to_ne_bytes());
        key.extend_from_slice(docroot.to_bytes());
        let known = self.computed.lock().get(&key[..]).map(Arc::clone);
        if let Some(known) = known {
            let lookup = known.lookup(system, now, every);
            return Ok((known, lookup));
        }
        let new = Arc::new(Docroot::at(docroot, Arc::clone(&self.rules[rules]), Arc::clone(&self.retained), false)?);
        let mut lookup = new.lookup(system, now, every);
        if lookup.answer.resolved().is_none() {
            if let Some(Event::Failed { failure, report, .. }) = lookup.event.as_deref_mut() {
                *report = self.log.claim_without_entry(failure, now);
            }
            return Ok((new, lookup));
        }
        let mut computed = self.computed.lock();
        // Another thread may have been faster; its entry stays, with the failures and flips that it has seen.
        let known = Arc::clone(computed.get_or_insert(Box::from(&key[..]), || new));
        while computed.len() > COMPUTED_MAX {
            computed.pop_lru();
        }
        Ok((known, lookup))
    }
}

/// An index of docroots by path and rules.
#[derive(Default)]
struct ByPath {
    slots: HashTable<Slot>,
    hasher: DefaultHashBuilder,
}

struct Slot {
    /// The hash of path and rules, so that the table grows without a read of all paths.
    hash: u64,
    index: usize,
}
