//! A configuration on disk, ready for httpd, and what httpd writes beside it.
//!
//! Owns: the server's own directory, `${RUN}`, and the command that runs httpd there. Must not: wait for anything.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use crate::config::{Config, Place};
use crate::installation::Installation;
use crate::memcheck;
use crate::module::Module;
use crate::mpm::Mpm;
use crate::process::Process;
use crate::site::Site;

static NEXT_RUN: AtomicUsize = AtomicUsize::new(0);

/// A configuration on disk, with ports that were free a moment ago.
pub(super) struct Prepared {
    pub(super) run: RunDirectory,
    pub(super) ports: Vec<u16>,
    environment: Vec<(String, String)>,
    under: Vec<String>,
    through: Vec<String>,
}

impl Prepared {
    pub(super) fn new(site: &Site, mpm: Mpm, config: &Config, module: Option<&Module>) -> Result<Self> {
        let installation = Installation::find()?;
        let run = RunDirectory::make(site)?;
        let ports = free_ports(config.port_count())?;
        let place = Place { root: site.root(), run: run.path(), ports: &ports };
        let text = config.render(installation, mpm, module, &place);
        fs::write(run.configuration(), text)?;
        let (environment, under) = (config.variables().to_vec(), config.program().to_vec());
        Ok(Self { run, ports, environment, under, through: config.outer_program().to_vec() })
    }

    /// With the module in its release build.
    pub(super) fn with_module(site: &Site, mpm: Mpm, config: &Config) -> Self {
        let module = Module::release().expect("the module");
        Self::new(site, mpm, config, Some(module)).expect("a configuration")
    }

    /// Starts the server. What it prints goes to its directory.
    pub(super) fn start(&self) -> Result<Process> {
        Ok(Process::start(&self.command(&["-DFOREGROUND"])?, &self.run.output())?)
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.plain_command(arguments)?;
        // What is logged before the configuration is read goes to the output, not to the system's log.
        command.args(["-E", "/dev/stderr"]);
        Ok(command)
    }

    pub(super) fn plain_command(&self, arguments: &[&str]) -> Result<Command> {
        let httpd = &Installation::find()?.httpd;
        let mut command = match self.under.split_first() {
            None => match (self.through.split_first(), memcheck::command(self.run.path())?) {
                (Some((program, arguments)), _) => {
                    let mut command = Command::new(program);
                    command.args(arguments).arg(httpd);
                    command
                }
                (None, Some(mut command)) => {
                    command.arg(httpd);
                    command
                }
                (None, None) => Command::new(httpd),
            },
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(httpd).arg("-X");
                command
            }
        };
        command.arg("-d").arg(self.run.path()).arg("-f").arg(self.run.configuration()).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

/// A server's own directory, `${RUN}`.
#[derive(Debug)]
pub(super) struct RunDirectory(PathBuf);

impl RunDirectory {
    fn make(site: &Site) -> io::Result<Self> {
        let path = site.root().join(format!("httpd-{}", NEXT_RUN.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn configuration(&self) -> PathBuf {
        self.file("httpd.conf")
    }

    /// The file for what httpd prints.
    pub(super) fn output(&self) -> PathBuf {
        self.file("output")
    }

    /// A file as it is by now, empty if there is none yet.
    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    pub(super) fn error_log(&self) -> String {
        self.read("error.log")
    }

    /// What httpd printed and logged so far.
    pub(super) fn said(&self) -> String {
        self.read("output") + &self.error_log()
    }

    /// The process id of the server that runs here, once its pid file is there.
    pub(super) fn pid(&self) -> Option<i32> {
        self.read("httpd.pid").trim().parse().ok()
    }

    /// Whether this process is the server that runs here.
    pub(super) fn belongs_to(&self, process: &Process) -> bool {
        self.pid() == Some(process.id().cast_signed())
    }
}

fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
