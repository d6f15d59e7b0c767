//! `check_config`: the warnings about what cannot follow the links, or goes around them.
//!
//! Owns: which docroots are resolved for it. Must not: know what a link means for a directive.
//!
//! Each virtual host has a docroot, so no directory is read twice without need: these reads are most of what the module
//! adds to a start.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use docroot::{Answer, Docroot, LinkHop, Moment, Os, Rules, Settings, Surveyor};

use crate::config::arguments::Arguments;
use crate::config::proxies::Proxies;
use crate::config::server::{RulesOf, settings};
use crate::config::warnings::Warnings;
use crate::httpd::{Configuring, Definition, Server};

/// The error of the first server with `RealdocAssets` but without `RealdocReleases`.
pub fn error<'s>(configuring: &Configuring<'s>, main: Server<'s>) -> Option<String> {
    let lacks = |server: &Server<'_>| settings(*server).is_some_and(Settings::lacks_releases);
    let server = main.with_virtual_hosts().find(lacks)?;
    let prefixes = settings(server).and_then(Settings::assets)?;
    let prefixes: Vec<_> = prefixes.iter().map(docroot::escape).collect();
    Some(format!(
        "RealdocAssets: '{}' of {} needs RealdocReleases, which says where releases live; set it, or RealdocAssets Off",
        prefixes.join(" "),
        server.description(configuring)
    ))
}

/// Warns of what cannot follow the links.
pub fn check<'s>(configuring: &Configuring<'s>, main: Server<'s>, warnings: &mut Warnings) {
    let mut proxies = Proxies::default();
    let mut arguments = Arguments::default();
    // Arguments and docroots share few directories, so each has a cache of its own.
    let surveyor = Surveyor::<Os>::default();
    Definition::each(configuring, main, |definition| {
        proxies.add(definition);
        arguments.add(definition, |path| surveyor.has_link(path));
    });
    let mut rules_of = RulesOf::default();
    let surveyor = Surveyor::<Os>::default();
    for server in main.with_virtual_hosts() {
        let Some(rules) = rules_of.server(server) else { continue };
        let Some(docroot) = server.configured_document_root() else { continue };
        if proxies.concern(server) || arguments.concern(server) {
            let hops = links_of(docroot, rules, &surveyor);
            proxies.warn(server, &hops, warnings);
            arguments.warn(server, &hops, warnings);
        }
        if let Some(warning) = refused(configuring, server, docroot, rules, &surveyor) {
            warnings.add(warning);
        }
    }
}

/// The links on the way to a docroot; none to a relative one.
fn links_of(docroot: &CStr, rules: &Rules, surveyor: &Surveyor<Os>) -> Vec<LinkHop> {
    if docroot.to_bytes().first() == Some(&b'/') { surveyor.survey(docroot, rules) } else { Vec::new() }
}

/// The warning about a docroot whose link leads outside of the releases at present.
fn refused<'s>(
    configuring: &Configuring<'s>,
    server: Server<'s>,
    path: &CStr,
    rules: &Rules,
    surveyor: &Surveyor<Os>,
) -> Option<String> {
    let releases = rules.releases.as_ref()?;
    let docroot = Docroot::new(Path::new(OsStr::from_bytes(path.to_bytes())), rules.clone()).ok()?;
    let now = Moment::from_nanoseconds(0);
    let lookup = if rules.begin_at_root() {
        docroot.lookup(surveyor, now, Duration::ZERO)
    } else {
        docroot.lookup(&Os, now, Duration::ZERO)
    };
    let Answer::Refused(failure) = lookup.answer else { return None };
    // The first deploy may create what is missing.
    failure.errno().is_none().then(|| {
        let hints: String = releases.patterns().filter_map(hint).collect();
        format!(
            "DocumentRoot {} of {}: every request is answered with 503 as long as it leads there ({failure}){hints}",
            path.to_string_lossy(),
            server.description(configuring)
        )
    })
}

/// What to write instead of a pattern that goes through a link. Patterns are compared with real paths.
fn hint(pattern: &CStr) -> Option<String> {
    let pattern = Path::new(OsStr::from_bytes(pattern.to_bytes()));
    let is_plain = |part: &Path| !docroot::wildcard::is_pattern(part.as_os_str().as_bytes());
    let plain = pattern.ancestors().find(|ancestor| is_plain(ancestor))?;
    let real = plain.canonicalize().ok().filter(|real| real != plain)?;
    let real = real.join(pattern.strip_prefix(plain).ok()?);
    Some(format!("; RealdocReleases {} goes through a link, write {}", pattern.display(), real.display()))
}
