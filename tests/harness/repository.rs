//! A git repository of an application, a tag for each version of it.
//!
//! Owns: real commits and tags, made by git itself. Must not: know who deploys them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::release::Release;
use crate::site::Site;
use crate::tool::isolated;

/// When all commits were made. Long ago: PHP keeps files out of its opcache that are younger than two seconds.
const COMMITTED: &str = "2026-01-01T00:00:00Z";

/// A repository in the directory `app` of a site.
#[derive(Debug)]
pub struct Repository {
    directory: PathBuf,
}

impl Repository {
    /// An empty repository.
    ///
    /// # Panics
    /// If git is not installed or refuses.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        let repository = Self { directory: site.root().join("app") };
        fs::create_dir_all(&repository.directory).expect("a directory");
        repository.git(&["-c", "init.defaultBranch=main", "init", "--quiet"]);
        repository
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Commits what `fill` makes of version `number`, and nothing else, and tags it `v<number>`.
    pub fn tag(&self, number: usize, fill: impl Fn(&Release)) {
        self.git(&["rm", "-r", "--quiet", "--ignore-unmatch", "."]);
        fill(&Release::create(number, self.directory.clone()));
        self.git(&["add", "--all"]);
        let tag = format!("v{number}");
        self.git(&["commit", "--quiet", "--message", &tag]);
        self.git(&["tag", &tag]);
    }

    /// Gives the commit of version `number` another tag.
    pub fn alias(&self, number: usize, tag: &str) {
        self.git(&["tag", tag, &self.commit(number)]);
    }

    /// The commit that a tag stands for.
    #[must_use]
    pub fn commit(&self, number: usize) -> String {
        self.git(&["rev-parse", &format!("v{number}^{{commit}}")])
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        isolated(&mut command).current_dir(&self.directory).args(arguments);
        for name in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{name}_NAME"), "test")
                .env(format!("GIT_{name}_EMAIL"), "test@example.org")
                .env(format!("GIT_{name}_DATE"), COMMITTED);
        }
        let output = command.output().unwrap_or_else(|error| panic!("cannot run git: {error}: install git"));
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
