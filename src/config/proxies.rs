//! FastCGI servers that get a path with a docroot's link in it.
//!
//! Owns: the warning about them. Must not: change what is proxied.
//!
//! `ProxyPassMatch "^/(.*\.php)$" "fcgi://127.0.0.1:9000/srv/app/current/public/$1"` names scripts by the link itself,
//! whatever release a request is pinned to. mod_proxy keeps what it makes of a directive to itself, so directives are read
//! as the configuration files have them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use docroot::LinkHop;

use crate::config::by_host::ByHost;
use crate::config::warnings::Warnings;
use crate::httpd::{Definition, Server};

/// The directives that can give a path to a FastCGI server.
const DIRECTIVES: [&str; 3] = ["ProxyPass", "ProxyPassMatch", "RewriteRule"];

const SCHEME: &[u8] = b"fcgi://";

/// The directives of the configuration that give a path to a FastCGI server.
#[derive(Default)]
pub struct Proxies<'s> {
    lines: ByHost<(Definition<'s>, &'s Path)>,
}

impl<'s> Proxies<'s> {
    /// Adds a directive if it gives a path to a FastCGI server.
    pub fn add(&mut self, definition: Definition<'s>) {
        if DIRECTIVES.iter().any(|name| definition.is(name))
            && let Some(path) = fixed_path(definition.arguments().to_bytes())
        {
            self.lines.add(definition, (definition, Path::new(OsStr::from_bytes(path))));
        }
    }

    /// Whether a directive gives such a path for a server.
    pub fn concern(&self, server: Server<'s>) -> bool {
        self.lines.of(server).next().is_some()
    }

    /// Warns of the directives that give a path through a link of a server's docroot.
    pub fn warn(&self, server: Server<'s>, hops: &[LinkHop], warnings: &mut Warnings) {
        for (definition, path) in self.lines.of(server) {
            let hop = hops.iter().find(|hop| path.starts_with(OsStr::from_bytes(&hop.link)));
            let Some(hop) = hop else { continue };
            warnings.add(format!(
                "{} at {}: gives the FastCGI server a path through the link {}, so that its scripts are not those of \
                 the release that a request is pinned to; use SetHandler \"proxy:fcgi://...\" in <FilesMatch>, which \
                 gives it the real path",
                definition.name(),
                definition.location(),
                String::from_utf8_lossy(&hop.link)
            ));
        }
    }
}

/// The path that a FastCGI server gets, up to the first part that each request fills in. None if the arguments have no
/// such address, or no path in it.
fn fixed_path(arguments: &[u8]) -> Option<&[u8]> {
    let at = arguments.windows(SCHEME.len()).position(|window| window.eq_ignore_ascii_case(SCHEME))?;
    let address = &arguments[at + SCHEME.len()..];
    let end = address.iter().position(|byte| b" \t\"'$%".contains(byte)).unwrap_or(address.len());
    let slash = address[..end].iter().position(|&byte| byte == b'/')?;
    Some(&address[slash..end])
}
