//! Servers under valgrind's memcheck, when the variable `REALDOC_MEMCHECK` is set (`make test-memcheck`).
//!
//! Owns: how valgrind is called, and the verdict on what it reports. Must not: know what a test does.
//!
//! It sees what httpd's processes do with memory that was never allocated, is freed or was never written, and what they
//! lose. Memory from a pool of APR counts as in use until the pool gives it back to the C library.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::module::workspace;

/// About so many times longer does everything take.
const SLOWER: u32 = 10;

/// Whether servers run under memcheck. All their processes do; programs that they execute do not.
#[must_use]
pub fn is_on() -> bool {
    env::var_os("REALDOC_MEMCHECK").is_some_and(|value| !value.is_empty())
}

/// Errors of httpd's own that were seen when it was so slow, and that no module has a part in: worker's listener unlocks
/// the mutex of accept without owning it, and prefork's children are not replaced as fast as they are needed.
#[must_use]
pub fn expected_errors() -> Vec<String> {
    let errors: &[&str] = &["AH00274: apr_proc_mutex_unlock failed", "AH00161: server reached MaxRequestWorkers"];
    if is_on() { errors.iter().map(|error| (*error).to_owned()).collect() } else { Vec::new() }
}

/// How long something may take that takes `usual` on the bare machine.
#[must_use]
pub fn patience(usual: Duration) -> Duration {
    if is_on() { usual * SLOWER } else { usual }
}

/// The beginning of the command for a server with its files in `run`, or nothing if that is to be the bare machine.
///
/// # Errors
/// What the file system says.
pub fn command(run: &Path) -> io::Result<Option<Command>> {
    if !is_on() {
        return Ok(None);
    }
    // httpd's unprivileged children make files there, too.
    fs::create_dir_all(logs(run))?;
    fs::set_permissions(logs(run), fs::Permissions::from_mode(0o777))?;
    let mut command = Command::new("valgrind");
    command.args([
        "--tool=memcheck",
        // Then what is logged is a report, or there is nothing.
        "--quiet",
        "--leak-check=full",
        "--show-leak-kinds=definite",
        "--errors-for-leak-kinds=definite",
        "--num-callers=40",
        // Modules are unloaded before leaks are looked for.
        "--keep-debuginfo=yes",
        "--gen-suppressions=all",
    ]);
    command.arg(format!("--suppressions={}", workspace().join("tests/valgrind.supp").display()));
    command.arg(format!("--log-file={}/%p", logs(run).display()));
    Ok(Some(command))
}

/// Fails on any report of a server with its files in `run`, and says how many of its processes there were.
///
/// # Panics
/// If there is a report, or nothing that could hold one.
pub fn check(run: &Path) {
    let Ok(entries) = fs::read_dir(logs(run)) else {
        // Not under memcheck: the test has a program of its own for that place, or nobody asked for it.
        return;
    };
    let reports: Vec<String> =
        entries.map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a report")).collect();
    assert!(!reports.is_empty(), "no process ran under memcheck");
    assert!(reports.iter().all(String::is_empty), "memcheck reports:\n{}", reports.concat());
    println!("memcheck: {} processes", reports.len());
}

fn logs(run: &Path) -> PathBuf {
    run.join("memcheck")
}
