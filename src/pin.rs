//! What requests hold on to.
//!
//! Owns: when a docroot is pinned, who inherits the pin, and which paths it applies to. Must not: be `unsafe`, or
//! know how a docroot is resolved.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use docroot::{Answer, Errno, Failure, Look, Moment, News, Os, Resolution, Trail, rest_under};
use once_cell::unsync::OnceCell;

use crate::directives::Site;
use crate::httpd::{Request, Server, Text};
use crate::news::report;

/// What a request holds on to; its subrequests and internal redirects hold the same.
#[derive(Clone, Copy)]
pub enum Hold<'r> {
    /// All that most requests need: where the server's docroot leads, which the process keeps anyway.
    Kept(&'r Resolution),
    /// For all else: the answer is none, or is told of, or not kept, or not the only one.
    Tree(&'r Tree<'r>),
}

impl<'r> Hold<'r> {
    /// The answer for the docroot of the server, if there is one.
    fn server(self, site: &'r Site<'r>) -> Option<Pin<'r>> {
        match self {
            Self::Kept(resolution) => Some(Pin::new(resolution.trail(), None, site.configured())),
            Self::Tree(tree) => tree.server,
        }
    }

    /// What requests get as a docroot of their own; nothing where it is to stay as it is.
    #[inline]
    fn docroot(self) -> Option<Text<'r>> {
        match self {
            Self::Kept(resolution) => resolution.trail().map(Text::docroot),
            Self::Tree(tree) => tree.server.map(|pin| pin.docroot),
        }
    }
}

/// What a request, its subrequests and its internal redirects share: one answer for each docroot to where it leads.
///
/// The answer "as configured", given when resolving fails, is kept as well: a tree never gets two answers.
///
/// A tree is plain memory in the pool of the root request. It owns what it points to because that is copied next to
/// it, or is kept by the process, so that nothing must be dropped when the request ends, and nothing that threads share
/// was taken hold of. Foreign cleanups may use it for as long as there is a pool. What is rare and must be dropped,
/// [`Request::own`] owns.
pub struct Tree<'r> {
    site: &'r Site<'r>,
    /// Whether a request with the server's docroot needs nothing more: the answer is a good one, there is nothing to tell
    /// of it, and no other docroot has links that a path could lie under.
    plain: Cell<bool>,
    /// The answer for the docroot of the server. None if another module had computed a docroot before there was a tree.
    server: Option<Pin<'r>>,
    /// That the docroot could not be resolved, until a request needs it: a server that computes its docroots has one
    /// that is of no use, and often none that exists.
    failure: Cell<Option<&'r Untold<'r>>>,
    /// The answers for docroots that were computed for one of the requests: by mod_vhost_alias, mod_lua and others.
    computed: OnceCell<&'r Computed<'r>>,
}

/// What is to be said of a server's docroot that could not be resolved, as soon as a request has use for the docroot.
struct Untold<'r> {
    site: &'r Site<'r>,
    news: Box<News>,
    /// When the look began that found it.
    looked: Moment,
    is_told: Cell<bool>,
}

impl Untold<'_> {
    fn tell(&self, server: Server<'_>) {
        report(server, self.site.docroot(), &self.news);
        self.is_told.set(true);
    }

    /// Whether a file lies where the failure is.
    fn concerns(&self, path: &[u8]) -> bool {
        matches!(&*self.news, News::Failed { failure, .. } if failure.covers(path, self.site.docroot().path(), |_| false))
    }
}

impl Drop for Untold<'_> {
    /// If no request had use for the docroot, whoever has will tell.
    fn drop(&mut self) {
        if let News::Failed { failure, report: true, .. } = &*self.news
            && !self.is_told.get()
        {
            self.site.docroot().has_not_told(failure, self.looked);
        }
    }
}

/// The answer for one docroot.
#[derive(Clone, Copy)]
struct Pin<'r> {
    /// Where the links on the way lead; nothing if there are none, or they could not be followed.
    trail: Option<Trail<'r>>,
    /// Why nothing behind them may be served, if that is so.
    refused: Option<&'r Failure>,
    /// What requests get as their docroot: where the links lead, or else the docroot as configured.
    docroot: Text<'r>,
}

impl<'r> Pin<'r> {
    #[inline]
    fn new(trail: Option<Trail<'r>>, refused: Option<&'r Failure>, configured: Text<'r>) -> Self {
        Self { trail, refused, docroot: trail.map_or(configured, Text::docroot) }
    }
}

/// What `root` must own of an answer.
fn refused<'r>(answer: &Answer, root: Request<'r>) -> Option<&'r Failure> {
    match answer {
        Answer::Refused(failure) => Some(&**root.own(Arc::clone(failure))),
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
    let Some(site) = request.server().site() else {
        return;
    };
    #[cfg(feature = "fault-injection")]
    crate::fault::lay(request, request.root());
    // Ahead of all that is read of the request, so that nothing of it must be saved across the call.
    let now = Os::now();
    if !request.is_first() {
        begin_again(request, site, now);
    } else if is_configured(request, site) {
        // In a window this is all that most requests ever need of this module.
        match site.remembered(now) {
            Some(resolution) => {
                let trail = resolution.trail();
                join(request, Hold::Kept(resolution));
                tell_application(request, site, trail);
            }
            None => begin_with_look(request, site, now),
        }
    }
}

