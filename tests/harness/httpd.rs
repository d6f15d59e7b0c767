//! A private httpd: start, readiness, restart, and a look at its error log in the end.
//!
//! Owns: the life of one server. Must not: know what the test serves.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::client::{Client, Protocol};
use crate::config::{Config, Place};
use crate::error_log;
use crate::installation::Installation;
use crate::memcheck;
use crate::module::Module;
use crate::mpm::Mpm;
use crate::process::{self, Process};
use crate::readiness;
use crate::site::Site;

const STARTS_WITHIN: Duration = Duration::from_secs(20);
const RESTARTS_WITHIN: Duration = Duration::from_secs(20);
const CHILDREN_RETIRE_WITHIN: Duration = Duration::from_secs(2);

/// Another process may take a free port before httpd does.
const PORT_ATTEMPTS: usize = 5;

/// More than all workers of a usual httpd together.
const CONNECTIONS_AT_MOST: usize = 40;

static NEXT_RUN: AtomicUsize = AtomicUsize::new(0);

/// A running private httpd.
#[derive(Debug)]
pub struct Httpd {
    process: Process,
    mpm: Mpm,
    run: PathBuf,
    ports: Vec<u16>,
    expected: Mutex<Vec<String>>,
}

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
            let process = Process::start(&prepared.command(&["-DFOREGROUND"])?, &prepared.run.join("output"))
                .context("cannot run httpd")?;
            let server = Self {
                process,
                mpm,
                run: prepared.run,
                ports: prepared.ports,
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

    /// Asserts that httpd refuses this configuration, both at `-t` and at a real start.
    ///
    /// # Panics
    /// If it accepts it.
    #[must_use]
    pub fn config_error(site: &Site, mpm: Mpm, config: &Config) -> Refusal {
        let module = Module::release().expect("the module");
        let prepared = Prepared::new(site, mpm, config, Some(module)).expect("a configuration");
        let test = prepared.command(&["-t"]).expect("httpd").output().expect("running httpd -t");
        let output = prepared.run.join("output");
        let command = prepared.command(&["-DFOREGROUND"]).expect("httpd");
        let mut process = Process::start(&command, &output).expect("running httpd");
        let ended = readiness::becomes_true(STARTS_WITHIN, || process.has_ended() || prepared.is_running(&process));
        assert!(ended && process.has_ended(), "httpd accepts the configuration");
        let start_status = process.end_status();
        memcheck::check(&prepared.run);
        Refusal {
            test_status: test.status.code(),
            test_output: String::from_utf8_lossy(&test.stdout).into_owned() + &String::from_utf8_lossy(&test.stderr),
            start_status,
            start_output: prepared.said(),
        }
    }

    /// What `httpd <arguments>` prints for this configuration, which it must accept.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn ask(site: &Site, mpm: Mpm, config: &Config, arguments: &[&str]) -> String {
        let module = Module::release().expect("the module");
        let prepared = Prepared::new(site, mpm, config, Some(module)).expect("a configuration");
        let output = prepared.command(arguments).expect("httpd").output().expect("running httpd");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "httpd {arguments:?}: {said}");
        memcheck::check(&prepared.run);
        said
    }

    /// The error log of an httpd that was started in the background, as service managers start it, and stopped again.
    ///
    /// # Panics
    /// If it does not start, or does not stop.
    #[must_use]
    pub fn log_of_background(site: &Site, mpm: Mpm, config: &Config) -> String {
        let module = Module::release().expect("the module");
        let prepared = Prepared::new(site, mpm, config, Some(module)).expect("a configuration");
        let output = File::create(prepared.run.join("output")).expect("a file for the output");
        let mut command = prepared.plain_command(&["-k", "start"]).expect("httpd");
        let status = command.stdin(Stdio::null()).stdout(output.try_clone().expect("the file")).stderr(output).status();
        assert!(status.expect("running httpd").success(), "httpd -k start: {}", prepared.said());
        let log = || fs::read_to_string(prepared.run.join("error.log")).unwrap_or_default();
        let background = Background(prepared.run.join("httpd.pid"));
        let is_up = || log().contains("resuming normal operations");
        assert!(readiness::becomes_true(STARTS_WITHIN, is_up), "httpd does not start:\n{}", prepared.said());
        assert!(background.stop(), "httpd does not stop:\n{}", prepared.said());
        log()
    }

    fn wait_until_ready(&self) -> Result<()> {
        let ready = readiness::becomes_true(STARTS_WITHIN, || {
            // The pid file comes after the ports are bound, so nobody else answers on them.
            self.process.has_ended()
                || (is_pid_file_of(&self.run, &self.process)
                    && self.ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok()))
        });
        if self.process.has_ended() {
            bail!("httpd ended at its start");
        }
        if !ready {
            bail!("httpd is not ready after {} s", STARTS_WITHIN.as_secs());
        }
        Ok(())
    }

    fn abandon(self) {
        self.expect_error("");
        drop(self);
    }

    /// What it printed and logged so far.
    #[must_use]
    pub fn said(&self) -> String {
        said(&self.run)
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
        let log = fs::read_to_string(self.run.join("children")).unwrap_or_default();
        log.lines().filter_map(|line| line.parse().ok()).collect()
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
        self.run.join(name)
    }

    /// The error log so far.
    #[must_use]
    pub fn error_log(&self) -> String {
        fs::read_to_string(self.run.join("error.log")).unwrap_or_default()
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
            eprintln!("--- {}\n{}", self.run.display(), tail(&self.said(), 40));
            return;
        }
        assert!(orderly, "httpd did not stop and was killed:\n{}", self.said());
        memcheck::check(&self.run);
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

