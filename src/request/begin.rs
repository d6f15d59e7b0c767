//! `post_read_request`: a request whose header is complete is pinned.
//!
//! Owns: when the docroot of a server is looked up, and for which requests. Must not: know how it is resolved.

use std::ptr;

use docroot::inuse::Slot;
use docroot::{Os, Resolution};

use crate::config::server::Site;
use crate::httpd::Request;
use crate::module::Realdoc;
use crate::request::hold::{Counted, Hold};
use crate::request::lookup::look_up;
use crate::request::pin::text;
use crate::request::slot::slot;
use crate::request::variables;

/// Pins the docroot of a request whose header is complete. A request that has inherited a pin keeps it: httpd runs
/// `post_read_request` again for each internal redirect.
#[inline]
pub fn begin(request: Request<'_, '_>) {
    let Some(site) = Site::of(request.server()) else {
        return;
    };
    #[cfg(feature = "fault-injection")]
    crate::failpoint::arm_cleanup(request, request.root());
    if !request.is_from_network() || Hold::of(request).is_some() {
        begin_again(request, site);
    } else if has_configured_docroot(request, site) {
        // Inside the window this is all that most requests need of this module.
        match slot().and_then(|slot| hold_presumed(request, site, slot)) {
            Some(resolution) => {
                // It has links, because no other resolution has an entry.
                request.set_document_root(text(resolution.docroot_terminated()));
                variables::add(request, site, Some(resolution));
            }
            None => begin_uncounted(request, site),
        }
    }
}

/// Counts a request, lets it hold what the server's docroot led to at the last lookup, and then looks whether that still
/// counts. If not, the request is neither counted nor holds anything.
#[inline(always)]
fn hold_presumed<'r>(request: Request<'_, 'r>, site: &'r Site<'r>, slot: &'static Slot) -> Option<&'r Resolution> {
    let resolution = site.presumed()?;
    let counted = slot.count(resolution.entry(), request.connection())?;
    // SAFETY: the request is counted by the entry of the resolution.
    request.set_state(unsafe { Hold::entered(request, site, resolution, counted.confirm()) });
    if site.confirms(resolution) {
        return Some(resolution);
    }
    withdraw(request);
    None
}

/// Takes back what a request is counted for and holds.
#[cold]
#[inline(never)]
fn withdraw(request: Request<'_, '_>) {
    // Asked for again, so that the register is free during the look.
    let Some(slot) = slot() else { return };
    for ticket in Hold::take_tickets(request.root()) {
        slot.withdraw(ticket);
    }
    request.unset_state::<Realdoc>();
}

/// Whether a request has the docroot that its server is configured for. If not, a module has computed one already, which
/// [`map`](crate::request::map::map) will pin.
#[inline]
pub fn has_configured_docroot<'r>(request: Request<'_, 'r>, site: &'r Site<'r>) -> bool {
    ptr::eq(request.document_root_address(), site.configured().as_ptr())
}

/// The rest of [`begin`], for a request that is not counted yet: requests are not counted at all, there is no link, or a
/// lookup is needed.
#[inline(never)]
fn begin_uncounted<'r>(request: Request<'_, 'r>, site: &'r Site<'r>) {
    let now = Os::now();
    let remembered = site.remembered(now);
    let known = match slot() {
        Some(_) => remembered.filter(|resolution| !resolution.has_links()),
        None => remembered.or_else(|| site.checked(now)),
    };
    match known {
        Some(resolution) => {
            Hold::Retained(resolution, Counted::NOT).give_to(request);
            variables::add(request, site, Some(resolution));
        }
        None => begin_with_lookup(request, site),
    }
}

/// The rest of [`begin`], with a lookup.
#[inline(never)]
fn begin_with_lookup<'r>(request: Request<'_, 'r>, site: &'r Site<'r>) {
    let hold = look_up(request, request.root(), site);
    hold.give_docroot_to(request);
    variables::add(request, site, hold.server(site).and_then(|pin| pin.resolution));
}

/// [`begin`] for an internal redirect.
#[inline(never)]
fn begin_again<'r>(request: Request<'_, 'r>, site: &'r Site<'r>) {
    let hold = Hold::of(request).or_else(|| begin_tree(request, site));
    if let Some(pin) = hold.and_then(|hold| hold.server(site)) {
        variables::add(request, site, pin.resolution);
    }
}

/// Pins an internal redirect whose first request was on a server that resolves no docroots. The root holds the pin, because
/// the whole tree shares it.
fn begin_tree<'r>(request: Request<'_, 'r>, site: &'r Site<'r>) -> Option<Hold<'r>> {
    has_configured_docroot(request, site).then_some(())?;
    let root = request.root();
    let hold = root.state::<Hold<'r>>().unwrap_or_else(|| look_up(request, root, site));
    hold.give_to(request);
    Some(hold)
}
