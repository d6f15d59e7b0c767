//! Resolutions that live as long as the cache.
//!
//! Owns: their table, in which a 16-bit number finds each. Must not: know which of them is served.
//!
//! A request that refers to a retained resolution needs no lock, no copy and no reference count, and nothing at its
//! end. The price is memory: a few hundred bytes a release. It is bounded for each docroot and in all. Equal
//! resolutions of a docroot are retained once, so a docroot that is flipped back and forth takes no more memory.

use std::num::NonZeroU16;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use crate::resolve::resolution::Resolution;

/// The size of a block, and the number of blocks: one byte of a number finds the block, the other the slot in it. A
/// block never moves, so readers need no lock.
const BLOCK: usize = 256;

/// The number of retained resolutions of one docroot: enough, as a rule, for all releases until the server is reloaded.
/// Requests share later ones by reference count.
pub(crate) const RETAINED_OF_DOCROOT: usize = 32;

/// The number of a retained resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedId(NonZeroU16);

impl RetainedId {
    pub(crate) fn get(self) -> u16 {
        self.0.get()
    }
}

/// The block of a number, and the slot in the block.
#[inline]
fn slot(number: u16) -> [usize; 2] {
    let [slot, block] = number.to_le_bytes().map(usize::from);
    [block, slot]
}

/// The retained resolutions.
#[derive(Debug)]
pub(crate) struct Retained {
    blocks: [OnceLock<Box<[OnceLock<Entry>; BLOCK]>>; BLOCK],
    /// The number that was given out last; zero before the first.
    len: AtomicU16,
}

#[derive(Debug)]
struct Entry {
    resolution: Arc<Resolution>,
    /// The resolution of the same docroot that was retained before.
    before: Option<RetainedId>,
}

impl Default for Retained {
    fn default() -> Self {
        Self { blocks: [const { OnceLock::new() }; BLOCK], len: AtomicU16::default() }
    }
}

impl Retained {
    /// The resolution of this number; zero is the number of none.
    #[inline]
    pub(crate) fn get(&self, number: u16) -> Option<&Resolution> {
        self.entry(number).map(|entry| &*entry.resolution)
    }

    #[inline]
    fn entry(&self, number: u16) -> Option<&Entry> {
        let [block, slot] = slot(number);
        self.blocks[block].get()?[slot].get()
    }

    /// Whether a resolution, told by its address, belongs to the docroot whose last one is `newest`.
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

    /// Retains a resolution of the docroot whose last one is `newest`, if there is room. Returns the retained
    /// resolution instead if there is an equal one.
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
            resolution.retain_as(id.get());
            // A number is given out once, so the slot is empty.
            block[slot].get_or_init(|| Entry { resolution: Arc::clone(&resolution), before: *newest });
            *newest = Some(id);
        }
        (resolution, id)
    }

    /// A number that was not given out yet. There are enough for six releases of each of ten thousand docroots.
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
    fn equal_resolutions_are_retained_once() {
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
    fn the_resolutions_of_each_docroot_are_bounded() {
        let (retained, all) = (Retained::default(), resolutions::<{ RETAINED_OF_DOCROOT + 2 }>());
        let mut newest = None;
        let ids = all.clone().map(|one| retained.retain(one, &mut newest).1);
        assert_eq!(ids.iter().flatten().count(), RETAINED_OF_DOCROOT);
        assert_eq!(ids.last(), Some(&None));
        // The retained ones are still found, and another docroot has its own bound.
        assert_eq!(retained.retain(all[0].clone(), &mut newest).1, ids[0]);
        assert!(retained.retain(all[0].clone(), &mut None).1.is_some());
    }

    #[test]
    fn docroots_do_not_share_numbers() {
        let (retained, [one]) = (Retained::default(), resolutions());
        let (mut newest, mut of_other) = (None, None);
        assert_ne!(retained.retain(one.clone(), &mut newest).1, retained.retain(one, &mut of_other).1);
    }

    #[test]
    fn only_numbers_that_were_given_out_find_a_resolution() {
        let (retained, [one]) = (Retained::default(), resolutions());
        let (_, id) = retained.retain(one, &mut None);
        let id = id.unwrap().get();
        assert!((0..=u16::MAX).all(|number| retained.get(number).is_some() == (number == id)));
    }

    #[test]
    fn nothing_is_retained_when_all_numbers_are_given_out() {
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
        assert_eq!(retained.retain(one, &mut newest).1, last, "the retained ones are still found");
    }
}
