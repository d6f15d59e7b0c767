//! Rules of mod_rewrite in `<Directory>` sections.
//!
//! Owns: which rules a section has, running them again where it follows a link, and telling when a rule would see another
//! path than the one it is written for. Must not: know how a section follows.
//!
//! mod_rewrite takes the path of the section off the name of the file, and matches the rest. A section that stands at the
//! link, or below, has its directives run again for where it follows to, and sees the same rest. One above the link sees
//! `current/page` without this module and `releases/42/page` with it: a request for which a rule would decide
//! differently is denied.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use docroot::rest_under;

use crate::httpd::{ByHost, Definition, Level, Pool, Regex, Section, Server, log, words};

/// The sections that have rules, as they are written.
#[derive(Default)]
pub struct Rules<'s> {
    sections: ByHost<'s, Written<'s>>,
    /// Those that are for no directory: `<Files>`, `<Location>` and `<If>` of a server.
    others: ByHost<'s, Definition<'s>>,
}

/// A `<Directory>` section as it is written.
struct Written<'s> {
    definition: Definition<'s>,
    /// Its path, as httpd keeps it but without the slash at its end; of a regular expression, its text.
    path: Vec<u8>,
    is_regex: bool,
}

impl<'s> Rules<'s> {
    /// Reads the sections of the configuration, if any of them has rules: in most none has.
    ///
    /// # Safety
    /// Only while the configuration is being read or completed, before there are threads.
    pub unsafe fn read() -> Self {
        let (mut definitions, mut others) = (Vec::new(), Vec::new());
        // SAFETY: the caller's promise.
        unsafe {
            Definition::each(|definition| {
                if ["<Directory", "<DirectoryMatch"].iter().any(|name| definition.is(name)) {
                    definitions.push(definition);
                } else if OTHERS.iter().any(|name| definition.is(name)) && definition.is_of_server() {
                    others.push(definition);
                }
            });
        }
        let mut rules = Self::default();
        for other in others.into_iter().filter(|section| section.contains("Rewrite")) {
            rules.others.add(other, other);
        }
        if !definitions.iter().any(|section| section.contains("Rewrite")) {
            return rules;
        }
        for definition in definitions {
            let path = definition.path();
            let is_regex = path.is_none();
            let path = path.map_or_else(|| definition.words().pop().unwrap_or_default(), |path| docroot::folded(&path));
            rules.sections.add(definition, Written { definition, path, is_regex });
        }
        rules
    }

    /// The sections of a server that are for no directory and have rules, which see whole names of files.
    pub fn others(&self, server: Server<'s>) -> impl Iterator<Item = Definition<'s>> {
        self.others.of(server).copied()
    }

    /// What was read as the section `number` of a server, if that can be told: the sections of one path stand in the
    /// order of the configuration, but another module may have added some that are written nowhere.
    pub fn written(&self, server: Server<'s>, sections: &[Section<'s>], number: usize) -> Option<Definition<'s>> {
        let section = sections.get(number)?;
        let path_of = |section: &Section<'s>| section.pattern().map(|pattern| pattern.path);
        let is_alike =
            |other: &&Section<'s>| path_of(other) == path_of(section) && other.expression() == section.expression();
        let text = section.expression().or_else(|| path_of(section))?;
        let alike =
            self.sections.of(server).filter(|written| written.is_regex == section.is_regex() && written.path == text);
        let definitions: Vec<_> = alike.map(|written| written.definition).collect();
        if sections.iter().filter(is_alike).count() != definitions.len() {
            return None;
        }
        definitions.get(sections[..number].iter().filter(is_alike).count()).copied()
    }
}

/// Sections that may stand in a server and have rules, and are for no directory.
const OTHERS: [&str; 7] = ["<Files", "<FilesMatch", "<Location", "<LocationMatch", "<If", "<ElseIf", "<Else"];

