//! Modules that are not httpd's own, as Debian packages them.
//!
//! Owns: which of them is loaded, and that a test without its module says so and passes. Must not: test what one of them
//! does by itself.
//!
//! `make test-third-party` installs the packages and runs these tests.

use std::path::PathBuf;

use harness::Config;
use harness::installation::Installation;

mod itk;
mod passenger;
mod perl;
mod rpaf;
mod security;
mod wsgi;
mod xsendfile;

/// A module that is not httpd's own.
struct ThirdParty {
    symbol: &'static str,
    file: &'static str,
    package: &'static str,
}

impl ThirdParty {
    /// Its file; nothing, and a line that says so, where it is not installed.
    fn find(&self) -> Option<PathBuf> {
        Installation::find().expect("httpd").third_party(self.file, self.package)
    }

    /// A configuration that loads the module; nothing, and a line that says so, where it is not installed.
    fn loaded(&self, text: &str) -> Option<Config> {
        Some(Config::new(text).library(self.symbol, &self.find()?))
    }
}
