//! The outcome of a walk: the resolved docroot, the links on the way, and the check that a later walk would end the
//! same.
//!
//! Owns: which system call shows that a resolution still holds, and whether the rules admit it. Must not: walk, or
//! remember anything from one walk to the next.

use std::any::Any;
use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use smallvec::SmallVec;

use crate::config::releases::Releases;
use crate::config::rules::Rules;
use crate::config::sections::Mapping;
use crate::inuse::EntryCell;
use crate::os::system::{Errno, FileId, System};
use crate::path::{folded, led, rest_under};
use crate::resolve::attachment::Attachment;
use crate::resolve::failure::Failure;
use crate::resolve::hop::{Led, LinkHop};
use crate::resolve::packed::{Packed, PackedHop};
use crate::terminated::Terminated;

/// Where a docroot led at one moment. Two are equal if they lead the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    packed: Packed,
    witness: Witness,
    attachment: Attachment,
}

/// What shows that a walk would still lead the same way, as a rule with one system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witness {
    /// The text of the only link: exact, whatever happens to the directories behind the link.
    Text,
    /// The texts of all links: exact, with one system call a link. For the rare chain that ends outside of an earlier
    /// link's target, where a flip of the earlier link need not change where the docroot ends.
    Texts,
    /// The directory at the end of all links. `stat(2)` follows the links, so a flip of any of them shows. The
    /// [`DirectoryId`] is not part of the resolution, which is the same for another directory of the same name.
    Directory,
}

/// The directory that a docroot led to, if [`Witness::Directory`] is what shows a flip. In a box of its own, because
/// most docroots have one link and need none.
pub(crate) type DirectoryId = Option<Arc<FileId>>;

impl Resolution {
    /// # Errors
    /// See [`Packed::new`].
    pub(super) fn new(
        docroot: &[u8],
        release: Option<&[u8]>,
        hops: &[LinkHop],
        witness: Witness,
    ) -> Result<Self, Errno> {
        Ok(Self { packed: Packed::new(docroot, release, hops)?, witness, attachment: Attachment::default() })
    }

    /// The same resolution with another witness.
    pub(super) fn with_witness(self, witness: Witness) -> Self {
        Self { witness, ..self }
    }

    /// The resolved docroot: the configured one with its links followed. Without links, its own canonical form.
    pub fn docroot(&self) -> &CStr {
        self.packed.docroot()
    }

