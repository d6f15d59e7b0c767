//! What requests hold on to.
//!
//! Owns: when a docroot is pinned, who inherits the pin, and where it leads a path. Must not: be `unsafe`, or know how a
//! docroot is resolved.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use docroot::sections::Mapping;
use docroot::{Answer, Errno, Event, Failure, Lookup, Moment, Os, Resolution, rest_under};
use once_cell::unsync::OnceCell;

use crate::config::directives::Site;
use crate::httpd::{Request, Server, Text};
use crate::request::log::report;

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
    pub fn server(self, site: &'r Site<'r>) -> Option<Pin<'r>> {
        match self {
            Self::Kept(resolution) => Some(Pin::kept(resolution, site.configured())),
            Self::Tree(tree) => tree.server,
        }
    }

    /// What requests get as a docroot of their own; nothing where it is to stay as it is.
    #[inline]
    pub fn docroot(self) -> Option<Text<'r>> {
        match self {
            Self::Kept(resolution) => resolved_docroot(resolution),
            Self::Tree(tree) => tree.server.map(|pin| pin.docroot),
        }
    }
}

/// The docroot that requests get from a resolution: none of their own, if there are no links.
#[inline]
pub fn resolved_docroot(resolution: &Resolution) -> Option<Text<'_>> {
    if resolution.has_links() { resolution.docroot_terminated().map(Text::from) } else { None }
}

/// What a request, its subrequests and its internal redirects share: one answer for each docroot to where it leads.
///
/// The answer "as configured", given when resolving fails, is kept as well: a tree never gets two answers.
///
/// A tree is plain memory in the pool of the root request. What it points to is kept by the process, or else
/// [`Request::own`] owns it.
pub struct Tree<'r> {
    pub site: &'r Site<'r>,
    /// Whether a request with the server's docroot needs nothing more: the answer is a good one, there is nothing to tell
    /// of it, and no other docroot has links that a path could lie under.
    pub plain: Cell<bool>,
    /// The answer for the docroot of the server. None if another module had computed a docroot before there was a tree.
    pub server: Option<Pin<'r>>,
    /// That the docroot could not be resolved, until a request needs it: a server that computes its docroots has one
    /// that is of no use, and often none that exists.
    failure: Cell<Option<&'r Untold<'r>>>,
    /// The answers for docroots that were computed for one of the requests: by mod_vhost_alias, mod_lua and others.
    pub computed: OnceCell<&'r Computed<'r>>,
}

/// What is to be said of a server's docroot that could not be resolved, as soon as a request has use for the docroot.
struct Untold<'r> {
    site: &'r Site<'r>,
    failure: Arc<Failure>,
    /// None once it is logged. Dropped with the request's pool, it withdraws its report: whoever has use for the docroot
    /// will tell.
    event: Cell<Option<Box<Event>>>,
}

impl Untold<'_> {
    fn tell(&self, server: Server<'_>) {
        if let Some(event) = self.event.take() {
            report(server, self.site.docroot(), *event);
        }
    }

    /// Whether a file lies where the failure is.
    fn concerns(&self, path: &[u8]) -> bool {
        self.failure.covers(path, self.site.docroot().path(), |_| false)
    }
}

/// The answer for one docroot.
#[derive(Clone, Copy)]
pub struct Pin<'r> {
    /// Where the links on the way lead; nothing if there are none, or they could not be followed.
    pub resolution: Option<&'r Resolution>,
    /// Whether the process keeps that for as long as the configuration.
    pub is_kept: bool,
    /// Why nothing behind them may be served, if that is so.
    pub refused: Option<&'r Failure>,
    /// What requests get as their docroot: where the links lead, or else the docroot as configured.
    pub docroot: Text<'r>,
}

impl<'r> Pin<'r> {
    /// The pin of what the process keeps.
    pub fn kept(resolution: &'r Resolution, configured: Text<'r>) -> Self {
        let docroot = resolved_docroot(resolution);
        Self {
            resolution: docroot.map(|_| resolution),
            is_kept: true,
            refused: None,
            docroot: docroot.unwrap_or(configured),
        }
    }

    /// The pin of any answer. What it needs, `root` owns.
    pub fn owned(answer: &Answer, configured: Text<'r>, root: Request<'r>) -> Self {
        let nothing = Self { resolution: None, is_kept: false, refused: None, docroot: configured };
        match answer {
            Answer::Resolved(resolution) if resolution.has_links() => {
                let owned: &Arc<Resolution> = root.own(Arc::clone(&resolution.resolution));
                Self { is_kept: false, ..Self::kept(owned, configured) }
            }
            Answer::Refused(failure) => Self { refused: Some(&**root.own(Arc::clone(failure))), ..nothing },
            Answer::Resolved(_) | Answer::AsConfigured => nothing,
        }
    }
}

