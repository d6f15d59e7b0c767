//! What has to be done once in a release at its final path, before it goes live.

use std::ffi::OsStr;

use crate::error::{Error, Result};
use crate::fs::durable;
use crate::os::limit::Limit;
use crate::os::process;
use crate::state::releases::{Record, Release, Store};
use crate::tool::Tool;

/// Prepares a release, and takes note of it.
///
/// # Errors
/// [`Error::PrepareFailed`], [`Error::Interrupted`], or what the file system says.
pub fn prepare(tool: &Tool, store: &Store, release: &Release) -> Result<()> {
    let Some(record) = &release.record else {
        return Ok(());
    };
    let variables: [(&str, &OsStr); 4] = [
        ("REALDOC_RELEASE", release.name.as_ref()),
        ("REALDOC_RELEASE_DIR", release.path.as_ref()),
        ("REALDOC_COMMIT", record.commit.as_ref()),
        ("REALDOC_REF", record.reference.as_ref()),
    ];
    let limit = Limit { time: tool.config.timeouts.build.0, key: "build" };
    for line in &tool.config.commands.prepare {
        tool.report.step("prepare", format!("preparing: {line}"));
        process::shell(line, &release.path, &variables, &tool.interrupt, limit)?
            .map_err(|ending| Error::PrepareFailed { release: release.name.clone(), command: line.clone(), ending })?;
    }
    durable::sync_file_system(&release.path)?;
    store.write_record(&release.name, &Record { prepared: Some(true), ..record.clone() })
}
