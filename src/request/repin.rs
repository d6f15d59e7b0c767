//! A request whose server, or whose server's docroot, another module has replaced since it began.
//!
//! Owns: noticing it, and pinning anew. Must not: pin docroots that were computed for one request.

use std::ptr;

use docroot::rest_under;

use crate::config::server::Site;
use crate::httpd::Request;
use crate::module::Realdoc;
use crate::request::begin::has_configured_docroot;
use crate::request::computed;
use crate::request::hold::Hold;
use crate::request::in_use;
use crate::request::lookup::look_up;
use crate::request::variables;

/// Pins a request again if its pin is for another server than the one that answers the request now, or if a module has given
/// that server another docroot.
pub fn repin_if_stale(request: Request<'_, '_>) {
    if Hold::of(request).is_some_and(|hold| !is_fresh(request, hold)) {
        repin(request);
    }
}

fn is_fresh<'r>(request: Request<'_, 'r>, hold: Hold<'r>) -> bool {
    Site::of(request.server()).is_some_and(|site| is_for(hold, site) && server_has_configured_docroot(request, site))
}

fn is_for(hold: Hold<'_>, site: &Site<'_>) -> bool {
    match hold {
        Hold::Retained(resolution, _) => site.docroot().has_retained(resolution),
        Hold::Tree(tree) => ptr::eq(tree.site, site),
    }
}

/// Whether the server still has the docroot of the configuration.
#[inline]
pub fn server_has_configured_docroot(request: Request<'_, '_>, site: &Site<'_>) -> bool {
    ptr::eq(request.server_document_root_address(), site.configured().as_ptr())
}

#[cold]
fn repin(request: Request<'_, '_>) {
    let before =
        Hold::of(request).and_then(Hold::document_root).filter(|before| request.has_own_document_root(before.as_ptr()));
    if before.is_some() {
        request.unset_document_root();
    }
    match Site::of(request.server()) {
        Some(site) => pin_for(request, site),
        None => {
            in_use::end_tree(request);
            for request in request.ancestors() {
                request.unset_state::<Realdoc>();
            }
            variables::unset(request);
        }
    }
    // A file name that was made of the docroot before is made of the new one.
    if let Some((before, filename)) = before.zip(request.filename())
        && let Some(rest) = rest_under(filename.to_bytes(), before.to_c_str().to_bytes())
        && let Some(docroot) = request.document_root()
    {
        request.set_filename(request.pool().copy(&[docroot.to_bytes(), rest].concat()));
    }
}

/// Pins the docroot of the server that answers the request now.
fn pin_for<'r>(request: Request<'_, 'r>, site: &'r Site<'r>) {
    if Hold::of(request).is_none_or(|hold| !is_for(hold, site)) {
        let root = request.root();
        // Requests of the tree may go on with files of the release before.
        let before = Hold::take_tickets(root);
        let hold = look_up(request, root, site);
        for request in request.ancestors() {
            request.set_state(hold.uncounted());
        }
        root.set_state(hold);
        if !before.is_empty() {
            computed::tree_of(request, site).keep_tickets(root, before);
        }
    }
    if !has_configured_docroot(request, site) {
        return computed::pin(request, computed::tree_of(request, site));
    }
    let Some(hold) = Hold::of(request) else {
        return;
    };
    hold.give_docroot_to(request);
    variables::set(request, site.configured(), hold.server(site).and_then(|pin| pin.resolution));
}
