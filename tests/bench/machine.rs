//! The words about the machine that stand beside the table.
//!
//! Owns: what a reader needs to judge the numbers. Must not: measure.

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use harness::installation::Installation;

/// Processor, kernel, httpd, and how busy the machine was when the run began.
///
/// # Errors
/// If httpd is not installed.
pub fn description() -> Result<String> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let cpu =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |(_, name)| name);
    let cores = thread::available_parallelism()?;
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let said = Command::new(&Installation::find()?.httpd).arg("-v").output().context("httpd -v")?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let httpd = said.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, version)| version);
    Ok(format!(
        "{cpu}, {cores} cores; Linux {}; {httpd}; load before the run {}",
        kernel.trim(),
        load.split(' ').next().unwrap_or_default()
    ))
}
