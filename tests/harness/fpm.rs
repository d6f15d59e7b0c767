//! A private php-fpm with opcache, on a socket in the site's directory.
//!
//! Owns: the life of one php-fpm and its configuration. Must not: depend on the system's php.ini.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::installation;
use crate::process::Process;
use crate::readiness;
use crate::site::Site;

const STARTS_WITHIN: Duration = Duration::from_secs(10);
const RELOADS_WITHIN: Duration = Duration::from_secs(30);

/// The settings that matter here: opcache and the path cache as PHP ships them.
const INI: &str = "zend_extension=opcache\nopcache.enable=1\ndisplay_errors=1\nhtml_errors=0\nlog_errors=0\n";

/// What a test wants to be otherwise than usual, in the words of PHP's own files.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Lines of `php.ini`.
    pub ini: String,
    /// Lines of php-fpm's section `[global]`.
    pub global: String,
    /// The directory that its workers take for the root.
    pub chroot: Option<PathBuf>,
}

/// A running private php-fpm.
#[derive(Debug)]
pub struct Fpm {
    process: Process,
    socket: PathBuf,
    log: PathBuf,
}

impl Fpm {
    /// Starts php-fpm with that many workers, all of which stay.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn start(site: &Site, workers: usize) -> Result<Self> {
        Self::start_with(site, workers, &Settings::default())
    }

    /// The same with settings of its own.
    ///
    /// # Errors
    /// As [`Fpm::start`].
    pub fn start_with(site: &Site, workers: usize, settings: &Settings) -> Result<Self> {
        let run = site.root().join("php-fpm");
        fs::create_dir_all(&run)?;
        let ini = run.join("php.ini");
        fs::write(&ini, format!("{INI}{}", settings.ini))?;
        let socket = run.join("fpm.sock");
        let log = run.join("fpm.log");
        // With PHP's own process_control_timeout, 0, a reload would cut off the requests that are under way.
        let mut pool = format!(
            "[global]\nerror_log = {log}\nprocess_control_timeout = 20s\n{global}\n\
             [site]\nlisten = {socket}\npm = static\npm.max_children = {workers}\n",
            global = settings.global,
            log = log.display(),
            socket = socket.display(),
        );
        if let Some(root) = &settings.chroot {
            pool += &format!("chroot = {}\nchdir = /\n", root.display());
        }
        // Only root can change the root; others are root in a namespace of their own.
        let in_namespace = settings.chroot.is_some() && !installation::is_root();
        if installation::is_root() {
            let account = installation::SERVICE_ACCOUNT;
            pool += &format!("user = {account}\ngroup = {account}\nlisten.owner = {account}\n");
        } else if in_namespace {
            pool += "user = root\ngroup = root\n";
        }
        let pool_file = run.join("fpm.conf");
        fs::write(&pool_file, pool)?;

        let program = installation::php_fpm()?;
        let mut command = if in_namespace {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--"]).arg(program).arg("--allow-to-run-as-root");
            command
        } else {
            Command::new(program)
        };
        command.arg("--nodaemonize").arg("-c").arg(&ini).arg("-y").arg(&pool_file);
        command.env("PHP_INI_SCAN_DIR", "");
        let output = run.join("output");
        let process = Process::start(&command, &output).context("cannot run php-fpm")?;
        let answers = || process.has_ended() || UnixStream::connect(&socket).is_ok();
        if !readiness::becomes_true(STARTS_WITHIN, answers) || process.has_ended() {
            bail!(
                "php-fpm does not start: {}{}",
                fs::read_to_string(output).unwrap_or_default(),
                fs::read_to_string(log).unwrap_or_default()
            );
        }
        Ok(Self { process, socket, log })
    }

    /// The shell command that reloads it, as a service manager does.
    #[must_use]
    pub fn reload_command(&self) -> String {
        format!("kill -USR2 {}", self.process.id())
    }

    /// How often it has started, reloads included.
    #[must_use]
    pub fn starts(&self) -> usize {
        fs::read_to_string(&self.log).unwrap_or_default().matches("ready to handle connections").count()
    }

    /// Waits until it has started that often.
    ///
    /// # Panics
    /// If it never has.
    pub fn wait_for_start(&self, number: usize) {
        let started = readiness::becomes_true(RELOADS_WITHIN, || self.starts() >= number);
        assert!(started, "php-fpm did not reload: {}", fs::read_to_string(&self.log).unwrap_or_default());
    }

    /// Reloads it, which empties its opcache, and waits until that is done.
    ///
    /// # Panics
    /// If it does not reload.
    pub fn reload(&self) {
        let before = self.starts();
        self.process.signal(Signal::SIGUSR2).expect("a running php-fpm");
        self.wait_for_start(before + 1);
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Tells it to reload, and does not wait: what is under way may take its time.
    ///
    /// # Panics
    /// If it does not begin to.
    pub fn begin_reload(&self) {
        let begun = || fs::read_to_string(&self.log).unwrap_or_default().matches("Reloading in progress").count();
        let before = begun();
        self.process.signal(Signal::SIGUSR2).expect("a running php-fpm");
        assert!(readiness::becomes_true(RELOADS_WITHIN, || begun() > before), "php-fpm does not reload");
    }

    /// The httpd directives that send `.php` files here.
    #[must_use]
    pub fn directives(&self) -> String {
        format!(
            "<FilesMatch \"\\.php$\">\nSetHandler \"proxy:unix:{}|fcgi://localhost\"\n</FilesMatch>\n",
            self.socket.display()
        )
    }
}

/// Writes a private php.ini with the same settings for mod_php, and `more` lines, and returns its directory for
/// `PHPINIDir`.
///
/// # Panics
/// If the file system refuses.
#[must_use]
pub fn ini_directory(site: &Site, more: &str) -> PathBuf {
    let directory: PathBuf = site.root().join("php-ini");
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(Path::new(&directory).join("php.ini"), format!("{INI}{more}")).expect("a php.ini");
    directory
}
