//! `<Directory>` sections that follow the links.
//!
//! Owns: which sections of a server are written for paths that links lead away from, their copies for the releases,
//! and the warnings about those that cannot follow. Must not: know how sections are stored.
//!
//! Since requests see the real path, `<Directory /srv/app/current/public>` would no longer apply to them. With
//! `RealdocReleases` a copy of it stands at the releases too. This is done once, while the configuration is checked.

use docroot::{Passage, Rules, follow, is_led_away, overlaps};

use crate::httpd::{ByHost, Definition, Pool, Server};
use crate::warnings::Warnings;

/// The directives that matter here.
pub const DIRECTIVES: [&str; 4] = ["<Directory", "<DirectoryMatch", "VirtualDocumentRoot", "VirtualDocumentRootIP"];

/// The sections of the configuration as they are written, and what computes docroots.
#[derive(Default)]
pub struct Sections<'s> {
    written: ByHost<'s, Known<'s>>,
    computed: ByHost<'s, Definition<'s>>,
}

impl<'s> Sections<'s> {
    /// Adds a directive, if it is one that matters here.
    pub fn add(&mut self, definition: Definition<'s>) {
        if !DIRECTIVES.iter().any(|name| definition.is(name)) {
            return;
        }
        if definition.is_section() {
            self.written.add(definition, Known { definition, path: definition.path() });
        } else {
            self.computed.add(definition, definition);
        }
    }

    /// Whether links of a server's docroot can matter to its sections. To look at what no section is written for would
    /// be felt where there are thousands of virtual hosts.
    pub fn concern(&self, server: Server<'s>, rules: &Rules) -> bool {
        rules.releases.is_some() || self.written.of(server).any(|known| !known.is_for_all())
    }

    /// Whether a server computes its docroots. Then the one that it has may be of no use, and may not exist.
    pub fn computes_docroots(&self, server: Server<'s>) -> bool {
        self.computed.of(server).next().is_some()
    }

    /// Lets the sections of a server follow the links on the way to its docroot, and warns of those that cannot.
    pub fn follow(
        &self,
        server: Server<'s>,
        rules: &Rules,
        passages: &[Passage],
        pool: Pool<'s>,
        warnings: &mut Warnings,
    ) {
        let mut follows = false;
        if let Some(releases) = &rules.releases {
            let copies: Vec<_> = server
                .sections()
                .into_iter()
                .filter_map(|section| Some((section, section.path()?)))
                .flat_map(|(section, path)| {
                    let led = follow(path.to_bytes(), passages, releases);
                    led.into_iter().map(move |path| section.copy_for(&path, pool))
                })
                .collect();
            follows = !copies.is_empty();
            if follows {
                server.add_sections(&copies, pool);
            }
        }
        for known in self.written.of(server) {
            if let Some(warning) = known.warning(passages, rules, follows, self.computed.of(server)) {
                warnings.add(format!("{} at {}: {warning}", known.definition.title(), known.definition.place()));
            }
        }
    }
}

/// A section, with what must not be made out anew for each virtual host.
struct Known<'s> {
    definition: Definition<'s>,
    /// The path that it is for; nothing of a regular expression.
    path: Option<Vec<u8>>,
}

/// The sections of a server that follow its docroot's links, each with the paths that it follows to.
pub fn following(server: Server<'_>, rules: &Rules, passages: &[Passage]) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let Some(releases) = &rules.releases else {
        return Vec::new();
    };
    let sections = server.sections();
    let paths = sections.iter().filter_map(|section| section.path());
    let paths: Vec<_> = paths.map(|path| path.to_bytes().strip_suffix(b"/").unwrap_or(path.to_bytes())).collect();
    let mut seen: Vec<(Vec<u8>, Vec<Vec<u8>>)> = Vec::new();
    for &path in &paths {
        let mut led = follow(path, passages, releases);
        // Not those that were not made, because the docroot of a server that computes its own was missing.
        led.retain(|path| paths.contains(&&path[..]));
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
        self.path.as_ref().is_some_and(Vec::is_empty)
    }

    /// Why a section cannot follow, and what to do about it.
    fn warning<'k>(
        &self,
        passages: &[Passage],
        rules: &Rules,
        follows: bool,
        computed: impl Iterator<Item = &'k Definition<'s>>,
    ) -> Option<String>
    where
        's: 'k,
    {
        match &self.path {
            None => about_regex(self.definition.arguments().to_bytes(), passages),
            Some(path) => about_links(self.definition, path, passages, rules)
                .or_else(|| about_releases(self.definition, path, passages, rules).filter(|_| follows))
                .or_else(|| about_computed(path, computed)),
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
fn about_computed<'k, 's: 'k>(path: &[u8], mut computed: impl Iterator<Item = &'k Definition<'s>>) -> Option<String> {
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
