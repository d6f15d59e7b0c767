//! What a request tree holds on to.
//!
//! Owns: when a docroot is pinned, who inherits the pin, and which paths it applies to. Must not: be `unsafe`, or
//! know how a docroot is resolved.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::ptr;
use std::sync::Arc;

use docroot::{Answer, Errno, Failure, Look, Moment, News, Os, Resolution, Trail};
use once_cell::unsync::OnceCell;

use crate::directives::Site;
use crate::httpd::{Request, Text};
use crate::news::report;

/// What a request, its subrequests and its internal redirects share: one answer for each docroot to where it leads.
///
/// The answer "as configured", given when resolving fails, is kept as well: a tree never gets two answers.
///
/// A tree is plain memory in the pool of the root request. It owns what it points to because that is copied next to
/// it, so that nothing must be dropped when the request ends, and nothing that threads share was taken hold of. Foreign
/// cleanups may use it for as long as there is a pool. What is rare and must be dropped, [`Request::keep`] keeps.
pub struct Tree<'r> {
    site: &'r Site<'r>,
    /// Where the docroot of a request is as long as it needs nothing more: the answer is a good one, there is nothing
    /// to tell of it, and no other docroot has links that a path could lie under. Else [`NOWHERE`].
    plain: Cell<*const c_char>,
    /// The answer for the docroot of the server. None if another module had computed a docroot before there was a tree.
    server: Option<Pin<'r>>,
    /// That the docroot could not be resolved, until a request needs it: a server that computes its docroots has one
    /// that is of no use, and often none that exists.
    failure: Cell<Option<&'r News>>,
    /// The answers for docroots that were computed for one of the requests: by mod_vhost_alias, mod_lua and others.
    computed: OnceCell<&'r Computed<'r>>,
}

/// Where no docroot is.
const NOWHERE: *const c_char = c"".as_ptr();

/// The answer for one docroot.
#[derive(Clone, Copy)]
struct Pin<'r> {
    /// Where the links on the way lead; empty if there are none, or they could not be followed.
    trail: Trail<'r>,
    /// Why nothing behind them may be served, if that is so.
    refused: Option<&'r Failure>,
    /// What requests get as their docroot: where the links lead, or else the docroot as configured.
    docroot: Text<'r>,
}

impl<'r> Pin<'r> {
    #[inline]
    fn new(trail: Trail<'r>, refused: Option<&'r Failure>, configured: Text<'r>) -> Self {
        Self { trail, refused, docroot: Text::docroot(trail).unwrap_or(configured) }
    }
}

/// What a request must copy of what a docroot leads to.
#[inline]
fn trail_bytes(resolution: Option<&Resolution>) -> &[u8] {
    resolution.map(Resolution::trail_bytes).unwrap_or_default()
}

/// The trail in such a copy.
#[inline]
fn trail_in<'r>(resolution: Option<&Resolution>, copy: &'r [u8]) -> Trail<'r> {
    resolution.map(|resolution| resolution.trail_in(copy)).unwrap_or_default()
}

/// What `root` must keep of an answer.
fn refused<'r>(answer: &Answer, root: Request<'r>) -> Option<&'r Failure> {
    match answer {
        Answer::Refused(failure) => Some(&**root.keep(Arc::clone(failure))),
        Answer::Resolved(_) | Answer::AsConfigured => None,
    }
}

/// The pin of a computed docroot, and the next. A list, because what requests point to must stay where it is; nearly
/// always empty, and else nearly always of one.
struct Computed<'r> {
    path: &'r CStr,
    pin: Pin<'r>,
    next: OnceCell<&'r Computed<'r>>,
}

/// Why a request gets nothing of the release.
pub enum Refused {
    /// The link leads out of the releases.
    OutsideReleases,
    /// It leads to nothing.
    NotFound,
    /// It leads to what may not be seen.
    Forbidden,
}

impl Refused {
    fn new(failure: &Failure) -> Self {
        match failure.errno() {
            None => Self::OutsideReleases,
            // As httpd answers when it meets these itself.
            Some(Errno(libc::ENOENT | libc::ENOTDIR)) => Self::NotFound,
            Some(_) => Self::Forbidden,
        }
    }
}

