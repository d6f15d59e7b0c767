//! Sections with rules of mod_rewrite, as the configuration files have them.
//!
//! Owns: which sections those are. Must not: know how a section follows a link, or what a rule does.

use docroot::folded;

use crate::config::by_host::ByHost;
use crate::httpd::{Configuring, Definition, Section, Server};

/// Sections that may stand in a server and have rules, but are for no directory.
const OTHERS: [&str; 7] = ["<Files", "<FilesMatch", "<Location", "<LocationMatch", "<If", "<ElseIf", "<Else"];

/// The sections that have rules.
#[derive(Default)]
pub struct Rules<'s> {
    directories: ByHost<'s, Directory<'s>>,
    /// `<Files>`, `<Location>` and `<If>` of a server.
    others: ByHost<'s, Definition<'s>>,
}

/// A `<Directory>` section.
struct Directory<'s> {
    definition: Definition<'s>,
    /// Its path, as httpd keeps it but without the slash at its end; or the text of its regular expression.
    path: Vec<u8>,
    is_regex: bool,
}

impl<'s> Rules<'s> {
    /// Reads the sections of the configuration. Keeps none if none has rules, as in most configurations.
    pub fn read(configuring: &Configuring<'s>) -> Self {
        let (mut directories, mut others) = (Vec::new(), Vec::new());
        Definition::each(configuring, |definition| {
            if ["<Directory", "<DirectoryMatch"].iter().any(|name| definition.is(name)) {
                directories.push(definition);
            } else if OTHERS.iter().any(|name| definition.is(name)) && definition.is_of_server() {
                others.push(definition);
            }
        });
        let mut rules = Self::default();
        for other in others.into_iter().filter(|section| section.contains("Rewrite")) {
            rules.others.add(other, other);
        }
        if !directories.iter().any(|section| section.contains("Rewrite")) {
            return rules;
        }
        for definition in directories {
            let path = definition.path();
            let is_regex = path.is_none();
            let path = path.map_or_else(|| definition.words().pop().unwrap_or_default(), |path| folded(&path));
            rules.directories.add(definition, Directory { definition, path, is_regex });
        }
        rules
    }

    /// The sections of a server with rules that are for no directory. Such rules see whole names of files.
    pub fn others(&self, server: Server<'s>) -> impl Iterator<Item = Definition<'s>> {
        self.others.of(server).copied()
    }

    /// The definition of section `number` of a server. None if it cannot be told: httpd keeps the sections of one path
    /// in the order of the configuration, but a module may have added a section that no file contains.
    pub fn definition(&self, server: Server<'s>, sections: &[Section<'s>], number: usize) -> Option<Definition<'s>> {
        let section = sections.get(number)?;
        let path_of = |section: &Section<'s>| section.path().map(|(path, _)| path);
        let is_alike =
            |other: &&Section<'s>| path_of(other) == path_of(section) && other.expression() == section.expression();
        let text = section.expression().or_else(|| path_of(section))?;
        let alike = self
            .directories
            .of(server)
            .filter(|directory| directory.is_regex == section.is_regex() && directory.path == text);
        let definitions: Vec<_> = alike.map(|directory| directory.definition).collect();
        if sections.iter().filter(is_alike).count() != definitions.len() {
            return None;
        }
        definitions.get(sections[..number].iter().filter(is_alike).count()).copied()
    }
}

/// The directives of mod_rewrite directly in a section.
pub fn directives(section: Definition<'_>) -> Vec<Definition<'_>> {
    let is_rewrite = |name: String| name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("rewrite"));
    section.children().filter(|child| is_rewrite(child.name())).collect()
}
