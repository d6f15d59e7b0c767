//! A private httpd: start, readiness, restart, and a look at its error log in the end.
//!
//! Owns: the life of one server. Must not: know what the test serves.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::cgid;
use crate::client::{Client, Protocol};
use crate::config::Config;
use crate::error_log;
use crate::memcheck;
use crate::module::Module;
use crate::mpm::Mpm;
use crate::process::{self, Process};
use crate::readiness;
use crate::site::Site;

mod prepared;
mod short_runs;

use prepared::{Prepared, RunDirectory};

pub use short_runs::Refusal;

const STARTS_WITHIN: Duration = Duration::from_secs(20);
const RESTARTS_WITHIN: Duration = Duration::from_secs(20);
const CHILDREN_RETIRE_WITHIN: Duration = Duration::from_secs(2);

/// Another process may take a free port before httpd does.
const PORT_ATTEMPTS: usize = 5;

/// More than all workers of a usual httpd together.
const CONNECTIONS_AT_MOST: usize = 40;

/// A running private httpd.
#[derive(Debug)]
pub struct Httpd {
    process: Process,
    mpm: Mpm,
    run: RunDirectory,
    ports: Vec<u16>,
    has_cgi_daemon: bool,
    expected: Mutex<Vec<String>>,
}

impl Httpd {
    /// Starts httpd with the module in its release build.
    ///
    /// # Panics
    /// If the module does not build or httpd does not start.
    #[must_use]
    pub fn start(site: &Site, mpm: Mpm, config: &Config) -> Self {
        let module = Module::release().expect("the module");
        Self::start_with(site, mpm, config, Some(module)).expect("httpd with the module")
    }

    /// Starts httpd without the module: what a test compares with.
    ///
    /// # Panics
    /// If httpd does not start.
    #[must_use]
    pub fn start_without_module(site: &Site, mpm: Mpm, config: &Config) -> Self {
        Self::start_with(site, mpm, config, None).expect("httpd without the module")
    }

    /// Starts httpd with this build of the module, or none.
    ///
    /// # Errors
    /// If httpd is not installed or does not start.
    pub fn start_with(site: &Site, mpm: Mpm, config: &Config, module: Option<&Module>) -> Result<Self> {
        let mut attempt = 1;
        loop {
            let prepared = Prepared::new(site, mpm, config, module)?;
            let process = prepared.start().context("cannot run httpd")?;
            let server = Self {
                process,
                mpm,
                run: prepared.run,
                ports: prepared.ports,
                has_cgi_daemon: config.has_cgi_daemon(),
                expected: Mutex::new(memcheck::expected_errors()),
            };
            match server.wait_until_ready() {
                Ok(()) => return Ok(server),
                Err(_) if attempt < PORT_ATTEMPTS && server.said().contains("could not bind") => {
                    attempt += 1;
                    server.abandon();
                }
                Err(error) => {
                    let said = server.said();
                    server.abandon();
                    return Err(error.context(said));
                }
            }
        }
    }

    fn wait_until_ready(&self) -> Result<()> {
        let ready = readiness::becomes_true(STARTS_WITHIN, || {
            // The pid file comes after the ports are bound, so nobody else answers on them.
            self.process.has_ended()
                || (self.run.belongs_to(&self.process)
                    && self.ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
                    && self.runs_scripts())
        });
        if self.process.has_ended() {
            bail!("httpd ended at its start");
        }
        if !ready {
            bail!("httpd is not ready after {} s", STARTS_WITHIN.as_secs());
        }
        Ok(())
    }

    /// Whether scripts can be run, if the configuration says that they are run by a daemon.
    fn runs_scripts(&self) -> bool {
        !self.has_cgi_daemon || cgid::is_usable(self.run.path(), self.pid())
    }

    fn abandon(self) {
        self.expect_error("");
        drop(self);
    }