/// The pin of a computed docroot, and the next. A list, because what requests point to must stay where it is; nearly
/// always empty, and else nearly always of one.
pub struct Computed<'r> {
    /// The docroot as it was computed.
    pub path: &'r CStr,
    /// The same, led by the links that the tree knew of by then.
    pub led: &'r CStr,
    /// How it was led, if it was.
    pub before: Option<&'r Mapping>,
    pub pin: Pin<'r>,
    pub next: OnceCell<&'r Computed<'r>>,
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
    pub fn new(failure: &Failure) -> Self {
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
    crate::failpoint::lay(request, request.root());
    // Ahead of all that is read of the request, so that nothing of it must be saved across the call.
    let now = Os::now();
    if !request.is_first() {
        begin_again(request, site, now);
    } else if is_configured(request, site) {
        // In a window this is all that most requests ever need of this module.
        match site.remembered(now) {
            Some(resolution) => {
                join(request, Hold::Kept(resolution));
                tell_application(request, site, Some(resolution));
            }
            None => begin_with_look(request, site, now),
        }
    }
}

/// Whether the docroot of a request is the one that its server is configured for. If not, some module has computed one
/// already, and [`map`](crate::request::map::map) will see it.
#[inline]
fn is_configured<'r>(request: Request<'r>, site: &'r Site<'r>) -> bool {
    ptr::eq(request.document_root_address(), site.configured().as_ptr())
}

/// The rest of [`begin`], where system calls are needed.
#[inline(never)]
fn begin_with_look<'r>(request: Request<'r>, site: &'r Site<'r>, now: Moment) {
    let hold = match site.checked(now) {
        Some(resolution) => Hold::Kept(resolution),
        None => look(request, request, site, now),
    };
    join(request, hold);
    tell_application(request, site, hold.server(site).and_then(|pin| pin.resolution));
}

/// [`begin`] for an internal redirect.
#[inline(never)]
fn begin_again<'r>(request: Request<'r>, site: &'r Site<'r>, now: Moment) {
    let hold = request.hold().or_else(|| start(request, site, now));
    if let Some(pin) = hold.and_then(|hold| hold.server(site)) {
        tell_application(request, site, pin.resolution);
    }
}

/// Sets the variables of a request.
#[inline(always)]
fn tell_application<'r>(request: Request<'r>, site: &'r Site<'r>, resolution: Option<&'r Resolution>) {
    // First, so that nothing of the resolution must be saved across a call. A redirect has a table of its own too, with
    // other names in it; nobody was before us.
    if let Some(release) = resolution.and_then(Resolution::release_terminated) {
        request.add_variable(RELEASE, release.into());
    }
    request.add_variable(DOCUMENT_ROOT, site.configured());
}

/// The docroot as configured, for applications and logs.
pub const DOCUMENT_ROOT: &CStr = c"REALDOC_DOCUMENT_ROOT";
/// The name of the release, for applications and logs.
pub const RELEASE: &CStr = c"REALDOC_RELEASE";

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
pub fn look<'r>(request: Request<'r>, root: Request<'r>, site: &'r Site<'r>, now: Moment) -> Hold<'r> {
    let Lookup { answer, event } = site.docroot().lookup(&Os, now, site.every());
    let failure = event.and_then(|event| tell_or_own(request, root, site, event));
    let retained = answer.id().and_then(|id| site.docroot().retained(id));
    if failure.is_none()
        && let Some(resolution) = retained
    {
        return Hold::Kept(resolution);
    }
    let pin = match retained {
        Some(resolution) => Pin::kept(resolution, site.configured()),
        None => Pin::owned(&answer, site.configured(), root),
    };
    let tree = root.pool().place(Tree::new(site, Some(pin)));
    tree.plain.set(failure.is_none() && answer.resolved().is_some());
    tree.failure.set(failure);
    Hold::Tree(tree)
}

/// Tells of a walk at once, but of a failure only when a request needs the docroot.
#[cold]
fn tell_or_own<'r>(
    request: Request<'r>,
    root: Request<'r>,
    site: &'r Site<'r>,
    event: Box<Event>,
) -> Option<&'r Untold<'r>> {
    if let Event::Failed { failure, .. } = &*event {
        let failure = Arc::clone(failure);
        return Some(root.own(Untold { site, failure, event: Cell::new(Some(event)) }));
    }
    report(request.server(), site.docroot(), *event);
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
pub fn join<'r>(request: Request<'r>, hold: Hold<'r>) {
    // Read before anything is written, so that what the caller has read of it need not be read again.
    let docroot = hold.docroot();
    request.set_hold(hold);
    if let Some(docroot) = docroot {
        request.set_document_root(docroot);
    }
}

impl<'r> Tree<'r> {
    pub fn new(site: &'r Site<'r>, server: Option<Pin<'r>>) -> Self {
        Self { site, plain: Cell::new(server.is_some()), server, failure: Cell::default(), computed: OnceCell::new() }
    }

