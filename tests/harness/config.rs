//! The text of a private httpd's configuration.
//!
//! Owns: what every test server needs, so that a test writes only what it is about. Must not: start a server.

use std::fmt::Write as _;
use std::path::Path;

use crate::installation::{self, Installation};
use crate::module::Module;
use crate::mpm::{Children, Mpm};

/// A configuration under construction. Its text may use these httpd variables:
/// `${ROOT}` the site's directory, `${RUN}` the server's own, `${PORT}` its port, `${PORT_2}` and so on further ones.
#[derive(Clone, Debug, Default)]
pub struct Config {
    modules: Vec<String>,
    libraries: Vec<(String, String)>,
    text: String,
    children: Option<Children>,
    more_ports: usize,
    environment: Vec<(String, String)>,
    under: Vec<String>,
    through: Vec<String>,
    grants_nothing: bool,
}

/// Without these no page is served at all.
const ALWAYS: [&str; 4] = ["unixd", "log_config", "authz_core", "mime"];

impl Config {
    /// Serves nothing yet: `text` says what.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::default().text(text)
    }

    /// Adds configuration text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self.text.push('\n');
        self
    }

    /// Loads httpd modules by the names of their files: `include` is `mod_include.so`.
    #[must_use]
    pub fn modules(mut self, names: &[&str]) -> Self {
        self.modules.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// Loads a module from a file of any name.
    #[must_use]
    pub fn library(mut self, symbol: &str, file: &Path) -> Self {
        self.libraries.push((symbol.to_owned(), file.display().to_string()));
        self
    }

    /// Leaves out the grant for the site's directory: for tests of what `<Directory>` sections say.
    #[must_use]
    pub fn grants_nothing(mut self) -> Self {
        self.grants_nothing = true;
        self
    }

    /// Another number of children and threads than the MPM's usual one.
    #[must_use]
    pub fn children(mut self, start: usize, threads: usize) -> Self {
        self.children = Some(Children { start, threads });
        self
    }

    /// Sets a variable of the server's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs httpd as one process (`-X`) of another program that becomes httpd or starts it: valgrind, `strace -D`.
    #[must_use]
    pub fn under(mut self, program: &[&str]) -> Self {
        self.under = program.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Runs httpd by a program that becomes httpd, with all its processes: `unshare`, `prlimit`.
    #[must_use]
    pub fn through(mut self, program: &[&str]) -> Self {
        self.through = program.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Listens on that many further ports, `${PORT_2}` being the first of them.
    #[must_use]
    pub fn more_ports(mut self, count: usize) -> Self {
        self.more_ports = count;
        self
    }

    pub(crate) fn port_count(&self) -> usize {
        1 + self.more_ports
    }

    /// Whether scripts are run by a daemon.
    pub(crate) fn has_cgi_daemon(&self) -> bool {
        self.modules.iter().any(|name| name == "cgid")
    }

    pub(crate) fn program(&self) -> &[String] {
        &self.under
    }

    /// What becomes httpd.
    pub(crate) fn outer_program(&self) -> &[String] {
        &self.through
    }

    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.environment
    }

    pub(crate) fn render(
        &self,
        installation: &Installation,
        mpm: Mpm,
        module: Option<&Module>,
        place: &Place<'_>,
    ) -> String {
        let mut text = String::new();
        let run = place.run.display();
        let mut define = |name: &str, value: &dyn std::fmt::Display| {
            writeln!(text, "Define {name} \"{value}\"").expect("a String takes all");
        };
        define("ROOT", &place.root.display());
        define("RUN", &run);
        for (index, port) in place.ports.iter().enumerate() {
            match index {
                0 => define("PORT", port),
                _ => define(&format!("PORT_{}", index + 1), port),
            }
        }
        // A module may be built in: then there is nothing to load.
        let mut load = |symbol: &str, file: &dyn std::fmt::Display| {
            writeln!(text, "<IfModule !{symbol}>\nLoadModule {symbol} \"{file}\"\n</IfModule>")
                .expect("a String takes all");
        };
        let mpm_name = format!("mpm_{}", mpm.name());
        let names = ALWAYS.into_iter().chain(self.modules.iter().map(String::as_str));
        for name in std::iter::once(mpm_name.as_str()).chain(names) {
            load(&format!("{name}_module"), &installation.module(name).display());
        }
        for (symbol, file) in &self.libraries {
            load(symbol, file);
        }
        if let Some(module) = module {
            load("realdoc_module", &module.file().display());
        }
        text.push_str(&mpm.directives(self.children.unwrap_or_else(|| mpm.usual_children())));
        if installation::is_root() {
            let account = installation::SERVICE_ACCOUNT;
            writeln!(text, "User {account}\nGroup {account}").expect("a String takes all");
        }
        for port in place.ports {
            writeln!(text, "Listen 127.0.0.1:{port}").expect("a String takes all");
        }
        text.push_str(COMMON);
        if !self.grants_nothing {
            text.push_str(GRANT);
        }
        text.push_str(&self.text);
        text
    }
}

/// Where a configuration is to run.
pub(crate) struct Place<'a> {
    pub(crate) root: &'a Path,
    pub(crate) run: &'a Path,
    pub(crate) ports: &'a [u16],
}

const COMMON: &str = r#"
ServerRoot "${RUN}"
DefaultRuntimeDir "${RUN}"
PidFile "${RUN}/httpd.pid"
ErrorLog "${RUN}/error.log"
LogLevel notice
ServerName localhost
Timeout 20
KeepAlive On
KeepAliveTimeout 30
MaxKeepAliveRequests 0
# Which child served each request.
LogFormat %P child
CustomLog "${RUN}/children" child
TypesConfig /dev/null
AddType text/html .html .shtml
<IfModule mod_include.c>
    AddOutputFilter INCLUDES .shtml
</IfModule>
<IfModule mod_cgid.c>
    ScriptSock "${RUN}/cgid.sock"
</IfModule>
"#;

const GRANT: &str = r#"
# One grant for the whole tree: with the module, httpd walks the real path of a file, not the path through the link.
<Directory "${ROOT}">
    Require all granted
    Options +FollowSymLinks +Includes
</Directory>
"#;
