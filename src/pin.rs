//! What a request tree holds on to.
//!
//! Owns: when a docroot is pinned, who inherits the pin, and which paths it applies to. Must not: be `unsafe`, or
//! know how a docroot is resolved.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::ptr;

use docroot::{Answer, Errno, Failure, News, Os};
use once_cell::unsync::OnceCell;

use crate::directives::Site;
use crate::httpd::{Pool, Request};
use crate::news::report;

/// What a request, its subrequests and its internal redirects share: one answer for each docroot to where it leads.
///
/// The answer "as configured", given when resolving fails, is kept as well: a tree never gets two answers.
pub struct Tree<'r> {
    site: &'r Site,
    /// The answer for the docroot of the server. None if another module had computed a docroot before there was a tree.
    server: Option<Pin<'r>>,
    /// The docroot that requests of the tree have as long as nobody computes another one, by its address.
    expected: *const c_char,
    /// Whether a request with the expected docroot and a file just below it needs nothing more: the answer is a good
    /// one, there is nothing to tell of it, and no other docroot has links that a path could lie under.
    is_plain: Cell<bool>,
    /// That the docroot could not be resolved, until a request needs it: a server that computes its docroots has one
    /// that is of no use, and often none that exists.
    failure: Cell<Option<Box<News>>>,
    /// The answers for docroots that were computed for one of the requests: by mod_vhost_alias, mod_lua and others.
    computed: OnceCell<Box<Computed<'r>>>,
    #[cfg(feature = "fault-injection")]
    panic_at_end: bool,
}

/// The answer for one docroot.
struct Pin<'r> {
    answer: Answer,
    /// What requests get as their docroot, if it is another one than the configured; and the name of the release. Both
    /// are copies in the pool of the root request: httpd and its modules keep pointers to them in tables that are
    /// looked into until the pool is gone, which is later than this is dropped.
    docroot: Option<&'r CStr>,
    release: Option<&'r CStr>,
}

impl<'r> Pin<'r> {
    fn new(answer: Answer, pool: Pool<'r>) -> Self {
        // Without a link on the way, what is configured is what is real.
        let resolution = answer.resolved().filter(|resolution| !resolution.links().is_empty());
        let Some(resolution) = resolution else {
            return Self { answer, docroot: None, release: None };
        };
        let (docroot, release) = pool.copy_strings(resolution.docroot(), resolution.release());
        Self { answer, docroot: Some(docroot), release }
    }
}

/// The pin of a computed docroot, and the next. A list, because what requests point to must stay where it is; nearly
/// always empty, and else nearly always of one.
struct Computed<'r> {
    path: &'r CStr,
    pin: Pin<'r>,
    next: OnceCell<Box<Computed<'r>>>,
}

#[cfg(feature = "fault-injection")]
impl Drop for Tree<'_> {
    fn drop(&mut self) {
        if self.panic_at_end {
            panic!("fault injected into cleanup");
        }
    }
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
pub fn begin(request: Request<'_>) {
    let Some(tree) = request.tree().or_else(|| start(request)) else {
        return;
    };
    if let Some(pin) = &tree.server {
        // A redirect has a table of its own too, with other names in it; nobody was before us.
        request.add_variable(DOCUMENT_ROOT, tree.site.docroot().path());
        if let Some(release) = pin.release {
            request.add_variable(RELEASE, release);
        }
    }
}

/// The docroot as configured, for applications and logs.
const DOCUMENT_ROOT: &CStr = c"REALDOC_DOCUMENT_ROOT";
/// The name of the release, for applications and logs.
const RELEASE: &CStr = c"REALDOC_RELEASE";

/// Starts the tree of a request by a look at its server's docroot, unless another request of the tree has.
#[inline]
fn start<'r>(request: Request<'r>) -> Option<&'r Tree<'r>> {
    let site = request.server().site()?;
    if !ptr::eq(request.document_root_address(), site.configured()) {
        // Some module has computed a docroot already; `map` will see it.
        return None;
    }
    // The pin belongs to the whole tree, so it must live as long as the request at its root.
    let root = request.root();
    let tree = root.tree().unwrap_or_else(|| {
        let look = site.docroot().look(&Os, Os::now(), site.every());
        let failure = look.news.and_then(|news| tell_or_keep(request, site, news));
        let pin = Pin::new(look.answer, root.pool());
        let is_plain = failure.is_none() && pin.answer.resolved().is_some();
        root.plant(Tree {
            site,
            expected: pin.docroot.map_or(site.configured(), CStr::as_ptr),
            server: Some(pin),
            is_plain: Cell::new(is_plain),
            failure: Cell::new(failure),
            computed: OnceCell::new(),
            #[cfg(feature = "fault-injection")]
            panic_at_end: crate::fault::is_asked(request, "cleanup"),
        })
    });
    join(request, tree);
    Some(tree)
}

