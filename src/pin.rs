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
#[derive(Default)]
pub struct Tree<'r> {
    /// The answer for the docroot of the server.
    server: Option<Pin<'r>>,
    /// That it could not be resolved, until a request needs it: a server that computes its docroots has one that is
    /// of no use, and often none that exists.
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
        let docroot = resolution.map(|resolution| pool.copy(resolution.docroot().to_bytes()));
        let release = resolution.and_then(|resolution| resolution.release());
        let release = release.map(|release| pool.copy(release.to_bytes()));
        Self { answer, docroot, release }
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
    let Some(site) = request.server().site() else {
        return;
    };
    let tree = match request.tree() {
        Some(tree) => tree,
        None if ptr::eq(request.document_root_address(), site.configured()) => {
            let tree = start(request, site);
            join(request, tree);
            tree
        }
        // Some module has computed a docroot already; `map` will see it.
        None => return,
    };
    if let Some(pin) = &tree.server {
        // A redirect has a table of its own too, with other names in it; nobody was before us.
        request.add_variable(DOCUMENT_ROOT, site.docroot().path());
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
fn start<'r>(request: Request<'r>, site: &'r Site) -> &'r Tree<'r> {
    // The pin belongs to the whole tree, so it must live as long as the request at its root.
    let root = request.root();
    root.tree().unwrap_or_else(|| {
        let look = site.docroot().look(&Os, Os::now(), site.every());
        let failure = match look.news {
            Some(failure @ News::Failed { .. }) => Some(Box::new(failure)),
            Some(news) => {
                report(request.server(), site.docroot(), &news);
                None
            }
            None => None,
        };
        root.plant(Tree {
            server: Some(Pin::new(look.answer, root.pool())),
            failure: Cell::new(failure),
            #[cfg(feature = "fault-injection")]
            panic_at_end: crate::fault::is_asked(request, "cleanup"),
            computed: OnceCell::new(),
        })
    })
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
    let Some(site) = request.server().site() else {
        return Ok(());
    };
    let tree = match request.tree() {
        Some(tree) => tree,
        // Its docroot was computed before there could be a pin.
        None => {
            let root = request.root();
            let tree = root.tree().unwrap_or_else(|| root.plant(Tree::default()));
            request.set_tree(tree);
            tree
        }
    };
    let current = request.document_root_address();
    match &tree.server {
        Some(pin) if is_at(pin.docroot, current) || ptr::eq(current, site.configured()) => {
            match pin.docroot {
                // By far the most common: httpd has put the URL behind the docroot that it was given.
                Some(docroot) if request.is_mapped_to(docroot) && tree.is_quiet() => return Ok(()),
                // There is no link that a path could lie under.
                None if pin.answer.resolved().is_some() && tree.is_quiet() => return Ok(()),
                _ => {}
            }
            if let Some(news) = tree.failure.take() {
                report(request.server(), site.docroot(), &news);
            }
        }
        _ => compute(request, site, tree),
    }
    if let Some(context) = request.context_document_root()
        && let Ok(Some(path)) = tree.lead(context.to_bytes(), site)
    {
        request.set_context_document_root(request.pool().copy(&path));
    }
    let Some(filename) = request.filename() else {
        return Ok(());
    };
    // httpd folds `..` before it walks, so what the path says now may not be where it ends.
    let canonical = request.canonical(filename).unwrap_or(filename);
    match tree.lead(canonical.to_bytes(), site) {
        Ok(None) => Ok(()),
        Ok(Some(path)) => {
            request.set_filename(request.pool().copy(&path));
            Ok(())
        }
        Err(refused) => {
            if let Some(news) = tree.failure.take() {
                report(request.server(), site.docroot(), &news);
            }
            Err(refused)
        }
    }
}

fn is_at(string: Option<&CStr>, address: *const c_char) -> bool {
    string.is_some_and(|string| ptr::eq(string.as_ptr(), address))
}

/// Pins the docroot that was computed for this request.
fn compute<'r>(request: Request<'r>, site: &'r Site, tree: &'r Tree<'r>) {
    let Some(path) = request.document_root() else {
        return;
    };
    let mut place = &tree.computed;
    let computed = loop {
        match place.get() {
            Some(known) if known.path == path || known.pin.docroot == Some(path) => break known,
            Some(known) => place = &known.next,
            None => {
                // Where it lies under a link that the tree has an answer for already, that answer stands.
                let led = tree.lead(path.to_bytes(), site).ok().flatten();
                let led = led.map_or(path, |led| request.root().pool().copy(&led));
                // A relative docroot has no link that could be found from here.
                let Ok((entry, look)) = site.compute(led, Os::now()) else {
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
    /// Whether there is nothing but the server's docroot, and nothing to tell of it.
    fn is_quiet(&self) -> bool {
        // A failure that is still to be told comes with an answer that is none, or with the last good one.
        let failure = self.failure.take();
        let is_quiet = failure.is_none();
        self.failure.set(failure);
        is_quiet && self.computed.get().is_none()
    }

    /// Where the pinned links lead a path, if it lies under any.
    ///
    /// # Errors
    /// If it lies, or ends, under a link that leads where it may not.
    fn lead(&self, path: &[u8], site: &Site) -> Result<Option<Vec<u8>>, Refused> {
        let mut led: Option<Vec<u8>> = None;
        // One docroot's links may lead to where another's begin, but none leads back. Should two looks at different
        // times have seen that all the same, this ends.
        for _ in 0..8 {
            let path = led.as_deref().unwrap_or(path);
            for (configured, pin) in self.pins(site) {
                if let Answer::Refused(failure) = &pin.answer
                    && failure.covers(path, configured)
                {
                    return Err(Refused::new(failure));
                }
            }
            match self.pins(site).find_map(|(_, pin)| pin.answer.resolved()?.reroot(path)) {
                Some(next) => led = Some(next),
                None => break,
            }
        }
        Ok(led)
    }

    fn pins<'a>(&'a self, site: &'a Site) -> impl Iterator<Item = (&'a CStr, &'a Pin<'a>)> {
        let server = self.server.as_ref().map(|pin| (site.docroot().path(), pin));
        let computed = std::iter::successors(self.computed.get(), |computed| computed.next.get());
        server.into_iter().chain(computed.map(|computed| (computed.path, &computed.pin)))
    }
}
