//! The columns of the table: which servers are compared.
//!
//! Owns: what each loads and how it is configured. Must not: start one.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};
use harness::{Config, Httpd, Module};

/// One of the servers that are compared.
#[derive(Debug)]
pub struct Column {
    /// Its name in the table.
    pub name: &'static str,
    /// Whether its docroot is the link; else it is what the link leads to, as deep in the file system.
    pub through_link: bool,
    /// This module, if it loads it.
    pub module: Option<&'static Module>,
    peer: Option<PathBuf>,
    directives: String,
}

impl Column {
    /// Its docroot: `link` as configured, or `real`, what that leads to.
    #[must_use]
    pub fn docroot<'d>(&self, link: &'d str, real: &'d str) -> &'d str {
        if self.through_link { link } else { real }
    }

    /// Its configuration: `link` is the docroot as configured, `real` what that leads to.
    #[must_use]
    pub fn config(&self, link: &str, real: &str) -> Config {
        let docroot = self.docroot(link, real);
        self.load(Config::new(&format!("DocumentRoot \"${{ROOT}}/{docroot}\"")))
    }

    /// The same, with two sections for the docroot as it is stated.
    #[must_use]
    pub fn with_sections(&self, link: &str, real: &str) -> Config {
        let docroot = self.docroot(link, real);
        let section = |path: &str, says: &str| format!("<Directory \"${{ROOT}}/{path}\">\n{says}\n</Directory>\n");
        self.config(link, real)
            .text(&section(docroot, "Options FollowSymLinks"))
            .text(&section(&format!("{docroot}/private"), "Require all denied"))
    }

    /// A configuration with what this column loads and says.
    #[must_use]
    pub fn load(&self, config: Config) -> Config {
        let config = config.text(&self.directives);
        match &self.peer {
            Some(file) => config.library("realdoc_module", file),
            None => config,
        }
    }

    /// Declares what a server of this column may log.
    pub fn expect_errors(&self, httpd: &Httpd) {
        // Just so many connections as there are workers are what the measurement asks for.
        httpd.expect_error("server reached MaxRequestWorkers setting");
        if self.peer.is_some() {
            httpd.expect_error("");
        }
    }

    fn new(name: &'static str) -> Self {
        Self { name, through_link: true, module: None, peer: None, directives: String::new() }
    }
}

/// The name of the first column, which the others are compared with.
pub const ALONE: &str = "httpd alone";
/// No module, and httpd follows the link for each file.
pub const LINK: &str = "httpd, link";
/// This module inside its window.
pub const WINDOW: &str = "window";

/// All columns. The first is what the others are compared with.
///
/// # Errors
/// If this module does not build or the other one is not there.
pub fn all() -> Result<Vec<Column>> {
    let ours = |name, directives: &str| -> Result<Column> {
        Ok(Column { module: Some(Module::release()?), directives: directives.to_owned(), ..Column::new(name) })
    };
    let mut columns = vec![
        Column { through_link: false, ..Column::new(ALONE) },
        Column::new(LINK),
        ours(WINDOW, "RealpathEvery 2")?,
        ours("strict", "RealpathEvery 0")?,
        ours("readlink", "UseReadlink On\nRealpathEvery 0")?,
    ];
    if let Some(file) = env::var_os("PEER").filter(|file| !file.is_empty()) {
        let file = PathBuf::from(file);
        let file = file.canonicalize().with_context(|| format!("PEER={}", file.display()))?;
        let directives = env::var("PEER_CONF").unwrap_or_default();
        columns.push(Column { peer: Some(file), directives, ..Column::new("peer") });
    }
    Ok(columns)
}

/// This module without and with the count of requests for each release. The first is what the other is compared with.
///
/// # Errors
/// If this module does not build.
pub fn in_use() -> Result<Vec<Column>> {
    let column = |name, in_use: &str| -> Result<Column> {
        let directives = format!("RealpathEvery 2\nRealdocInUse {in_use}");
        Ok(Column { module: Some(Module::release()?), directives, ..Column::new(name) })
    };
    Ok(vec![column("RealdocInUse Off", "Off")?, column("RealdocInUse On", "On")?])
}
