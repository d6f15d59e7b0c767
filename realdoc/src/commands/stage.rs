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

use crate::activation;
use crate::cli::{Change, Staging};
use crate::error::{Context, Ending, Error, Result};
use crate::fs::access;
use crate::fs::durable;
use crate::fs::shared;
use crate::fs::tree;
use crate::fs::unpack;
use crate::git::{Commit, Repository};
use crate::os::failpoint::pause;
use crate::os::limit::Limit;
use crate::os::process;
use crate::report::Event;
use crate::state::history::History;
use crate::state::hold::Hold;
use crate::state::lock::{Holder, Kind, Lock, Patience};
use crate::state::releases::{Record, Release, STAGING_PREFIX, Store};
use crate::tool::Tool;

mod name;
mod slot;

use name::{name, readable, short};

/// How many files are named.
const FEW: usize = 3;

/// A release that is staged.
#[derive(Debug)]
pub struct Staged {
    /// Its name.
    pub name: String,
    /// Its commit.
    pub commit: String,
    /// As long as this lives, no prune takes it away; in a dry run there may be nothing to hold.
    _hold: Option<Hold>,
}

/// Stages the commit that `reference` stands for, unless it is staged.
///
/// # Errors
/// Whatever can go wrong; nothing of the release is then left.
pub fn run(tool: &Tool, reference: &str, how: &Staging, change: Change) -> Result<()> {
    let (mut state, _) = activation::begin(tool, change.dry_run, change.wait)?;
    state.unlock();
    stage(tool, &state.store, reference, how, change).map(|_| ())
}

/// As [`run`], for a command that has begun, and has let the lock go.
///
/// # Errors
/// As [`run`]; [`Error::Busy`] if somebody else makes a release.
pub fn stage(tool: &Tool, store: &Store, reference: &str, how: &Staging, change: Change) -> Result<Staged> {
    let lock = if change.dry_run { None } else { Some(lock(tool, store, change.wait)?) };
    let fetch = !how.no_fetch && tool.config.git.fetch;
    if let Some(real) = store.alias() {
        tool.report.warn(real);
    }
    let stager = Stager { tool, store, lock, history: History::load(store), reference, fetch, how };
    match stager.stage() {
        Err(error @ (Error::Git { ending: Ending::Status(_), .. } | Error::Io { .. }))
            if !change.dry_run && stager.source().is_none() =>
        {
            stager.mend(error)?.stage()
        }
        result => result,
    }
}

/// The lock for making a release, with everything removed that killed commands left half-made.
fn lock(tool: &Tool, store: &Store, wait: bool) -> Result<Lock> {
    let command = process::command_line();
    let waiting = |holder: &Holder| tool.report.step("wait", format!("waiting for {holder}"));
    let lock = Lock::acquire(store, Kind::Stage, &command, Patience::of(wait), &tool.interrupt, waiting, None)?;
    let history = History::load(store);
    for leftover in store.staging_leftovers(|name| history.last_live(name).is_some())? {
        if let Err(error) = tree::remove(&leftover) {
            tool.report.warn(format!("a leftover of an interrupted command stays: {error}"));
        }
    }
    Ok(lock)
}

/// A release on its way.
struct Stager<'a> {
    tool: &'a Tool,
    store: &'a Store,
    /// None in a dry run.
    lock: Option<Lock>,
    history: History,
    reference: &'a str,
    fetch: bool,
    how: &'a Staging,
}

