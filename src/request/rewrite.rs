//! Rules of mod_rewrite that see another path than the one they were written for.
//!
//! Owns: telling when such a rule would decide differently. Must not: know how a section follows.
//!
//! mod_rewrite strips the path of the section from the name of the file, and matches the rest. A section at the link, or
//! below it, has its directives run again for the real path, and its rules see the same rest. The rules of a section
//! above the link see `current/page` without this module, and `releases/42/page` with it. A request for which such a rule
//! would decide differently is denied.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use docroot::rest_under;

use crate::httpd::{Definition, Level, Pool, Regex, Server, words};
use crate::module::log;

/// What mod_rewrite strips from the name of a file before it matches a rule.
#[derive(Clone)]
pub struct Prefix {
    /// Stripped from the configured name; None if the rule is matched against the whole name.
    pub configured: Option<Vec<u8>>,
    /// Stripped from the real name.
    pub real: Option<Vec<u8>>,
}

impl Prefix {
    /// Rules that are matched against whole names.
    pub const NONE: Self = Self { configured: None, real: None };

    /// Rules for a directory on both paths.
    pub fn of(directory: &[u8]) -> Self {
        Self { configured: Some(directory.to_vec()), real: Some(directory.to_vec()) }
    }
}

/// The variables of conditions with the name of the file in them.
const NAMES_OF_FILES: [&[u8]; 2] = [b"%{REQUEST_FILENAME}", b"%{SCRIPT_FILENAME}"];

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Whether a text contains `$1` or the like.
fn has_reference(text: &[u8]) -> bool {
    text.windows(2).any(|part| part[0] == b'$' && part[1].is_ascii_digit())
}

/// A rule that may decide differently for the real path and for the configured one.
pub struct WatchedRule {
    regex: Regex,
    prefix: Prefix,
    /// Whether its captures decide where it leads. (A path that is relative to the section is below the section again.)
    uses_captures: bool,
    location: String,
    is_logged: AtomicBool,
}

impl WatchedRule {
    /// The watched rules of a section. `prefix` is for those directly in it; None if they need no watch. Rules in a
    /// nested `<Files>` or `<If>` see whole names.
    ///
    /// # Safety
    /// They must not be used any longer than the pool lives.
    pub unsafe fn all(section: Definition<'_>, prefix: Option<&Prefix>, pool: Pool<'_>) -> Vec<Self> {
        let mut rules = Vec::new();
        let is_off = section
            .children()
            .filter(|child| child.is("RewriteEngine"))
            .last()
            .is_some_and(|engine| engine.words().first().is_some_and(|word| word.eq_ignore_ascii_case(b"off")));
        if is_off {
            return rules;
        }
        // Whether a condition tests what the next rule captures.
        let mut tests_captures = false;
        for child in section.children() {
            if child.is("RewriteCond") {
                let tested = child.words().into_iter().next().unwrap_or_default();
                tests_captures |= has_reference(&tested);
                // Conditions see whole names, wherever they stand.
                if NAMES_OF_FILES.iter().any(|name| contains(&tested, name)) {
                    // SAFETY: the caller's promise.
                    rules.extend(unsafe { Self::of_condition(child, pool) });
                }
            } else if child.is("RewriteRule") {
                // SAFETY: the caller's promise.
                let rule =
                    prefix.and_then(|prefix| unsafe { Self::new(&child.words(), child.location(), prefix, pool) });
                rules.extend(rule.map(|rule| Self { uses_captures: rule.uses_captures || tests_captures, ..rule }));
                tests_captures = false;
            } else if child.is_section() {
                // SAFETY: as above.
                rules.extend(unsafe { Self::all(child, Some(&Prefix::NONE), pool) });
            }
        }
        rules
    }

    /// # Safety
    /// It must not be used any longer than the pool lives.
    unsafe fn new(words: &[Vec<u8>], location: String, prefix: &Prefix, pool: Pool<'_>) -> Option<Self> {
        let pattern = words.first()?;
        let flags = words.get(2).map(|flags| flags.to_ascii_lowercase()).unwrap_or_default();
        let flags = flags.strip_prefix(b"[").and_then(|flags| flags.strip_suffix(b"]")).unwrap_or(&flags);
        let ignores_case = flags.split(|&byte| byte == b',').any(|flag| matches!(flag.trim_ascii(), b"nc" | b"nocase"));
        let pattern = pattern.strip_prefix(b"!").unwrap_or(pattern);
        // SAFETY: the caller's promise. mod_rewrite has accepted the expression.
        let regex = unsafe { Regex::new(pattern, ignores_case, pool) }?;
        let is_absolute = |text: &Vec<u8>| text.starts_with(b"/") || text.windows(3).any(|part| part == b"://");
        let uses_captures = words.get(1).is_some_and(|text| is_absolute(text) && has_reference(text));
        Some(Self { regex, prefix: prefix.clone(), uses_captures, location, is_logged: AtomicBool::new(false) })
    }

    /// The rules in the text of an `.htaccess` file, of a directory on both the configured and the real path.
    ///
    /// # Safety
    /// They must not be used any longer than the pool lives.
    pub unsafe fn of_file(text: &[u8], directory: &[u8], pool: Pool<'_>) -> Vec<Self> {
        let prefix = Prefix::of(directory);
        let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let mut rules = Vec::new();
        for (number, line) in lines.enumerate() {
            let Ok(line) = CString::new(line) else { continue };
            let mut words = words(pool, &line);
            if words.first().is_some_and(|name| name.eq_ignore_ascii_case(b"RewriteRule")) {
                let location = format!("{}/.htaccess:{}", String::from_utf8_lossy(directory), number + 1);
                // SAFETY: the caller's promise.
                rules.extend(unsafe { Self::new(&words.split_off(1), location, &prefix, pool) });
            }
        }
        rules
    }

    /// The pattern of a condition on the whole name of a file. None for a test such as `-f` or `=text`.
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
        // SAFETY: the caller's promise. mod_rewrite has accepted the expression.
        let regex = unsafe { Regex::new(pattern, ignores_case, pool) }?;
        let (location, is_logged) = (condition.location(), AtomicBool::new(false));
        Some(Self { regex, prefix: Prefix::NONE, uses_captures: false, location, is_logged })
    }

    /// Whether the rule would decide differently for the two names of a file. Logs the first such file.
    pub fn disagrees(&self, server: Server<'_>, configured: &[u8], real: &[u8]) -> bool {
        let seen = |path: &[u8], prefix: &Option<Vec<u8>>| {
            let rest = prefix.as_deref().and_then(|prefix| rest_under(path, prefix));
            let seen = rest.map_or(path, |rest| rest.strip_prefix(b"/").unwrap_or(rest));
            CString::new(seen).unwrap_or_default()
        };
        let (configured, seen) = (seen(configured, &self.prefix.configured), seen(real, &self.prefix.real));
        let disagrees = match (self.regex.captures(&configured), self.regex.captures(&seen)) {
            (None, None) => false,
            (Some(one), Some(other)) => self.uses_captures && one != other,
            _ => true,
        };
        if disagrees && !self.is_logged.swap(true, Relaxed) {
            log!(
                server,
                Level::Error,
                "the rule of mod_rewrite at {} cannot follow the link to {}, so requests that it would treat differently \
                 are denied (403); write the rule in the virtual host, or in a section for the link itself",
                self.location,
                String::from_utf8_lossy(real)
            );
        }
        disagrees
    }
}