/// Pins the docroot of a request whose header is complete. A request that has inherited a pin keeps it: httpd runs
/// `post_read_request` again for each internal redirect.
#[inline]
pub fn begin(request: Request<'_>) {
    if !request.is_first() || request.tree().is_some() {
        begin_again(request);
        return;
    }
    let Some(site) = request.server().site() else {
        return;
    };
    if !ptr::eq(request.document_root_address(), site.configured().as_ptr()) {
        // Some module has computed a docroot already; `map` will see it.
        return;
    }
    #[cfg(feature = "fault-injection")]
    crate::fault::lay(request, request);
    let now = Os::now();
    let Some(resolution) = site.remembered(now) else {
        begin_with_look(request, site, now);
        return;
    };
    // In a window this is one copy, and all that most requests ever need of this module. What was just made is not
    // read again, and what was copied is let go at once: what a call must save costs too.
    let (tree, pin) = Tree::grow(request, site, Some(&*resolution), None, None);
    drop(resolution);
    request.set_tree(tree);
    request.set_document_root(pin.docroot);
    tell_application(request, site, &pin);
}

/// The rest of [`begin`], where system calls are needed.
#[inline(never)]
fn begin_with_look<'r>(request: Request<'r>, site: &'r Site<'r>, now: Moment) {
    let (tree, pin) = look(request, request, site, now);
    join(request, tree);
    tell_application(request, site, &pin);
}

/// [`begin`] for an internal redirect.
#[inline(never)]
fn begin_again(request: Request<'_>) {
    let Some(tree) = request.tree().or_else(|| start(request)) else {
        return;
    };
    if let Some(pin) = &tree.server {
        tell_application(request, tree.site, pin);
    }
}

/// Sets the variables of a request.
#[inline(always)]
fn tell_application<'r>(request: Request<'r>, site: &'r Site<'r>, pin: &Pin<'r>) {
    let release = Text::release(pin.trail);
    // A redirect has a table of its own too, with other names in it; nobody was before us.
    request.add_variable(DOCUMENT_ROOT, site.configured());
    if let Some(release) = release {
        request.add_variable(RELEASE, release);
    }
}

/// The docroot as configured, for applications and logs.
const DOCUMENT_ROOT: &CStr = c"REALDOC_DOCUMENT_ROOT";
/// The name of the release, for applications and logs.
const RELEASE: &CStr = c"REALDOC_RELEASE";

/// Starts the tree of an internal redirect from a server that has none. It belongs to all of them, so it must live as
/// long as the request at their root.
fn start<'r>(request: Request<'r>) -> Option<&'r Tree<'r>> {
    let site = request.server().site()?;
    if !ptr::eq(request.document_root_address(), site.configured().as_ptr()) {
        // As in `begin`.
        return None;
    }
    let root = request.root();
    let tree = root.tree().unwrap_or_else(|| {
        #[cfg(feature = "fault-injection")]
        crate::fault::lay(request, root);
        let (tree, _) = look(request, root, site, Os::now());
        root.set_tree(tree);
        tree
    });
    join(request, tree);
    Some(tree)
}

/// Puts what the tree of `root` needs of the answer for the docroot into its pool.
fn look<'r>(request: Request<'r>, root: Request<'r>, site: &'r Site<'r>, now: Moment) -> (&'r Tree<'r>, Pin<'r>) {
    let Look { answer, news } = site.docroot().look(&Os, now, site.every());
    let failure = news.and_then(|news| tell_or_keep(request, root, site, news));
    let (tree, pin) =
        Tree::grow(root, site, answer.resolved().map(|resolution| &**resolution), refused(&answer, root), failure);
    if failure.is_some() || answer.resolved().is_none() {
        tree.plain.set(NOWHERE);
    }
    (tree, pin)
}

/// Tells of a walk at once, but of a failure only when a request needs the docroot.
#[cold]
fn tell_or_keep<'r>(request: Request<'r>, root: Request<'r>, site: &Site<'_>, news: Box<News>) -> Option<&'r News> {
    if matches!(*news, News::Failed { .. }) {
        return Some(&**root.keep(news));
    }
    report(request.server(), site.docroot(), &news);
    None
}

/// Gives a new subrequest or internal redirect the pin of the request that it came from, if that has one.
#[inline]
pub fn inherit(request: Request<'_>) {
    // Most requests come from the network.
    if !request.is_first()
        && let Some(tree) = request.parent().and_then(Request::tree)
    {
        join(request, tree);
    }
}

