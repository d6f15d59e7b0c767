//! The repository that the code comes from.
//!
//! Owns: every call of git. Must not: know releases, or do anything itself that git can do: by its command line,
//! credentials, proxies, partial clones and signatures work as people have set them up.
//!
//! A URL is fetched into a repository of our own beside the releases. A repository on this machine is used where it
//! is, unless submodules are wanted, which need a work tree that is nobody else's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::Config;
use crate::error::{Ending, Error, Result};
use crate::os::interrupt::Interrupt;
use crate::os::limit::Limit;
use crate::report::Report;
use crate::state::releases::Store;

mod call;
mod export;
mod mirror;

use call::{Caller, git_in, plain_git};

/// A repository.
#[derive(Debug)]
pub struct Repository<'a> {
    directory: PathBuf,
    source: &'a str,
    /// Ours to configure, or somebody's.
    ours: bool,
    submodules: bool,
    caller: Caller<'a>,
}

/// What a reference stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Commit {
    /// In full.
    pub id: String,
    /// Whether the reference is a name, and not the beginning of the commit itself.
    pub is_named: bool,
}

impl<'a> Repository<'a> {
    /// The repository of the configuration. Nothing is fetched or created yet.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is a path and nothing is there.
    pub fn open(config: &'a Config, store: &Store, report: &'a Report, interrupt: &'a Interrupt) -> Result<Self> {
        let source = &config.git.source;
        let limit = Limit { time: config.timeouts.git.0, key: "git" };
        let submodules = config.git.submodules;
        let path = config.git.source_path();
        if let Some(path) = path.as_ref().filter(|path| !path.exists()) {
            return Err(Error::NotFound(format!("there is no repository {} ([git] source)", path.display())));
        }
        // A bundle is a file: git can fetch from it, but not work in it.
        let in_place = path.filter(|path| path.is_dir() && !submodules);
        let ours = in_place.is_none();
        let directory = in_place.unwrap_or_else(|| own_repository(store));
        Ok(Self { directory, source, ours, submodules, caller: Caller { report, interrupt, limit } })
    }

