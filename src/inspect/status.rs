//! The section of mod_status: what the process that answers knows of each docroot, as HTML and for machines.
//!
//! Must not: look up a docroot.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use docroot::{Answer, Docroot, Moment, Os, Stats, escape as escape_line};

use crate::config::server::Shared;
use crate::httpd::{Request, Server};
use crate::inspect::html::escape;
use crate::inspect::in_use;

/// Writes the section: for machines if `short`, else as HTML.
pub fn write(request: Request<'_, '_>, short: bool) {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = if short {
        machines(&mut text, request.server()).and_then(|()| in_use::machines(&mut text, request.server()))
    } else {
        people(&mut text, request.server()).and_then(|()| in_use::people(&mut text, request.server()))
    };
    request.write(&text);
}

fn people(text: &mut String, server: Server<'_>) -> std::fmt::Result {
    let Some(cache) = Shared::of(server).map(|shared| &shared.cache) else {
        return Ok(());
    };
    write!(
        text,
        "<hr />\n<h2>mod_realdoc</h2>\n<p>What process {} knows; each process looks for itself. \
         {} computed docroots are remembered.</p>\n\
         <table border=\"0\"><tr><th>docroot</th><th>target</th><th>since</th><th>resolutions</th><th>failures</th></tr>\n",
        std::process::id(),
        cache.computed_len()
    )?;
    let now = Os::now();
    for docroot in cache.all_configured() {
        let record = docroot.stats();
        writeln!(
            text,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&path(docroot)),
            escape(&target(&record)),
            record.since.and_then(|since| now.since(since)).map_or("-".to_owned(), ago),
            record.walks,
            record.failures
        )?;
    }
    text.push_str("</table>\n");
    Ok(())
}

fn machines(text: &mut String, server: Server<'_>) -> std::fmt::Result {
    let Some(cache) = Shared::of(server).map(|shared| &shared.cache) else {
        return Ok(());
    };
    writeln!(text, "RealdocPid: {}", std::process::id())?;
    writeln!(text, "RealdocComputed: {}", cache.computed_len())?;
    let now = Os::now();
    for (number, docroot) in cache.all_configured().iter().enumerate() {
        let record = docroot.stats();
        writeln!(text, "RealdocDocroot{number}: {}", escape_line(path(docroot).as_bytes()))?;
        writeln!(text, "RealdocTarget{number}: {}", escape_line(target(&record).as_bytes()))?;
        writeln!(text, "RealdocSince{number}: {}", record.since.map_or(0, |since| epoch(now, since)))?;
        writeln!(text, "RealdocResolutions{number}: {}", record.walks)?;
        writeln!(text, "RealdocFailures{number}: {}", record.failures)?;
    }
    Ok(())
}

fn path(docroot: &Docroot) -> String {
    docroot.path().to_string_lossy().into_owned()
}

fn target(record: &Stats) -> String {
    match &record.answer {
        None => "not looked at yet".to_owned(),
        Some(Answer::Resolved(resolution)) => resolution.docroot().to_string_lossy().into_owned(),
        Some(Answer::AsConfigured) => "cannot be resolved, left as configured".to_owned(),
        Some(Answer::Refused(failure)) => format!("refused: {failure}"),
    }
}

fn ago(age: Duration) -> String {
    format!("{} s ago", age.as_secs())
}

/// A moment as seconds since the epoch.
fn epoch(now: Moment, then: Moment) -> u64 {
    let age = now.since(then).unwrap_or_default();
    let then = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    then.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
