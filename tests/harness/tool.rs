//! The deploy tool under test, built before anything runs it.
//!
//! Owns: that no test runs a stale build, and that the user's own git configuration has no part in it. Must not: know
//! what is deployed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::module::{cargo_build, target_directory};
use crate::once::Once;

/// A built `realdoc`.
#[derive(Debug)]
pub struct Tool {
    program: PathBuf,
}

/// What a command of the tool said, in the order of its two outputs.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

impl Tool {
    /// The tool as it is released, built once in this process.
    ///
    /// # Errors
    /// If it does not build.
    pub fn release() -> Result<&'static Self> {
        static BUILT: Once<Tool> = Once::new();
        BUILT.get(|| {
            cargo_build("realdoc", &["--release"])?;
            Ok(Self { program: target_directory().join("release/realdoc") })
        })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs it in a directory, where its configuration is.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn run(&self, directory: &Path, arguments: &[&str]) -> Result<Said> {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(directory);
        let output = isolated(&mut command).output().context("cannot run realdoc")?;
        Ok(Said {
            code: output.status.code(),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it, and asserts that it succeeds.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn succeed(&self, directory: &Path, arguments: &[&str]) -> String {
        let said = self.run(directory, arguments).expect("the tool");
        assert_eq!(said.code, Some(0), "realdoc {arguments:?}:\n{}{}", said.output, said.errors);
        said.output
    }
}

/// Takes the caller's git and realdoc settings out of a command's environment.
pub fn isolated(command: &mut Command) -> &mut Command {
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "REALDOC_CONFIG"] {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1")
}
