//! Resolutions that are kept for as long as there is a cache.
//!
//! Owns: where they are, and under which number each can be had. Must not: know which of them is served; that is
//! `known.rs`.
//!
//! A request that refers to what is never thrown away needs no lock, no copy and no count, and nothing must be done when
//! it ends. The price is memory, a few hundred bytes for a release. It is bounded for each docroot and in all, and what is
//! equal is kept once, so that a docroot that is flipped back and forth takes no more of it.

use std::num::NonZeroU16;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use once_cell::race::OnceBox;

use crate::resolve::resolution::Resolution;

/// How many resolutions a block has room for, and how many blocks there may be: each is found by one byte of a number.
/// A block stays where it is, so that readers need no lock.
const BLOCK: usize = 256;

/// How many resolutions of one docroot are kept: as many as it is flipped to new releases, as a rule, until the server is
/// reloaded. Of those that come later, requests get copies.
pub(crate) const RETAINED_OF_DOCROOT: usize = 32;

/// The number of a resolution that is retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedId(NonZeroU16);

impl RetainedId {
    pub(crate) fn get(self) -> u16 {
        self.0.get()
    }
}

/// In which block, and where in it, a number is.
#[inline]
fn slot(number: u16) -> [usize; 2] {
    let [slot, block] = number.to_le_bytes().map(usize::from);
    [block, slot]
}

/// The resolutions that are retained.
#[derive(Debug)]
pub(crate) struct Retained {
    /// A `OnceBox` is one pointer, which is all that a reader has to look at.
    blocks: [OnceBox<[OnceLock<Entry>; BLOCK]>; BLOCK],
    /// How many numbers were given out.
    len: AtomicU16,
}

#[derive(Debug)]
struct Entry {
    resolution: Arc<Resolution>,
    /// The one of the same docroot that was kept before.
    before: Option<RetainedId>,
}

impl Default for Retained {
    fn default() -> Self {
        Self { blocks: [const { OnceBox::new() }; BLOCK], len: AtomicU16::default() }
    }
}

impl Retained {
    /// The resolution of this number, if it is one's: zero never is.
    #[inline]
    pub(crate) fn get(&self, number: u16) -> Option<&Resolution> {
        self.entry(number).map(|entry| &*entry.resolution)
    }

    #[inline]
    fn entry(&self, number: u16) -> Option<&Entry> {
        let [block, slot] = slot(number);
        self.blocks[block].get()?[slot].get()
    }

    /// Whether a resolution is one of the docroot whose last one was `newest`, by its address.
    pub(crate) fn has(&self, newest: Option<RetainedId>, resolution: &Resolution) -> bool {
        let mut next = newest;
        while let Some(entry) = next.and_then(|id| self.entry(id.get())) {
            if std::ptr::eq(&*entry.resolution, resolution) {
                return true;
            }
            next = entry.before;
        }
        false
    }

    /// Keeps a resolution of the docroot whose last one was `newest`, if there is room. Returns the one that is equal to
    /// it if that is kept already.
    pub(crate) fn retain(
        &self,
        resolution: Resolution,
        newest: &mut Option<RetainedId>,
    ) -> (Arc<Resolution>, Option<RetainedId>) {
        let mut next = *newest;
        let mut count = 0;
        while let Some((id, entry)) = next.and_then(|id| Some((id, self.entry(id.get())?))) {
            if *entry.resolution == resolution {
                return (Arc::clone(&entry.resolution), Some(id));
            }
            next = entry.before;
            count += 1;
        }
        let resolution = Arc::new(resolution);
        let id = if count < RETAINED_OF_DOCROOT { self.free() } else { None };
        if let Some(id) = id {
            let [block, slot] = slot(id.get());
            let block = self.blocks[block].get_or_init(|| Box::new([const { OnceLock::new() }; BLOCK]));
            // A number is given out once, so nobody has put anything there.
            block[slot].get_or_init(|| Entry { resolution: Arc::clone(&resolution), before: *newest });
            *newest = Some(id);
        }
        (resolution, id)
    }

