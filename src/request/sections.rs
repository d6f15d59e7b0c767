//! `<Directory>` sections that follow the links.
//!
//! Owns: the directory walk for each resolution, made for its first request and attached to it. Must not: know how sections are
//! stored.
//!
//! Requests see the real path, so `<Directory /srv/app/current/public>` would no longer apply to them. For the real path
//! of its resolution, a request therefore gets the sections that httpd would merge for the configured path. A request
//! whose sections cannot follow is denied.

mod directories;
mod list;
mod walk;

use std::any::Any;
use std::sync::PoisonError;

use docroot::Resolution;
use docroot::sections::Mapping;
use once_cell::race::OnceBox;

pub use self::directories::sections_of;
pub use self::list::following;
pub use self::walk::DirectoryWalk;
use self::walk::ListWalk;
use crate::config::server::{Shared, Site};
use crate::httpd::{DECLINED, FORBIDDEN, Level, OwnPool, Pool, Request, Server, Status};
use crate::module::log;
use crate::request::pin::Pin;
use crate::request::repin::server_has_configured_docroot;

/// The walks of one resolution, which are attached to it: one for each server that serves it, and for each other path
/// that leads there.
type Walks = OnceBox<AttachedWalk>;

/// One of these walks, and the next.
struct AttachedWalk {
    /// The server, by the address of its site.
    site: usize,
    /// The path; None for the docroot itself.
    mapping: Option<Mapping>,
    walk: DirectoryWalk,
    next: Walks,
}

/// The walk of the docroot of a site which led to this resolution, if it is made already.
pub fn known<'r>(resolution: &'r Resolution, site: &Site<'_>) -> Option<&'r DirectoryWalk> {
    find(resolution.attached()?, site, None)
}

#[inline]
fn find<'r>(
    attached: &'r (dyn Any + Send + Sync),
    site: &Site<'_>,
    mapping: Option<&Mapping>,
) -> Option<&'r DirectoryWalk> {
    let mut next = attached.downcast_ref::<Walks>()?.get();
    while let Some(known) = next {
        if known.site == address(site) && known.mapping.as_ref() == mapping {
            return Some(&known.walk);
        }
        next = known.next.get();
    }
    None
}

/// Appends a walk. If another thread has appended the same one meanwhile, both stay, and the first is found.
fn append(mut walks: &Walks, walk: AttachedWalk) {
    let mut walk = Box::new(walk);
    while let Err(back) = walks.set(walk) {
        walk = back;
        let Some(taken) = walks.get() else { return };
        walks = &taken.next;
    }
}

fn address(site: &Site<'_>) -> usize {
    std::ptr::from_ref(site).addr()
}

/// None if this module walks the directories for this resolution. If httpd does, the set of the
/// [`docroot::assets::prefixes::initial`]s of URLs that may be assets. A note at the resolution says both.
#[inline]
pub fn left_to_httpd(request: Request<'_, '_>, resolution: &Resolution) -> Option<usize> {
    let [server, document_root, assets] = resolution.note();
    (request.server_note() == [server, document_root]).then_some(assets)
}

/// Walks the directories of a request for a path below a resolution, to which `mapping` led, or else the docroot of the
/// pin. [`DECLINED`] leaves the walk to httpd.
#[inline]
pub fn walk<'r>(
    request: Request<'_, 'r>,
    site: &Site<'r>,
    pin: Pin<'r>,
    resolution: &'r Resolution,
    mapping: Option<&Mapping>,
) -> Status {
    if mapping.is_none() && left_to_httpd(request, resolution).is_some() {
        return DECLINED;
    }
    match resolution.attached().and_then(|attached| find(attached, site, mapping)) {
        Some(walk) => walk.run(request),
        None => walk_first(request, site, pin, resolution, mapping),
    }
}

#[cold]
fn walk_first<'r>(
    request: Request<'_, 'r>,
    site: &Site<'r>,
    pin: Pin<'r>,
    resolution: &'r Resolution,
    mapping: Option<&Mapping>,
) -> Status {
    let followed = mapping.cloned().unwrap_or_else(|| resolution.mapping(pin.path));
    let lead = |path: &[u8]| resolution.reroot(path).unwrap_or_else(|| path.to_vec());
    let walk = if pin.is_retained {
        // A server that has a site has the shared state, too.
        let Some(shared) = Shared::of(request.server()) else { return FORBIDDEN };
        let mut pool = shared.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pool.get_or_insert_with(OwnPool::new).pool();
        make(request.server(), &followed, &lead, pool)
    } else {
        let mut pool = OwnPool::new();
        match make(request.server(), &followed, &lead, pool.pool()) {
            DirectoryWalk::ByList(walk) => DirectoryWalk::ByList(Box::new(ListWalk { pool: Some(pool), ..*walk })),
            walk => walk,
        }
    };
    // A docroot that another module has given to the server goes with its request, and its address may be the next one's.
    let is_lasting = pin.is_retained && mapping.is_none() && server_has_configured_docroot(request, site);
    if is_lasting && matches!(walk, DirectoryWalk::ByHttpd) {
        let [server, document_root] = request.server_note();
        resolution.set_note([server, document_root, site.assets().map_or(0, |assets| assets.prefixes.initials())]);
        // The note says it all, unless another server has set it first.
        if left_to_httpd(request, resolution).is_some() {
            return DECLINED;
        }
    }
    let attached = resolution.attach(Walks::default);
    // Only this module attaches anything.
    let Some(walks) = attached.downcast_ref::<Walks>() else { return FORBIDDEN };
    append(walks, AttachedWalk { site: address(site), mapping: mapping.cloned(), walk, next: Walks::default() });
    find(attached, site, mapping).map_or(DECLINED, |walk| walk.run(request))
}

/// Walks the directories of a request for a path that several resolutions have led. [`DECLINED`] leaves the walk to httpd.
pub fn walk_once(request: Request<'_, '_>, mapping: &Mapping) -> Status {
    make(request.server(), mapping, &|path| path.to_vec(), request.pool()).run(request)
}

/// Walks the directories of a request for a path in another release than that of the resolution. [`DECLINED`] leaves the
/// walk to httpd.
pub fn walk_other(request: Request<'_, '_>, resolution: &Resolution, mapping: &Mapping) -> Status {
    // Above the link, both releases have the same directories.
    let lead = |path: &[u8]| resolution.reroot(path).unwrap_or_else(|| path.to_vec());
    make(request.server(), mapping, &lead, request.pool()).run(request)
}

/// Makes the walk for a mapping, in a pool that lives as long as the walk is used. `lead` tells where a directory above
/// the link really is.
fn make(server: Server<'_>, mapping: &Mapping, lead: &dyn Fn(&[u8]) -> Vec<u8>, pool: Pool<'_>) -> DirectoryWalk {
    // SAFETY: the server lives as long as the configuration, and so does the cache with the resolution that the walk is
    // attached to; or the walk is used for this request only.
    let (server, pool) = unsafe { (server.detached(), pool.detached()) };
    match list::list(server, mapping, lead, pool) {
        Ok(Some(walk)) => DirectoryWalk::ByList(Box::new(walk)),
        Ok(None) => DirectoryWalk::ByHttpd,
        Err(error) => {
            let configured = String::from_utf8_lossy(&mapping.configured);
            log!(server, Level::Error, "{error}; requests below {configured} are denied (403)");
            DirectoryWalk::Denied
        }
    }
}
