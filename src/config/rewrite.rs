//! Sections with rules of mod_rewrite, as the configuration files have them.
//!
//! Owns: which sections those are. Must not: know how a section follows a link, or what a rule does.

mod arguments;
mod environment;
mod part;
mod text;

use docroot::folded;

pub use self::arguments::Arguments;
pub use self::environment::Environment;
pub use self::part::Part;
use self::text::add_rules;
pub use self::text::{is_same_expression, parts};

use crate::config::by_host::ByHost;
use crate::httpd::{Configuring, Definition, Section, Server};

/// Sections that may stand in a server and have rules, but are for no directory.
const OTHERS: [&str; 7] = ["<Files", "<FilesMatch", "<Location", "<LocationMatch", "<If", "<ElseIf", "<Else"];

/// Directives by which rules pass something on.
const CONTEXT: [&str; 3] = ["RewriteRule", "RewriteOptions", "SetEnvIfExpr"];

/// The sections that have rules.
#[derive(Default)]
pub struct Rules<'s> {
    directories: ByHost<Directory<'s>>,
    /// `<Files>`, `<Location>` and `<If>` of a server.
    others: ByHost<Definition<'s>>,
    /// What rules pass on in variables, and to other sections.
    pub context: Context,
}

/// What rules pass on.
#[derive(Clone, Default)]
pub struct Context {
    /// The variables that may contain a path.
    pub environment: Environment,
    /// Whether `RewriteOptions` may let rules run for another section.
    pub inherits: bool,
    /// Whether rules may run for the directory itself, and see its whole name.
    pub allows_no_slash: bool,
    /// Whether some rules see whole names of files.
    has_whole_names: bool,
}

impl Context {
    /// Adds the directives of a file, and those in their sections.
    pub fn add<'d>(&mut self, directives: impl Iterator<Item = Definition<'d>>) {
        let (mut rules, mut rest) = (Vec::new(), directives.collect::<Vec<_>>());
        while let Some(directive) = rest.pop() {
            self.add_directive(directive, &mut rules);
            rest.extend(directive.children());
        }
        add_rules(&mut self.environment, &rules);
    }

    fn add_directive(&mut self, directive: Definition<'_>, rules: &mut Vec<Arguments>) {
        if directive.is("RewriteRule") {
            rules.extend(Arguments::split(&directive.line()));
        } else if directive.is("RewriteOptions") {
            let options: Vec<_> = directive.words().iter().map(|word| word.to_ascii_lowercase()).collect();
            self.inherits |= options.iter().any(|option| option.starts_with(b"inherit"));
            self.allows_no_slash |= options.iter().any(|option| option == b"allownoslash");
        } else if directive.is("SetEnvIfExpr") {
            let words = directive.words();
            if words.first().is_some_and(|expression| !is_same_expression(expression, &self.environment)) {
                let name = |word: &Vec<u8>| word.split(|&byte| byte == b'=').next().unwrap_or_default().to_vec();
                for word in &words[1..] {
                    self.environment.add(&name(word));
                }
            }
        } else if directive.is_section() && directive.contains("Rewrite") && sees_whole_names(directive) {
            self.has_whole_names = true;
        }
    }

    /// Whether the rules of a directory may run where they see whole names.
    pub fn inherits_to_whole_names(&self) -> bool {
        self.inherits && self.has_whole_names
    }
}

/// Whether rules in a section are matched against whole names of files.
pub fn sees_whole_names(section: Definition<'_>) -> bool {
    OTHERS.iter().any(|name| section.is(name))
        || section.is("<DirectoryMatch")
        || (section.is("<Directory") && section.path().is_none_or(|path| path.iter().any(|byte| b"*?[".contains(byte))))
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
    pub fn read(configuring: &Configuring<'s>, main: Server<'s>) -> Self {
        let (mut directories, mut others, mut all) = (Vec::new(), Vec::new(), Vec::new());
        Definition::each(configuring, main, |definition| {
            if ["<Directory", "<DirectoryMatch"].iter().any(|name| definition.is(name)) {
                directories.push(definition);
            } else if OTHERS.iter().any(|name| definition.is(name)) && definition.is_of_server() {
                others.push(definition);
            }
            if CONTEXT.iter().any(|name| definition.is(name)) || definition.is_section() {
                all.push(definition);
            }
        });
        let mut rules = Self::default();
        let mut written = Vec::new();
        for definition in all {
            rules.context.add_directive(definition, &mut written);
        }
        add_rules(&mut rules.context.environment, &written);
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

/// The directives of mod_rewrite in a section. Those in `<Limit>` are the section's own.
pub fn directives(section: Definition<'_>) -> Vec<Definition<'_>> {
    let is_rewrite = |name: String| name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("rewrite"));
    own_directives(section.children()).into_iter().filter(|child| is_rewrite(child.name())).collect()
}

/// Directives with those in `<Limit>` and the like, which apply to the section around them; and sections that see whole
/// names.
pub fn own_directives<'d>(directives: impl Iterator<Item = Definition<'d>>) -> Vec<Definition<'d>> {
    let mut own = Vec::new();
    for directive in directives {
        if directive.is_section() && !sees_whole_names(directive) {
            own.extend(own_directives(directive.children()));
        } else {
            own.push(directive);
        }
    }
    own
}