    /// [`Resolution::docroot`] without its length, which a request need not count.
    #[inline]
    pub fn docroot_terminated(&self) -> Terminated<'_> {
        self.packed.docroot_terminated()
    }

    /// The name of the release: of the directory that `RealdocReleases` describes, or where that is not set, the last
    /// component of the target of the last link that is part of the docroot itself.
    pub fn release(&self) -> Option<&CStr> {
        self.release_terminated().map(Terminated::to_c_str)
    }

    /// [`Resolution::release`] without its length, which a request need not count.
    #[inline]
    pub fn release_terminated(&self) -> Option<Terminated<'_>> {
        self.packed.release_terminated()
    }

    /// The links on the way, each with its target, in the order of the walk; in readlink mode the first alone. In
    /// realpath mode the links that another link's text leads through follow that link.
    pub fn links(&self) -> Vec<LinkHop> {
        let owned = |PackedHop { link, target, text }: PackedHop<'_>| LinkHop {
            link: link.to_bytes().to_vec(),
            text: text.to_bytes().to_vec(),
            target: Some(target.to_bytes().to_vec()),
        };
        self.packed.hops().map(owned).collect()
    }

    /// Each link and its target.
    fn steps(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.packed.hops().map(|hop| (hop.link.to_bytes(), hop.target.to_bytes()))
    }

    /// Whether there is a link on the way; without one, the configured docroot is the real one.
    #[inline]
    pub fn has_links(&self) -> bool {
        self.packed.has_links()
    }

    /// Whether this link is on the way.
    pub fn passes(&self, link: &[u8]) -> bool {
        self.steps().any(|(passed, _)| passed == link)
    }

    /// Leads an absolute path through the links; `None` if it lies under none of them.
    pub fn lead(&self, path: &[u8]) -> Option<Led> {
        Led::through(path, self.steps())
    }

    /// The path of [`Resolution::lead`].
    pub fn reroot(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.lead(path).map(|led| led.path)
    }

    /// The mapping for the files below `docroot`, which must be the docroot that led here.
    pub fn mapping(&self, docroot: &CStr) -> Mapping {
        let configured = folded(docroot.to_bytes());
        let real = self.docroot().to_bytes();
        match self.lead(&configured) {
            Some(led) if led.path == real => led.mapping(&configured),
            // The spelling of the docroot does not show the way of the walk.
            _ => Mapping::new(&configured, real, 0),
        }
    }

    /// The mapping that a real path may be the outcome of: of the single links, the one with the longest target.
    pub fn mapping_to(&self, path: &[u8]) -> Option<Mapping> {
        let mappings =
            self.steps().filter_map(|(link, target)| rest_under(path, target).map(|_| Mapping::new(link, target, 0)));
        mappings.max_by_key(|mapping| mapping.real.len())
    }

    /// Three words for the embedding program, which a request reads in place of [`Resolution::attached`]. All are zero at
    /// first.
    #[inline]
    pub fn note(&self) -> [usize; 3] {
        self.attachment.note()
    }

    /// Sets the note, whose first two words must not be zero, unless it is set.
    pub fn set_note(&self, note: [usize; 3]) {
        self.attachment.set_note(note);
    }

    /// The value that the embedding program has attached.
    #[inline]
    pub fn attached(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.attachment.value()
    }

    /// The attached value; the first call makes it.
    pub fn attach<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> &(dyn Any + Send + Sync) {
        self.attachment.value_or_make(make)
    }

    /// The entry in which the requests of this resolution are counted. Empty while the requests need more than one.
    #[inline]
    pub fn entry(&self) -> &EntryCell {
        &self.attachment.entry
    }

    /// The number by which the process retains the resolution; zero if it does not.
    #[inline]
    pub(crate) fn retained_number(&self) -> u16 {
        self.attachment.retained.load(Relaxed)
    }

    /// Notes that the process retains the resolution by this number, before any other thread knows of it.
    pub(crate) fn retain_as(&self, number: u16) {
        self.attachment.retained.store(number, Relaxed);
    }

    /// The directories that requests of this resolution may open files in, and that somebody may remove: the release,
    /// or where `releases` does not describe it, the target of the docroot's last link. A chain may have targets beside
    /// it, which an `Alias` below an earlier link leads to. None without links.
    pub fn directories(&self, releases: Option<&Releases>) -> SmallVec<[&[u8]; 1]> {
        let docroot = self.docroot().to_bytes();
        let release_of = |target| releases.and_then(|releases| releases.release_of(target));
        let targets = || self.steps().map(|(_, target)| target);
        let of_docroot =
            targets().filter(|target| rest_under(docroot, target).is_some()).max_by_key(|target| target.len());
        let mut directories = SmallVec::new();
        directories.extend(of_docroot.map(|target| release_of(docroot).unwrap_or(target)));
        for target in targets() {
            let directory = release_of(target).unwrap_or(target);
            let covers = |known: &&[u8]| rest_under(directory, known).is_some();
            // What lies above the docroot is no release.
            if rest_under(docroot, directory).is_none() && !directories.iter().any(covers) {
                directories.push(directory);
            }
        }
        directories
    }

    /// Why `rules` do not admit where `docroot` led, with the links to blame; `None` if they do. Only links are judged:
    /// a docroot without links is where the configuration says.
    pub(crate) fn refusal(&self, docroot: &CStr, rules: &Rules) -> Option<Failure> {
        let releases = rules.releases.as_ref().filter(|releases| self.has_links() && self.strays(releases))?;
        let hops = self.links();
        // A link may lead to a directory above the releases if a later one leads into one of them. If none does, that
        // was for the docroot's last link to do.
        let entering = self.release().is_none().then(|| last_on_the_way(docroot, self.steps()));
        Some(Failure::outside_releases(self.docroot().to_bytes()).judged(&hops, entering, Some(releases)))
    }

    fn strays(&self, releases: &Releases) -> bool {
        self.release().is_none() || self.steps().any(|(_, target)| !releases.admits(target))
    }

    /// Whether the texts of the links show that a walk would lead here now. As a rule one system call, and no
    /// allocation.
    #[inline]
    pub(crate) fn has_texts(&self, system: &impl System) -> bool {
        match self.witness {
            Witness::Text => self.packed.only_link().is_some_and(|(link, text)| system.has_text_at(link, text)),
            Witness::Texts => self.packed.hops().all(|hop| system.has_text(hop.link, hop.text.to_bytes())),
            Witness::Directory => false,
        }
    }

    /// Whether a walk of `docroot` would surely lead here now, as the walk did that found `directory`. As a rule one
    /// system call, and no allocation.
    pub(crate) fn still_holds(&self, docroot: &CStr, directory: Option<&FileId>, system: &impl System) -> bool {
        match directory {
            None => self.has_texts(system),
            Some(id) => system.status(docroot).is_ok_and(|status| status.is_directory && status.id == *id),
        }
    }
}

/// The index of the last link that `docroot` itself goes through. The walk met those behind it in that link's text.
fn last_on_the_way<'r>(docroot: &CStr, steps: impl Iterator<Item = (&'r [u8], &'r [u8])>) -> usize {
    let mut path = folded(docroot.to_bytes());
    let mut last = 0;
    for (index, (link, target)) in steps.enumerate() {
        if let Some(next) = led(&path, link, target) {
            last = index;
            path = folded(&next);
        }
    }
    last
}
