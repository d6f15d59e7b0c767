//! Walking the directories of a request by a list of sections.
//!
//! Owns: what differs from one request to the next: `.htaccess` files, regular expressions, rules of mod_rewrite. Must
//! not: make the list.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use docroot::sections::Mapping;

use crate::config::rewrite::Context;
use crate::config::server::Shared;
use crate::httpd::{
    Ancestor, Applied, CopyParts, DECLINED, Definition, FORBIDDEN, ForeignModule, Level, Override, OwnPool, Request,
    Section, SectionList, Status, is_error,
};
use crate::module::log;
use crate::request::rewrite::{Names, Place, Prefix, WatchedRule};

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
    /// Files of directories on both paths. httpd applies such a file, but its rules of mod_rewrite see another path.
    pub common: Vec<File>,
    /// Sections of regular expressions.
    pub regexes: Vec<Section<'static>>,
    /// Rules of mod_rewrite that see another path.
    pub rules: Vec<WatchedRule>,
    /// Owns the copies, unless they are in a pool that lives longer.
    #[expect(dead_code, reason = "only its drop matters")]
    pub pool: Option<OwnPool>,
}

/// An `.htaccess` file that may be there.
pub struct File {
    /// The real path of its directory.
    directory: Vec<u8>,
    /// What the file may say.
    allowed: Override<'static>,
    /// Whether its rules have denied a request, and the log says so.
    is_logged: AtomicBool,
}

impl File {
    /// The file of a directory.
    pub fn new(directory: &[u8], allowed: Override<'static>) -> Self {
        Self { directory: directory.to_vec(), allowed, is_logged: AtomicBool::new(false) }
    }

    /// What the file says. None if there is no file.
    fn read<'q>(&self, request: Request<'q, '_>) -> Result<Option<Section<'q>>, Status> {
        request.htaccess(&self.directory, self.allowed)
    }

    /// The directives of the file, which says this section, if there are rules of mod_rewrite among them.
    fn rules<'q>(&self, request: Request<'q, '_>, section: Section<'q>) -> Result<Vec<Definition<'q>>, Status> {
        let has_rules = |rewrite: ForeignModule<'_>| section.concerns(rewrite) || section.has_nested();
        if !ForeignModule::find(request.server(), c"mod_rewrite.c").is_some_and(has_rules) {
            return Ok(Vec::new());
        }
        let directives = request.htaccess_directives(&self.directory, self.allowed).ok_or(FORBIDDEN)?;
        let is_rule = |directive: &Definition<'_>| directive.is("RewriteRule") || directive.contains("RewriteRule");
        Ok(if directives.iter().any(is_rule) { directives } else { Vec::new() })
    }
}

/// A directory above the link that may have an `.htaccess` file.
pub struct Above {
    /// The file.
    pub file: File,
    /// How many sections apply before the file.
    pub behind: usize,
}

impl ListWalk {
    /// Walks the directories of a request, and applies what core applies after them.
    fn run(&self, request: Request<'_, '_>) -> Result<Status, Status> {
        let checked = |status: Status| if is_error(status) { Err(status) } else { Ok(status) };
        match self.list_with_files(request)? {
            Some(list) => checked(request.walk_directories(&list))?,
            None => checked(request.walk_directories(&self.list))?,
        };
        if !self.regexes.is_empty() {
            self.apply_regexes(request);
        }
        let status = checked(request.walk_files())?;
        // Behind the walk, which tells the file from what follows in the URL.
        if !self.rules.is_empty() || !self.common.is_empty() {
            self.check_rules(request)?;
        }
        Ok(status)
    }

    /// Denies a request for which a rule of mod_rewrite would decide differently.
    fn check_rules(&self, request: Request<'_, '_>) -> Result<(), Status> {
        let Some(names) = Names::of(request, &self.mapping) else { return Ok(()) };
        for file in &self.common {
            self.check_rules_of_file(request, file, &names)?;
        }
        match self.rules.iter().find(|rule| rule.disagrees(&names)) {
            Some(rule) => {
                rule.log(request.server(), &names, None);
                Err(FORBIDDEN)
            }
            None => Ok(()),
        }
    }

