//! Variables that rules pass on: `[E=NAME:%{REQUEST_FILENAME}]`.
//!
//! Owns: which variables may contain a path. Must not: know who reads them.

use crate::config::rewrite::part::Part;

/// The variables that may contain a path, in upper case.
#[derive(Clone, Default)]
pub struct Environment {
    names: Vec<Vec<u8>>,
    /// Those that are the docroot or nothing that differs, if they are not in `names`, too.
    docroots: Vec<Vec<u8>>,
}

/// Variables that httpd itself gives a path.
const PATHS: [&[u8]; 5] =
    [b"CONTEXT_DOCUMENT_ROOT", b"DOCUMENT_ROOT", b"PATH_TRANSLATED", b"REQUEST_FILENAME", b"SCRIPT_FILENAME"];

impl Environment {
    /// Adds a variable that some directive fills with a path. Returns whether the variable is new.
    pub fn add(&mut self, name: &[u8]) -> bool {
        add(&mut self.names, name)
    }

    /// Adds a variable that some rule makes the docroot. Returns whether the variable is new.
    pub fn add_docroot(&mut self, name: &[u8]) -> bool {
        add(&mut self.docroots, name)
    }

    /// What a variable stands for. Its name is in upper case.
    pub fn part(&self, name: &[u8]) -> Part {
        let name = without_redirects(name);
        let is_in = |names: &[Vec<u8>]| names.iter().any(|known| known == name);
        if name.starts_with(b"MATCH_") || PATHS.contains(&name) || is_in(&self.names) {
            Part::Unknown
        } else if is_in(&self.docroots) {
            Part::Docroot
        } else {
            Part::Same
        }
    }

    /// The variables that rules fill with a path, in upper case.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().chain(&self.docroots).map(Vec::as_slice)
    }
}

fn add(names: &mut Vec<Vec<u8>>, name: &[u8]) -> bool {
    let name = without_redirects(&name.to_ascii_uppercase()).to_vec();
    let is_new = !names.contains(&name);
    if is_new {
        names.push(name);
    }
    is_new
}

/// The name that a variable had before httpd redirected the request.
fn without_redirects(name: &[u8]) -> &[u8] {
    let mut name = name;
    while let Some(before) = name.strip_prefix(b"REDIRECT_") {
        name = before;
    }
    name
}
