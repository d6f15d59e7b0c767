//! `<Directory>` sections that follow the links.
//!
//! Owns: the list of sections that requests for a resolution are walked by, made when the first of them comes. Must not:
//! know how sections are stored, or which follow ([`docroot::sections`] does).
//!
//! Requests see the real path, so `<Directory /srv/app/current/public>` would no longer apply to them. What httpd would
//! merge for the configured path is therefore merged for the real one, by where the link leads for this request. A
//! request whose sections cannot follow is denied.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use docroot::sections::{Mapping, Pattern, Step, follow};
use docroot::{Resolution, rest_under};
use once_cell::race::OnceBox;

use crate::config::directives::Site;
use crate::httpd::{
    Applied, CopyParts, FORBIDDEN, ForeignModule, Level, Override, OwnPool, Pool, Request, Section, SectionList,
    Server, Status, is_error, log,
};
use crate::request::rewrite::{self, View, Watch};

/// Where the lists of resolutions live that the process keeps. One pool for all of them, because the smallest that there
/// is has room for several.
pub type ListPool = Mutex<Option<OwnPool>>;

/// The lists of one resolution: one for each server that serves it, and for each other path that leads there.
#[derive(Default)]
pub struct Lists(OnceBox<Node>);

struct Node {
    /// Which server it is for, by the address of what that keeps.
    site: usize,
    /// Which path: nothing for the docroot itself.
    mapping: Option<Mapping>,
    walk: Walk,
    next: Lists,
}

/// How requests are walked.
pub enum Walk {
    /// By the server's own sections: nothing follows.
    Own,
    /// By a list.
    #[allow(private_interfaces, reason = "it is run, and not looked into")]
    Listed(Box<Listed>),
    /// Not at all, because what the configuration says cannot follow.
    Impossible,
}

impl Lists {
    #[inline]
    fn find(&self, site: &Site<'_>, mapping: Option<&Mapping>) -> Option<&Walk> {
        let mut next = self.0.get();
        while let Some(node) = next {
            if node.site == address(site) && node.mapping.as_ref() == mapping {
                return Some(&node.walk);
            }
            next = node.next.0.get();
        }
        None
    }

    /// Keeps a walk. If another thread has made the same one meanwhile, both are kept, and the first is found.
    fn add(&self, site: &Site<'_>, mapping: Option<Mapping>, walk: Walk) {
        let mut node = Box::new(Node { site: address(site), mapping, walk, next: Self::default() });
        let mut place = self;
        while let Err(back) = place.0.set(node) {
            node = back;
            let Some(taken) = place.0.get() else { return };
            place = &taken.next;
        }
    }
}

fn address(site: &Site<'_>) -> usize {
    std::ptr::from_ref(site).addr()
}

/// A list of sections, and what must be looked at for each request.
struct Listed {
    mapping: Mapping,
    list: SectionList,
    /// The same sections, for requests that add some of their own.
    sections: Vec<Section<'static>>,
    above: Vec<Above>,
    /// Directories that both paths go through, and may have an `.htaccess` file as well. httpd reads it by itself.
    common: Vec<(Vec<u8>, Override)>,
    regexes: Vec<Section<'static>>,
    watches: Vec<Watch>,
    /// Owns the copies, if they are not in a pool that lives longer.
    _pool: Option<OwnPool>,
}

/// A directory above the link that may have an `.htaccess` file.
struct Above {
    directory: Vec<u8>,
    allowed: Override,
    /// How many of the sections come before it.
    behind: usize,
}

/// What is below a resolution, and by which name the configuration knows it.
#[derive(Clone, Copy)]
pub struct Below<'b> {
    /// Where the links led.
    pub resolution: &'b Resolution,
    /// The docroot that led there.
    pub docroot: &'b CStr,
    /// The path that was led, if it was another.
    pub mapping: Option<&'b Mapping>,
    /// Whether the process keeps the resolution for as long as the configuration.
    pub is_kept: bool,
}

/// What this module attaches to resolutions.
#[inline]
fn lists(attached: &(dyn Any + Send + Sync)) -> Option<&Lists> {
    attached.downcast_ref()
}

