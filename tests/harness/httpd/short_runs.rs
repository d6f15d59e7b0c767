//! Runs of a private httpd that end at once: tests of a configuration, starts that are refused, a start and a stop.
//!
//! Owns: how each of them ended, and what it said. Must not: leave a server behind.

use std::fs::File;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::prepared::{Prepared, RunDirectory};
use super::{Httpd, STARTS_WITHIN};
use crate::config::Config;
use crate::memcheck;
use crate::mpm::Mpm;
use crate::readiness;
use crate::site::Site;

/// How httpd refused a configuration.
#[derive(Debug)]
pub struct Refusal {
    /// The exit status of `httpd -t`.
    pub test_status: Option<i32>,
    /// What `httpd -t` printed.
    pub test_output: String,
    /// The exit status of a real start.
    pub start_status: Option<i32>,
    /// What the real start printed and logged.
    pub start_output: String,
}

impl Httpd {
    /// Asserts that httpd refuses this configuration, both at `-t` and at a real start.
    ///
    /// # Panics
    /// If it accepts it.
    #[must_use]
    pub fn config_error(site: &Site, mpm: Mpm, config: &Config) -> Refusal {
        let prepared = Prepared::with_module(site, mpm, config);
        let test = prepared.command(&["-t"]).expect("httpd").output().expect("running httpd -t");
        let mut process = prepared.start().expect("running httpd");
        let ended = readiness::becomes_true(STARTS_WITHIN, || process.has_ended() || prepared.run.belongs_to(&process));
        assert!(ended && process.has_ended(), "httpd accepts the configuration");
        let start_status = process.end_status();
        memcheck::check(prepared.run.path());
        Refusal {
            test_status: test.status.code(),
            test_output: printed(&test),
            start_status,
            start_output: prepared.run.said(),
        }
    }

    /// What `httpd <arguments>` prints for this configuration, which it must accept.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn ask(site: &Site, mpm: Mpm, config: &Config, arguments: &[&str]) -> String {
        Self::ask_into(site, mpm, config, arguments, Stdio::piped())
    }

    /// What `httpd <arguments>` says for this configuration, which it must accept, while its standard output goes
    /// elsewhere.
    ///
    /// # Panics
    /// If it does not accept it.
    #[must_use]
    pub fn ask_into(site: &Site, mpm: Mpm, config: &Config, arguments: &[&str], stdout: impl Into<Stdio>) -> String {
        let prepared = Prepared::with_module(site, mpm, config);
        let mut command = prepared.command(arguments).expect("httpd");
        let output = command.stdout(stdout).output().expect("running httpd");
        let said = printed(&output);
        assert!(output.status.success(), "httpd {arguments:?}: {said}");
        memcheck::check(prepared.run.path());
        said
    }

    /// The error log of an httpd that was started in the background, as service managers start it, and stopped again.
    ///
    /// # Panics
    /// If it does not start, or does not stop.
    #[must_use]
    pub fn log_of_background(site: &Site, mpm: Mpm, config: &Config) -> String {
        let prepared = Prepared::with_module(site, mpm, config);
        let output = File::create(prepared.run.output()).expect("a file for the output");
        let mut command = prepared.plain_command(&["-k", "start"]).expect("httpd");
        let status = command.stdin(Stdio::null()).stdout(output.try_clone().expect("the file")).stderr(output).status();
        assert!(status.expect("running httpd").success(), "httpd -k start: {}", prepared.run.said());
        let background = Background(&prepared.run);
        let is_up = || prepared.run.error_log().contains("resuming normal operations");
        assert!(readiness::becomes_true(STARTS_WITHIN, is_up), "httpd does not start:\n{}", prepared.run.said());
        assert!(background.stop(), "httpd does not stop:\n{}", prepared.run.said());
        prepared.run.error_log()
    }
}

/// An httpd that is in a session of its own, known by its pid file. Gone when its owner is.
struct Background<'r>(&'r RunDirectory);

impl Background<'_> {
    fn pid(&self) -> Option<Pid> {
        self.0.pid().map(Pid::from_raw)
    }

    /// Stops it in its own orderly way; httpd takes its pid file away last.
    fn stop(&self) -> bool {
        self.pid().is_some_and(|pid| kill(pid, Signal::SIGTERM).is_ok())
            && readiness::becomes_true(STARTS_WITHIN, || self.pid().is_none())
    }
}

impl Drop for Background<'_> {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = killpg(pid, Signal::SIGKILL);
        }
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
