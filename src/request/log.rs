//! The log lines about docroots.
//!
//! Owns: the wording and the level of each line. Must not: throttle them; `docroot` does.

use docroot::{Answer, Docroot, Event};

use crate::httpd::{Level, Server};
use crate::module::log;

/// Writes the event of a lookup to the error log of the server.
#[cold]
pub fn report(server: Server<'_>, docroot: &Docroot, event: Event) {
    let path = docroot.path().to_string_lossy();
    match event {
        Event::Resolved { now, before, recovery } => {
            let target = now.docroot().to_string_lossy();
            if let Some(recovery) = recovery {
                log!(server, Level::Notice, "{path}: resolves again, to {target}");
                recovery.commit();
            }
            match before {
                Some(before) if before.docroot() == now.docroot() => {
                    log!(server, Level::Info, "{path}: {target}, by other links than before");
                }
                Some(before) => {
                    log!(server, Level::Info, "{path}: {} -> {target}", before.docroot().to_string_lossy());
                }
                None => {}
            }
            log!(server, Level::Debug, "{path}: resolved to {target}");
        }
        Event::Failed { failure, fallback, report } => {
            let level = if report.is_some() { Level::Error } else { Level::Debug };
            let what = if failure.errno().is_some() { "cannot be resolved" } else { "refused" };
            match fallback {
                Answer::Resolved(last) => {
                    let last = last.docroot().to_string_lossy();
                    log!(server, level, "{path}: {what} ({failure}); requests go on with {last}");
                }
                Answer::AsConfigured => log!(server, level, "{path}: {what} ({failure}); left as configured"),
                Answer::Refused(_) if failure.errno().is_some() => {
                    log!(server, level, "{path}: {what} ({failure}); nothing below it is served");
                }
                Answer::Refused(_) => log!(server, level, "{path}: {what} ({failure}); answered with 503"),
            }
            if let Some(report) = report {
                report.commit();
            }
        }
    }
}
