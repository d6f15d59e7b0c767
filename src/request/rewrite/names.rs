//! The two names of a request's file.
//!
//! Owns: what the variables and patterns of a rule see of each name. Must not: know a rule.

use docroot::rest_under;
use docroot::sections::Mapping;

use crate::httpd::Request;

/// Something as the configuration knows it, and as the request does.
#[derive(Clone, Debug, Default)]
pub struct Pair<T> {
    /// For the configured path.
    pub configured: T,
    /// For the real path.
    pub real: T,
}

/// The names of a request's file and its docroot.
pub struct Names {
    /// The file, without what follows the file in the URL.
    pub file: Pair<Vec<u8>>,
    /// What follows the file in the URL.
    path_info: Vec<u8>,
    /// The docroot, unless another link leads there.
    pub docroot: Option<Pair<Vec<u8>>>,
    /// What the links have led.
    mapping: Mapping,
}

impl Names {
    /// The names of a request's file; None if the file is not below what the mapping leads to.
    pub fn of(request: Request<'_, '_>, mapping: &Mapping) -> Option<Self> {
        let filename = request.filename()?;
        let filename = request.canonical(filename).unwrap_or(filename);
        let pair = |real: &[u8]| {
            let configured = mapping.configured_name(real)?;
            Some(Pair { configured, real: real.to_vec() })
        };
        Some(Self {
            file: pair(filename.to_bytes())?,
            path_info: request.path_info().to_vec(),
            docroot: request.document_root().and_then(|docroot| pair(docroot.to_bytes())),
            mapping: mapping.clone(),
        })
    }

    /// What a pattern sees: the file and what follows, without a directory.
    pub fn seen(&self, prefix: &Prefix) -> Pair<Vec<u8>> {
        let seen = |file: &[u8], prefix: &Option<Vec<u8>>| {
            let whole = [file, &self.path_info].concat();
            let rest = prefix.as_deref().and_then(|prefix| whole.strip_prefix(prefix)?.strip_prefix(b"/"));
            rest.map(<[u8]>::to_vec).unwrap_or(whole)
        };
        Pair { configured: seen(&self.file.configured, &prefix.configured), real: seen(&self.file.real, &prefix.real) }
    }

    /// Whether two parts of seen names are parts of the same path below the link: both begin where the name does, and
    /// reach below the link.
    pub fn is_led(&self, seen: &Pair<Vec<u8>>, parts: &Pair<&[u8]>) -> bool {
        let below = rest_under(&self.file.real, &self.mapping.real).map_or(0, <[u8]>::len) + self.path_info.len();
        match (seen.configured.strip_prefix(parts.configured), seen.real.strip_prefix(parts.real)) {
            (Some(one), Some(other)) => one == other && one.len() <= below,
            _ => false,
        }
    }

    /// Whether the file is below what the link leads to, and not just that directory.
    pub fn is_file_below(&self) -> bool {
        self.is_below(&self.file.real)
    }

    /// Whether the docroot is below what the link leads to, and not just that directory.
    pub fn is_docroot_below(&self) -> bool {
        self.docroot.as_ref().is_some_and(|docroot| self.is_below(&docroot.real))
    }

    fn is_below(&self, real: &[u8]) -> bool {
        rest_under(real, &self.mapping.real).is_some_and(|rest| !rest.is_empty())
    }
}

/// What mod_rewrite strips from the name of a file before it matches a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
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
