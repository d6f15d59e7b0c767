//! What a process remembers of its docroots.
//!
//! Owns: which docroots share an entry, and which are forgotten. Must not: know what an entry knows; that is `known.rs`.

pub mod docroot;
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

use self::docroot::{Docroot, Look, News, NotAbsolute, REMIND_EVERY};
use self::retained::Kept;
use crate::config::rules::Rules;
use crate::os::system::{Moment, System};
use crate::resolve::failure::Failure;

/// How many docroots that only requests know are remembered; beyond, the one that was used least lately is forgotten.
pub const COMPUTED_MAX: usize = 4096;

/// The docroots that a process knows, keyed by path and rules: two virtual hosts with the same docroot share what is
/// known of it. Never keyed by a name that a client sent.
pub struct Cache {
    rules: Vec<Arc<Rules>>,
    /// The numbers of `rules`. Needed only while the configuration is being read: each virtual host may have its own.
    by_rules: HashMap<Arc<Rules>, usize>,
    configured: Vec<Arc<Docroot>>,
    kept: Arc<Kept>,
    /// Where in `configured` each docroot is. Needed only while the configuration is being read.
    by_path: ByPath,
    computed: Mutex<LruCache<Box<[u8]>, Arc<Docroot>>>,
    /// When the refusal of a computed docroot was last reported.
    refusal_reported: Mutex<Option<Moment>>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            by_rules: HashMap::new(),
            configured: Vec::new(),
            kept: Arc::default(),
            by_path: ByPath::default(),
            // It grows as it is used, most servers compute no docroot. `computed` keeps it bounded.
            computed: Mutex::new(LruCache::unbounded()),
            refusal_reported: Mutex::default(),
        }
    }
}

impl Cache {
    /// A number for rules, the same for the same.
    pub fn rules(&mut self, rules: &Rules) -> usize {
        if let Some(&number) = self.by_rules.get(rules) {
            return number;
        }
        let new = Arc::new(rules.clone());
        self.rules.push(Arc::clone(&new));
        self.by_rules.insert(new, self.rules.len() - 1);
        self.rules.len() - 1
    }

    /// The entry of a docroot that the configuration names, made at its first mention.
    ///
    /// # Errors
    /// [`NotAbsolute`] if `docroot` is no absolute path.
    pub fn configured(&mut self, docroot: &CStr, rules: usize) -> Result<Arc<Docroot>, NotAbsolute> {
        let hash = self.by_path.hasher.hash_one((docroot.to_bytes(), rules));
        let rules = &self.rules[rules];
        let is_it = |known: &Docroot| known.path() == docroot && Arc::ptr_eq(known.rules(), rules);
        let known = |place: &Place| place.hash == hash && is_it(&self.configured[place.index]);
        match self.by_path.places.entry(hash, known, |place| place.hash) {
            Entry::Occupied(place) => Ok(Arc::clone(&self.configured[place.get().index])),
            Entry::Vacant(vacant) => {
                let new = Arc::new(Docroot::at(docroot, Arc::clone(rules), Arc::clone(&self.kept), true)?);
                vacant.insert(Place { hash, index: self.configured.len() });
                self.configured.push(Arc::clone(&new));
                Ok(new)
            }
        }
    }

    /// Ends the time of [`Cache::rules`] and [`Cache::configured`], and gives back the memory that it needed.
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

    /// How many docroots are remembered that only requests know.
    pub fn computed_len(&self) -> usize {
        self.computed.lock().len()
    }

    /// A look at a docroot that only a request knows, by the rules of this number. It is remembered only if it
    /// resolves, so that host names which lead nowhere cost no memory. Returns the docroot that was looked at, too.
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
    ) -> Result<(Arc<Docroot>, Look), NotAbsolute> {
        let mut key: SmallVec<[u8; 256]> = SmallVec::from_slice(&rules.to_ne_bytes());
        key.extend_from_slice(docroot.to_bytes());
        let known = self.computed.lock().get(&key[..]).map(Arc::clone);
        if let Some(known) = known {
            let look = known.look(system, now, every);
            return Ok((known, look));
        }
        let new = Arc::new(Docroot::at(docroot, Arc::clone(&self.rules[rules]), Arc::clone(&self.kept), false)?);
        let mut look = new.look(system, now, every);
        if look.answer.resolved().is_none() {
            if let Some(News::Failed { failure, report, .. }) = look.news.as_deref_mut() {
                *report = self.is_worth_reporting(failure, now);
            }
            return Ok((new, look));
        }
        let mut computed = self.computed.lock();
        // Another thread may have been faster; what it knows of failures and flips must not be lost.
        let known = Arc::clone(computed.get_or_insert(Box::from(&key[..]), || new));
        while computed.len() > COMPUTED_MAX {
            computed.pop_lru();
        }
        Ok((known, look))
    }

    /// A docroot without an entry cannot remember what was reported of it, and clients choose its name. That it does
    /// not exist is no error of the server; that it was refused is one, and told now and then.
    fn is_worth_reporting(&self, failure: &Failure, now: Moment) -> bool {
        if failure.errno().is_some() {
            return false;
        }
        let mut reported = self.refusal_reported.lock();
        let due = !reported.is_some_and(|reported| now.is_within(reported, REMIND_EVERY));
        if due {
            *reported = Some(now);
        }
        due
    }
}

/// Where docroots are, found by their paths and rules.
#[derive(Default)]
struct ByPath {
    places: HashTable<Place>,
    hasher: DefaultHashBuilder,
}

struct Place {
    /// Of path and rules. It is kept, so that the table grows without reading all paths again.
    hash: u64,
    index: usize,
}