/// Whether the docroot of a request is the one that its server is configured for. If not, some module has computed one
/// already, and [`map`] will see it.
#[inline]
fn is_configured<'r>(request: Request<'r>, site: &'r Site<'r>) -> bool {
    request.has_own_document_root(ptr::null()) || request.has_own_document_root(site.configured().as_ptr())
}

/// The rest of [`begin`], where system calls are needed.
#[inline(never)]
fn begin_with_look<'r>(request: Request<'r>, site: &'r Site<'r>, now: Moment) {
    let hold = match site.checked(now) {
        Some(resolution) => Hold::Kept(resolution),
        None => look(request, request, site, now),
    };
    join(request, hold);
    tell_application(request, site, hold.server(site).and_then(|pin| pin.trail));
}

/// [`begin`] for an internal redirect.
#[inline(never)]
fn begin_again<'r>(request: Request<'r>, site: &'r Site<'r>, now: Moment) {
    let hold = request.hold().or_else(|| start(request, site, now));
    if let Some(pin) = hold.and_then(|hold| hold.server(site)) {
        tell_application(request, site, pin.trail);
    }
}

/// Sets the variables of a request.
#[inline(always)]
fn tell_application<'r>(request: Request<'r>, site: &'r Site<'r>, trail: Option<Trail<'r>>) {
    // First, so that nothing of the trail must be saved across a call. A redirect has a table of its own too, with other
    // names in it; nobody was before us.
    if let Some(release) = trail.and_then(Text::release) {
        request.add_variable(RELEASE, release);
    }
    request.add_variable(DOCUMENT_ROOT, site.configured());
}

/// The docroot as configured, for applications and logs.
const DOCUMENT_ROOT: &CStr = c"REALDOC_DOCUMENT_ROOT";
/// The name of the release, for applications and logs.
const RELEASE: &CStr = c"REALDOC_RELEASE";

/// Starts the tree of an internal redirect from a server that has none. It belongs to all of them, so it must live as
/// long as the request at their root.
fn start<'r>(request: Request<'r>, site: &'r Site<'r>, now: Moment) -> Option<Hold<'r>> {
    is_configured(request, site).then_some(())?;
    let root = request.root();
    let hold = root.hold().unwrap_or_else(|| {
        let hold = look(request, root, site, now);
        root.set_hold(hold);
        hold
    });
    join(request, hold);
    Some(hold)
}

/// What the requests of `root` are to hold on to, from a look at the docroot. What is not kept for them is put into its
/// pool.
fn look<'r>(request: Request<'r>, root: Request<'r>, site: &'r Site<'r>, now: Moment) -> Hold<'r> {
    let Look { answer, id, news } = site.docroot().look(&Os, now, site.every());
    let failure = news.and_then(|news| tell_or_own(request, root, site, news, now));
    if failure.is_none()
        && let Some(resolution) = id.and_then(|id| site.docroot().kept(id))
    {
        return Hold::Kept(resolution);
    }
    let refused = refused(&answer, root);
    let tree = root.pool().place_with_copy(trail_bytes(&answer), |copy| {
        Tree::new(site, Some(Pin::new(trail_in(&answer, copy), refused, site.configured())))
    });
    tree.plain.set(failure.is_none() && answer.resolved().is_some());
    tree.failure.set(failure);
    Hold::Tree(tree)
}

/// What must be copied of an answer that is not kept.
fn trail_bytes(answer: &Answer) -> &[u8] {
    answer.resolved().map(|resolution| resolution.trail_bytes()).unwrap_or_default()
}

/// The trail in such a copy.
fn trail_in<'r>(answer: &Answer, copy: &'r [u8]) -> Option<Trail<'r>> {
    answer.resolved().and_then(|resolution| resolution.trail_in(copy))
}

/// Tells of a walk at once, but of a failure only when a request needs the docroot.
#[cold]
fn tell_or_own<'r>(
    request: Request<'r>,
    root: Request<'r>,
    site: &'r Site<'r>,
    news: Box<News>,
    now: Moment,
) -> Option<&'r Untold<'r>> {
    if matches!(*news, News::Failed { .. }) {
        return Some(root.own(Untold { site, news, looked: now, is_told: Cell::default() }));
    }
    report(request.server(), site.docroot(), &news);
    None
}

/// Gives a new subrequest or internal redirect the pin of the request that it came from, if that has one. What counts is
/// what the root holds: another subrequest may have made it a tree, of which those beside that one know nothing.
#[inline]
pub fn inherit(request: Request<'_>) {
    // Nearly all requests come from the network, so that this is asked first, and with one comparison.
    if !request.is_from_network()
        && let Some(hold) = request.root().hold()
    {
        join(request, hold);
    }
}

