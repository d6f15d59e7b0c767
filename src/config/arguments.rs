//! Directives whose arguments name a path below a docroot's link.
//!
//! Owns: which directives those are, and the warning about each. Must not: change what a directive does, or know how
//! links are found.
//!
//! `AuthUserFile /srv/app/current/.htpasswd` opens the file by that name, and
//! `<If "%{REQUEST_FILENAME} =~ m#^/srv/app/current/#">` compares the name with real paths. Neither goes by the release that
//! a request is pinned to, nor by `RealdocReleases`. A module keeps what it makes of a directive to itself, so directives
//! are read as the configuration files have them.

use docroot::{LinkHop, paths_in, rest_under};

use crate::config::by_host::ByHost;
use crate::config::warnings::Warnings;
use crate::httpd::{Definition, Server};

/// Directives whose paths follow the pin, or have warnings of their own.
const FOLLOWING: [&str; 16] = [
    "Alias",
    "AliasMatch",
    "DocumentRoot",
    "ProxyPass",
    "ProxyPassMatch",
    "RealdocReleases",
    "RewriteCond",
    "RewriteRule",
    "ScriptAlias",
    "ScriptAliasMatch",
    "UseReadlink",
    "UserDir",
    "VirtualDocumentRoot",
    "VirtualDocumentRootIP",
    "VirtualScriptAlias",
    "VirtualScriptAliasIP",
];

/// Directives whose arguments look like paths of files, but are URLs, patterns of URLs, or plain text.
const OF_URLS: [&str; 31] = [
    "Action",
    "AddAlt",
    "AddDescription",
    "AddIcon",
    "AuthFormLoginRequiredLocation",
    "AuthFormLoginSuccessLocation",
    "AuthFormLogoutLocation",
    "AuthName",
    "BrowserMatch",
    "BrowserMatchNoCase",
    "CacheDisable",
    "CacheEnable",
    "DefaultIcon",
    "DirectoryIndex",
    "ErrorDocument",
    "FallbackResource",
    "Header",
    "ImapDefault",
    "IndexIgnore",
    "ProxyPassReverse",
    "ProxyPassReverseCookiePath",
    "ProxySet",
    "Redirect",
    "RedirectMatch",
    "RedirectPermanent",
    "RedirectTemp",
    "RequestHeader",
    "RewriteBase",
    "Script",
    "SetEnvIf",
    "SetEnvIfNoCase",
];

/// What a directive does with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Opens the file, or hands its path to a program that does.
    Opens,
    /// Compares the names of files with the path.
    Compares,
    /// Compares the names of files with the path of a directory, for which one above the releases does as well.
    Allows,
    /// Runs a script, in a process that keeps what the script has imported.
    Imports,
}

/// The operators of expressions that test a file.
const FILE_TESTS: [&str; 8] = ["-d ", "-e ", "-f ", "-s ", "-L ", "-h ", "-x ", "file("];

impl Use {
    /// What a directive does with the paths in its arguments. None if they are not paths, or need no warning here.
    fn of(definition: Definition<'_>) -> Option<Self> {
        let is = |name: &&str| definition.is(name);
        let says = |word: &str| {
            let arguments = definition.arguments().to_bytes();
            arguments.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        };
        let is_expression =
            ["<If", "<ElseIf", "SetEnvIfExpr", "SecRule"].iter().any(is) || (is(&"Require") && says("expr"));
        if is_expression {
            return match () {
                () if says(if is(&"SecRule") { "SCRIPT_FILENAME" } else { "_FILENAME" }) => Some(Self::Compares),
                () if !is(&"SecRule") && FILE_TESTS.iter().any(|test| says(test)) => Some(Self::Opens),
                () => None,
            };
        }
        match () {
            () if definition.is_section() || is(&"Require") || FOLLOWING.iter().any(is) || OF_URLS.iter().any(is) => {
                None
            }
            () if is(&"XSendFilePath") || says("open_basedir") => Some(Self::Allows),
            () if is(&"WSGIScriptAlias") || is(&"WSGIScriptAliasMatch") => Some(Self::Imports),
            () => Some(Self::Opens),
        }
    }