impl Stager<'_> {
    fn is_dry_run(&self) -> bool {
        self.lock.is_none()
    }

    fn repository(&self) -> Result<Repository<'_>> {
        Repository::open(&self.tool.config, self.store, &self.tool.report, &self.tool.interrupt)
    }

    /// Tells others what is being done.
    fn at(&self, step: &str) {
        if let Some(lock) = &self.lock {
            lock.step(step);
        }
    }

    /// Where the files come from, if not from git.
    fn source(&self) -> Option<&Path> {
        self.how.from_dir.as_deref().or(self.how.from_tar.as_deref())
    }

    fn stage(&self) -> Result<Staged> {
        if let Some(source) = self.source() {
            if source != Path::new("-") && !source.exists() {
                return Err(Error::NotFound(format!("there is nothing at {}", source.display())));
            }
            if self.how.from_dir.as_deref().is_some_and(|directory| self.store.is_below(directory)) {
                return Err(Error::Refused(format!(
                    "{} is no build: the releases directory is in it",
                    source.display()
                )));
            }
            let commit = Commit { id: String::new(), is_named: true };
            return self.stage_as(&readable(self.reference), &commit, &|into| self.copy(into));
        }
        let Self { store, reference, .. } = self;
        let repository = self.repository()?;
        self.at("fetch");
        let commit = if self.is_dry_run() && self.fetch {
            repository.resolve_remotely(reference)?
        } else {
            if self.fetch {
                repository.fetch()?;
            }
            repository.resolve(reference)?
        };
        let releases = store.releases()?;
        let is_it = |record: &Option<Record>| record.as_ref().is_some_and(|record| record.commit == commit.id);
        // The last one, if it was built several times.
        let staged = releases.iter().filter(|release| is_it(&release.record)).max_by_key(|release| release.since());
        if let Some(release) = staged.filter(|_| !self.how.rebuild) {
            if commit.is_named && !self.is_dry_run() {
                self.remember(release);
            }
            self.say(&release.name, &commit.id, &release.path, true);
            if release.needs_preparation() && !self.is_dry_run() {
                self.prepare(&release.name)?;
            }
            let (name, commit) = (release.name.clone(), commit.id);
            return Ok(Staged { name, commit, _hold: store.hold(&release.path).ok() });
        }
        self.stage_as(&name(reference, &commit), &commit, &|into| {
            self.tool.report.step("export", format!("exporting {reference} ({})", short(&commit.id)));
            repository.export(&commit.id, into)
        })
    }

    /// Makes the release, if this is no dry run.
    fn stage_as(&self, name: &str, commit: &Commit, export: &dyn Fn(&Path) -> Result<()>) -> Result<Staged> {
        let name = if self.tool.config.releases.slots.names().is_empty() {
            self.unused_name(name)?
        } else {
            let slot = slot::choose(self.tool)?;
            self.tool.report.step("slot", format!("{} goes into slot {slot}", self.reference));
            slot
        };
        let hold = if self.is_dry_run() { None } else { Some(self.make(commit, &name, export)?) };
        self.say(&name, &commit.id, &self.store.path_of(&name), false);
        if !self.is_dry_run() && !self.tool.config.commands.prepare.is_empty() {
            self.prepare(&name)?;
        }
        Ok(Staged { name, commit: commit.id.clone(), _hold: hold })
    }

    fn prepare(&self, name: &str) -> Result<()> {
        self.at("prepare");
        let release = self.store.release(name)?;
        release.map_or(Ok(()), |release| activation::prepare(self.tool, self.store, &release))
    }

    /// What somebody else has built.
    fn copy(&self, into: &Path) -> Result<()> {
        let Staging { from_dir, from_tar, .. } = self.how;
        if let Some(from) = from_dir {
            self.tool.report.step("export", format!("copying {}", from.display()));
            return tree::copy(from, into);
        }
        let from = from_tar.as_deref().unwrap_or(Path::new("-"));
        self.tool.report.step("export", format!("unpacking {}", from.display()));
        unpack::unpack_file(from, into, &self.tool.report.progress(0), &self.tool.interrupt)
    }

    /// The name, or one with a number behind it. What was once served under a name may still be in PHP's OPcache, which by
    /// default in production does not look whether a file has changed. So no name is used for another build.
    fn unused_name(&self, name: &str) -> Result<String> {
        let Self { store, history, .. } = self;
        let names = std::iter::once(name.to_owned()).chain((2..).map(|number: u32| format!("{name}-{number}")));
        for name in names {
            let path = store.path_of(&name);
            let is_there = path.symlink_metadata().is_ok();
            if is_there && !store.has_record(&name) {
                return Err(Error::Refused(format!(
                    "{} is in the way and was not staged by realdoc: move it away, or `realdoc activate {name}` flips links to \
                     it as it is",
                    path.display()
                )));
            }
            if !is_there && !store.is_retired(&name) && history.last_live(&name).is_none() {
                return Ok(name);
            }
        }
        unreachable!("there are enough numbers")
    }

    /// After a failure: if our own repository is damaged, it is thrown away, for everything in it is at the source, too.
    fn mend(&self, error: Error) -> Result<&Self> {
        let repository = self.repository()?;
        if !repository.is_damaged()? {
            return Err(error);
        }
        let directory = repository.directory().display();
        if !self.fetch {
            return Err(Error::Refused(format!(
                "{error}\n{directory}, which keeps what has been fetched, is damaged; without --no-fetch and with [git] \
                 fetch = true it is fetched anew"
            )));
        }
        self.tool.report.warn(format!(
            "{directory}, which keeps what has been fetched, is damaged or of another source: fetching all of it anew"
        ));
        repository.renew()?;
        Ok(self)
    }

    /// From now on the release is known by this tag or branch, too.
    fn remember(&self, release: &Release) {
        let reference = self.reference;
        if let Some(record) = release.record.as_ref().filter(|record| !record.is_of(reference)) {
            let mut record = record.clone();
            record.also.push(reference.to_owned());
            // It is there, and can be flipped to, all the same.
            if let Err(error) = self.store.write_record(&release.name, &record) {
                self.tool.report.warn(format!("the release is not known as {reference}: {error}"));
            }
        }
    }

    fn say(&self, release: &str, commit: &str, path: &Path, already: bool) {
        self.tool.report.say(&Event::Staged { release, commit, path, already, dry_run: self.is_dry_run() });
    }

    fn make(&self, commit: &Commit, name: &str, export: &dyn Fn(&Path) -> Result<()>) -> Result<Hold> {
        let Self { tool: Tool { config, report, interrupt, .. }, store, reference, .. } = self;
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
        let staging = Growing(staging.keep());
        let hold = store.hold(&staging.0)?;
        access::give_to_group(config, &staging.0)?;
        step("stage.created")?;

        self.at("export");
        export(&staging.0)?;
        step("stage.exported")?;

        shared::link(config, &staging.0)?;
        step("stage.shared")?;

        self.at("build");
        self.build(&staging.0, commit, name)?;
        step("stage.built")?;

        self.at("sync");
        report.step("sync", "syncing to disk");
        let spinner = report.spinner(String::new());
        durable::sync_file_system(&staging.0)?;
        drop(spinner);
        step("stage.synced")?;

        let record = Record {
            commit: commit.id.clone(),
            reference: (*reference).to_owned(),
            also: Vec::new(),
            staged: Timestamp::now(),
            prepared: (!config.commands.prepare.is_empty()).then_some(false),
        };
        if config.releases.slots.has(name) {
            self.at("drain");
            slot::take(self.tool, &staging.0, name, &record)?;
            return Ok(hold);
        }
        store.write_record(name, &record)?;
        step("stage.recorded")?;

        durable::rename(&staging.0, &path)?;
        pause("stage.renamed", interrupt);
        durable::sync_directory(store.directory())?;
        Ok(hold)
    }

    fn build(&self, staging: &Path, commit: &Commit, name: &str) -> Result<()> {
        let Self { tool, store, reference, .. } = self;
        let path = store.path_of(name);
        let variables: [(&str, &OsStr); 4] = [
            ("REALDOC_RELEASE", name.as_ref()),
            ("REALDOC_RELEASE_DIR", path.as_ref()),
            ("REALDOC_COMMIT", commit.id.as_ref()),
            ("REALDOC_REF", reference.as_ref()),
        ];
        let limit = Limit { time: tool.config.timeouts.build.0, key: "build" };
        if tool.config.commands.build.is_empty() {
            return Ok(());
        }
        for line in &tool.config.commands.build {
            tool.report.step("build", format!("building: {line}"));
            process::shell(line, staging, &variables, &tool.interrupt, limit)?
                .map_err(|ending| Error::BuildFailed { command: line.clone(), ending })?;
        }
        self.warn_of_path(staging)
    }

    /// What was built with the path that the release has only now.
    fn warn_of_path(&self, staging: &Path) -> Result<()> {
        let name = staging.file_name().unwrap_or_default().as_encoded_bytes();
        let files = tree::files_with(staging, name, FEW)?;
        if !files.is_empty() {
            let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            self.tool.report.warn(format!(
                "these files name the directory in which the release was built, and which it leaves now: {}; a command that writes \
                 absolute names belongs into [commands] prepare",
                files.join(", ")
            ));
        }
        Ok(())
    }
}

/// The directory in which a release grows. Dropped, it is gone.
struct Growing(PathBuf);

impl Drop for Growing {
    fn drop(&mut self) {
        // What stays is removed by the next command.
        let _ = tree::remove(&self.0);
    }
}
