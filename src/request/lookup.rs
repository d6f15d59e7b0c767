//! The lookup of a server's docroot for a request tree.
//!
//! Owns: what the tree holds of the answer. Must not: decide when to look up, or how long an answer counts.

use std::cell::Cell;
use std::sync::Arc;

use docroot::{Answer, Event, Lookup, Os};

use crate::config::server::Site;
use crate::httpd::{Request, Root};
use crate::module::Realdoc;
use crate::request::hold::{Counted, Hold};
use crate::request::in_use::Look;
use crate::request::log;
use crate::request::pin::Pin;
use crate::request::tickets::Tickets;
use crate::request::tree::{FailedLookup, Tree};

/// Looks up the docroot of a server for the tree of `root`, counts the tree, and lets `root` hold the answer. The pool of
/// `root` owns what the process does not retain.
pub fn look_up<'r>(request: Request<'_, 'r>, root: Root<'r>, site: &'r Site<'r>) -> Hold<'r> {
    let look = Look::begin(request);
    let now = Os::now();
    let mut lookup = site.docroot().lookup(&Os, now, look.window(now, site.every()));
    let tickets = look.count(site.docroot(), &mut lookup, request.connection());
    let hold = hold(request, root, site, lookup, tickets);
    root.set_state(hold);
    hold
}

fn hold<'r>(
    request: Request<'_, 'r>,
    root: Root<'r>,
    site: &'r Site<'r>,
    Lookup { answer, event }: Lookup,
    mut tickets: Tickets,
) -> Hold<'r> {
    let failure = event.and_then(|event| log_or_own(request, root, site, event));
    let id = answer.id();
    // No link leads to a fallback: each request looks that up.
    site.presume(id.filter(|_| matches!(&answer, Answer::Resolved(served) if served.is_linked)));
    let pin = match id.and_then(|id| site.docroot().retained(id)) {
        Some(resolution) if failure.is_none() => {
            return match (tickets.pop(), tickets.is_empty()) {
                (None, _) => Hold::Retained(resolution, Counted::NOT),
                (Some(ticket), true) => Hold::counted(request, site, resolution, ticket),
                (Some(ticket), false) => {
                    Hold::counted_in_tree(request, site, resolution, tickets.into_iter().chain([ticket]))
                }
            };
        }
        Some(resolution) => Pin::retained(resolution, site),
        None => Pin::owned(&answer, site.docroot().path(), site.configured(), root),
    };
    let tree = root.pool().alloc(Tree::looked_up(site, pin, answer.resolved().is_some(), failure));
    tree.keep_tickets(root, tickets);
    Hold::Tree(tree)
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
