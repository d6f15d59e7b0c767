//! Conditions that ask for the name of the file or the docroot.
//!
//! Owns: comparing what a condition says of the configured and of the real name. Must not: know the rule around.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::rewrite::{Arguments, Environment, Part, is_same_expression, parts};
use crate::httpd::{Pool, Regex};
use crate::request::rewrite::captures::{Captures, Uses};
use crate::request::rewrite::names::{Names, Pair};

/// A condition that may say something else of the real name.
pub struct Condition {
    text: Vec<Part>,
    test: Test,
}

enum Test {
    Regex(Regex),
    Equal {
        text: Vec<u8>,
        ignores_case: bool,
    },
    /// Looks for a file of some kind.
    Kind,
}

/// What is known of a condition without looking at a request.
pub enum Verdict {
    /// The condition is the same for both names.
    Same,
    /// The condition is evaluated for both names.
    Ask(Condition),
    /// The condition may differ for the real name, and cannot be evaluated.
    Unknown,
}

impl Condition {
    /// Reads a condition. `captures` learns which captures decide.
    ///
    /// # Safety
    /// It must not be used any longer than the pool lives.
    pub unsafe fn read(
        arguments: &Arguments,
        environment: &Environment,
        sees_same_rest: bool,
        captures: &mut Captures,
        pool: Pool<'_>,
    ) -> Verdict {
        let pattern = arguments.second.strip_prefix(b"!").unwrap_or(&arguments.second);
        if arguments.first.eq_ignore_ascii_case(b"expr") {
            return if is_same_expression(pattern, environment) { Verdict::Same } else { Verdict::Unknown };
        }
        let text = parts(&arguments.first, environment, sees_same_rest);
        let is_file_test = matches!(pattern, [b'-', b'f' | b's' | b'l' | b'L' | b'h' | b'd' | b'x' | b'F']);
        if captures.add(&text, is_file_test) {
            return Verdict::Unknown;
        }
        let is_name = |part: &Part| matches!(part, Part::File | Part::Docroot);
        if !text.iter().any(is_name) {
            return Verdict::Same;
        }
        let ignores_case = arguments.has(&["nc", "nocase"]);
        let test = match pattern {
            _ if is_file_test => Test::Kind,
            // Not just `-`, `<`, `>` or `=`, which are patterns.
            [b'-', b'U'] | [b'<' | b'>', _, ..] | [b'-', b'l' | b'g' | b'e' | b'n', b't' | b'e' | b'q', _, ..] => {
                return Verdict::Unknown;
            }
            [b'=', text @ ..] if !text.is_empty() => {
                Test::Equal { text: if text == b"\"\"" { Vec::new() } else { text.to_vec() }, ignores_case }
            }
            // SAFETY: the caller's promise. mod_rewrite has accepted the expression.
            _ => match unsafe { Regex::new(pattern, ignores_case, pool) } {
                Some(regex) => Test::Regex(regex),
                None => return Verdict::Unknown,
            },
        };
        let is_exact = text.iter().all(|part| is_name(part) || matches!(part, Part::Literal(_)));
        if is_exact || matches!(test, Test::Kind) { Verdict::Ask(Self { text, test }) } else { Verdict::Unknown }
    }

    /// Whether it reads the name, and does not just look for the file.
    pub fn reads_name(&self) -> bool {
        !matches!(self.test, Test::Kind)
    }

    /// Whether it says something else of the real name, or captures something else that decides.
    pub fn disagrees(&self, names: &Names, captured: &Uses) -> bool {
        match &self.test {
            Test::Kind => self.finds_another_file(names),
            Test::Equal { text, ignores_case } => self.expanded(names).is_none_or(|expanded| {
                let is_equal = |name: &[u8]| if *ignores_case { name.eq_ignore_ascii_case(text) } else { name == text };
                is_equal(&expanded.configured) != is_equal(&expanded.real)
            }),
            Test::Regex(regex) => self.expanded(names).is_none_or(|expanded| {
                let text = |name: &[u8]| CString::new(name).unwrap_or_default();
                let (configured, real) = (text(&expanded.configured), text(&expanded.real));
                match (regex.captures(&configured), regex.captures(&real)) {
                    (None, None) => false,
                    (Some(one), Some(other)) => captured.differ(names, &expanded, &one, &other),
                    _ => true,
                }
            }),
        }
    }

    /// Whether the names may be those of two files. Below the link they are of one; the link itself and its neighbours
    /// (`%{DOCUMENT_ROOT}.off`) are other files than the release and its neighbours.
    fn finds_another_file(&self, names: &Names) -> bool {
        let is_below = match self.text.first() {
            Some(Part::File) => names.is_file_below(),
            _ => names.is_docroot_below(),
        };
        let continues_below = match self.text.get(1) {
            Some(Part::Literal(text)) => text.starts_with(b"/"),
            Some(Part::Uri) => true,
            _ => false,
        };
        if is_below || continues_below {
            return false;
        }
        let kind = |path: &[u8]| {
            let path = Path::new(OsStr::from_bytes(path));
            let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
            let kind = |metadata: fs::Metadata| {
                (metadata.is_file(), metadata.is_dir(), metadata.len() > 0, metadata.mode() & 0o111 != 0)
            };
            (is_link, fs::metadata(path).ok().map(kind))
        };
        self.expanded(names).is_none_or(|expanded| kind(&expanded.configured) != kind(&expanded.real))
    }

    /// The text for both names; None if more than names is in it.
    fn expanded(&self, names: &Names) -> Option<Pair<Vec<u8>>> {
        let mut expanded = Pair::<Vec<u8>>::default();
        for part in &self.text {
            let (configured, real) = match part {
                Part::Literal(text) => (text, text),
                Part::File => (&names.file.configured, &names.file.real),
                Part::Docroot => names.docroot.as_ref().map(|docroot| (&docroot.configured, &docroot.real))?,
                _ => return None,
            };
            expanded.configured.extend_from_slice(configured);
            expanded.real.extend_from_slice(real);
        }
        Some(expanded)
    }
}