/// Tells of a walk at once, but of a failure only when a request needs the docroot.
#[cold]
fn tell_or_keep(request: Request<'_>, site: &Site, news: Box<News>) -> Option<Box<News>> {
    if matches!(*news, News::Failed { .. }) {
        return Some(news);
    }
    report(request.server(), site.docroot(), &news);
    None
}

/// Gives a new subrequest or internal redirect the pin of the request that it came from, if that has one.
pub fn inherit(request: Request<'_>) {
    if let Some(tree) = request.parent().and_then(Request::tree) {
        join(request, tree);
    }
}

fn join<'r>(request: Request<'r>, tree: &'r Tree<'r>) {
    request.set_tree(tree);
    if let Some(docroot) = tree.server.as_ref().and_then(|pin| pin.docroot) {
        request.set_document_root(docroot);
    }
}

/// Makes the file that a request was mapped to one of the pinned release, before httpd walks its directories.
///
/// # Errors
/// [`Refused`] if the file lies under a link that may lead to releases only, and does not.
pub fn map(request: Request<'_>) -> Result<(), Refused> {
    let Some(tree) = request.tree().or_else(|| start_late(request)) else {
        return Ok(());
    };
    let current = request.document_root_address();
    // By far the most common: httpd has put the URL behind the docroot that it was given, or there is no link that a
    // path could lie under.
    if tree.is_plain.get()
        && ptr::eq(current, tree.expected)
        && tree.server.as_ref().and_then(|pin| pin.docroot).is_none_or(|docroot| request.is_mapped_to(docroot))
    {
        return Ok(());
    }
    map_elsewhere(request, tree, current)
}

/// The tree of a request whose docroot was computed before there could be one.
#[cold]
fn start_late<'r>(request: Request<'r>) -> Option<&'r Tree<'r>> {
    let site = request.server().site()?;
    let root = request.root();
    let tree = root.tree().unwrap_or_else(|| {
        root.plant(Tree {
            site,
            server: None,
            expected: ptr::null(),
            is_plain: Cell::new(false),
            failure: Cell::default(),
            computed: OnceCell::new(),
            #[cfg(feature = "fault-injection")]
            panic_at_end: false,
        })
    });
    request.set_tree(tree);
    Some(tree)
}

/// The rest of [`map`], for what is not the docroot's own.
fn map_elsewhere<'r>(request: Request<'r>, tree: &'r Tree<'r>, current: *const c_char) -> Result<(), Refused> {
    if ptr::eq(current, tree.expected) {
        tree.tell_of_failure(request);
    } else {
        compute(request, tree);
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
    tree.is_plain.set(false);
    let mut place = &tree.computed;
    let computed = loop {
        match place.get() {
            Some(known) if known.path == path || known.pin.docroot == Some(path) => break known,
            Some(known) => place = &known.next,
            None => {
                // Where it lies under a link that the tree has an answer for already, that answer stands.
                let led = tree.lead(path.to_bytes()).ok().flatten();
                let led = led.map_or(path, |led| request.root().pool().copy(&led));
                // A relative docroot has no link that could be found from here.
                let Ok((entry, look)) = tree.site.compute(led, Os::now()) else {
                    return;
                };
                if let Some(news) = look.news {
                    report(request.server(), &entry, &news);
                }
                let pool = request.root().pool();
                let mut pin = Pin::new(look.answer, pool);
                if pin.docroot.is_none() && led != path {
                    pin.docroot = Some(led);
                }
                let path = pool.copy(path.to_bytes());
                break place.get_or_init(|| Box::new(Computed { path, pin, next: OnceCell::new() }));
            }
        }
    };
    if let Some(docroot) = computed.pin.docroot {
        request.set_document_root(docroot);
    }
    // In the place of those that told of the server's docroot.
    request.set_variable(DOCUMENT_ROOT, computed.path);
    match computed.pin.release {
        Some(release) => request.set_variable(RELEASE, release),
        None => request.unset_variable(RELEASE),
    }
}

impl Tree<'_> {
    fn tell_of_failure(&self, request: Request<'_>) {
        if let Some(news) = self.failure.take() {
            report(request.server(), self.site.docroot(), &news);
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
            for (index, (configured, pin)) in self.pins().enumerate() {
                if let Answer::Refused(failure) = &pin.answer
                    && failure.covers(path, configured)
                {
                    let is_server = index == 0 && self.server.is_some();
                    return Err(Refusal { refused: Refused::new(failure), is_server });
                }
            }
            match self.pins().find_map(|(_, pin)| pin.answer.resolved()?.reroot(path)) {
                Some(next) => led = Some(next),
                None => break,
            }
        }
        Ok(led)
    }

    fn pins(&self) -> impl Iterator<Item = (&CStr, &Pin<'_>)> {
        let server = self.server.as_ref().map(|pin| (self.site.docroot().path(), pin));
        let computed = std::iter::successors(self.computed.get(), |computed| computed.next.get());
        server.into_iter().chain(computed.map(|computed| (computed.path, &computed.pin)))
    }
}
