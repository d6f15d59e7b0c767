//! The file that a URL is mapped to.
//!
//! Owns: leading it to the pinned release before httpd walks its directories, and by which sections they are walked. Must
//! not: be `unsafe`, or know how a docroot is resolved.

use std::ffi::CStr;
use std::ptr;

use docroot::sections::Mapping;
use docroot::{Os, Resolution, rest_under};
use once_cell::unsync::OnceCell;

use crate::config::directives::Site;
use crate::httpd::{Request, Status, Text};
use crate::request::log::report;
use crate::request::pin::{
    Computed, DOCUMENT_ROOT, Hold, Pin, Pinned, RELEASE, Refusal, Refused, Tree, join, look, resolved_docroot,
};
use crate::request::refuse;
use crate::request::sections::{self, Below};

/// What is to become of a request that was mapped to a file.
pub enum Mapped {
    /// httpd walks the directories by the server's own sections.
    ByHttpd,
    /// They are walked.
    Walked(Status),
    /// It gets nothing.
    Refused(Refused),
}

impl From<Option<Status>> for Mapped {
    fn from(walked: Option<Status>) -> Self {
        walked.map_or(Self::ByHttpd, Self::Walked)
    }
}

/// Makes the file that a request was mapped to one of the pinned release, and walks its directories where sections follow
/// the links.
#[inline]
pub fn map(request: Request<'_>) -> Mapped {
    // By far the most common: httpd has put the URL behind the docroot that it was given, and no section follows.
    if let Some(resolution) = request.kept()
        && has_resolved_docroot(request, resolution)
        && request.is_mapped_by_httpd()
    {
        if request.server_note() == resolution.note() {
            return Mapped::ByHttpd;
        }
        return map_listed(request, resolution);
    }
    map_elsewhere(request)
}

/// The rest of [`map`], for sections that follow.
#[inline(never)]
fn map_listed<'r>(request: Request<'r>, resolution: &'r Resolution) -> Mapped {
    match request.server().site() {
        Some(site) if has_configured_docroot(request, site) => match sections::known(resolution, site) {
            Some(walk) => walk.run(request).into(),
            None => map_elsewhere(request),
        },
        _ => map_elsewhere(request),
    }
}

/// Whether the docroot of a request is where the links led.
#[inline]
fn has_resolved_docroot(request: Request<'_>, resolution: &Resolution) -> bool {
    request.has_own_document_root(resolved_docroot(resolution).map_or(ptr::null(), Text::as_ptr))
}

/// Whether the docroot of a server is still the one that the configuration gives it. A module may put another one there.
#[inline]
fn has_configured_docroot(request: Request<'_>, site: &Site<'_>) -> bool {
    ptr::eq(request.server_document_root_address(), site.configured().as_ptr())
}

/// The rest of [`map`]: the first request for what a process keeps, and what is not the docroot's own.
#[inline(never)]
fn map_elsewhere(request: Request<'_>) -> Mapped {
    if request.hold().is_some_and(|hold| !is_pinned_for_server(request, hold)) {
        pin_again(request);
    }
    let Some(site) = request.server().site() else {
        return Mapped::ByHttpd;
    };
    if let Some(resolution) = request.kept()
        && has_resolved_docroot(request, resolution)
        && request.is_mapped_by_httpd()
    {
        return walk_below(request, site, Pinned::of_server(site, Pin::kept(resolution, site.configured())));
    }
    let tree = match request.hold() {
        Some(Hold::Tree(tree)) => tree,
        _ => tree_of(request, site),
    };
    match tree.server {
        Some(pin) if ptr::eq(request.document_root_address(), pin.docroot.as_ptr()) => {
            // There may be no link that a path could lie under; and what is made of docroot and URL lies behind them.
            let needs_nothing = pin.resolution.is_none() || request.is_mapped_by_httpd();
            if tree.plain.get() && (needs_nothing || request.is_mapped_to(pin.docroot.to_c_str())) {
                return walk_below(request, site, Pinned::of_server(tree.site, pin));
            }
        }
        _ => compute(request, tree),
    }
    lead(request, site, tree)
}