/// How requests for the docroot of a site are walked that leads to this resolution, if that was found out already.
pub fn known<'r>(resolution: &'r Resolution, site: &Site<'_>) -> Option<&'r Walk> {
    lists(resolution.attached()?)?.find(site, None)
}

/// Walks the directories of a request for what is `below` a resolution. Nothing if httpd itself is to do so, by the
/// server's own sections.
#[inline]
pub fn walk(request: Request<'_>, site: &Site<'_>, below: Below<'_>) -> Option<Status> {
    if below.mapping.is_none() && below.resolution.note() == request.server_note() {
        return None;
    }
    match below.resolution.attached().and_then(lists).and_then(|lists| lists.find(site, below.mapping)) {
        Some(walk) => walk.run(request),
        None => walk_first(request, site, below),
    }
}

#[cold]
fn walk_first(request: Request<'_>, site: &Site<'_>, below: Below<'_>) -> Option<Status> {
    let mapping = below.mapping.cloned().unwrap_or_else(|| below.resolution.mapping(below.docroot));
    let lead = |path: &[u8]| below.resolution.reroot(path).unwrap_or_else(|| path.to_vec());
    let walk = if below.is_kept {
        // A server that has a site shares this with the others.
        let Some(shared) = request.server().shared() else { return Some(FORBIDDEN) };
        let mut pool = shared.lists.lock().unwrap_or_else(PoisonError::into_inner);
        make(request.server(), &mapping, &lead, pool.get_or_insert_with(OwnPool::new).pool())
    } else {
        let mut pool = OwnPool::new();
        match make(request.server(), &mapping, &lead, pool.pool()) {
            Walk::Listed(listed) => Walk::Listed(Box::new(Listed { _pool: Some(pool), ..*listed })),
            walk => walk,
        }
    };
    if below.is_kept && below.mapping.is_none() && matches!(walk, Walk::Own) {
        below.resolution.set_note(request.server_note());
        // That says all of it, unless another server was first.
        if below.resolution.note() == request.server_note() {
            return None;
        }
    }
    // Nobody but this module attaches anything.
    let Some(lists) = lists(below.resolution.attach(Lists::default)) else { return Some(FORBIDDEN) };
    lists.add(site, below.mapping.cloned(), walk);
    lists.find(site, below.mapping)?.run(request)
}

/// Walks the directories of a request for a path that no resolution alone has led. Nothing if httpd itself is to do so.
pub fn walk_once(request: Request<'_>, mapping: &Mapping) -> Option<Status> {
    make(request.server(), mapping, &|path| path.to_vec(), request.pool()).run(request)
}

/// Makes the walk for a mapping, in a pool that lives as long as the walk is used. `lead` tells where a directory above
/// the link really is.
fn make(server: Server<'_>, mapping: &Mapping, lead: &dyn Fn(&[u8]) -> Vec<u8>, pool: Pool<'_>) -> Walk {
    // SAFETY: the server lives as long as the configuration, and with it the cache that has the resolution that the walk
    // is attached to; or the walk is used for this request only.
    let (server, pool) = unsafe { (server.detached(), pool.detached()) };
    match list(server, mapping, lead, pool) {
        Ok(Some(listed)) => Walk::Listed(Box::new(listed)),
        Ok(None) => Walk::Own,
        Err(error) => {
            log!(server, Level::Error, "{error}; what is below {} is denied (403)", shown(&mapping.configured));
            Walk::Impossible
        }
    }
}