    pub fn tell_of_failure(&self, request: Request<'_>) {
        if let Some(untold) = self.failure.take() {
            untold.tell(request.server());
        }
    }

    /// Whether the docroot could not be resolved, and this request is one for what is in it, or was before. Not if it has
    /// another docroot, which was computed.
    pub fn needs_what_failed(&self, request: Request<'_>, path: &[u8]) -> bool {
        self.failure.get().zip(self.server.as_ref()).is_some_and(|(untold, pin)| {
            ptr::eq(request.document_root_address(), pin.docroot.as_ptr())
                && (untold.concerns(path) || rest_under(path, pin.docroot.to_c_str().to_bytes()).is_some())
        })
    }

    /// Where the pinned links lead a path, if it lies under any.
    ///
    /// # Errors
    /// If it lies, or ends, under a link that leads where it may not.
    pub fn lead(&self, path: &[u8]) -> Result<Option<Led<'r>>, Refusal> {
        let mut led: Option<Led<'r>> = None;
        // One docroot's links may lead to where another's begin, but none leads back. Should two looks at different
        // times have seen that all the same, this ends.
        for _ in 0..8 {
            let path = led.as_ref().map_or(path, |led| &led.path);
            // What a path is itself refused for comes before a link that leads above the releases.
            let passes =
                |link: &[u8]| self.pins().any(|pinned| pinned.pin.resolution.is_some_and(|known| known.passes(link)));
            if let Some(refusal) = self.refusal(path, |_| true).or_else(|| self.refusal(path, passes)) {
                return Err(refusal);
            }
            let next = self.pins().find_map(|pinned| {
                let next = match (pinned.pin.resolution, pinned.pin.refused) {
                    (Some(resolution), _) => resolution.lead(path),
                    (None, refused) => refused?.lead(path),
                };
                Some((pinned, next?))
            });
            let Some((pinned, next)) = next else { break };
            led = Some(match led {
                None => Led { path: next.path, tail: next.tail, by: Some(pinned) },
                Some(before) => Led { path: next.path, tail: next.tail.min(before.tail), by: None },
            });
        }
        Ok(led)
    }

    /// What keeps a path from being led, where `is_proven` tells which links other docroots go through.
    fn refusal(&self, path: &[u8], is_proven: impl Fn(&[u8]) -> bool) -> Option<Refusal> {
        self.pins().enumerate().find_map(|(index, Pinned { docroot, pin, .. })| {
            let failure = pin.refused.filter(|failure| failure.covers(path, docroot, &is_proven))?;
            Some(Refusal { refused: Refused::new(failure), is_server: index == 0 && self.server.is_some() })
        })
    }

    /// The docroots that are pinned.
    pub fn pins(&self) -> impl Iterator<Item = Pinned<'r>> {
        let site = self.site;
        let server = self.server.map(|pin| Pinned::of_server(site, pin));
        let computed = std::iter::successors(self.computed.get(), |computed| computed.next.get()).copied();
        server.into_iter().chain(computed.map(Pinned::computed))
    }
}

/// A docroot, and the answer for it.
#[derive(Clone, Copy)]
pub struct Pinned<'r> {
    /// As it was resolved.
    pub docroot: &'r CStr,
    pub pin: Pin<'r>,
    /// How it was led before, if it was.
    pub before: Option<&'r Mapping>,
}

impl<'r> Pinned<'r> {
    /// The docroot of a server.
    pub fn of_server(site: &'r Site<'r>, pin: Pin<'r>) -> Self {
        Self { docroot: site.docroot().path(), pin, before: None }
    }

    fn computed(computed: &'r Computed<'r>) -> Self {
        Self { docroot: computed.led, pin: computed.pin, before: computed.before }
    }

    /// The configured path and the real path of what is below it; nothing if no link was followed.
    pub fn mapping(self) -> Option<Mapping> {
        let mapping = self.pin.resolution?.mapping(self.docroot);
        Some(self.before.map_or(mapping.clone(), |before| mapping.after(before)))
    }
}

/// Where the pins of a tree lead a path.
pub struct Led<'r> {
    pub path: Vec<u8>,
    /// How many bytes at its end are those of the path that was led.
    tail: usize,
    /// The docroot whose links alone have led it, and its pin; nothing if there were more.
    pub by: Option<Pinned<'r>>,
}

impl Led<'_> {
    /// The configured path and the real path that it goes on from, where `path` is what was led.
    pub fn mapping(&self, path: &[u8]) -> Mapping {
        docroot::Led { path: self.path.clone(), tail: self.tail }.mapping(path)
    }
}

/// What keeps a path from being led anywhere.
pub struct Refusal {
    pub refused: Refused,
    /// Whether it is the server's docroot that leads astray, and none that was computed.
    pub is_server: bool,
}