/// A configuration on disk, with ports that were free a moment ago.
struct Prepared {
    run: PathBuf,
    ports: Vec<u16>,
    environment: Vec<(String, String)>,
    under: Vec<String>,
}

impl Prepared {
    fn new(site: &Site, mpm: Mpm, config: &Config, module: Option<&Module>) -> Result<Self> {
        let installation = Installation::find()?;
        let run = site.root().join(format!("httpd-{}", NEXT_RUN.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir_all(&run)?;
        let ports = free_ports(config.port_count())?;
        let place = Place { root: site.root(), run: &run, ports: &ports };
        let text = config.render(installation, mpm, module, &place);
        fs::write(run.join("httpd.conf"), text)?;
        Ok(Self { run, ports, environment: config.variables().to_vec(), under: config.program().to_vec() })
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.plain_command(arguments)?;
        // What is logged before the configuration is read goes to the output, not to the system's log.
        command.args(["-E", "/dev/stderr"]);
        Ok(command)
    }

    fn plain_command(&self, arguments: &[&str]) -> Result<Command> {
        let httpd = &Installation::find()?.httpd;
        let mut command = match self.under.split_first() {
            None => match memcheck::command(&self.run)? {
                Some(mut command) => {
                    command.arg(httpd);
                    command
                }
                None => Command::new(httpd),
            },
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(httpd).arg("-X");
                command
            }
        };
        command.arg("-d").arg(&self.run).arg("-f").arg(self.run.join("httpd.conf")).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    fn is_running(&self, process: &Process) -> bool {
        is_pid_file_of(&self.run, process)
    }

    fn said(&self) -> String {
        said(&self.run)
    }
}

/// An httpd that is in a session of its own, known by its pid file. Gone when its owner is.
struct Background(PathBuf);

impl Background {
    fn pid(&self) -> Option<Pid> {
        fs::read_to_string(&self.0).ok()?.trim().parse().ok().map(Pid::from_raw)
    }

    /// Stops it in its own orderly way; httpd takes its pid file away last.
    fn stop(&self) -> bool {
        self.pid().is_some_and(|pid| kill(pid, Signal::SIGTERM).is_ok())
            && readiness::becomes_true(STARTS_WITHIN, || self.pid().is_none())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = killpg(pid, Signal::SIGKILL);
        }
    }
}

fn is_pid_file_of(run: &Path, process: &Process) -> bool {
    fs::read_to_string(run.join("httpd.pid")).is_ok_and(|text| text.trim() == process.id().to_string())
}

fn said(run: &Path) -> String {
    let read = |name| fs::read_to_string(run.join(name)).unwrap_or_default();
    read("output") + &read("error.log")
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