/// The directives of mod_rewrite right in a section.
pub fn directives(section: Definition<'_>) -> Vec<Definition<'_>> {
    section.children().filter(|child| is_rewrite(*child)).collect()
}

fn is_rewrite(definition: Definition<'_>) -> bool {
    definition.name().get(..7).is_some_and(|start| start.eq_ignore_ascii_case("rewrite"))
}

/// How a rule sees the name of a file.
#[derive(Clone)]
pub struct View {
    /// What is taken off the configured name; nothing if it is matched whole.
    pub configured: Option<Vec<u8>>,
    /// What is taken off the real name.
    pub real: Option<Vec<u8>>,
}

/// What conditions call the name of a file.
const NAMES_OF_FILES: [&[u8]; 2] = [b"%{REQUEST_FILENAME}", b"%{SCRIPT_FILENAME}"];

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Whether a text has `$1` or the like in it.
fn has_reference(text: &[u8]) -> bool {
    text.windows(2).any(|part| part[0] == b'$' && part[1].is_ascii_digit())
}

impl View {
    /// The view of rules that see whole names.
    pub const WHOLE: Self = Self { configured: None, real: None };
}

/// A rule that may decide differently for the real path and for the configured one.
pub struct Watch {
    regex: Regex,
    view: View,
    /// Whether what it captures decides where it leads. (What it makes of a path that is relative to the section stands
    /// below the section again.)
    uses_captures: bool,
    place: String,
    is_told: AtomicBool,
}

impl Watch {
    /// The rules of a section that may, where those that stand right in it see the names of files in this way. (Those in
    /// `<Files>` and `<If>` see whole names.)
    ///
    /// # Safety
    /// They must not be used any longer than the pool lives.
    pub unsafe fn all(section: Definition<'_>, view: Option<&View>, pool: Pool<'_>) -> Vec<Self> {
        let mut watches = Vec::new();
        let is_off = section
            .children()
            .filter(|child| child.is("RewriteEngine"))
            .last()
            .is_some_and(|engine| engine.words().first().is_some_and(|word| word.eq_ignore_ascii_case(b"off")));
        if is_off {
            return watches;
        }
        // Whether a condition asks for what the next rule has captured.
        let mut asks_captures = false;
        for child in section.children() {
            if child.is("RewriteCond") {
                let tested = child.words().into_iter().next().unwrap_or_default();
                asks_captures |= has_reference(&tested);
                // Conditions see whole names, wherever they stand.
                if NAMES_OF_FILES.iter().any(|name| contains(&tested, name)) {
                    // SAFETY: the caller's promise.
                    watches.extend(unsafe { Self::of_condition(child, pool) });
                }
            } else if child.is("RewriteRule") {
                // SAFETY: the caller's promise.
                let watch = view.and_then(|view| unsafe { Self::new(&child.words(), child.place(), view, pool) });
                watches
                    .extend(watch.map(|watch| Self { uses_captures: watch.uses_captures || asks_captures, ..watch }));
                asks_captures = false;
            } else if child.is_section() {
                // SAFETY: as above.
                watches.extend(unsafe { Self::all(child, Some(&View::WHOLE), pool) });
            }
        }
        watches
    }

    /// # Safety
    /// It must not be used any longer than the pool lives.
    unsafe fn new(words: &[Vec<u8>], place: String, view: &View, pool: Pool<'_>) -> Option<Self> {
        let pattern = words.first()?;
        let flags = words.get(2).map(|flags| flags.to_ascii_lowercase()).unwrap_or_default();
        let flags = flags.strip_prefix(b"[").and_then(|flags| flags.strip_suffix(b"]")).unwrap_or(&flags);
        let ignores_case = flags.split(|&byte| byte == b',').any(|flag| matches!(flag.trim_ascii(), b"nc" | b"nocase"));
        let pattern = pattern.strip_prefix(b"!").unwrap_or(pattern);
        // SAFETY: the caller's promise. mod_rewrite has taken the expression.
        let regex = unsafe { Regex::new(pattern, ignores_case, pool) }?;
        let is_absolute = |text: &Vec<u8>| text.starts_with(b"/") || text.windows(3).any(|part| part == b"://");
        let uses_captures = words.get(1).is_some_and(|text| is_absolute(text) && has_reference(text));
        let (view, is_told) = (view.clone(), AtomicBool::new(false));
        Some(Self { regex, view, uses_captures, place, is_told })
    }

    /// The rules in the text of an `.htaccess` file of a directory that both the configured path and the real one go
    /// through.
    ///
    /// # Safety
    /// They must not be used any longer than the pool lives.
    pub unsafe fn of_file(text: &[u8], directory: &[u8], pool: Pool<'_>) -> Vec<Self> {
        let view = View { configured: Some(directory.to_vec()), real: Some(directory.to_vec()) };
        let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let mut watches = Vec::new();
        for (number, line) in lines.enumerate() {
            let Ok(line) = CString::new(line) else { continue };
            let mut words = words(pool, &line);
            if words.first().is_some_and(|name| name.eq_ignore_ascii_case(b"RewriteRule")) {
                let place = format!("{}/.htaccess:{}", String::from_utf8_lossy(directory), number + 1);
                // SAFETY: the caller's promise.
                watches.extend(unsafe { Self::new(&words.split_off(1), place, &view, pool) });
            }
        }
        watches
    }

    /// The condition's pattern, for the whole name of a file; nothing of a test such as `-f` or `=text`.
    ///
    /// # Safety
    /// It must not be used any longer than the pool lives.
    unsafe fn of_condition(condition: Definition<'_>, pool: Pool<'_>) -> Option<Self> {
        let words = condition.words();
        let pattern = words.get(1)?;
        let pattern = pattern.strip_prefix(b"!").unwrap_or(pattern);
        if matches!(pattern, [b'-' | b'=' | b'<' | b'>', ..]) {
            return None;
        }
        let flags = words.get(2).map(|flags| flags.to_ascii_lowercase()).unwrap_or_default();
        let ignores_case = contains(&flags, b"nc") || contains(&flags, b"nocase");
        // SAFETY: the caller's promise. mod_rewrite has taken the expression.
        let regex = unsafe { Regex::new(pattern, ignores_case, pool) }?;
        let (place, is_told) = (condition.place(), AtomicBool::new(false));
        Some(Self { regex, view: View::WHOLE, uses_captures: false, place, is_told })
    }

    /// Whether the rule would decide differently for the two names of a file. Says so in the log, once.
    pub fn disagrees(&self, server: Server<'_>, configured: &[u8], real: &[u8]) -> bool {
        let seen = |path: &[u8], above: &Option<Vec<u8>>| {
            let rest = above.as_deref().and_then(|above| rest_under(path, above));
            let seen = rest.map_or(path, |rest| rest.strip_prefix(b"/").unwrap_or(rest));
            CString::new(seen).unwrap_or_default()
        };
        let (configured, seen) = (seen(configured, &self.view.configured), seen(real, &self.view.real));
        let disagrees = match (self.regex.captures(&configured), self.regex.captures(&seen)) {
            (None, None) => false,
            (Some(one), Some(other)) => self.uses_captures && one != other,
            _ => true,
        };
        if disagrees && !self.is_told.swap(true, Relaxed) {
            log!(
                server,
                Level::Error,
                "the rule of mod_rewrite at {} cannot follow the link to {}, so that what it is for is denied (403); write it \
                 for the virtual host, or in a section for the link itself",
                self.place,
                String::from_utf8_lossy(real)
            );
        }
        disagrees
    }
}
