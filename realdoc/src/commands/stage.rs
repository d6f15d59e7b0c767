//! Staging: from a tag to a whole release.
//!
//! Owns: the order of its steps, which is what makes a crash at any of them leave a whole release or none. Must not:
//! touch a link that leads to a release.
//!
//! Everything happens in a hidden directory beside the releases. Its content is synced to disk before the one rename
//! that makes it a release; the record of what it is, is on disk before that, too.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::error::{Context, Error, Result};
use crate::fs::durable;
use crate::fs::shared;
use crate::fs::tree;
use crate::git::{Commit, Repository};
use crate::os::failpoint::pause;
use crate::os::limit::Limit;
use crate::os::process;
use crate::report::Event;
use crate::state::State;
use crate::state::releases::{Record, Release, STAGING_PREFIX};
use crate::tool::Tool;

/// Stages the commit that `reference` stands for, unless it is staged. Returns the name of the release.
///
/// # Errors
/// Whatever can go wrong; nothing of the release is then left.
pub fn stage(tool: &Tool, state: &State, reference: &str, fetch: bool) -> Result<String> {
    let repository = Repository::open(&tool.config, &state.store, &tool.report, &tool.interrupt)?;
    let fetch = fetch && tool.config.git.fetch;
    let commit = if state.is_dry_run() && fetch {
        repository.resolve_remotely(reference)?
    } else {
        if fetch {
            repository.fetch()?;
        }
        repository.resolve(reference)?
    };
    let releases = state.store.releases()?;
    let is_it = |record: &Option<Record>| record.as_ref().is_some_and(|record| record.commit == commit.id);
    if let Some(release) = releases.iter().find(|release| is_it(&release.record)) {
        if commit.is_named && !state.is_dry_run() {
            remember(tool, state, release, reference);
        }
        say(tool, state, &release.name, &commit.id, &release.path, true);
        return Ok(release.name.clone());
    }
    let name = name(reference, &commit);
    let path = state.store.path_of(&name);
    if path.symlink_metadata().is_ok() {
        return Err(Error::Refused(format!("{} is in the way and was not staged by realdoc", path.display())));
    }
    if !state.is_dry_run() {
        make(tool, state, &repository, reference, &commit, &name)?;
    }
    say(tool, state, &name, &commit.id, &path, false);
    Ok(name)
}

/// From now on the release is known by this tag or branch, too.
fn remember(tool: &Tool, state: &State, release: &Release, reference: &str) {
    if let Some(record) = release.record.as_ref().filter(|record| !record.is_of(reference)) {
        let mut record = record.clone();
        record.also.push(reference.to_owned());
        // It is there, and can be flipped to, all the same.
        if let Err(error) = state.store.write_record(&release.name, &record) {
            tool.report.warn(format!("the release is not known as {reference}: {error}"));
        }
    }
}

fn say(tool: &Tool, state: &State, release: &str, commit: &str, path: &Path, already: bool) {
    tool.report.say(&Event::Staged { release, commit, path, already, dry_run: state.is_dry_run() });
}

/// The directory in which a release grows. Dropped, it is gone.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is removed by the next command.
        let _ = tree::remove(&self.0);
    }
}

fn make(
    tool: &Tool,
    state: &State,
    repository: &Repository<'_>,
    reference: &str,
    commit: &Commit,
    name: &str,
) -> Result<()> {
    let Tool { config, report, interrupt } = tool;
    let store = &state.store;
    let path = store.path_of(name);
    let step = |step: &str| {
        pause(step, interrupt);
        interrupt.check()
    };
    let staging = tempfile::Builder::new()
        .prefix(STAGING_PREFIX)
        // As `mkdir` does it: the web server has to read it.
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(store.directory())
        .context("create a directory in", store.directory())?;
    let staging = Staging(staging.keep());
    warn_if_private(tool, &staging.0)?;
    step("stage.created")?;

    report.step("export", format!("exporting {reference} ({})", short(&commit.id)));
    repository.export(&commit.id, &staging.0)?;
    step("stage.exported")?;

    shared::link(config, &staging.0)?;
    step("stage.shared")?;

    for line in &config.commands.build {
        report.step("build", format!("building: {line}"));
        let variables: [(&str, &OsStr); 4] = [
            ("REALDOC_RELEASE", name.as_ref()),
            ("REALDOC_RELEASE_DIR", path.as_ref()),
            ("REALDOC_COMMIT", commit.id.as_ref()),
            ("REALDOC_REF", reference.as_ref()),
        ];
        let limit = Limit { time: config.timeouts.build.0, key: "build" };
        process::shell(line, &staging.0, &variables, interrupt, limit)?
            .map_err(|ending| Error::BuildFailed { command: line.clone(), ending })?;
    }
    step("stage.built")?;

    report.step("sync", "syncing to disk");
    let spinner = report.spinner(String::new());
    durable::sync_file_system(&staging.0)?;
    drop(spinner);
    step("stage.synced")?;

    let record = Record {
        commit: commit.id.clone(),
        reference: reference.to_owned(),
        also: Vec::new(),
        staged: Timestamp::now(),
    };
    store.write_record(name, &record)?;
    step("stage.recorded")?;

    durable::rename(&staging.0, &path)?;
    pause("stage.renamed", interrupt);
    durable::sync_directory(store.directory())
}

/// A release that only its owner can read is a 403 for every visitor.
fn warn_if_private(tool: &Tool, directory: &Path) -> Result<()> {
    let mode = directory.metadata().context("look at", directory)?.permissions().mode();
    if mode & 0o055 == 0 {
        tool.report.warn("under this umask only you can read the release: a web server of another user cannot");
    }
    Ok(())
}

/// What a release is called: after what was asked for, and after the commit, because a tag may move.
fn name(reference: &str, commit: &Commit) -> String {
    let id = short(&commit.id);
    if !commit.is_named {
        return id.to_owned();
    }
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+') { c } else { '-' }
    };
    let readable: String = reference.chars().map(plain).take(80).collect();
    match readable.trim_start_matches(['.', '-']) {
        "" => id.to_owned(),
        readable => format!("{readable}-{id}"),
    }
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_safe() {
        let commit = |is_named| Commit { id: "0123456789abcdef".to_owned(), is_named };
        assert_eq!(name("v1.2", &commit(true)), "v1.2-0123456789ab");
        assert_eq!(name("feature/über uns", &commit(true)), "feature--ber-uns-0123456789ab");
        assert_eq!(name(".hidden", &commit(true)), "hidden-0123456789ab");
        assert_eq!(name("...", &commit(true)), "0123456789ab");
        assert_eq!(name("012345", &commit(false)), "0123456789ab");
        assert!(name(&"x".repeat(500), &commit(true)).len() < 100);
    }
}
