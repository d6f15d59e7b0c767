//! `<Directory>` sections that follow the links.
//!
//! Owns: which sections of a server are written for paths that links lead away from, their copies for the releases,
//! and the warnings about those that cannot follow. Must not: know how sections are stored.
//!
//! Since requests see the real path, `<Directory /srv/app/current/public>` would no longer apply to them. With
//! `RealdocReleases` a copy of it stands at the releases too. This is done once, while the configuration is checked.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;

use docroot::{
    Errno, Mode, Os, Passage, Rules, Status, System, Timestamp, follow, is_led_away, overlaps, passages, passages_from,
};

use crate::directives::RulesOf;
use crate::httpd::{Definition, Pool, Server};
use crate::warnings::Warnings;

/// Lets the sections of all servers follow, and warns of what cannot.
///
/// # Safety
/// Only while the configuration is being checked, before there are threads.
pub unsafe fn follow_links<'s>(pool: Pool<'s>, main: Server<'s>, warnings: &mut Warnings) {
    // SAFETY: the caller's promise.
    let definitions = unsafe { Definitions::new() };
    let mut rules_of = RulesOf::default();
    let files = Neighbours::default();
    for server in main.with_virtual_hosts() {
        let Some(rules) = rules_of.server(server) else {
            continue;
        };
        let (of_all, of_host) = (&definitions.of_all, definitions.of_host(server));
        // With thousands of virtual hosts, to look at what no section is written for would be felt.
        if rules.releases.is_none() && of_all.iter().chain(of_host).all(Known::is_for_all) {
            continue;
        }
        let Some(docroot) = docroot(server) else {
            continue;
        };
        let passages = files.passages(docroot, rules);
        let mut follows = false;
        if let Some(releases) = &rules.releases {
            let copies: Vec<_> = server
                .sections()
                .into_iter()
                .filter_map(|section| Some((section, section.path()?)))
                .flat_map(|(section, path)| {
                    let led = follow(path.to_bytes(), &passages, releases);
                    led.into_iter().map(move |path| section.copy_for(&path, pool))
                })
                .collect();
            follows = !copies.is_empty();
            if follows {
                server.add_sections(&copies, pool);
            }
        }
        let computed = || of_all.iter().chain(of_host).filter(|known| !known.definition.is_section());
        for known in of_all.iter().chain(of_host).filter(|known| known.definition.is_section()) {
            let Some(warning) = known.warning(&passages, rules, follows, computed()) else {
                continue;
            };
            warnings.add(format!("{} at {}: {warning}", known.definition.title(), known.definition.place()));
        }
    }
}

/// The directives that matter here, by where they stand. With thousands of virtual hosts, each must find its own
/// without looking at those of all others.
struct Definitions<'s> {
    of_all: Vec<Known<'s>>,
    of_host: HashMap<(&'s CStr, u32), Vec<Known<'s>>>,
}

impl<'s> Definitions<'s> {
    /// # Safety
    /// Only while the configuration is being checked, before there are threads.
    unsafe fn new() -> Self {
        let mut definitions = Self { of_all: Vec::new(), of_host: HashMap::new() };
        let names = ["<Directory", "<DirectoryMatch", "VirtualDocumentRoot", "VirtualDocumentRootIP"];
        // SAFETY: the caller's promise.
        for definition in unsafe { Definition::all(&names) } {
            let known = Known { definition, path: definition.path() };
            match definition.virtual_host() {
                Some(place) => definitions.of_host.entry(place).or_default().push(known),
                None => definitions.of_all.push(known),
            }
        }
        definitions
    }

    /// Those that stand in this virtual host.
    fn of_host(&self, server: Server<'s>) -> &[Known<'s>] {
        // Most configurations have none in any, and to hash a place takes longer than to see that.
        let place = if self.of_host.is_empty() { None } else { server.place() };
        place.and_then(|place| self.of_host.get(&place)).map_or(&[], Vec::as_slice)
    }
}

/// A directive, with what must not be made out anew for each virtual host.
struct Known<'s> {
    definition: Definition<'s>,
    /// The path of a section; nothing of a regular expression.
    path: Option<Vec<u8>>,
}

/// The operating system, which is not asked again about the directories above a docroot where those of the virtual host
/// before it are the same.
#[derive(Default)]
struct Neighbours {
    /// A path in which there is no link: the last one that was seen to be none.
    real: RefCell<Vec<u8>>,
}

impl Neighbours {
    fn passages(&self, docroot: &CStr, rules: &Rules) -> Vec<Passage> {
        // What is above the place where looking begins may be anything.
        if matches!(rules.mode, Mode::Readlink { from: Some(_) }) {
            return passages(&Os, docroot, rules);
        }
        let docroot_path = docroot.to_bytes();
        let end = {
            let real = self.real.borrow();
            let common = real.iter().zip(docroot_path).take_while(|(one, other)| one == other).count();
            // Names are compared whole.
            real[..common].iter().rposition(|&byte| byte == b'/').unwrap_or(0)
        };
        passages_from(self, &docroot_path[..end], docroot, rules)
    }
}

impl System for Neighbours {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        let text = Os.read_link(path);
        if text == Err(Errno(libc::EINVAL)) {
            let mut real = self.real.borrow_mut();
            real.clear();
            real.extend_from_slice(path.to_bytes());
        }
        text
    }

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        Os.has_text(path, text)
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        Os.status(path)
    }

    fn file_clock(&self) -> Timestamp {
        Os.file_clock()
    }
}

