//! The pins of a request tree: one for each docroot that its requests use.
//!
//! Owns: where all these pins together lead a path, and which path they refuse. Must not: make a pin.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use docroot::inuse::Ticket;
use docroot::{Docroot, Event, Failure, Led, rest_under};
use once_cell::unsync::OnceCell;

use crate::config::server::Site;
use crate::httpd::{Request, Root};
use crate::module::Realdoc;
use crate::request::log;
use crate::request::pin::Pin;
use crate::request::tickets::KeptTicket;

/// What a request, its subrequests and its internal redirects share: one answer for each docroot.
///
/// A tree keeps the answer "as configured" of a failed lookup, too: it never gets two answers for one docroot.
///
/// A tree is plain memory in the pool of the root request. The process retains what it points to, or
/// [`Root::own`](crate::httpd::Root::own) owns it.
pub struct Tree<'r> {
    /// The server that the tree was pinned for.
    pub site: &'r Site<'r>,
    /// The pin of the server's docroot. None if another module had computed a docroot before there was a tree.
    pub server: Option<Pin<'r>>,
    /// Whether the server's pin is all that a path can lie under: its lookup succeeded, and no docroot was computed.
    pub has_only_server: Cell<bool>,
    /// A failed lookup of the server's docroot, not logged yet. It is logged once a request uses that docroot: a server
    /// that computes its docroots often has a `DocumentRoot` that does not exist.
    failure: Cell<Option<&'r FailedLookup>>,
    /// The pins of docroots that mod_vhost_alias, mod_lua or another module computed for one of the requests.
    pub computed: OnceCell<&'r Computed<'r>>,
    /// What the tree was counted with.
    tickets: Cell<Option<&'r CountedTicket<'r>>>,
}

/// A ticket of a tree, and the next.
struct CountedTicket<'r> {
    ticket: &'r KeptTicket,
    next: Option<&'r CountedTicket<'r>>,
}

/// A failed lookup of a server's docroot. If no request logs its event before the tree ends, the drop of the event
/// withdraws the pending report, so that the next failed lookup is logged.
pub struct FailedLookup {
    /// The docroot.
    pub docroot: Arc<Docroot>,
    /// Why the lookup failed.
    pub failure: Arc<Failure>,
    /// The event; None once it is logged.
    pub event: Cell<Option<Box<Event>>>,
}

impl FailedLookup {
    /// Whether the failure concerns a file.
    fn covers(&self, path: &[u8]) -> bool {
        self.failure.covers(path, self.docroot.path(), |_| false)
    }
}

/// The pin of a computed docroot, in a list: requests point to it, so it must not move. Most trees have none, nearly all
/// others have one.
pub struct Computed<'r> {
    /// The docroot as it was computed.
    pub path: &'r CStr,
    /// Its pin.
    pub pin: Pin<'r>,
    /// The docroot that was computed next.
    pub next: OnceCell<&'r Computed<'r>>,
}

impl<'r> Tree<'r> {
    /// A tree with the pin of the server's docroot, and nothing to log.
    pub fn new(site: &'r Site<'r>, server: Option<Pin<'r>>) -> Self {
        let has_only_server = Cell::new(server.is_some());
        Self {
            site,
            server,
            has_only_server,
            failure: Cell::default(),
            computed: OnceCell::new(),
            tickets: Cell::default(),
        }
    }

    /// A tree whose server's docroot was looked up for it. `failure` is that lookup, if it failed.
    pub fn looked_up(site: &'r Site<'r>, server: Pin<'r>, is_good: bool, failure: Option<&'r FailedLookup>) -> Self {
        let has_only_server = Cell::new(is_good && failure.is_none());
        Self { has_only_server, failure: Cell::new(failure), ..Self::new(site, Some(server)) }
    }

    /// Keeps tickets that the tree was counted with.
    pub fn keep_tickets(&self, root: Root<'r>, tickets: impl IntoIterator<Item = Ticket>) {
        for ticket in tickets {
            let (ticket, next) = (root.own::<Realdoc, _>(KeptTicket::new(ticket)), self.tickets.get());
            self.tickets.set(Some(root.pool().alloc(CountedTicket { ticket, next })));
        }
    }

