//! The module under test, built before anything loads it.
//!
//! Owns: that no test ever sees a stale build, however it was started. Must not: install anything.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::once::Once;

/// The request header that makes the fault-injection build panic.
pub const PANIC_HEADER: &str = "X-Realdoc-Panic";

/// A built `mod_realdoc.so`.
#[derive(Debug)]
pub struct Module {
    file: PathBuf,
}

impl Module {
    /// The module as it is released, built once in this process.
    ///
    /// # Errors
    /// If it does not build.
    pub fn release() -> Result<&'static Self> {
        static BUILT: Once<Module> = Once::new();
        BUILT.get(|| {
            cargo_build("mod_realdoc", &["--release"])?;
            Ok(Self { file: target_directory().join("release/libmod_realdoc.so") })
        })
    }

    /// The module in which a request header makes a hook panic; see [`PANIC_HEADER`].
    ///
    /// # Errors
    /// If it does not build.
    pub fn fault_injection() -> Result<&'static Self> {
        static BUILT: Once<Module> = Once::new();
        BUILT.get(|| {
            cargo_build("mod_realdoc", &["--features", "fault-injection"])?;
            // A later build without the feature has the same file name: take this one away at once. Renamed into
            // place, for a server of another test run may have the old one mapped.
            let directory = target_directory().join("fault-injection");
            fs::create_dir_all(&directory)?;
            let file = directory.join("mod_realdoc.so");
            let partial = directory.join(format!("mod_realdoc.so.{}", std::process::id()));
            fs::copy(target_directory().join("debug/libmod_realdoc.so"), &partial)?;
            let holds_feature = fs::read(&partial)?
                .windows(PANIC_HEADER.len())
                .any(|window| window.eq_ignore_ascii_case(PANIC_HEADER.as_bytes()));
            if !holds_feature {
                bail!("another cargo build replaced the fault-injection module before it was copied: run again");
            }
            fs::rename(&partial, &file)?;
            Ok(Self { file })
        })
    }

    /// The file to load.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is a directory of the workspace")
}

/// Cargo's target directory, as cargo itself finds it.
#[must_use]
pub fn target_directory() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        // Cargo takes it relative to where it is started, which for a test is the package.
        Some(directory) => workspace().join(directory),
        None => workspace().join("target"),
    }
}

/// Builds a package of the workspace, as it is now.
///
/// # Errors
/// What cargo says.
pub(crate) fn cargo_build(package: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", package, "--target-dir"])
        .arg(target_directory())
        .args(arguments)
        .current_dir(workspace())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{package} does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