fn list(
    server: Server<'static>,
    mapping: &Mapping,
    lead: &dyn Fn(&[u8]) -> Vec<u8>,
    pool: Pool<'static>,
) -> Result<Option<Listed>, String> {
    let all = server.sections();
    let patterns: Vec<_> = all.iter().map_while(|section| section.pattern()).collect();
    let regexes: Vec<_> = all.iter().copied().filter(|section| section.is_regex()).collect();
    let steps = follow(&patterns, mapping);
    let rewrite = ForeignModule::find(c"mod_rewrite.c");
    let has_rules = |section: Section<'_>| rewrite.is_some_and(|rewrite| section.concerns(rewrite));
    let written = |number: usize| {
        server.shared().and_then(|shared| shared.rules.written(server, &all, number)).ok_or_else(|| {
            let path = patterns.get(number).map_or(&b"(regular expression)"[..], |pattern| pattern.path);
            format!(
                "the rules of mod_rewrite in <Directory {}> cannot follow the link, because the section is not written in \
                 a configuration file",
                shown(path)
            )
        })
    };
    // Not where nothing follows: there may be thousands of hosts.
    let mut parts = None;
    let mut allowed = Override::default_of(server);
    let (mut sections, mut above, mut watches) = (Vec::new(), Vec::new(), Vec::new());
    let common = if rewrite.is_some() { common(server, &patterns, &all, mapping) } else { Vec::new() };
    for step in &steps {
        let (number, section) = match step {
            Step::Htaccess { directory } => {
                let real = lead(directory);
                // httpd looks there by itself on the way to the real path, but for one look at where that ends.
                let is_on_the_way = rest_under(&mapping.real, &real).is_some_and(|rest| !rest.is_empty());
                if !is_on_the_way && !allowed.is_nothing() {
                    above.push(Above { directory: real, allowed, behind: sections.len() });
                }
                continue;
            }
            Step::Section(number) => (*number, all[*number]),
            Step::Led { section, path, is_wildcard } => {
                let parts = parts.get_or_insert_with(|| CopyParts::new(pool));
                (*section, all[*section].at(path, *is_wildcard, parts))
            }
        };
        let pattern = patterns[number];
        if has_rules(all[number]) && pattern.meets(&mapping.configured) {
            let definition = written(number)?;
            let view = match (step, rewrite) {
                // The path of a pattern is the beginning of no file's name.
                _ if pattern.is_wildcard => Some(View::WHOLE),
                (Step::Led { path, .. }, Some(rewrite)) => {
                    section.run_again(rewrite, &rewrite::directives(definition), server, pool)?;
                    let is_above = rest_under(pattern.path, &mapping.configured).is_none();
                    is_above.then(|| View { configured: Some(pattern.path.to_vec()), real: Some(path.clone()) })
                }
                _ => {
                    let path = Some(pattern.path.to_vec());
                    Some(View { configured: path.clone(), real: path })
                }
            };
            // SAFETY: they are kept with the list, which is in the pool.
            watches.extend(unsafe { Watch::all(definition, view.as_ref(), pool) });
        }
        if pattern.is_on_the_way(&mapping.configured) {
            allowed = allowed.merged(section);
        }
        sections.push(section);
    }
    for other in server.shared().into_iter().flat_map(|shared| shared.rules.others(server)) {
        // SAFETY: as above.
        watches.extend(unsafe { Watch::all(other, Some(&View::WHOLE), pool) });
    }
    for (number, section) in all.iter().enumerate() {
        if section.is_regex() && has_rules(*section) {
            // SAFETY: as above.
            watches.extend(unsafe { Watch::all(written(number)?, Some(&View::WHOLE), pool) });
        }
    }
    let is_led = steps.iter().any(|step| matches!(step, Step::Led { .. }));
    if !is_led && [above.is_empty(), common.is_empty(), regexes.is_empty(), watches.is_empty()] == [true; 4] {
        return Ok(None);
    }
    // SAFETY: all are in the pool or belong to the server, and so does whoever keeps the list.
    let list = unsafe { SectionList::new(server, &sections, pool) };
    Ok(Some(Listed { mapping: mapping.clone(), list, sections, above, common, regexes, watches, _pool: None }))
}