/// Walks what is below a docroot.
fn walk_below<'r>(request: Request<'r>, site: &'r Site<'r>, pinned: Pinned<'r>) -> Mapped {
    match pinned.pin.resolution {
        Some(resolution) => walk_by(request, site, pinned, resolution, None),
        None => Mapped::ByHttpd,
    }
}

/// Walks what is below a resolution, which the configuration knows by the docroot or by another path.
fn walk_by<'r>(
    request: Request<'r>,
    site: &'r Site<'r>,
    pinned: Pinned<'r>,
    resolution: &'r Resolution,
    mapping: Option<&Mapping>,
) -> Mapped {
    let own = pinned.mapping();
    // As a rule it is the docroot's own.
    let mapping = mapping.filter(|mapping| Some(*mapping) != own.as_ref());
    let mapping = if pinned.before.is_some() { mapping.or(own.as_ref()) } else { mapping };
    let Pinned { docroot, pin, .. } = pinned;
    sections::walk(request, site, Below { resolution, docroot, mapping, is_kept: pin.is_kept }).into()
}

/// Leads the file, and the directory of its part of the URL space, through the pinned links.
fn lead<'r>(request: Request<'r>, site: &'r Site<'r>, tree: &'r Tree<'r>) -> Mapped {
    // httpd folds `..` before it walks, so what a path says now may not be where it ends.
    if let Some(context) = request.context_document_root()
        && let Ok(Some(led)) = tree.lead(request.canonical(context).unwrap_or(context).to_bytes())
    {
        request.set_context_document_root(request.pool().copy(&led.path));
    }
    let Some(filename) = request.filename() else {
        return Mapped::ByHttpd;
    };
    let canonical = request.canonical(filename).unwrap_or(filename);
    let path = canonical.to_bytes();
    if tree.needs_what_failed(request, path) {
        tree.tell_of_failure(request);
    }
    match tree.lead(path) {
        Ok(None) => walk_real(request, site, tree, path),
        Ok(Some(led)) => {
            request.set_filename(request.pool().copy(&led.path));
            let mapping = led.mapping(path);
            match led.by.and_then(|pinned| Some((pinned, pinned.pin.resolution?))) {
                Some((pinned, resolution)) => walk_by(request, site, pinned, resolution, Some(&mapping)),
                None => sections::walk_once(request, &mapping).into(),
            }
        }
        Err(Refusal { refused, is_server }) => {
            if is_server {
                tree.tell_of_failure(request);
            }
            refuse::walk(request, tree, canonical, refused)
        }
    }
}

/// Walks a real path, which is below what a docroot, or another path through its links, leads to.
fn walk_real<'r>(request: Request<'r>, site: &'r Site<'r>, tree: &'r Tree<'r>, path: &[u8]) -> Mapped {
    let with_resolution = |pinned: Pinned<'r>| Some((pinned, pinned.pin.resolution?));
    let of_docroot = tree.pins().filter_map(with_resolution).filter_map(|(pinned, resolution)| {
        let mapping = pinned.mapping().filter(|mapping| rest_under(path, &mapping.real).is_some())?;
        Some((pinned, resolution, mapping))
    });
    let of_link = || {
        tree.pins()
            .filter_map(with_resolution)
            .filter_map(|(pinned, resolution)| Some((pinned, resolution, resolution.mapping_to(path)?)))
    };
    let deepest = of_docroot.max_by_key(|(.., mapping)| mapping.real.len());
    match deepest.or_else(|| of_link().max_by_key(|(.., mapping)| mapping.real.len())) {
        Some((pinned, resolution, mapping)) => walk_by(request, site, pinned, resolution, Some(&mapping)),
        None => Mapped::ByHttpd,
    }
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

/// Whether a request was pinned for the server that answers it by now, and that server still has its own docroot.
fn is_pinned_for_server<'r>(request: Request<'r>, hold: Hold<'r>) -> bool {
    request.server().site().is_some_and(|site| is_pinned_for(hold, site) && has_configured_docroot(request, site))
}