    /// A number that was not given out yet, if there is one: sixty-five thousand are enough for ten thousand docroots.
    fn free(&self) -> Option<RetainedId> {
        let last = self.len.fetch_update(Relaxed, Relaxed, |len| len.checked_add(1)).ok()?;
        NonZeroU16::new(last + 1).map(RetainedId)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::rules::Rules;
    use crate::os::linux::Os;
    use crate::resolve::resolver::resolve;

    /// Resolutions of links to this many releases.
    fn resolutions<const N: usize>() -> [Resolution; N] {
        let directory = tempfile::tempdir().expect("a directory");
        std::array::from_fn(|number| {
            let at = |name: &str| directory.path().join(format!("{name}{number}"));
            std::fs::create_dir(at("release-")).expect("a release");
            symlink(at("release-"), at("current-")).expect("a link");
            let path = [at("current-").as_os_str().as_encoded_bytes(), b"\0"].concat();
            let path = CStr::from_bytes_with_nul(&path).expect("a path");
            resolve(&Os, path, &Rules::default()).expect("a resolution").0
        })
    }

    #[test]
    fn what_is_equal_is_kept_once() {
        let (retained, [one, two]) = (Retained::default(), resolutions());
        let mut newest = None;
        let (_, first) = retained.retain(one.clone(), &mut newest);
        let (_, second) = retained.retain(two.clone(), &mut newest);
        assert_ne!(first, second);
        for _ in 0..1000 {
            assert_eq!(retained.retain(one.clone(), &mut newest).1, first);
            assert_eq!(retained.retain(two.clone(), &mut newest).1, second);
        }
        assert_eq!(retained.len.load(Relaxed), 2);
        assert_eq!(retained.get(first.unwrap().get()), Some(&one));
        assert_eq!(retained.get(second.unwrap().get()), Some(&two));
    }

    #[test]
    fn of_each_docroot_only_so_many_are_kept() {
        let (retained, all) = (Retained::default(), resolutions::<{ RETAINED_OF_DOCROOT + 2 }>());
        let mut newest = None;
        let ids = all.clone().map(|one| retained.retain(one, &mut newest).1);
        assert_eq!(ids.iter().flatten().count(), RETAINED_OF_DOCROOT);
        assert_eq!(ids.last(), Some(&None));
        // What is kept is still found, and another docroot has as many of its own.
        assert_eq!(retained.retain(all[0].clone(), &mut newest).1, ids[0]);
        assert!(retained.retain(all[0].clone(), &mut None).1.is_some());
    }

    #[test]
    fn docroots_do_not_find_what_is_not_theirs() {
        let (retained, [one]) = (Retained::default(), resolutions());
        let (mut newest, mut of_other) = (None, None);
        assert_ne!(retained.retain(one.clone(), &mut newest).1, retained.retain(one, &mut of_other).1);
    }

    #[test]
    fn no_number_leads_to_what_is_not_kept() {
        let (retained, [one]) = (Retained::default(), resolutions());
        let (_, id) = retained.retain(one, &mut None);
        let id = id.unwrap().get();
        assert!((0..=u16::MAX).all(|number| retained.get(number).is_some() == (number == id)));
    }

    #[test]
    fn what_comes_when_all_numbers_are_given_out_is_not_kept() {
        let (retained, [one, two, three]) = (Retained::default(), resolutions());
        retained.len.store(u16::MAX - 1, Relaxed);
        let mut newest = None;
        let (_, last) = retained.retain(one.clone(), &mut newest);
        assert_eq!(last.map(RetainedId::get), Some(u16::MAX));
        for more in [two, three] {
            let (resolution, id) = retained.retain(more.clone(), &mut newest);
            assert_eq!((&*resolution, id), (&more, None));
        }
        assert_eq!(retained.get(u16::MAX), Some(&one));
        assert_eq!(retained.retain(one, &mut newest).1, last, "what was kept is still found");
    }
}
