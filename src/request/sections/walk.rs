//! Walking the directories of a request by a list of sections.
//!
//! Owns: what differs from one request to the next: `.htaccess` files, regular expressions, rules of mod_rewrite. Must
//! not: make the list.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::sync::Arc;

use docroot::sections::Mapping;

use crate::httpd::{
    Applied, CopyParts, DECLINED, FORBIDDEN, ForeignModule, Level, Override, OwnPool, Request, Section, SectionList,
    Status, is_error,
};
use crate::module::log;
use crate::request::rewrite::WatchedRule;

/// How the directories of a request are walked.
pub enum DirectoryWalk {
    /// By httpd, by the server's own sections: no section follows.
    ByHttpd,
    /// By a list.
    ByList(Box<ListWalk>),
    /// Not at all: a section cannot follow, so the request is denied.
    Denied,
}

impl DirectoryWalk {
    /// Walks the directories of a request. [`DECLINED`] leaves the walk to httpd.
    #[inline]
    pub fn run(&self, request: Request<'_, '_>) -> Status {
        match self {
            Self::ByHttpd => DECLINED,
            Self::ByList(walk) => walk.run(request).unwrap_or_else(|status| status),
            Self::Denied => FORBIDDEN,
        }
    }
}

/// A list of sections, and what is checked for each request.
pub struct ListWalk {
    /// The link that the sections follow.
    pub mapping: Mapping,
    /// All sections but those of regular expressions.
    pub list: SectionList,
    /// The same, for requests that add `.htaccess` files.
    pub sections: Vec<Section<'static>>,
    /// Directories above the link that may have an `.htaccess` file.
    pub above: Vec<Above>,
    /// Directories on both paths that may have an `.htaccess` file, each with what that may say. httpd applies the file,
    /// but its rules of mod_rewrite see another path.
    pub common: Vec<(Vec<u8>, Override)>,
    /// Sections of regular expressions.
    pub regexes: Vec<Section<'static>>,
    /// Rules of mod_rewrite that see another path.
    pub rules: Vec<WatchedRule>,
    /// Owns the copies, unless they are in a pool that lives longer.
    #[expect(dead_code, reason = "only its drop matters")]
    pub pool: Option<OwnPool>,
}

/// A directory above the link that may have an `.htaccess` file.
pub struct Above {
    /// The real path of the directory.
    pub directory: Vec<u8>,
    /// What the file may say.
    pub allowed: Override,
    /// How many sections apply before the file.
    pub behind: usize,
}

impl ListWalk {
    /// Walks the directories of a request, and applies what core applies after them.
    fn run(&self, request: Request<'_, '_>) -> Result<Status, Status> {
        if !self.rules.is_empty() || !self.common.is_empty() {
            self.check_rules(request)?;
        }
        let checked = |status: Status| if is_error(status) { Err(status) } else { Ok(status) };
        match self.list_with_files(request)? {
            Some(list) => checked(request.walk_directories(&list))?,
            None => checked(request.walk_directories(&self.list))?,
        };
        if !self.regexes.is_empty() {
            self.apply_regexes(request);
        }
        checked(request.walk_files())
    }

    /// Denies a request for which a rule of mod_rewrite would decide differently.
    fn check_rules(&self, request: Request<'_, '_>) -> Result<(), Status> {
        let Some(real) = request.filename().and_then(|filename| request.canonical(filename)) else { return Ok(()) };
        let real = real.to_bytes();
        let Some(configured) = self.mapping.configured_name(real) else { return Ok(()) };
        let disagrees = |rule: &WatchedRule| rule.disagrees(request.server(), &configured, real);
        let rewrite = ForeignModule::find(request.server(), c"mod_rewrite.c");
        for (directory, allowed) in &self.common {
            let file = request.htaccess(directory, *allowed)?;
            if file.is_none_or(|file| !rewrite.is_some_and(|rewrite| file.concerns(rewrite))) {
                continue;
            }
            let text = request.htaccess_text(directory).ok_or(FORBIDDEN)?;
            // SAFETY: they are used here only.
            if unsafe { WatchedRule::of_file(&text, directory, request.pool()) }.iter().any(disagrees) {
                return Err(FORBIDDEN);
            }
        }
        if self.rules.iter().any(disagrees) { Err(FORBIDDEN) } else { Ok(()) }
    }