fn is_pinned_for(hold: Hold<'_>, site: &Site<'_>) -> bool {
    match hold {
        Hold::Kept(resolution) => site.docroot().has_retained(resolution),
        Hold::Tree(tree) => ptr::eq(tree.site, site),
    }
}

/// Pins the docroot that a request has by now, because another module has chosen another server for it, or has given its
/// server another docroot, since [`begin`](crate::request::pin::begin).
#[cold]
fn pin_again(request: Request<'_>) {
    let given = request.hold().and_then(Hold::docroot).filter(|given| request.has_own_document_root(given.as_ptr()));
    if given.is_some() {
        request.unset_document_root();
    }
    match request.server().site() {
        Some(site) => pin_for(request, site),
        None => {
            for request in request.ancestors() {
                request.unset_hold();
            }
            request.unset_variable(DOCUMENT_ROOT);
            request.unset_variable(RELEASE);
        }
    }
    // What was made of the docroot that the request had then is made of the one that it has.
    if let Some((given, filename)) = given.zip(request.filename())
        && let Some(rest) = rest_under(filename.to_bytes(), given.to_c_str().to_bytes())
        && let Some(docroot) = request.document_root()
    {
        request.set_filename(request.pool().copy(&[docroot.to_bytes(), rest].concat()));
    }
}

/// Pins the docroot of the server that has come to answer a request.
fn pin_for<'r>(request: Request<'r>, site: &'r Site<'r>) {
    if request.hold().is_none_or(|hold| !is_pinned_for(hold, site)) {
        let hold = look(request, request.root(), site, Os::now());
        for request in request.ancestors() {
            request.set_hold(hold);
        }
    }
    if !ptr::eq(request.document_root_address(), site.configured().as_ptr()) {
        return compute(request, tree_of(request, site));
    }
    let Some(hold) = request.hold() else {
        return;
    };
    join(request, hold);
    request.set_variable(DOCUMENT_ROOT, site.configured());
    set_release(request, hold.server(site).and_then(|pin| pin.resolution));
}

fn set_release<'r>(request: Request<'r>, resolution: Option<&'r Resolution>) {
    match resolution.and_then(Resolution::release_terminated) {
        Some(release) => request.set_variable(RELEASE, release.into()),
        None => request.unset_variable(RELEASE),
    }
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
                let Some(computed) = pin_computed(request, tree, path) else { return };
                break place.get_or_init(|| request.root().pool().place(computed));
            }
        }
    };
    request.set_document_root(computed.pin.docroot);
    // In the place of those that told of the server's docroot.
    request.set_variable(DOCUMENT_ROOT, computed.path.into());
    set_release(request, computed.pin.resolution);
}

/// The pin of a docroot that was computed; nothing of a relative one, which has no link that could be found from here.
fn pin_computed<'r>(request: Request<'r>, tree: &'r Tree<'r>, path: &CStr) -> Option<Computed<'r>> {
    let root = request.root();
    let pool = root.pool();
    // Where it lies under a link that the tree has an answer for already, that answer stands.
    let led = tree.lead(path.to_bytes()).ok().flatten();
    let before = led.as_ref().map(|led| root.own(led.mapping(path.to_bytes())));
    let path = pool.copy(path.to_bytes());
    let led = led.map_or(path, |led| pool.copy(&led.path));
    let (entry, lookup) = request.server().config()?.compute(led, Os::now())?;
    if let Some(event) = lookup.event {
        report(request.server(), &entry, *event);
    }
    let pin = Pin::owned(&lookup.answer, led.into(), root);
    Some(Computed { path, led, before, pin, next: OnceCell::new() })
}
