//! Docroots that exist only at request time: of `VirtualDocumentRoot`, mod_lua and other modules.
//!
//! Owns: their pins, and the tree that holds them. Must not: remember a docroot beyond its tree; the cache does.

use std::ffi::CStr;

use docroot::Os;
use once_cell::unsync::OnceCell;

use crate::config::server::{ServerConfig, Site};
use crate::httpd::Request;
use crate::module::Realdoc;
use crate::request::hold::Hold;
use crate::request::in_use::Look;
use crate::request::log;
use crate::request::pin::Pin;
use crate::request::tree::{Computed, Tree};
use crate::request::variables;

/// The tree of a request, made for its whole tree if the root holds none.
pub fn tree_of<'r>(request: Request<'_, 'r>, site: &'r Site<'r>) -> &'r Tree<'r> {
    let root = request.root();
    if let Some(Hold::Tree(tree)) = root.state::<Hold<'r>>() {
        return tree;
    }
    let server = root.state::<Hold<'r>>().and_then(|hold| hold.server(site));
    let tree = root.pool().alloc(Tree::new(site, server));
    tree.keep_tickets(root, Hold::take_tickets(root));
    // All up to the root: some of them may yet be mapped, and new requests inherit what the root holds.
    for request in request.ancestors() {
        request.set_state(Hold::Tree(tree));
    }
    tree
}

/// Pins the docroot that was computed for a request.
pub fn pin<'r>(request: Request<'_, 'r>, tree: &'r Tree<'r>) {
    let Some(path) = request.document_root() else {
        return;
    };
    tree.has_only_server.set(false);
    let mut next = &tree.computed;
    let computed = loop {
        match next.get() {
            Some(known) if known.path == path || known.pin.document_root.to_c_str() == path => break known,
            Some(known) => next = &known.next,
            None => {
                let Some(computed) = look_up(request, tree, path) else { return };
                break next.get_or_init(|| request.root().pool().alloc(computed));
            }
        }
    };
    request.set_document_root(computed.pin.document_root);
    variables::set(request, computed.path.into(), computed.pin.resolution);
}

/// Looks up a computed docroot. None of a relative one: it has no link that could be found from here.
fn look_up<'r>(request: Request<'_, 'r>, tree: &'r Tree<'r>, path: &CStr) -> Option<Computed<'r>> {
    let root = request.root();
    let pool = root.pool();
    // Below a link that the tree has pinned already, the docroot is looked up behind that link.
    let led = tree.lead(path.to_bytes()).ok().flatten().map(|(led, _)| led);
    let before = led.as_ref().map(|led| root.own::<Realdoc, _>(led.mapping(path.to_bytes())));
    let path = pool.copy(path.to_bytes());
    let led = led.map_or(path, |led| pool.copy(&led.path));
    let config = ServerConfig::of(request.server())?;
    let look = Look::begin(request);
    let now = Os::now();
    let (docroot, mut lookup) = config.compute(led, now, look.window(now, config.site()?.every()))?;
    tree.keep_tickets(root, look.count(&docroot, &mut lookup, request.connection()));
    drop(look);
    if let Some(event) = lookup.event {
        log::report(request.server(), &docroot, *event);
    }
    let pin = Pin { before, ..Pin::owned(&lookup.answer, led, led.into(), root) };
    Some(Computed { path, pin, next: OnceCell::new() })
}
