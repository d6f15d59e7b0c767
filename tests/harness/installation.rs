//! What is installed on this machine: httpd and its modules as apxs tells, PHP, the user to drop to.
//!
//! Owns: finding real parts, and the error that names the package of a missing one. Must not: start anything.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::once::Once;

/// The installed httpd.
#[derive(Debug)]
pub struct Installation {
    /// The server program.
    pub httpd: PathBuf,
    /// The directory of its loadable modules.
    pub modules: PathBuf,
}

impl Installation {
    /// The httpd of the `apxs` in `PATH`, or of the one that the variable `APXS` names.
    ///
    /// # Errors
    /// Says what to install if there is no apxs or no httpd.
    pub fn find() -> Result<&'static Self> {
        static FOUND: Once<Installation> = Once::new();
        FOUND.get(Self::ask_apxs)
    }

    fn ask_apxs() -> Result<Self> {
        let httpd = Path::new(&apxs("sbindir")?).join(apxs("progname")?);
        if !httpd.is_file() {
            bail!("there is no httpd at {}: install apache2-bin (Debian) or httpd", httpd.display());
        }
        Ok(Self { httpd, modules: PathBuf::from(apxs("LIBEXECDIR")?) })
    }

    /// The file of an httpd module: `include` gives `.../mod_include.so`.
    #[must_use]
    pub fn module(&self, name: &str) -> PathBuf {
        self.modules.join(format!("mod_{name}.so"))
    }

    /// The file of a module that is not httpd's own. Nothing, and a line that says so, where it is not installed: not
    /// every distribution has each of them.
    #[must_use]
    pub fn third_party(&self, file: &str, package: &str) -> Option<PathBuf> {
        let path = self.modules.join(file);
        if !path.is_file() {
            eprintln!("SKIPPED: there is no {}: install {package}", path.display());
            return None;
        }
        Some(path)
    }

    /// The file of mod_php.
    ///
    /// # Errors
    /// Says what to install if there is none.
    pub fn mod_php(&self) -> Result<PathBuf> {
        let mut found: Vec<PathBuf> = fs::read_dir(&self.modules)
            .with_context(|| format!("reading {}", self.modules.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("libphp") && name.ends_with(".so")
            })
            .collect();
        found.sort();
        found.pop().with_context(|| {
            format!("there is no libphp*.so in {}: install libapache2-mod-php", self.modules.display())
        })
    }
}

/// The symbol by which httpd loads this file of mod_php: PHP 7 has its number in it.
#[must_use]
pub fn php_symbol(library: &Path) -> &'static str {
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("libphp7") { "php7_module" } else { "php_module" }
}

fn apxs(variable: &str) -> Result<String> {
    let program = env::var_os("APXS").unwrap_or_else(|| "apxs".into());
    let output = Command::new(&program)
        .args(["-q", variable])
        .output()
        .with_context(|| format!("cannot run {}: install apache2-dev (Debian) or set APXS", program.display()))?;
    let value = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || value.is_empty() {
        bail!("`{} -q {variable}` says nothing: is it the apxs of an installed httpd?", program.display());
    }
    Ok(value)
}

/// The php-fpm program: the one that the variable `PHP_FPM` names, else the newest in the usual directories.
///
/// # Errors
/// Says what to install if there is none.
pub fn php_fpm() -> Result<PathBuf> {
    if let Some(program) = env::var_os("PHP_FPM") {
        return Ok(program.into());
    }
    let mut found = Vec::new();
    for directory in ["/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin"] {
        let Ok(entries) = fs::read_dir(directory) else { continue };
        found.extend(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix("php-fpm").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
        }));
    }
    found.sort();
    found.pop().context("there is no php-fpm: install php-fpm, or set PHP_FPM")
}

/// The account that servers started by root drop to.
pub const SERVICE_ACCOUNT: &str = "www-data";

/// Whether this process is root, so that its servers must drop to [`SERVICE_ACCOUNT`].
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