#[inline]
fn join<'r>(request: Request<'r>, tree: &'r Tree<'r>) {
    request.set_tree(tree);
    if let Some(pin) = &tree.server {
        request.set_document_root(pin.docroot);
    }
}

/// Makes the file that a request was mapped to one of the pinned release, before httpd walks its directories.
///
/// # Errors
/// [`Refused`] if the file lies under a link that may lead to releases only, and does not.
#[inline]
pub fn map(request: Request<'_>) -> Result<(), Refused> {
    match request.tree() {
        // By far the most common: httpd has put the URL behind the docroot that it was given. What is less common is
        // in functions of its own, so that this one needs no stack.
        Some(tree) if request.has_own_document_root(tree.plain.get()) => {
            if request.is_mapped_by_httpd() {
                Ok(())
            } else {
                map_subrequest(request, tree)
            }
        }
        tree => map_elsewhere(request, tree),
    }
}

/// The part of [`map`] for subrequests, which have the docroot of the request around them but need not be mapped by it.
#[inline(never)]
fn map_subrequest<'r>(request: Request<'r>, tree: &'r Tree<'r>) -> Result<(), Refused> {
    match &tree.server {
        Some(pin) if request.is_canonical_below(pin.trail.docroot()) => Ok(()),
        // Asked for again, because to keep it while paths are compared would cost those that are just below.
        _ => map_elsewhere(request, request.tree()),
    }
}

/// The tree of a request whose docroot was computed before there could be one.
fn start_late<'r>(request: Request<'r>) -> Option<&'r Tree<'r>> {
    let site = request.server().site()?;
    let root = request.root();
    let tree = root.tree().unwrap_or_else(|| {
        let tree = root.pool().place(Tree {
            site,
            plain: Cell::new(NOWHERE),
            server: None,
            failure: Cell::default(),
            computed: OnceCell::new(),
        });
        root.set_tree(tree);
        tree
    });
    request.set_tree(tree);
    Some(tree)
}

/// The rest of [`map`], for what is not the docroot's own.
#[inline(never)]
fn map_elsewhere<'r>(request: Request<'r>, tree: Option<&'r Tree<'r>>) -> Result<(), Refused> {
    let Some(tree) = tree.or_else(|| start_late(request)) else {
        return Ok(());
    };
    match &tree.server {
        Some(pin) if ptr::eq(request.document_root_address(), pin.docroot.as_ptr()) => {
            let is_plain = ptr::eq(tree.plain.get(), pin.docroot.as_ptr());
            // There may be no link that a path could lie under; and what is made of docroot and URL lies behind them.
            if is_plain && (pin.trail.bytes().is_empty() || request.is_mapped_to(pin.docroot.to_c_str())) {
                return Ok(());
            }
            tree.tell_of_failure(request);
        }
        _ => compute(request, tree),
    }
    // httpd folds `..` before it walks, so what a path says now may not be where it ends.
    if let Some(context) = request.context_document_root()
        && let Ok(Some(path)) = tree.lead(request.canonical(context).unwrap_or(context).to_bytes())
    {
        request.set_context_document_root(request.pool().copy(&path));
    }
    let Some(filename) = request.filename() else {
        return Ok(());
    };
    let canonical = request.canonical(filename).unwrap_or(filename);
    match tree.lead(canonical.to_bytes()) {
        Ok(None) => Ok(()),
        Ok(Some(path)) => {
            request.set_filename(request.pool().copy(&path));
            Ok(())
        }
        Err(Refusal { refused, is_server }) => {
            if is_server {
                tree.tell_of_failure(request);
            }
            Err(refused)
        }
    }
}

/// What keeps a path from being led anywhere.
struct Refusal {
    refused: Refused,
    /// Whether it is the server's docroot that leads astray, and none that was computed.
    is_server: bool,
}

