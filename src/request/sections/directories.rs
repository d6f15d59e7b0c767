//! The sections of one directory after another, from the root down.

use docroot::sections::Pattern;

use crate::httpd::{Override, Section, Server};

/// The path of a section as a pattern; None for a regular expression.
pub fn pattern(section: Section<'_>) -> Option<Pattern<'_>> {
    section.path().map(|(path, is_wildcard)| Pattern { path, is_wildcard })
}

/// For each of these directories, the outermost first: the sections for it, and what they and those of the directories
/// before let its `.htaccess` say.
pub fn sections_of<'s, 'd>(
    server: Server<'s>,
    directories: impl Iterator<Item = &'d [u8]>,
) -> impl Iterator<Item = (&'d [u8], Vec<Section<'s>>, Override<'s>)> {
    let all: Vec<(Pattern<'s>, Section<'s>)> =
        server.sections().into_iter().filter_map(|section| Some((pattern(section)?, section))).collect();
    let mut allowed = Override::default_of(server);
    directories.map(move |directory| {
        let is_for = |(pattern, _): &&(Pattern<'s>, Section<'s>)| pattern.is_for(directory);
        let sections: Vec<_> = all.iter().filter(is_for).map(|&(_, section)| section).collect();
        allowed = sections.iter().fold(allowed, |allowed, section| allowed.merged(*section));
        (directory, sections, allowed)
    })
}
