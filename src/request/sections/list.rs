//! Making the list of sections that follow a link.
//!
//! Owns: which of httpd's sections are copied, and what must be checked for each request. Must not: decide which section
//! follows; [`docroot::sections`] does.

use docroot::rest_under;
use docroot::sections::{Mapping, Pattern, Step, follow};

use crate::config::rewrite::{Context, directives};
use crate::config::server::Shared;
use crate::httpd::{CopyParts, Definition, ForeignModule, Override, Pool, Section, SectionList, Server};
use crate::request::rewrite::{Place, Prefix, WatchedRule};
use crate::request::sections::directories::{pattern, sections_of};
use crate::request::sections::walk::{Above, File, ListWalk};

/// The walk by the sections that follow a mapping. None if no section does. `lead` tells where a directory above the link
/// really is.
///
/// # Errors
/// Why a section cannot follow.
pub fn list(
    server: Server<'static>,
    mapping: &Mapping,
    lead: &dyn Fn(&[u8]) -> Vec<u8>,
    pool: Pool<'static>,
) -> Result<Option<ListWalk>, String> {
    let all = server.sections();
    let patterns: Vec<_> = all.iter().map_while(|section| pattern(*section)).collect();
    let regexes: Vec<_> = all.iter().copied().filter(|section| section.is_regex()).collect();
    let steps = follow(&patterns, mapping);
    let rewrite = ForeignModule::find(server, c"mod_rewrite.c");
    let has_rules = |section: Section<'_>| rewrite.is_some_and(|rewrite| section.concerns(rewrite));
    let shared = Shared::of(server);
    let written = |number: usize| shared?.rules.definition(server, &all, number);
    let definition = |number: usize| {
        let definition = written(number).filter(|definition| definition.contains("Rewrite"));
        if definition.is_none() && has_rules(all[number]) {
            let path = patterns.get(number).map_or(&b"(regular expression)"[..], |pattern| pattern.path);
            return Err(format!(
                "rules of mod_rewrite in <Directory {}> cannot follow the link, because no configuration file contains \
                 this section",
                String::from_utf8_lossy(path)
            ));
        }
        Ok(definition)
    };
    let empty = Context::default();
    let context = shared.map_or(&empty, |shared| &shared.rules.context);
    let watched = |definition: Definition<'_>, place: &Place<'_>| {
        // SAFETY: the list keeps them, and the list is in the pool.
        unsafe { WatchedRule::all(definition.children(), place, context, pool) }
    };
    // Made for the first copy: there may be thousands of hosts, and in most of them no section follows.
    let mut parts = None;
    let mut allowed = Override::default_of(server);
    let (mut sections, mut above, mut rules) = (Vec::new(), Vec::new(), Vec::new());
    let common = if rewrite.is_some() { common(server, mapping) } else { Vec::new() };
    for step in &steps {
        let (number, mut copy) = match step {
            Step::Htaccess { directory } => {
                let real = lead(directory);
                // httpd itself reads the file of a directory on the way to the real path.
                let is_on_the_way = rest_under(&mapping.real, &real).is_some_and(|rest| !rest.is_empty());
                if !is_on_the_way && !allowed.is_nothing() {
                    above.push(Above { file: File::new(&real, allowed), behind: sections.len() });
                }
                continue;
            }
            Step::Section(number) => (*number, None),
            Step::Led { section, path, is_wildcard } => {
                let parts = parts.get_or_insert_with(|| CopyParts::new(pool));
                (*section, Some((path, all[*section].at(path, *is_wildcard, parts))))
            }
        };
        let pattern = patterns[number];
        if rewrite.is_some()
            && pattern.meets(&mapping.configured)
            && let Some(definition) = definition(number)?
        {
            let directory = Some(pattern.path);
            let place = match (&mut copy, rewrite) {
                // mod_rewrite takes no wildcard off the name of a file.
                _ if pattern.is_wildcard => Place::whole_names_of(definition),
                (Some((path, copy)), Some(rewrite)) => {
                    if has_rules(all[number]) {
                        copy.run_again(rewrite, &directives(definition), server, pool)?;
                    }
                    let prefix = Prefix { configured: Some(pattern.path.to_vec()), real: Some(path.to_vec()) };
                    let sees_same_rest = rest_under(pattern.path, &mapping.configured).is_some();
                    Place { prefix, sees_same_rest, directory }
                }
                _ => Place { prefix: Prefix::of(pattern.path), sees_same_rest: false, directory },
            };
            rules.extend(watched(definition, &place));
        }
        let section = copy.map_or(all[number], |(_, copy)| copy.finished());
        if pattern.is_on_the_way(&mapping.configured) {
            allowed = allowed.merged(section);
        }
        sections.push(section);
    }
    for other in shared.into_iter().flat_map(|shared| shared.rules.others(server)) {
        rules.extend(watched(other, &Place::whole_names_of(other)));
    }
    for (number, section) in all.iter().enumerate() {
        if rewrite.is_some()
            && section.is_regex()
            && let Some(definition) = definition(number)?
        {
            rules.extend(watched(definition, &Place::whole_names_of(definition)));
        }
    }
    let is_led = steps.iter().any(|step| matches!(step, Step::Led { .. }));
    if !is_led && [above.is_empty(), common.is_empty(), regexes.is_empty(), rules.is_empty()] == [true; 4] {
        return Ok(None);
    }
    // SAFETY: all are in the pool or belong to the server, and whoever keeps the list keeps both.
    let list = unsafe { SectionList::new(server, &sections, pool) };
    Ok(Some(ListWalk { mapping: mapping.clone(), list, sections, above, common, regexes, rules, pool: None }))
}

/// The directories on both the configured and the real path whose `.htaccess` may say something.
fn common(server: Server<'static>, mapping: &Mapping) -> Vec<File> {
    sections_of(server, mapping.common_directories())
        .filter(|(.., allowed)| !allowed.is_nothing())
        .map(|(directory, _, allowed)| File::new(directory, allowed))
        .collect()
}

/// The sections of a server that follow a mapping, each with the path that it follows to, as text.
pub fn following(server: Server<'_>, mapping: &Mapping) -> Vec<(String, String)> {
    let all = server.sections();
    let patterns: Vec<Pattern<'_>> = all.iter().map_while(|section| pattern(*section)).collect();
    let text = |path: &[u8]| docroot::escape(if path.is_empty() { b"/" } else { path });
    follow(&patterns, mapping)
        .into_iter()
        .filter_map(|step| match step {
            Step::Led { section, path, .. } => Some((text(patterns[section].path), text(&path))),
            Step::Section(_) | Step::Htaccess { .. } => None,
        })
        .collect()
}