/// A server's docroot, if it is a path that can be walked.
pub fn docroot(server: Server<'_>) -> Option<&CStr> {
    server.configured_document_root().filter(|docroot| docroot.to_bytes().first() == Some(&b'/'))
}

/// The sections of a server that follow its docroot's links, each with the paths that it follows to.
pub fn following(server: Server<'_>) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut rules_of = RulesOf::default();
    let Some((rules, docroot)) = rules_of.server(server).zip(docroot(server)) else {
        return Vec::new();
    };
    let Some(releases) = &rules.releases else {
        return Vec::new();
    };
    let passages = passages(&Os, docroot, rules);
    let mut seen: Vec<(Vec<u8>, Vec<Vec<u8>>)> = Vec::new();
    for section in server.sections() {
        let Some(path) = section.path().map(|path| path.to_bytes().strip_suffix(b"/").unwrap_or(path.to_bytes()))
        else {
            continue;
        };
        let led = follow(path, &passages, releases);
        if !led.is_empty() && !seen.iter().any(|(known, _)| *known == path) {
            seen.push((path.to_vec(), led));
        }
    }
    // The copies stand among the sections by now, and those of a chain follow as well.
    let copies: Vec<_> = seen.iter().flat_map(|(_, led)| led.clone()).collect();
    seen.retain(|(path, _)| !copies.contains(path));
    seen
}

impl<'s> Known<'s> {
    /// Whether it is a section for the root directory, which covers all that links lead to as well.
    fn is_for_all(&self) -> bool {
        self.definition.is_section() && self.path.as_ref().is_some_and(Vec::is_empty)
    }

    /// Why a section cannot follow, and what to do about it.
    fn warning<'k>(
        &self,
        passages: &[Passage],
        rules: &Rules,
        follows: bool,
        computed: impl Iterator<Item = &'k Known<'s>>,
    ) -> Option<String>
    where
        's: 'k,
    {
        match &self.path {
            None => about_regex(self.definition.arguments().to_bytes(), passages),
            Some(path) => about_links(self.definition, path, passages, rules)
                .or_else(|| about_releases(self.definition, path, passages, rules).filter(|_| follows))
                .or_else(|| about_computed(path, computed.map(|known| known.definition))),
        }
    }
}

/// What a regular expression matches cannot be told from it. One that has the name of a link in it was written for it.
fn about_regex(text: &[u8], passages: &[Passage]) -> Option<String> {
    let name = |passage: &&Passage| passage.link.rsplit(|&byte| byte == b'/').next().unwrap_or_default().to_vec();
    let passage = passages.iter().find(|passage| contains(text, &name(passage)))?;
    Some(format!(
        "a regular expression cannot follow the link {}; write it for the releases' own paths",
        String::from_utf8_lossy(&passage.link)
    ))
}

fn about_links(definition: Definition<'_>, path: &[u8], passages: &[Passage], rules: &Rules) -> Option<String> {
    let passage = passages.iter().find(|passage| is_led_away(path, passage))?;
    let link = String::from_utf8_lossy(&passage.link);
    if rules.releases.is_none() {
        return Some(format!(
            "no longer applies to what is behind the link {link}, because requests see where it leads; \
             set RealdocReleases to where releases live and it will follow, or write it for their own paths"
        ));
    }
    definition.contains("Rewrite").then(|| {
        format!(
            "follows the link {link}, but mod_rewrite's rules in it keep the path that they were configured for; \
             move them to .htaccess or to the virtual host"
        )
    })
}

/// A section for a directory above the releases, which has nothing to do with the link, comes before those that follow
/// the link: they are for deeper paths.
fn about_releases(definition: Definition<'_>, path: &[u8], passages: &[Passage], rules: &Rules) -> Option<String> {
    let releases = rules.releases.as_ref()?;
    let is_above = releases.patterns().any(|pattern| is_above(path, pattern.to_bytes()));
    let is_common = passages.iter().any(|passage| is_above_or_at(path, &passage.link));
    (is_above && !is_common && definition.denies()).then(|| {
        "keeps somebody out of the directory of the releases, but sections that follow the link into it come later \
         and may let them in; say what shall hold in a section for the releases themselves"
            .to_owned()
    })
}

fn is_above(path: &[u8], other: &[u8]) -> bool {
    overlaps(path, other) && depth(path) < depth(other)
}

fn is_above_or_at(path: &[u8], other: &[u8]) -> bool {
    overlaps(path, other) && depth(path) <= depth(other)
}

fn depth(path: &[u8]) -> usize {
    path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).count()
}

/// The links of computed docroots are known only when requests come.
fn about_computed<'s>(path: &[u8], mut computed: impl Iterator<Item = Definition<'s>>) -> Option<String> {
    let definition = computed.find(|definition| {
        let pattern = interpolated(definition.arguments().to_bytes());
        overlaps(path, &pattern) && depth(path) >= depth(&pattern)
    })?;
    Some(format!(
        "is for docroots of {}, whose links are known only when requests come, so that it cannot follow them; \
         write it for the releases' own paths as well",
        definition.name()
    ))
}

/// The pattern of a `VirtualDocumentRoot`: components that are filled in for each request match anything.
fn interpolated(template: &[u8]) -> Vec<u8> {
    let template = template.trim_ascii();
    let template = template.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(template);
    let parts = template.split(|&byte| byte == b'/').map(|part| if part.contains(&b'%') { &b"*"[..] } else { part });
    parts.collect::<Vec<_>>().join(&b'/')
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}