/// The directories that the configured path and the real one both go through, where `.htaccess` files may say anything.
fn common(
    server: Server<'_>,
    patterns: &[Pattern<'_>],
    sections: &[Section<'_>],
    mapping: &Mapping,
) -> Vec<(Vec<u8>, Override)> {
    let mut allowed = Override::default_of(server);
    let mut found = Vec::new();
    for directory in mapping.common_directories() {
        for (pattern, section) in patterns.iter().zip(sections).filter(|(pattern, _)| pattern.is_for(directory)) {
            debug_assert_eq!(section.pattern().map(|own| own.path), Some(pattern.path));
            allowed = allowed.merged(*section);
        }
        if !allowed.is_nothing() {
            found.push((directory.to_vec(), allowed));
        }
    }
    found
}

impl Walk {
    /// Walks the directories of a request. Nothing if httpd itself is to do so, by the server's own sections.
    #[inline]
    pub fn run(&self, request: Request<'_>) -> Option<Status> {
        match self {
            Self::Own => None,
            Self::Impossible => Some(FORBIDDEN),
            Self::Listed(listed) => Some(listed.run(request).unwrap_or_else(|status| status)),
        }
    }
}

impl Listed {
    /// Walks the directories of a request, and applies what core applies behind them.
    fn run(&self, request: Request<'_>) -> Result<Status, Status> {
        if !self.watches.is_empty() || !self.common.is_empty() {
            self.check_rules(request)?;
        }
        let checked = |status: Status| if is_error(status) { Err(status) } else { Ok(status) };
        match self.with_files_above(request)? {
            Some(list) => checked(request.walk_directories(&list))?,
            None => checked(request.walk_directories(&self.list))?,
        };
        if !self.regexes.is_empty() {
            self.apply_regexes(request);
        }
        checked(request.walk_files())
    }

    /// Denies what a rule would decide differently about.
    fn check_rules(&self, request: Request<'_>) -> Result<(), Status> {
        let Some(real) = request.filename().and_then(|filename| request.canonical(filename)) else { return Ok(()) };
        let real = real.to_bytes();
        let Some(configured) = self.mapping.configured_name(real) else { return Ok(()) };
        let disagrees = |watch: &Watch| watch.disagrees(request.server(), &configured, real);
        let rewrite = ForeignModule::find(c"mod_rewrite.c");
        for (directory, allowed) in &self.common {
            let file = request.htaccess(directory, *allowed)?;
            if file.is_none_or(|file| !rewrite.is_some_and(|rewrite| file.concerns(rewrite))) {
                continue;
            }
            let text = request.htaccess_text(directory).ok_or(FORBIDDEN)?;
            // SAFETY: they are used here only.
            if unsafe { Watch::of_file(&text, directory, request.pool()) }.iter().any(disagrees) {
                return Err(FORBIDDEN);
            }
        }
        if self.watches.iter().any(disagrees) { Err(FORBIDDEN) } else { Ok(()) }
    }

    /// The list with the `.htaccess` files of directories above the link, if there are any. That of the request around
    /// this one, if the files are the same: whether what applies to both is the very same decides whether httpd asks for
    /// permission again.
    fn with_files_above<'r>(&self, request: Request<'r>) -> Result<Option<Rc<SectionList>>, Status> {
        let mut files = Vec::new();
        for above in &self.above {
            files.extend(request.htaccess(&above.directory, above.allowed)?.map(|section| (above, section)));
        }
        if files.is_empty() {
            return Ok(None);
        }
        let files_of = || files.iter().map(|(_, file)| file.address()).collect();
        let key = (request.server().address(), self.mapping.clone(), files_of());
        let known = request.ancestors().find_map(|request| {
            let all = request.in_pool::<Extended>(EXTENDED).0.borrow();
            all.iter().find(|(known, _)| *known == key).map(|(_, list)| Rc::clone(list))
        });
        if known.is_some() {
            return Ok(known);
        }
        let list = Rc::new(self.extended(request, files)?);
        request.in_pool::<Extended>(EXTENDED).0.borrow_mut().push((key, Rc::clone(&list)));
        Ok(Some(list))
    }

    /// The list with some files.
    fn extended<'r>(&self, request: Request<'r>, files: Vec<(&Above, Section<'r>)>) -> Result<SectionList, Status> {
        let parts = CopyParts::new(request.pool());
        let rewrite = ForeignModule::find(c"mod_rewrite.c");
        let mut sections: Vec<Section<'_>> = self.sections.clone();
        for (above, file) in files.into_iter().rev() {
            if rewrite.is_some_and(|rewrite| file.concerns(rewrite)) {
                log!(
                    request.server(),
                    Level::Error,
                    "rules of mod_rewrite in {}/.htaccess cannot follow the link to {}, so that what is below it is \
                     denied (403); write them for the virtual host, or in a section for the link itself",
                    shown(&above.directory),
                    shown(&self.mapping.real)
                );
                return Err(FORBIDDEN);
            }
            sections.insert(above.behind, file.at(&self.mapping.real, false, &parts));
        }
        // SAFETY: the list is used for requests of this pool only, in which the copies are.
        Ok(unsafe { SectionList::new(request.server(), &sections, request.pool()) })
    }

    /// Applies sections of regular expressions that match either name, as httpd does behind all others.
    ///
    /// httpd does not match again for a file in the directory of the request around it, and whether what applies to both
    /// is the very same decides whether it asks for permission again. Both are so here, too.
    fn apply_regexes(&self, request: Request<'_>) {
        let Some(real) = request.filename() else { return };
        let before = request.applied();
        let around = request.ancestors().skip(1).find_map(|around| {
            let all = around.in_pool::<Memory>(MEMORY).0.borrow();
            let is_it = |memo: &&Memo| {
                (memo.request, memo.server, memo.before) == (around.address(), request.server().address(), before)
            };
            all.iter().rev().find(is_it).cloned()
        });
        let Some((directory, is_known)) = request.directory() else { return };
        let matched = match &around {
            Some(around) if is_known && around.directory == directory => around.matched.clone(),
            _ => self.matched(request, real),
        };
        let applied = match around {
            Some(around) if around.matched == matched => around.applied,
            _ => {
                matched.iter().for_each(|&number| request.apply(self.regexes[number]));
                request.applied()
            }
        };
        request.apply_all(applied);
        let memo = Memo {
            request: request.address(),
            server: request.server().address(),
            directory,
            before,
            matched,
            applied,
        };
        request.in_pool::<Memory>(MEMORY).0.borrow_mut().push(memo);
    }

    /// The numbers of the regular expressions that match either name of a file.
    fn matched(&self, request: Request<'_>, real: &CStr) -> Vec<usize> {
        let configured = self.mapping.configured_name(real.to_bytes()).and_then(|name| CString::new(name).ok());
        let names = || [configured.as_deref(), Some(real)].into_iter().flatten();
        let is_match = |section: &Section<'_>| names().any(|name| request.is_matched(*section, name));
        self.regexes.iter().enumerate().filter(|(_, section)| is_match(section)).map(|(number, _)| number).collect()
    }
}

/// The lists that were made for the requests of a pool, each by its server, its mapping and the files that are in it.
#[derive(Default)]
struct Extended(RefCell<Vec<ExtendedList>>);

type ExtendedList = ((*const (), Mapping, Vec<*const ()>), Rc<SectionList>);

const EXTENDED: &CStr = c"mod_realdoc.lists";

/// Which regular expressions applied to the requests of a pool.
#[derive(Default)]
struct Memory(RefCell<Vec<Memo>>);

const MEMORY: &CStr = c"mod_realdoc.regexes";

#[derive(Clone)]
struct Memo {
    request: *const (),
    server: *const (),
    /// The directory of its file.
    directory: Vec<u8>,
    /// What applied without them.
    before: Applied,
    matched: Vec<usize>,
    applied: Applied,
}

fn shown(path: &[u8]) -> String {
    docroot::escape(path)
}

/// The sections of a server that follow a link, each with where it stands, as text: for `DUMP_REALDOC`.
pub fn following(server: Server<'_>, mapping: &Mapping) -> Vec<(String, String)> {
    let all = server.sections();
    let patterns: Vec<Pattern<'_>> = all.iter().map_while(|section| section.pattern()).collect();
    let text = |path: &[u8]| shown(if path.is_empty() { b"/" } else { path });
    follow(&patterns, mapping)
        .into_iter()
        .filter_map(|step| match step {
            Step::Led { section, path, .. } => Some((text(patterns[section].path), text(&path))),
            Step::Section(_) | Step::Htaccess { .. } => None,
        })
        .collect()
}
