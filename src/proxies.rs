//! Proxies that go around the docroot.
//!
//! Owns: the warning about FastCGI servers that get a path with a docroot's link written into it. Must not: change
//! what is proxied.
//!
//! `ProxyPassMatch "^/(.*\.php)$" "fcgi://127.0.0.1:9000/srv/app/current/public/$1"` names scripts by the link itself,
//! whatever a request is pinned to. What httpd has made of such a line is private to mod_proxy, so that the lines are
//! read as they are written.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use docroot::{Os, passages};

use crate::directives::RulesOf;
use crate::httpd::{Definition, Server};
use crate::sections::docroot;
use crate::warnings::Warnings;

/// What can send a request to a FastCGI server at a path of its own.
const DIRECTIVES: [&str; 3] = ["ProxyPass", "ProxyPassMatch", "RewriteRule"];

const SCHEME: &[u8] = b"fcgi://";

/// Warns of the lines that give a path through a docroot's link to a FastCGI server.
///
/// # Safety
/// Only while the configuration is being checked, before there are threads.
pub unsafe fn warn(main: Server<'_>, warnings: &mut Warnings) {
    let mut by_place: HashMap<_, Vec<(Definition<'_>, &[u8])>> = HashMap::new();
    // SAFETY: the caller's promise.
    for definition in unsafe { Definition::all(&DIRECTIVES) } {
        if let Some(path) = fixed_path(definition.arguments().to_bytes()) {
            by_place.entry(definition.virtual_host()).or_default().push((definition, path));
        }
    }
    if by_place.is_empty() {
        return;
    }
    let mut rules_of = RulesOf::default();
    for server in main.with_virtual_hosts() {
        // What stands outside of all virtual hosts is inherited.
        let places = [None].into_iter().chain(server.place().map(Some));
        let lines: Vec<_> = places.filter_map(|place| by_place.get(&place)).flatten().collect();
        if lines.is_empty() {
            continue;
        }
        let Some((rules, docroot)) = rules_of.server(server).zip(docroot(server)) else {
            continue;
        };
        let passages = passages(&Os, docroot, rules);
        for (definition, path) in lines {
            let path = Path::new(OsStr::from_bytes(path));
            let passage = passages.iter().find(|passage| path.starts_with(OsStr::from_bytes(&passage.link)));
            let Some(passage) = passage else { continue };
            warnings.add(format!(
                "{} at {}: gives the FastCGI server a path through the link {}, so that its scripts are not those of \
                 the release that a request is pinned to; use SetHandler \"proxy:fcgi://...\" in <FilesMatch>, which \
                 gives it the real path",
                definition.name(),
                definition.place(),
                String::from_utf8_lossy(&passage.link)
            ));
        }
    }
}

/// The path that a FastCGI server is given, up to the first part that each request fills in; nothing where the line
/// is about something else, or gives no path.
fn fixed_path(arguments: &[u8]) -> Option<&[u8]> {
    let at = arguments.windows(SCHEME.len()).position(|window| window.eq_ignore_ascii_case(SCHEME))?;
    let address = &arguments[at + SCHEME.len()..];
    let end = address.iter().position(|byte| b" \t\"'$%".contains(byte)).unwrap_or(address.len());
    let slash = address[..end].iter().position(|&byte| byte == b'/')?;
    Some(&address[slash..end])
}