    /// The warning about a path through a link.
    fn warning(self, path: &str, link: &str) -> String {
        match self {
            Self::Opens => format!(
                "names {path}, and a program that opens the file follows the link {link} by itself: the file may be of another \
                 release than the request, and RealdocReleases does not guard it; name a path outside of the releases"
            ),
            Self::Compares => format!(
                "compares names of files with {path}, but requests see where the link {link} leads, so no request matches; \
                 use a <Directory> or <Location> section, or compare the URL"
            ),
            Self::Allows => format!(
                "allows {path}, but requests see where the link {link} leads, which may be another release by now; allow \
                 the directory that the releases are in"
            ),
            Self::Imports => format!(
                "runs {path} through the link {link}, and the process keeps what the script of an earlier release has \
                 imported; keep the script outside of the releases and touch it after each flip, or set \
                 WSGIApplicationGroup %{{ENV:REALDOC_RELEASE}}"
            ),
        }
    }
}

/// A directive with paths in its arguments.
struct Line<'s> {
    definition: Definition<'s>,
    does: Use,
    paths: Vec<NamedPath>,
}

/// A path that a directive names.
struct NamedPath {
    path: Vec<u8>,
    /// Whether there is a link on the way to the path. The path itself is not read: if it is a link, that matters only to
    /// a docroot below it.
    is_behind_link: bool,
}

impl NamedPath {
    /// Whether the path can be at or below a link of this docroot.
    fn concerns(&self, docroot: &[u8]) -> bool {
        self.is_behind_link || rest_under(docroot, &self.path).is_some()
    }
}

/// The directives of the configuration with paths in their arguments.
#[derive(Default)]
pub struct Arguments<'s> {
    lines: ByHost<Line<'s>>,
    /// `WSGIApplicationGroup` directives that give each release an interpreter of its own.
    groups: ByHost<()>,
}

impl<'s> Arguments<'s> {
    /// Adds a directive if its arguments have paths. `has_link` tells whether there is a link on the way along a path.
    pub fn add(&mut self, definition: Definition<'s>, has_link: impl Fn(&[u8]) -> bool) {
        if definition.is("WSGIApplicationGroup") {
            if definition.arguments().to_bytes().windows(GROUP.len()).any(|part| part == GROUP) {
                self.groups.add(definition, ());
            }
            return;
        }
        let arguments = definition.arguments().to_bytes();
        if !arguments.contains(&b'/') {
            return;
        }
        let Some(does) = Use::of(definition) else {
            return;
        };
        let name = |path: Vec<u8>| {
            let parent = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            NamedPath { is_behind_link: has_link(&path[..parent]), path }
        };
        let paths: Vec<_> = paths_in(arguments).into_iter().map(name).collect();
        if !paths.is_empty() {
            self.lines.add(definition, Line { definition, does, paths });
        }
    }

    /// Whether a path can be at or below a link of a server's docroot.
    pub fn concern(&self, server: Server<'s>) -> bool {
        let Some(docroot) = server.configured_document_root() else {
            return false;
        };
        self.lines.of(server).any(|line| line.paths.iter().any(|named| named.concerns(docroot.to_bytes())))
    }

    /// Warns of the directives that name a path at or below a link of a server's docroot.
    pub fn warn(&self, server: Server<'s>, hops: &[LinkHop], warnings: &mut Warnings) {
        for Line { definition, does, paths } in self.lines.of(server) {
            if *does == Use::Imports && self.groups.of(server).next().is_some() {
                continue;
            }
            let through = |path: &[u8]| hops.iter().find(|hop| rest_under(path, &hop.link).is_some());
            let mut passed = paths.iter().filter_map(|NamedPath { path, .. }| Some((path, through(path)?)));
            let Some((path, hop)) = passed.next() else { continue };
            let warning = does.warning(&String::from_utf8_lossy(path), &String::from_utf8_lossy(&hop.link));
            warnings.add(format!("{} at {}: {warning}", definition.name(), definition.location()));
        }
    }
}

/// In the name of an application group: each release has its own.
const GROUP: &[u8] = b"ENV:REALDOC_";
