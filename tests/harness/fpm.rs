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
        let run = site.root().join("php-fpm");
        fs::create_dir_all(&run)?;
        let ini = run.join("php.ini");
        fs::write(&ini, INI)?;
        let socket = run.join("fpm.sock");
        let log = run.join("fpm.log");
        // With PHP's own process_control_timeout, 0, a reload would cut off the requests that are under way.
        let mut pool = format!(
            "[global]\nerror_log = {log}\nprocess_control_timeout = 20s\n\
             [site]\nlisten = {socket}\npm = static\npm.max_children = {workers}\n",
            log = log.display(),
            socket = socket.display(),
        );
        if installation::is_root() {
            let account = installation::SERVICE_ACCOUNT;
            pool += &format!("user = {account}\ngroup = {account}\nlisten.owner = {account}\n");
        }
        let pool_file = run.join("fpm.conf");
        fs::write(&pool_file, pool)?;

        let mut command = Command::new(installation::php_fpm()?);
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

    /// The httpd directives that send `.php` files here.
    #[must_use]
    pub fn directives(&self) -> String {
        format!(
            "<FilesMatch \"\\.php$\">\nSetHandler \"proxy:unix:{}|fcgi://localhost\"\n</FilesMatch>\n",
            self.socket.display()
        )
    }
}

/// Writes a private php.ini with the same settings for mod_php, and returns its directory for `PHPINIDir`.
///
/// # Panics
/// If the file system refuses.
#[must_use]
pub fn ini_directory(site: &Site) -> PathBuf {
    let directory: PathBuf = site.root().join("php-ini");
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(Path::new(&directory).join("php.ini"), INI).expect("a php.ini");
    directory
}