    /// Gets what is new at the source.
    ///
    /// # Errors
    /// What git says.
    pub fn fetch(&self) -> Result<()> {
        if self.ours {
            self.set_up()?;
        }
        let Some(remote) = self.branches_of()? else {
            // A repository that is nobody's clone: what is there is all there is.
            return Ok(());
        };
        self.caller.report.step("fetch", format!("fetching from {}", self.shown_source()));
        let mut git = self.git();
        git.args(["-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false", "fetch", "--tags"]);
        // Not `--quiet`, which keeps to itself why a tag was not taken.
        git.arg(if self.caller.report.is_watched() { "--progress" } else { "--no-progress" });
        // What a release needs is fetched for it: a commit that a submodule lacks on some branch concerns nobody else.
        git.arg("--no-recurse-submodules");
        if self.ours {
            git.args(["--prune", "--force"]);
        }
        git.arg(remote);
        if self.ours {
            git.args(["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]);
        }
        self.caller.run(git, "git fetch", true)
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The commit that a tag, a branch or (the beginning of) a commit's number stands for, in this order. A branch is
    /// the source's, as last fetched; not one that somebody has checked out and not pulled for a while.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub fn resolve(&self, reference: &str) -> Result<Commit> {
        let unknown = || self.unknown(reference);
        check(reference)?;
        if !self.directory.exists() {
            return Err(Error::NotFound(format!("nothing has been fetched yet from {}", self.shown_source())));
        }
        let branch = self.branches_of()?.map(|remote| format!("refs/remotes/{remote}/{reference}"));
        let names = [Some(format!("refs/tags/{reference}")), branch, Some(format!("refs/heads/{reference}"))];
        for name in names.into_iter().flatten() {
            if let Some(id) = self.commit(&name)? {
                return Ok(Commit { id, is_named: true });
            }
        }
        // `HEAD`, `v1~2`, a commit.
        match self.commit(reference)? {
            // What is checked out in our own repository says nothing of the source.
            _ if self.ours && (reference.starts_with("HEAD") || reference.starts_with('@')) => Err(unknown()),
            Some(id) => Ok(Commit { is_named: !id.starts_with(reference), id }),
            None => Err(unknown()),
        }
    }

    /// As [`Self::resolve`], but asks the source and changes nothing here.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub fn resolve_remotely(&self, reference: &str) -> Result<Commit> {
        check(reference)?;
        let Some(remote) = self.branches_of()? else {
            return self.resolve(reference);
        };
        // Our own may not be there yet.
        let (mut git, source) = if self.ours { (plain_git(), self.source) } else { (self.git(), remote.as_str()) };
        let tag = format!("refs/tags/{reference}");
        // An annotated tag is an object of its own; the line with ^{} is the commit.
        let mut best = vec![format!("{tag}^{{}}"), tag];
        let branch = format!("refs/heads/{reference}");
        if self.ours || self.fetches(&remote, &branch)? {
            best.push(branch);
        }
        git.args(["ls-remote", "--", source]).args(&best);
        let answer = self.caller.capture(git, "git ls-remote")?;
        let lines: Vec<_> = answer.lines().filter_map(|line| line.split_once('\t')).collect();
        // For git they are patterns, and match the end of a name.
        let found = best.iter().find_map(|wanted| lines.iter().find(|(_, name)| name == wanted));
        match found {
            Some((id, _)) => Ok(Commit { id: (*id).to_owned(), is_named: true }),
            // It has been asked, and there is nothing else to look in.
            None if !self.directory.exists() => Err(self.unknown(reference)),
            None => self.resolve(reference),
        }
    }

    /// Whether a fetch in somebody's repository brings this branch: into a bare clone none, for example.
    fn fetches(&self, remote: &str, branch: &str) -> Result<bool> {
        let mut git = self.git();
        git.args(["config", "--list", "--null"]);
        let settings = self.caller.capture(git, "git config")?;
        let key = format!("remote.{remote}.fetch");
        Ok(settings.split('\0').filter_map(|setting| setting.split_once('\n')).any(|(name, value)| {
            let source = value.trim_start_matches('+').split(':').next().unwrap_or_default();
            name == key
                && match source.split_once('*') {
                    Some((start, end)) => branch.starts_with(start) && branch.ends_with(end),
                    None => branch == source,
                }
        }))
    }

    fn unknown(&self, reference: &str) -> Error {
        Error::NotFound(format!("{} has no tag, branch or commit {reference}", self.shown_source()))
    }

    fn commit(&self, name: &str) -> Result<Option<String>> {
        let mut git = self.git();
        git.args(["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]);
        match self.caller.capture(git, "git rev-parse") {
            Ok(id) => Ok(Some(id.trim().to_owned()).filter(|id| !id.is_empty())),
            Err(Error::Git { ending: Ending::Status(status), .. }) if status.code() == Some(127) => {
                Err(Error::NotFound("git is not installed, or not in $PATH".to_owned()))
            }
            Err(Error::Git { ending: Ending::Status(_), .. }) => {
                // Whether there is no such name, or no repository that git wants to read.
                let mut git = self.git();
                git.args(["rev-parse", "--git-dir"]);
                self.caller.capture(git, "git rev-parse").map(|_| None)
            }
            Err(error) => Err(error),
        }
    }

    /// The remote whose branches count: the source; or what somebody's repository is a clone of, if it is one.
    fn branches_of(&self) -> Result<Option<String>> {
        if self.ours {
            return Ok(Some("origin".to_owned()));
        }
        let mut git = self.git();
        git.arg("remote");
        let remotes = self.caller.capture(git, "git remote")?;
        let mut names = remotes.lines();
        let first = names.clone().next();
        Ok(names.find(|&name| name == "origin").or(first).map(str::to_owned))
    }

    /// How many commits `to` has that `from` has not, and the last of them, a line each.
    ///
    /// # Errors
    /// What git says, for example that it does not know one of them.
    pub fn between(&self, from: &str, to: &str, limit: usize) -> Result<(usize, Vec<String>)> {
        let range = format!("{from}..{to}");
        let mut git = self.git();
        git.args(["rev-list", "--count", &range, "--"]);
        let count = self.caller.capture(git, "git rev-list")?.trim().parse().unwrap_or(0);
        let mut git = self.git();
        git.args([
            "log",
            "--no-decorate",
            "--no-color",
            "--format=%h %s",
            &format!("--max-count={limit}"),
            &range,
            "--",
        ]);
        let lines = self.caller.capture(git, "git log")?;
        let printable = |line: &str| line.chars().filter(|c| !c.is_control()).collect();
        Ok((count, lines.lines().map(printable).collect()))
    }

    /// The source without a password that its URL may have.
    fn shown_source(&self) -> String {
        let Some((scheme, rest)) = self.source.split_once("://") else {
            return self.source.to_owned();
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        format!("{scheme}://{host}{path}")
    }

    fn git(&self) -> Command {
        let mut git = git_in(&self.directory);
        if let Some(parent) = self.directory.parent().filter(|_| self.ours) {
            // Where ours is damaged, git would look for another one above it.
            git.env("GIT_CEILING_DIRECTORIES", parent.canonicalize().unwrap_or_else(|_| parent.to_owned()));
        }
        git
    }
}

/// Where a repository of our own is: each user has one, because there may be a password in it.
fn own_repository(store: &Store) -> PathBuf {
    let directory = store.state("repository");
    let us = rustix::process::geteuid().as_raw();
    match fs::metadata(&directory) {
        Ok(metadata) if metadata.uid() != us => store.state(&format!("repository-{us}")),
        _ => directory,
    }
}

/// A reference goes to git's command line.
fn check(reference: &str) -> Result<()> {
    if reference.is_empty() || reference.starts_with('-') || reference.contains(char::is_control) {
        return Err(Error::Usage(format!("\"{reference}\" cannot be a tag, a branch or a commit")));
    }
    Ok(())
}
