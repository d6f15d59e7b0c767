//! One release on disk, and pages in it that take long enough to overlap a flip.
//!
//! Owns: the makings of a page: many parts, some large, of which half have the release in their name. Must not: know
//! which URL a server maps to them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::file;
use crate::page::{END, FILLER, token};

/// How many parts a page includes.
pub const PARTS: usize = 24;

/// How many release tokens [`Release::ssi_page`] shows: head, parts, one more in each nested part, foot.
pub const SSI_TOKENS: usize = 1 + PARTS + PARTS / 4 + 1;

/// How many release tokens [`Release::php_page`] shows.
pub const PHP_TOKENS: usize = 1 + PARTS + 1;

/// How many release tokens [`Release::slow_php_page`] shows.
pub const SLOW_PHP_TOKENS: usize = 1 + PARTS / 2 + 1;

/// How many release tokens [`Release::slow_ssi_page`] shows.
pub const SLOW_SSI_TOKENS: usize = 1 + SLOW_PHP_TOKENS + 2;

const LARGE: usize = 32 * 1024;

/// A directory `releases/<number>`.
#[derive(Debug)]
pub struct Release {
    number: usize,
    directory: PathBuf,
}

impl Release {
    /// A release in any directory, made if it is not there yet.
    ///
    /// # Panics
    /// If the file system refuses.
    #[must_use]
    pub fn create(number: usize, directory: PathBuf) -> Self {
        fs::create_dir_all(&directory).expect("a release directory");
        Self { number, directory }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its token.
    #[must_use]
    pub fn token(&self) -> String {
        token(self.number)
    }

    /// Writes a file, with the directories above it.
    pub fn write(&self, path: &str, text: &str) {
        file::write(&self.directory.join(path), text);
    }

    /// Writes an executable file, with the directories above it.
    pub fn write_script(&self, path: &str, text: &str) {
        file::write_script(&self.directory.join(path), text);
    }

    /// Writes a page with one token and nothing to include.
    pub fn plain_page(&self, path: &str) {
        self.write(path, &format!("{}{END}\n", self.token()));
    }

    /// Writes an SSI page in the docroot `public` (which may be empty) and its parts in `parts/` beside it; it
    /// shows [`SSI_TOKENS`] tokens. `page` is the path in the docroot.
    pub fn ssi_page(&self, public: &str, page: &str) {
        let release = self.number;
        let token = self.token();
        let docroot = Path::new(public);
        let folder = Path::new(page).parent().unwrap_or(Path::new(""));
        let write = |path: &Path, text: &str| self.write(&docroot.join(path).to_string_lossy(), text);
        let parts = folder.join("parts");
        let url = |name: &str| Path::new("/").join(&parts).join(name).display().to_string();

        let mut text = format!("{token}\n");
        for part in 0..PARTS {
            let filler: String = if part % 8 < 2 { FILLER.to_string().repeat(LARGE) } else { String::new() };
            let line = match part % 4 {
                0 => {
                    let name = format!("part-{release}-{part}.html");
                    write(&parts.join(&name), &format!("{token}{filler}\n"));
                    format!("<!--#include virtual=\"{}\" -->", url(&name))
                }
                1 => {
                    let name = format!("part-{release}-{part}.html");
                    write(&parts.join(&name), &format!("{token}{filler}\n"));
                    format!("<!--#include file=\"parts/{name}\" -->")
                }
                2 => {
                    let name = format!("common-{part}.shtml");
                    let leaf = format!("part-{release}-{part}.html");
                    write(&parts.join(&leaf), &format!("{token}\n"));
                    let nested = format!("{token}<!--#include virtual=\"{leaf}\" -->\n");
                    write(&parts.join(&name), &nested);
                    format!("<!--#include virtual=\"{}\" -->", url(&name))
                }
                _ => {
                    let name = format!("common-{part}.html");
                    write(&parts.join(&name), &format!("{token}{filler}\n"));
                    format!("<!--#include file=\"parts/{name}\" -->")
                }
            };
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str(&format!("{token}{END}\n"));
        write(Path::new(page), &text);
    }

    /// Writes a PHP page in the docroot `public` that includes its parts through `$_SERVER['DOCUMENT_ROOT']`; it
    /// shows [`PHP_TOKENS`] tokens.
    pub fn php_page(&self, public: &str, page: &str) {
        let release = self.number;
        let token = self.token();
        let docroot = Path::new(public);
        let mut text = format!("{token}<?php $root = $_SERVER['DOCUMENT_ROOT'];\n");
        for part in 0..PARTS {
            let name = if part % 2 == 0 { format!("part-{release}-{part}.php") } else { format!("common-{part}.php") };
            let filler: String = if part % 8 == 0 { FILLER.to_string().repeat(LARGE) } else { String::new() };
            // A loop, so that parts take the time that an application takes.
            let part_text = format!(
                "<?php $sum = 0; for ($i = 0; $i < 2000; $i++) {{ $sum += crc32((string) $i); }} ?>{token}{filler}\n"
            );
            self.write(&docroot.join("inc").join(&name).to_string_lossy(), &part_text);
            text.push_str(&format!("include $root . '/inc/{name}';\n"));
        }
        text.push_str(&format!("?>{token}{END}\n"));
        self.write(&docroot.join(page).to_string_lossy(), &text);
    }

    /// Writes a PHP page beside one of [`Release::php_page`] that includes half of its parts and waits before each, as
    /// for a database: it takes a tenth of a second at least, and shows [`SLOW_PHP_TOKENS`] tokens.
    pub fn slow_php_page(&self, public: &str, page: &str) {
        let token = self.token();
        let mut text = format!("{token}<?php $root = $_SERVER['DOCUMENT_ROOT'];\n");
        for part in (1..PARTS).step_by(2) {
            text.push_str(&format!("usleep(10000); include $root . '/inc/common-{part}.php';\n"));
        }
        text.push_str(&format!("?>{token}{END}\n"));
        self.write(&Path::new(public).join(page).to_string_lossy(), &text);
    }

    /// Writes, besides [`Release::ssi_page`] and [`Release::slow_php_page`] and in the same directory, a page that
    /// includes the slow one and then a part: a flip meanwhile is certain to come between its pieces. It shows
    /// [`SLOW_SSI_TOKENS`] tokens.
    pub fn slow_ssi_page(&self, public: &str, page: &str, slow_php_page: &str) {
        let token = self.token();
        let text = format!(
            "{token}<!--#include virtual=\"{slow_php_page}\" --><!--#include virtual=\"parts/common-3.html\" -->{token}{END}\n"
        );
        self.write(&Path::new(public).join(page).to_string_lossy(), &text);
    }
}