    /// What it printed and logged so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.run.said()
    }

    /// The process id of the parent.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The process ids of the children.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        self.process.children()
    }

    /// The process id of the child that served each request so far.
    fn served_by(&self) -> Vec<u32> {
        self.run.read("children").lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Opens connections, each used for one request of `path`, until so many children have served one. Nobody else
    /// may send requests meanwhile.
    ///
    /// # Panics
    /// If they never do.
    #[must_use]
    pub fn connect_to_children(&self, children: usize, path: &str) -> Vec<Client> {
        let before = self.served_by().len();
        let mut clients = Vec::new();
        while clients.len() < CONNECTIONS_AT_MOST {
            let client = self.client();
            client.get(path).expect("a response");
            clients.push(client);
            // httpd logs a request when the client has its response already.
            let logged = || Some(self.served_by()).filter(|served| served.len() >= before + clients.len());
            let served = readiness::poll(STARTS_WITHIN, logged).expect("a line for each request");
            if BTreeSet::from_iter(&served[before..]).len() >= children {
                return clients;
            }
        }
        panic!("fewer than {children} children serve {CONNECTIONS_AT_MOST} connections");
    }

    /// The process ids of the children, once there are that many of them.
    ///
    /// # Panics
    /// If there never are.
    #[must_use]
    pub fn all_children(&self, count: usize) -> Vec<u32> {
        readiness::poll(STARTS_WITHIN, || Some(self.children()).filter(|children| children.len() == count))
            .unwrap_or_else(|| panic!("children {:?}, not {count}", self.children()))
    }

    /// The port, `${PORT}` in the configuration.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// All ports, `${PORT}`, `${PORT_2}` and so on.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The URL of a path on the first port.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port())
    }

    /// A client with a keep-alive connection of its own to the first port.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url(""), Protocol::Http1)
    }

    /// A file in the server's own directory, `${RUN}`.
    #[must_use]
    pub fn run_file(&self, name: &str) -> PathBuf {
        self.run.file(name)
    }

    /// The error log so far.
    #[must_use]
    pub fn error_log(&self) -> String {
        self.run.error_log()
    }

    /// Waits until the error log has a line with this text.
    ///
    /// # Panics
    /// If none comes.
    pub fn wait_for_log(&self, text: &str) {
        let found = readiness::becomes_true(Duration::from_secs(5), || self.error_log().contains(text));
        assert!(found, "no {text:?} in the error log:\n{}", self.error_log());
    }

    /// Declares that error lines (crash lines too) with this text belong to the test.
    pub fn expect_error(&self, text: &str) {
        self.expected.lock().expect("no panic while locked").push(text.to_owned());
    }

    /// Restarts gracefully and waits until the new generation is configured.
    ///
    /// # Panics
    /// If it does not come.
    pub fn graceful_restart(&self) {
        let generations = || self.error_log().matches("resuming normal operations").count();
        // Before that, the signal would end it.
        let started = readiness::becomes_true(STARTS_WITHIN, || generations() > 0);
        assert!(started, "it has not started:\n{}", self.said());
        let before = generations();
        self.process.signal(Signal::SIGUSR1).expect("a running httpd");
        let restarted = readiness::becomes_true(RESTARTS_WITHIN, || generations() > before);
        assert!(restarted, "no graceful restart:\n{}", self.said());
        // Each generation has a daemon of its own.
        let runs_scripts = readiness::becomes_true(RESTARTS_WITHIN, || self.runs_scripts());
        assert!(runs_scripts, "no daemon for scripts after a graceful restart:\n{}", self.said());
    }

    /// Restarts gracefully and waits until all children are of the new generation.
    ///
    /// # Panics
    /// If they do not come, or the old ones do not go: nobody may keep a connection.
    pub fn replace_children(&self) {
        let before = self.children();
        self.graceful_restart();
        let replaced = || {
            let children = self.children();
            !children.is_empty() && !children.iter().any(|child| before.contains(child))
        };
        assert!(readiness::becomes_true(RESTARTS_WITHIN, replaced), "{before:?} are still there:\n{}", self.said());
    }

    /// Lets threaded children finish what they are at. At a plain stop, event's main thread closes sockets that its
    /// workers may just be destroying: now and then a child crashes, with httpd 2.4.71 without any module of ours. So
    /// did one that was told to stop when it was hardly there, and may not have had all its threads.
    fn retire_children(&self) {
        /// So many looks at the same threads: none is about to start.
        const SETTLED: usize = 5;
        if !self.mpm.is_threaded() {
            return;
        }
        let mut seen = Vec::new();
        readiness::becomes_true(CHILDREN_RETIRE_WITHIN, || {
            let threads: Vec<_> = self.children().into_iter().map(|child| (child, process::threads(child))).collect();
            seen.push(threads);
            let latest = &seen[seen.len().saturating_sub(SETTLED)..];
            latest.len() == SETTLED && latest.iter().all(|threads| *threads == latest[0])
        });
        if self.process.signal(Signal::SIGWINCH).is_ok() {
            // If they do not (a CGI daemon never does, worker not while a client keeps a connection), they are stopped.
            readiness::becomes_true(CHILDREN_RETIRE_WITHIN, || !self.process.has_running_child());
        }
    }

    /// Stops the server and fails on a crash or an undeclared error in its log. Dropping does the same.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Httpd {
    fn drop(&mut self) {
        self.retire_children();
        let orderly = self.process.end();
        if thread::panicking() {
            eprintln!("--- {}\n{}", self.run.path().display(), tail(&self.said(), 40));
            return;
        }
        assert!(orderly, "httpd did not stop and was killed:\n{}", self.said());
        memcheck::check(self.run.path());
        let log = self.error_log();
        let expected = self.expected.lock().expect("no panic while locked");
        let undeclared = error_log::undeclared(&log, &expected);
        assert!(
            undeclared.is_empty(),
            "{} undeclared error lines in the log, the first of them:\n{}",
            undeclared.len(),
            undeclared[..undeclared.len().min(10)].join("\n")
        );
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
