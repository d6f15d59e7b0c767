//! `httpd -t -D DUMP_REALDOC`: prints each docroot, its links, where they lead, the releases that assets come
//! from, and the sections that follow the links.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use docroot::assets::candidates::Pinned;
use docroot::assets::file;
use docroot::{Answer, Docroot, Mode, Moment, Os, Releases, Rules, escape, survey};

use crate::config::server::settings;
use crate::httpd::{Configuring, Server};
use crate::inspect::in_use;
use crate::request::sections::following;

/// The docroots of all servers, as text.
pub fn table<'s>(configuring: &Configuring<'s>, main: Server<'s>) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = in_use::describe(&mut text, configuring.pool(), main);
    text.push_str("mod_realdoc docroots:\n");
    for server in main.with_virtual_hosts() {
        // Writing to a `String` cannot fail.
        let _ = describe(&mut text, configuring, server);
    }
    text
}

fn describe<'s>(text: &mut String, configuring: &Configuring<'s>, server: Server<'s>) -> std::fmt::Result {
    writeln!(text, "{}", server.description(configuring))?;
    let Some(path) = server.configured_document_root() else {
        return writeln!(text, "    docroot: none");
    };
    writeln!(text, "    docroot: {}", escape(path.to_bytes()))?;
    let set = settings(server).cloned().unwrap_or_default();
    if !set.enabled() {
        return writeln!(text, "    Realdoc Off");
    }
    let rules = set.rules();
    if let Some(prefixes) = set.assets() {
        text.push_str("    assets:");
        prefixes.iter().try_for_each(|prefix| write!(text, " {}", escape(prefix)))?;
        text.push('\n');
    }
    match &rules.mode {
        Mode::Realpath => writeln!(text, "    mode: realpath"),
        Mode::Readlink { from: None } => writeln!(text, "    mode: readlink"),
        Mode::Readlink { from: Some(from) } => writeln!(text, "    mode: readlink from {}", escape(from.to_bytes())),
    }?;
    // All links, also those that lead outside of the releases.
    for hop in survey(&Os, path, &Rules { mode: rules.mode.clone(), releases: None }) {
        let target = hop.target.as_deref().map_or("(nowhere)".to_owned(), escape);
        writeln!(text, "    link: {} -> {target}", escape(&hop.link))?;
    }
    let directory = Path::new(OsStr::from_bytes(path.to_bytes()));
    let releases = rules.releases.clone().filter(|_| set.assets().is_some());
    let Ok(docroot) = Docroot::new(directory, rules) else {
        return Ok(());
    };
    match docroot.lookup(&Os, Moment::from_nanoseconds(0), Duration::ZERO).answer {
        Answer::Resolved(resolution) => {
            writeln!(text, "    resolved: {}", escape(resolution.docroot().to_bytes()))?;
            if let Some(releases) = releases {
                describe_retained(text, &releases, resolution.docroot().to_bytes())?;
            }
            for (section, at) in following(server, &resolution.mapping(path)) {
                writeln!(text, "    follows: <Directory {section}> at {at}")?;
            }
        }
        Answer::AsConfigured => writeln!(text, "    resolved: no, left as configured")?,
        Answer::Refused(failure) => writeln!(text, "    refused: {}", escape(failure.to_string().as_bytes()))?,
    }
    Ok(())
}

/// The releases that assets come from besides the one that a docroot lies in.
fn describe_retained(text: &mut String, releases: &Releases, docroot: &[u8]) -> std::fmt::Result {
    let Some(pinned) = Pinned::of(docroot, releases) else {
        return writeln!(text, "    retained: none: the docroot is in no release");
    };
    let directory = pinned.directory();
    let manifest = match file::identify(&directory) {
        Ok(None) => {
            let directory = escape(&directory);
            return writeln!(text, "    retained: none: {directory}/.realdoc/retained does not exist");
        }
        Ok(Some(_)) => file::read(&directory).map(|(_, manifest)| manifest),
        Err(error) => Err(error),
    };
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => return writeln!(text, "    retained: none: {error}"),
    };
    let mut asked = pinned.asked(&manifest).peekable();
    if asked.peek().is_none() {
        return writeln!(text, "    retained: none");
    }
    asked.try_for_each(|release| {
        let is_there =
            Path::new(OsStr::from_bytes(&release)).symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        writeln!(text, "    retained: {}{}", escape(&release), if is_there { "" } else { " (no directory)" })
    })
}