    /// The list with the `.htaccess` files of directories above the link; None if there is no such file.
    ///
    /// A subrequest with the same files gets the list of the request around it: httpd checks access again unless the very
    /// same sections apply to both.
    fn list_with_files<'q>(&self, request: Request<'q, '_>) -> Result<Option<Arc<SectionList>>, Status> {
        let mut files = Vec::new();
        for above in &self.above {
            files.extend(request.htaccess(&above.directory, above.allowed)?.map(|section| (above, section)));
        }
        if files.is_empty() {
            return Ok(None);
        }
        let addresses = files.iter().map(|(_, file)| file.address()).collect();
        let key = (request.server().address(), self.mapping.clone(), addresses);
        let known = request.ancestors().find_map(|request| {
            let lists = request.in_pool::<Walked>(WALKED).lists.borrow();
            lists.iter().find(|(known, _)| *known == key).map(|(_, list)| Arc::clone(list))
        });
        if known.is_some() {
            return Ok(known);
        }
        let list = Arc::new(self.add_files(request, files)?);
        request.in_pool::<Walked>(WALKED).lists.borrow_mut().push((key, Arc::clone(&list)));
        Ok(Some(list))
    }

    /// Makes the list with some files.
    fn add_files<'q>(
        &self,
        request: Request<'q, '_>,
        files: Vec<(&Above, Section<'q>)>,
    ) -> Result<SectionList, Status> {
        let parts = CopyParts::new(request.pool());
        let rewrite = ForeignModule::find(request.server(), c"mod_rewrite.c");
        let mut sections: Vec<Section<'_>> = self.sections.clone();
        for (above, file) in files.into_iter().rev() {
            if rewrite.is_some_and(|rewrite| file.concerns(rewrite)) {
                log!(
                    request.server(),
                    Level::Error,
                    "rules of mod_rewrite in {}/.htaccess cannot follow the link to {}, so requests below it are denied \
                     (403); write the rules in the virtual host, or in a section for the link itself",
                    docroot::escape(&above.directory),
                    docroot::escape(&self.mapping.real)
                );
                return Err(FORBIDDEN);
            }
            sections.insert(above.behind, file.at(&self.mapping.real, false, &parts).finished());
        }
        // SAFETY: only requests of this pool use the list, and the copies are in the pool.
        Ok(unsafe { SectionList::new(request.server().detached(), &sections, request.pool()) })
    }

    /// Applies the sections of regular expressions that match either name, as httpd does after all other sections.
    ///
    /// As in httpd, a file in the directory of the request around it is not matched again, and a request to which the
    /// very same sections apply is not checked for access again.
    fn apply_regexes(&self, request: Request<'_, '_>) {
        let Some(real) = request.filename() else { return };
        let before = request.applied();
        let around = request.ancestors().skip(1).find_map(|around| {
            let key = (around.address(), request.server().address(), before);
            let all = around.in_pool::<Walked>(WALKED).regexes.borrow();
            all.iter().rev().find(|known| (known.request, known.server, known.before) == key).cloned()
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
        let (request_address, server) = (request.address(), request.server().address());
        // SAFETY: only this request and those within it read them, all of which its pool outlives. `before` is compared, and
        // applies to no other request.
        let (before, applied) = unsafe { (before.detached(), applied.detached()) };
        let matches = RegexMatches { request: request_address, server, directory, before, matched, applied };
        request.in_pool::<Walked>(WALKED).regexes.borrow_mut().push(matches);
    }

    /// The numbers of the regular expressions that match either name of a file.
    fn matched(&self, request: Request<'_, '_>, real: &CStr) -> Vec<usize> {
        let configured = self.mapping.configured_name(real.to_bytes()).and_then(|name| CString::new(name).ok());
        let names = || [configured.as_deref(), Some(real)].into_iter().flatten();
        let is_match = |section: &Section<'_>| names().any(|name| request.is_matched(*section, name));
        self.regexes.iter().enumerate().filter(|(_, section)| is_match(section)).map(|(number, _)| number).collect()
    }
}

/// What the walks of a pool's requests leave for their subrequests and redirects.
#[derive(Default)]
struct Walked {
    /// The lists with `.htaccess` files, each by its server, its mapping and its files.
    lists: RefCell<Vec<ListWithFiles>>,
    regexes: RefCell<Vec<RegexMatches>>,
}

type ListWithFiles = ((usize, Mapping, Vec<usize>), Arc<SectionList>);

/// The regular expressions that applied to a request.
#[derive(Clone)]
struct RegexMatches {
    request: usize,
    server: usize,
    /// The directory of the request's file.
    directory: Vec<u8>,
    /// The sections that applied without them.
    before: Applied<'static>,
    matched: Vec<usize>,
    applied: Applied<'static>,
}

/// What the walks of a request's pool leave.
const WALKED: &CStr = c"mod_realdoc.walked";