    /// The tickets, which the tree forgets.
    pub fn take_tickets(&self) -> impl Iterator<Item = Ticket> {
        let tickets = std::iter::successors(self.tickets.take(), |ticket| ticket.next);
        tickets.filter_map(|kept| kept.ticket.take())
    }

    /// Logs the failed lookup of the server's docroot, if it is not logged yet.
    pub fn log_failure(&self, request: Request<'_, '_>) {
        if let Some(failed) = self.failure.take()
            && let Some(event) = failed.event.take()
        {
            log::report(request.server(), &failed.docroot, *event);
        }
    }

    /// Whether a request uses the server's docroot, whose failed lookup is not logged yet. A request with a computed
    /// docroot does not.
    pub fn uses_failed_docroot(&self, request: Request<'_, '_>, path: &[u8]) -> bool {
        self.failure.get().zip(self.server.as_ref()).is_some_and(|(failed, pin)| {
            ptr::eq(request.document_root_address(), pin.document_root.as_ptr())
                && (failed.covers(path) || rest_under(path, pin.document_root.to_c_str().to_bytes()).is_some())
        })
    }

    /// Whether the server's docroot failed in this way, and not a computed one.
    pub fn is_of_server(&self, failure: &Failure) -> bool {
        self.server.and_then(|pin| pin.refused).is_some_and(|refused| ptr::eq(refused, failure))
    }

    /// Whether another module has computed a docroot for a request, and this is its pin.
    pub fn has_computed(&self, request: Request<'_, '_>, pin: Pin<'r>) -> bool {
        let is_at = |pin: Pin<'r>, address| ptr::eq(pin.document_root.as_ptr(), address);
        let address = pin.document_root.as_ptr();
        is_at(pin, request.document_root_address()) && !self.server.is_some_and(|server| is_at(server, address))
    }

    /// Where the pinned links lead a path; None if it lies under no link. Names the pin that led it, unless there were
    /// several.
    ///
    /// # Errors
    /// The failure of the docroot whose link refuses the path, or what the path leads to.
    pub fn lead(&self, path: &[u8]) -> Result<Option<(Led, Option<Pin<'r>>)>, &'r Failure> {
        let mut led: Option<(Led, Option<Pin<'r>>)> = None;
        // The links of one docroot may lead to those of another, but no link leads back. The limit ends the walk if two
        // lookups at different times saw a circle all the same. Where the walk ends, the path is judged, too.
        for hop in 0..=8 {
            let path = led.as_ref().map_or(path, |(led, _)| &led.path);
            // A link that refuses the path itself comes before a link that leads to a directory above the releases.
            let passes = |link: &[u8]| self.pins().any(|pin| pin.resolution.is_some_and(|known| known.passes(link)));
            if let Some(failure) = self.refusal(path, |_| true).or_else(|| self.refusal(path, passes)) {
                return Err(failure);
            }
            if hop == 8 {
                break;
            }
            let next = self.pins().find_map(|pin| {
                let next = match (pin.resolution, pin.refused) {
                    (Some(resolution), _) => resolution.lead(path),
                    (None, refused) => refused?.lead(path),
                };
                Some((next?, pin))
            });
            let Some((next, pin)) = next else { break };
            led = Some(match led {
                None => (next, Some(pin)),
                Some((before, _)) => (Led { tail: next.tail.min(before.tail), ..next }, None),
            });
        }
        Ok(led)
    }

    /// The failure of the docroot that refuses a path. `is_proven` tells which links another docroot goes through.
    fn refusal(&self, path: &[u8], is_proven: impl Fn(&[u8]) -> bool) -> Option<&'r Failure> {
        self.pins().find_map(|pin| pin.refused.filter(|failure| failure.covers(path, pin.path, &is_proven)))
    }

    /// All pins, the server's first.
    pub fn pins(&self) -> impl Iterator<Item = Pin<'r>> {
        let computed = std::iter::successors(self.computed.get(), |computed| computed.next.get());
        self.server.into_iter().chain(computed.map(|computed| computed.pin))
    }
}
