//! A real browser: Chromium without a window.
//!
//! Owns: a process with a profile of its own that asks nobody but the page's server. Must not: know what a page does; a page
//! tells its server.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::Process;

/// The names of the program in distributions.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser that shows one page.
#[derive(Debug)]
pub struct Browser {
    #[expect(dead_code, reason = "only its drop matters; before that of the profile")]
    process: Process,
    profile: TempDir,
}

impl Browser {
    /// Opens a page. Certificates are not checked.
    ///
    /// # Panics
    /// If Chromium is not installed or does not start.
    #[must_use]
    pub fn open(url: &str) -> Self {
        let profile = tempfile::Builder::new().prefix("realdoc-browser-").tempdir().expect("a directory");
        let mut command = Command::new(program());
        command.env("HOME", profile.path());
        command.args([
            "--headless",
            // Root cannot have the sandbox, nor can most containers.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-breakpad",
            "--disable-crash-reporter",
            "--no-first-run",
            "--no-proxy-server",
            "--ignore-certificate-errors",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
        let output = profile.path().join("output");
        let process = Process::start(&command, &output).expect("starting Chromium");
        Self { process, profile }
    }

    /// What it has said so far, for the message of a failed test.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.profile.path().join("output")).unwrap_or_default()
    }
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = PROGRAMS.iter().find_map(|program| {
        std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
    });
    found.expect("no Chromium: install chromium")
}
