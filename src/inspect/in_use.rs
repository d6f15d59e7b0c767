//! The requests of each release, over all processes: for mod_status and the dump.
//!
//! Must not: open the file. A process loses its slot when it closes any descriptor of it.

use std::fmt::{Result, Write};

use docroot::escape as escape_line;
use docroot::inuse::{Snapshot, Usage};

use crate::config::in_use;
use crate::config::server::{Shared, settings};
use crate::httpd::{Pool, Server};
use crate::inspect::html::escape;

/// What all processes count, each release in the order of its path; None where requests are not counted.
fn snapshot(server: Server<'_>) -> Option<std::result::Result<Snapshot, String>> {
    let counted = Shared::of(server)?.in_use.as_ref()?;
    let snapshot = counted.file.reader().and_then(|reader| reader.snapshot());
    Some(snapshot.map_err(|unknown| unknown.to_string()).map(|mut snapshot| {
        snapshot.releases.sort_by(|one, other| one.release.path().cmp(other.release.path()));
        snapshot
    }))
}

fn path(usage: &Usage) -> String {
    usage.release.path().to_string_lossy().into_owned()
}

/// Writes a table for people.
pub fn people(text: &mut String, server: Server<'_>) -> Result {
    match snapshot(server) {
        None => Ok(()),
        Some(Err(unknown)) => writeln!(text, "<p>The requests of releases are unknown: {}</p>", escape(&unknown)),
        Some(Ok(snapshot)) => {
            writeln!(
                text,
                "<p>Requests of each release, of {} processes together since each began. {} more may use any release, {} \
                 are being looked up.</p>\n<table border=\"0\"><tr><th>release</th><th>running</th><th>requests</th>\
                 <th>failed (5xx)</th></tr>",
                snapshot.processes, snapshot.any, snapshot.looking
            )?;
            for usage in &snapshot.releases {
                let Usage { running, total, failed, .. } = usage;
                let path = escape(&path(usage));
                writeln!(text, "<tr><td>{path}</td><td>{running}</td><td>{total}</td><td>{failed}</td></tr>")?;
            }
            text.push_str("</table>\n");
            Ok(())
        }
    }
}

/// Writes lines for machines.
pub fn machines(text: &mut String, server: Server<'_>) -> Result {
    match snapshot(server) {
        None => Ok(()),
        Some(Err(unknown)) => writeln!(text, "RealdocInUse: unknown ({unknown})"),
        Some(Ok(snapshot)) => {
            writeln!(text, "RealdocInUseProcesses: {}", snapshot.processes)?;
            writeln!(text, "RealdocInUseAny: {}", snapshot.any)?;
            writeln!(text, "RealdocLooking: {}", snapshot.looking)?;
            for (number, usage) in snapshot.releases.iter().enumerate() {
                writeln!(text, "RealdocRelease{number}: {}", escape_line(path(usage).as_bytes()))?;
                writeln!(text, "RealdocInUse{number}: {}", usage.running)?;
                writeln!(text, "RealdocRequests{number}: {}", usage.total)?;
                writeln!(text, "RealdocFailed{number}: {}", usage.failed)?;
            }
            Ok(())
        }
    }
}

/// Writes where requests would be counted, for the dump.
pub fn describe(text: &mut String, pool: Pool<'_>, main: Server<'_>) -> Result {
    let in_use = settings(main).and_then(|settings| settings.in_use.clone()).unwrap_or_default();
    match in_use::path(pool, &in_use) {
        Some(path) => {
            writeln!(text, "mod_realdoc counts requests in: {}", escape_line(path.as_os_str().as_encoded_bytes()))
        }
        None => writeln!(text, "mod_realdoc counts no requests: RealdocInUse Off"),
    }
}