#[inline]
fn join<'r>(request: Request<'r>, hold: Hold<'r>) {
    // Read before anything is written, so that what the caller has read of it need not be read again.
    let docroot = hold.docroot();
    request.set_hold(hold);
    if let Some(docroot) = docroot {
        request.set_document_root(docroot);
    }
}

/// Makes the file that a request was mapped to one of the pinned release, before httpd walks its directories.
///
/// # Errors
/// [`Refused`] if the file lies under a link that may lead to releases only, and does not.
#[inline]
pub fn map(request: Request<'_>) -> Result<(), Refused> {
    // By far the most common: httpd has put the URL behind the docroot that it was given.
    if let Some(resolution) = request.kept()
        && request.has_own_document_root(Hold::Kept(resolution).docroot().map_or(ptr::null(), Text::as_ptr))
        && request.is_mapped_by_httpd()
    {
        return Ok(());
    }
    map_elsewhere(request)
}

/// The tree of a request that needs more than what is kept, or whose docroot was computed before it could hold
/// anything.
fn tree_of<'r>(request: Request<'r>, site: &'r Site<'r>) -> &'r Tree<'r> {
    let root = request.root();
    if let Some(Hold::Tree(tree)) = root.hold() {
        return tree;
    }
    let server = root.hold().and_then(|hold| hold.server(site));
    let tree = root.pool().place(Tree::new(site, server));
    // It and all around it: some of them may yet be mapped, and the root is asked by all that begin from now on.
    for request in request.ancestors() {
        request.set_hold(Hold::Tree(tree));
    }
    tree
}

/// The rest of [`map`], for what is not the docroot's own.
#[inline(never)]
fn map_elsewhere(request: Request<'_>) -> Result<(), Refused> {
    let Some(site) = request.server().site() else {
        return Ok(());
    };
    let tree = match request.hold() {
        Some(Hold::Tree(tree)) => tree,
        _ => tree_of(request, site),
    };
    match &tree.server {
        Some(pin) if ptr::eq(request.document_root_address(), pin.docroot.as_ptr()) => {
            // There may be no link that a path could lie under; and what is made of docroot and URL lies behind them.
            let needs_nothing = pin.trail.is_none() || request.is_mapped_by_httpd();
            if tree.plain.get() && (needs_nothing || request.is_mapped_to(pin.docroot.to_c_str())) {
                return Ok(());
            }
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
    if tree.needs_what_failed(request, canonical.to_bytes()) {
        tree.tell_of_failure(request);
    }
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
    tree.plain.set(false);
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
                let Some((entry, look)) = request.server().config().and_then(|config| config.compute(led, Os::now()))
                else {
                    return;
                };
                if let Some(news) = look.news {
                    report(request.server(), &entry, &news);
                }
                let refused = refused(&look.answer, root);
                let computed = pool.place_with_copy(trail_bytes(&look.answer), |copy| {
                    let pin = Pin::new(trail_in(&look.answer, copy), refused, led.into());
                    Computed { path, pin, next: OnceCell::new() }
                });
                break place.get_or_init(|| computed);
            }
        }
    };
    request.set_document_root(computed.pin.docroot);
    // In the place of those that told of the server's docroot.
    request.set_variable(DOCUMENT_ROOT, computed.path.into());
    match computed.pin.trail.and_then(Text::release) {
        Some(release) => request.set_variable(RELEASE, release),
        None => request.unset_variable(RELEASE),
    }
}

impl<'r> Tree<'r> {
    fn new(site: &'r Site<'r>, server: Option<Pin<'r>>) -> Self {
        Self { site, plain: Cell::new(server.is_some()), server, failure: Cell::default(), computed: OnceCell::new() }
    }

    fn tell_of_failure(&self, request: Request<'_>) {
        if let Some(untold) = self.failure.take() {
            untold.tell(request.server());
        }
    }

    /// Whether the docroot could not be resolved, and this request is one for what is in it, or was before. Not if it has
    /// another docroot, which was computed.
    fn needs_what_failed(&self, request: Request<'_>, path: &[u8]) -> bool {
        self.failure.get().zip(self.server.as_ref()).is_some_and(|(untold, pin)| {
            ptr::eq(request.document_root_address(), pin.docroot.as_ptr())
                && (untold.concerns(path) || rest_under(path, pin.docroot.to_c_str().to_bytes()).is_some())
        })
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
            let passes = |link: &[u8]| self.pins().any(|(_, pin)| pin.trail.is_some_and(|trail| trail.passes(link)));
            if let Some(refusal) = self.refusal(path, |_| true).or_else(|| self.refusal(path, passes)) {
                return Err(refusal);
            }
            match self.pins().find_map(|(_, pin)| pin.trail?.reroot(path)) {
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
