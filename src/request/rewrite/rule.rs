//! One rule of mod_rewrite.
//!
//! Owns: what a rule does with names. Must not: know where the rule stands.

use std::ffi::CString;

use crate::config::rewrite::{Arguments, Environment, Part, parts};
use crate::httpd::{Pool, Regex};
use crate::request::rewrite::captures::Captures;
use crate::request::rewrite::condition::{Condition, Verdict};
use crate::request::rewrite::names::{Names, Prefix};

/// A rule, and whether it decides differently for the two names of a file.
pub struct Rule {
    /// None if the expression cannot be compiled. Then it may match anything.
    pattern: Option<Regex>,
    is_negated: bool,
    captures: Captures,
    conditions: Vec<Condition>,
    /// Whether requests are denied for which the pattern matches: what the rule does differs in ways that cannot be
    /// compared.
    pub is_denied: bool,
    /// Whether the substitution makes a path of the docroot's neighbours.
    leaves_docroot: bool,
    /// Whether later rules see another name than the request's.
    pub renames: bool,
    /// Whether later rules see a name that begins with a path.
    pub renames_to_path: bool,
    /// Whether the rules begin again.
    pub is_loop: bool,
    /// Whether the rule has a condition that reads a name, or passes one on.
    pub is_dependent: bool,
}

impl Rule {
    /// Reads a rule with its conditions. `sees_same_rest`: whether the pattern sees the same rest of both names.
    ///
    /// # Safety
    /// It must not be used any longer than the pool lives.
    pub unsafe fn new(
        rule: &Arguments,
        conditions: &[Arguments],
        environment: &Environment,
        sees_same_rest: bool,
        pool: Pool<'_>,
    ) -> Self {
        let parts = |text: &[u8]| parts(text, environment, sees_same_rest);
        let mut captures = Captures::default();
        let mut is_denied = false;
        let mut asked = Vec::new();
        for condition in conditions {
            // SAFETY: the caller's promise.
            match unsafe { Condition::read(condition, environment, sees_same_rest, &mut captures, pool) } {
                Verdict::Same => {}
                Verdict::Ask(condition) => asked.push(condition),
                Verdict::Unknown => is_denied = true,
            }
        }
        let is_status = |value: &[u8]| value.first().is_some_and(u8::is_ascii_digit) && !value.starts_with(b"3");
        let answers = rule.has(&["f", "forbidden", "g", "gone"]) || rule.values(&["r", "redirect"]).any(is_status);
        let substitution = if answers || rule.second == b"-" { Vec::new() } else { parts(&rule.second) };
        let renames_at_all = !answers && rule.second != b"-";
        // A backend gets the real path.
        is_denied |= captures.add(&substitution, true) && !rule.has(&["p", "proxy"]);
        for value in rule.values(&["e", "env"]) {
            let text = parts(value);
            let _ = captures.add(&text, false);
            // Who reads the variable is known by its name.
            let is_named = matches!(text.first(), Some(Part::Literal(name)) if text.len() == 1 || name.contains(&b':'));
            is_denied |= !is_named && text.iter().any(is_path);
        }
        for value in rule.values(&["co", "cookie", "t", "type", "h", "handler"]) {
            let text = parts(value);
            is_denied |= captures.add(&text, false) || text.iter().any(is_path);
        }
        let is_last = answers || rule.has(&["l", "last", "end", "p", "proxy", "pt", "passthrough"]);
        let begins_with_path = match substitution.first() {
            Some(Part::File | Part::Docroot) => true,
            Some(Part::OfCondition(_)) => !asked.is_empty(),
            Some(Part::OfRule(_)) => !sees_same_rest,
            _ => false,
        };
        let leaves_docroot = matches!(substitution.first(), Some(Part::File | Part::Docroot))
            && match substitution.get(1) {
                Some(Part::Literal(text)) => !matches!(text.first(), Some(b'/' | b'?')),
                Some(Part::Uri) | None => false,
                Some(_) => true,
            };
        let pattern = rule.first.strip_prefix(b"!").unwrap_or(&rule.first);
        // SAFETY: the caller's promise. mod_rewrite has accepted the expression.
        let pattern = unsafe { Regex::new(pattern, rule.has(&["nc", "nocase"]), pool) };
        Self {
            is_negated: rule.first.starts_with(b"!"),
            captures,
            is_dependent: is_denied || asked.iter().any(Condition::reads_name) || pattern.is_none(),
            is_denied: is_denied || pattern.is_none(),
            pattern,
            conditions: asked,
            leaves_docroot,
            renames: renames_at_all && !is_last,
            renames_to_path: renames_at_all && !is_last && begins_with_path,
            is_loop: rule.has(&["n", "next"]),
        }
    }

    /// Whether the rule decides differently for the two names of a file.
    pub fn disagrees(&self, names: &Names, prefix: &Prefix) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        let seen = names.seen(prefix);
        let text = |name: &[u8]| CString::new(name).unwrap_or_default();
        let (configured, real) = (text(&seen.configured), text(&seen.real));
        let (one, other) = (pattern.captures(&configured), pattern.captures(&real));
        if one.is_some() != other.is_some() {
            return true;
        }
        if one.is_some() == self.is_negated {
            return false;
        }
        if self.is_denied {
            return true;
        }
        if let (Some(one), Some(other)) = (one, other)
            && self.captures.of_rule.differ(names, &seen, &one, &other)
        {
            return true;
        }
        (self.leaves_docroot && !(names.is_file_below() && names.is_docroot_below()))
            || self.conditions.iter().any(|condition| condition.disagrees(names, &self.captures.of_conditions))
    }

    /// Whether a request must be asked about at all, if the pattern sees the same rest of both names.
    pub fn is_constant(&self) -> bool {
        !self.is_denied && !self.leaves_docroot && self.conditions.is_empty()
    }
}

fn is_path(part: &Part) -> bool {
    matches!(part, Part::File | Part::Docroot | Part::Unknown)
}