    fn check_rules_of_file(&self, request: Request<'_, '_>, file: &File, names: &Names) -> Result<(), Status> {
        let Some(section) = file.read(request)? else { return Ok(()) };
        let directives = file.rules(request, section)?;
        if directives.is_empty() {
            return Ok(());
        }
        let mut context =
            Shared::of(request.server()).map_or_else(Context::default, |shared| shared.rules.context.clone());
        context.add(directives.iter().copied());
        let directory = Some(&file.directory[..]);
        let place = Place { prefix: Prefix::of(&file.directory), sees_same_rest: false, directory };
        // SAFETY: they are used here only.
        let rules = unsafe { WatchedRule::all(directives.into_iter(), &place, &context, request.pool()) };
        match rules.iter().find(|rule| rule.disagrees(names)) {
            Some(rule) => {
                rule.log(request.server(), names, Some(&file.is_logged));
                Err(FORBIDDEN)
            }
            None => Ok(()),
        }
    }

    /// The list with the `.htaccess` files of directories above the link; None if there is no such file.
    ///
    /// A subrequest with the same files gets the list of the request around it: httpd checks access again unless the very
    /// same sections apply to both.
    fn list_with_files<'q>(&self, request: Request<'q, '_>) -> Result<Option<Arc<SectionList>>, Status> {
        let mut files = Vec::new();
        for above in &self.above {
            files.extend(above.file.read(request)?.map(|section| (above, section)));
        }
        if files.is_empty() {
            return Ok(None);
        }
        let addresses = files.iter().map(|(_, file)| file.address()).collect();
        let key = (request.server().address(), self.mapping.clone(), addresses);
        let known = request.ancestors().find_map(|request| {
            let lists = Walked::of(request).lists.borrow();
            lists.iter().find(|(known, _)| *known == key).map(|(_, list)| Arc::clone(list))
        });
        if known.is_some() {
            return Ok(known);
        }
        let list = Arc::new(self.add_files(request, files)?);
        Walked::of(request.as_ancestor()).lists.borrow_mut().push((key, Arc::clone(&list)));
        Ok(Some(list))
    }

    /// Makes the list with some files.
    fn add_files<'q>(
        &self,
        request: Request<'q, '_>,
        files: Vec<(&Above, Section<'q>)>,
    ) -> Result<SectionList, Status> {
        let parts = CopyParts::new(request.pool());
        let mut sections: Vec<Section<'_>> = self.sections.clone();
        for (above, file) in files.into_iter().rev() {
            if !above.file.rules(request, file)?.is_empty() {
                if !above.file.is_logged.swap(true, Relaxed) {
                    log!(
                        request.server(),
                        Level::Error,
                        "rules of mod_rewrite in {}/.htaccess cannot follow the link to {}, so requests below it are \
                         denied (403); write the rules in the virtual host, or in a section for the link itself",
                        String::from_utf8_lossy(&above.file.directory),
                        String::from_utf8_lossy(&self.mapping.real)
                    );
                }
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
            let all = Walked::of(around).regexes.borrow();
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
        Walked::of(request.as_ancestor()).regexes.borrow_mut().push(matches);
    }

    /// The numbers of the regular expressions that match either name of a file.
    fn matched(&self, request: Request<'_, '_>, real: &CStr) -> Vec<usize> {
        let configured = self.mapping.configured_name(real.to_bytes()).and_then(|name| CString::new(name).ok());
        let names = || [configured.as_deref(), Some(real)].into_iter().flatten();
        let is_match = |section: Section<'static>| names().any(|name| request.is_matched(section, name));
        self.regexes.iter().enumerate().filter(|&(_, &section)| is_match(section)).map(|(number, _)| number).collect()
    }
}

/// What the walks of a pool's requests leave for their subrequests and redirects.
#[derive(Default)]
struct Walked {
    /// The lists with `.htaccess` files, each by its server, its mapping and its files.
    lists: RefCell<Vec<ListWithFiles>>,
    regexes: RefCell<Vec<RegexMatches>>,
}

impl Walked {
    /// What the walks of a request's pool leave.
    fn of<'q>(request: Ancestor<'q, '_>) -> &'q Self {
        // SAFETY: this is the only key of the module, whose name it begins with.
        unsafe { request.in_pool(c"mod_realdoc.walked") }
    }
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
