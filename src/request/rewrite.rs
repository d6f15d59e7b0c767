//! Rules of mod_rewrite that see another path than the one they were written for.
//!
//! Owns: telling when such a rule would decide differently. Must not: know how a section follows.
//!
//! mod_rewrite strips the path of the section from the name of the file, and matches the rest. A section at the link, or
//! below it, has its directives run again for the real path, and its patterns see the same rest. The patterns of a section
//! above the link see `current/page` without this module, and `releases/42/page` with it. Conditions, substitutions and
//! flags can ask for the whole name anywhere.
//!
//! A rule is independent of the name, or its decisions for both names are compared, or requests that its pattern matches
//! are denied. What is not known to be independent is taken for dependent.

mod captures;
mod condition;
mod names;
mod rule;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use docroot::rest_under;

pub use self::names::{Names, Prefix};
use self::rule::Rule;
use crate::config::rewrite::{Arguments, Context, own_directives};
use crate::httpd::{Definition, Level, Pool, Server};
use crate::module::log;

/// Where the rules of a section stand.
#[derive(Clone)]
pub struct Place<'a> {
    /// What is stripped from the names before patterns see them.
    pub prefix: Prefix,
    /// Whether patterns see the same rest of both names.
    pub sees_same_rest: bool,
    /// The directory that the configured name must be below, if there is only one.
    pub directory: Option<&'a [u8]>,
}

impl Place<'_> {
    /// Where rules see whole names.
    pub const WHOLE_NAMES: Place<'static> = Place { prefix: Prefix::NONE, sees_same_rest: false, directory: None };
}

/// A rule that may decide differently for the real path and for the configured one.
pub struct WatchedRule {
    rule: Rule,
    prefix: Prefix,
    sees_same_rest: bool,
    directory: Option<Vec<u8>>,
    location: String,
    is_logged: AtomicBool,
}

impl WatchedRule {
    /// The rules of a section's directives, or of a file's. Rules in a nested `<Files>` or `<If>` see whole names.
    ///
    /// # Safety
    /// They must not be used any longer than the pool lives.
    pub unsafe fn all<'d>(
        directives: impl Iterator<Item = Definition<'d>>,
        place: &Place<'_>,
        context: &Context,
        pool: Pool<'_>,
    ) -> Vec<Self> {
        let directives = own_directives(directives);
        let engine = directives.iter().rfind(|directive| directive.is("RewriteEngine"));
        let is_off = engine.is_some_and(|engine| engine.line().trim_ascii().eq_ignore_ascii_case(b"off"));
        let (mut rules, mut nested) = (Vec::new(), Vec::new());
        let mut conditions = Vec::new();
        for directive in directives {
            if directive.is_section() {
                let place = Place { directory: place.directory, ..Place::whole_names_of(directive) };
                // SAFETY: the caller's promise.
                nested.extend(unsafe { Self::all(directive.children(), &place, context, pool) });
            } else if directive.is("RewriteCond") {
                conditions.extend(Arguments::split(&directive.line()));
            } else if directive.is("RewriteRule") && (!is_off || context.inherits) {
                let Some(arguments) = Arguments::split(&directive.line()) else { continue };
                // SAFETY: the caller's promise.
                let rule =
                    unsafe { Rule::new(&arguments, &conditions, &context.environment, place.sees_same_rest, pool) };
                rules.push(Self::new(rule, directive, place));
                if context.inherits_to_whole_names() && place.prefix != Prefix::NONE {
                    // SAFETY: as above.
                    let rule = unsafe { Rule::new(&arguments, &conditions, &context.environment, false, pool) };
                    let place = Place { directory: place.directory, ..Place::WHOLE_NAMES };
                    rules.push(Self::new(rule, directive, &place));
                }
                conditions.clear();
            }
        }
        deny_renaming(&mut rules, context.inherits);
        rules.retain(|rule| !rule.sees_same_rest || !rule.rule.is_constant() || context.allows_no_slash);
        rules.append(&mut nested);
        rules
    }

    fn new(rule: Rule, directive: Definition<'_>, place: &Place<'_>) -> Self {
        Self {
            rule,
            prefix: place.prefix.clone(),
            sees_same_rest: place.sees_same_rest,
            directory: place.directory.map(<[u8]>::to_vec),
            location: directive.location(),
            is_logged: AtomicBool::new(false),
        }
    }

    /// Whether the rule would decide differently for the two names of a file.
    pub fn disagrees(&self, names: &Names) -> bool {
        let is_for = |directory: &Vec<u8>| rest_under(&names.file.configured, directory).is_some();
        self.directory.as_ref().is_none_or(is_for) && self.rule.disagrees(names, &self.prefix)
    }

    /// Logs the first request that the rule denies. `is_logged` says whether it is done, or else the rule's own flag.
    pub fn log(&self, server: Server<'_>, names: &Names, is_logged: Option<&AtomicBool>) {
        if !is_logged.unwrap_or(&self.is_logged).swap(true, Relaxed) {
            log!(
                server,
                Level::Error,
                "the rule of mod_rewrite at {} cannot follow the link to {}, so requests that it would treat differently \
                 are denied (403); write the rule in the virtual host, or in a section for the link itself, without the \
                 name of the file",
                self.location,
                String::from_utf8_lossy(&names.file.real)
            );
        }
    }
}

/// Denies what a renaming rule matches if later rules depend on the name: their decisions are compared for the names that
/// the request begins with.
fn deny_renaming(rules: &mut [WatchedRule], inherits: bool) {
    let is_loop = inherits || rules.iter().any(|rule| rule.rule.is_loop);
    for number in 0..rules.len() {
        let later = if is_loop { &rules[..] } else { &rules[number + 1..] };
        let rule = &rules[number].rule;
        let is_renamed_to_path = rule.renames_to_path && (is_loop || !later.is_empty());
        if is_renamed_to_path || (rule.renames && later.iter().any(|later| later.rule.is_dependent)) {
            rules[number].rule.is_denied = true;
        }
    }
}

impl Place<'_> {
    /// Where the rules of a section see names without the text that the section is for: mod_rewrite takes any text for a
    /// directory.
    pub fn whole_names_of(section: Definition<'_>) -> Place<'static> {
        let mut words = section.words();
        let number = usize::from(words.first().is_some_and(|word| word == b"~"));
        let text = if words.len() > number { words.swap_remove(number) } else { Vec::new() };
        let text = text.strip_suffix(b"/").unwrap_or(&text);
        Place { prefix: Prefix::of(text), ..Place::WHOLE_NAMES }
    }
}
