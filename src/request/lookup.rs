//! The lookup of a server's docroot for a request tree.
//!
//! Owns: what the tree holds of the answer. Must not: decide when to look up, or how long an answer counts.

use std::cell::Cell;
use std::sync::Arc;

use docroot::{Event, Lookup, Moment, Os};

use crate::config::server::Site;
use crate::httpd::{Request, Root};
use crate::module::Realdoc;
use crate::request::hold::Hold;
use crate::request::log;
use crate::request::pin::Pin;
use crate::request::tree::{FailedLookup, Tree};

/// Looks up the docroot of a server for the tree of `root`. The pool of `root` owns what the process does not retain.
pub fn look_up<'r>(request: Request<'_, 'r>, root: Root<'r>, site: &'r Site<'r>, now: Moment) -> Hold<'r> {
    let Lookup { answer, event } = site.docroot().lookup(&Os, now, site.every());
    let failure = event.and_then(|event| log_or_own(request, root, site, event));
    let pin = match answer.id().and_then(|id| site.docroot().retained(id)) {
        Some(resolution) if failure.is_none() => return Hold::Retained(resolution),
        Some(resolution) => Pin::retained(resolution, site),
        None => Pin::owned(&answer, site.docroot().path(), site.configured(), root),
    };
    Hold::Tree(root.pool().alloc(Tree::looked_up(site, pin, answer.resolved().is_some(), failure)))
}

/// Logs a resolution at once, and hands a failure to `root` until a request uses the docroot.
#[cold]
fn log_or_own<'r>(
    request: Request<'_, 'r>,
    root: Root<'r>,
    site: &'r Site<'r>,
    event: Box<Event>,
) -> Option<&'r FailedLookup> {
    if let Event::Failed { failure, .. } = &*event {
        let failure = Arc::clone(failure);
        return Some(root.own::<Realdoc, _>(FailedLookup {
            docroot: Arc::clone(site.docroot()),
            failure,
            event: Cell::new(Some(event)),
        }));
    }
    log::report(request.server(), site.docroot(), *event);
    None
}