/// Pins the docroot that was computed for this request.
fn compute<'r>(request: Request<'r>, tree: &'r Tree<'r>) {
    let Some(path) = request.document_root() else {
        return;
    };
    tree.plain.set(NOWHERE);
    let mut place = &tree.computed;
    let computed = loop {
        match place.get() {
            Some(known) if known.path == path || known.pin.docroot.to_c_str() == path => break known,
            Some(known) => place = &known.next,
            None => {
                let root = request.root();
                let pool = root.pool();
                // Where it lies under a link that the tree has an answer for already, that answer stands.
                let led = tree.lead(path.to_bytes()).ok().flatten();
                let path = pool.copy(path.to_bytes());
                let led = led.map_or(path, |led| pool.copy(&led));
                // A relative docroot has no link that could be found from here.
                let Ok((entry, look)) = tree.site.compute(led, Os::now()) else {
                    return;
                };
                if let Some(news) = look.news {
                    report(request.server(), &entry, &news);
                }
                let refused = refused(&look.answer, root);
                let resolution = look.answer.resolved().map(|resolution| &**resolution);
                let (computed, ()) = pool.place_with_copy(trail_bytes(resolution), |copy| {
                    let pin = Pin::new(trail_in(resolution, copy), refused, led.into());
                    (Computed { path, pin, next: OnceCell::new() }, ())
                });
                break place.get_or_init(|| computed);
            }
        }
    };
    request.set_document_root(computed.pin.docroot);
    // In the place of those that told of the server's docroot.
    request.set_variable(DOCUMENT_ROOT, computed.path.into());
    match Text::release(computed.pin.trail) {
        Some(release) => request.set_variable(RELEASE, release),
        None => request.unset_variable(RELEASE),
    }
}

impl<'r> Tree<'r> {
    /// Copies the trail of what the docroot leads to, if that is known, into the pool of `root`, and makes a tree in
    /// front of it. Returns the pin in it as well. Without a link on the way, what is configured is what is real.
    #[inline(always)]
    fn grow(
        root: Request<'r>,
        site: &'r Site<'r>,
        resolution: Option<&Resolution>,
        refused: Option<&'r Failure>,
        failure: Option<&'r News>,
    ) -> (&'r Self, Pin<'r>) {
        root.pool().place_with_copy(trail_bytes(resolution), |copy| {
            let server = Pin::new(trail_in(resolution, copy), refused, site.configured());
            let tree = Self {
                site,
                plain: Cell::new(server.docroot.as_ptr()),
                server: Some(server),
                failure: Cell::new(failure),
                computed: OnceCell::new(),
            };
            (tree, server)
        })
    }

    fn tell_of_failure(&self, request: Request<'_>) {
        if let Some(news) = self.failure.take() {
            report(request.server(), self.site.docroot(), news);
        }
    }

    /// Where the pinned links lead a path, if it lies under any.
    ///
    /// # Errors
    /// If it lies, or ends, under a link that leads where it may not.
    fn lead(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let mut led: Option<Vec<u8>> = None;
        // One docroot's links may lead to where another's begin, but none leads back. Should two looks at different
        // times have seen that all the same, this ends.
        for _ in 0..8 {
            let path = led.as_deref().unwrap_or(path);
            // What a path is itself refused for comes before a link that leads above the releases.
            let passes = |link: &[u8]| self.pins().any(|(_, pin)| pin.trail.passes(link));
            if let Some(refusal) = self.refusal(path, |_| true).or_else(|| self.refusal(path, passes)) {
                return Err(refusal);
            }
            match self.pins().find_map(|(_, pin)| pin.trail.reroot(path)) {
                Some(next) => led = Some(next),
                None => break,
            }
        }
        Ok(led)
    }

    /// What keeps a path from being led, where `is_proven` tells which links other docroots go through.
    fn refusal(&self, path: &[u8], is_proven: impl Fn(&[u8]) -> bool) -> Option<Refusal> {
        self.pins().enumerate().find_map(|(index, (configured, pin))| {
            let failure = pin.refused.filter(|failure| failure.covers(path, configured, &is_proven))?;
            Some(Refusal { refused: Refused::new(failure), is_server: index == 0 && self.server.is_some() })
        })
    }

    fn pins(&self) -> impl Iterator<Item = (&CStr, &Pin<'_>)> {
        let server = self.server.as_ref().map(|pin| (self.site.docroot().path(), pin));
        let computed = std::iter::successors(self.computed.get(), |computed| computed.next.get()).copied();
        server.into_iter().chain(computed.map(|computed| (computed.path, &computed.pin)))
    }
}
