//! What the OPcache holds, as PHP itself tells.
//!
//! Owns: the script that asks, and its answer. Must not: fill or empty the OPcache.

use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::site::Site;

/// Tells what is in the OPcache.
const SCRIPT: &str = "<?php $status = opcache_get_status(true);\n\
    echo 'code ', $status['memory_usage']['used_memory'], \"\\n\";\n\
    echo 'strings ', $status['interned_strings_usage']['used_memory'], \"\\n\";\n\
    echo 'misses ', $status['opcache_statistics']['misses'], \"\\n\";\n\
    echo 'full ', (int) $status['cache_full'], \"\\n\";\n\
    foreach ($status['scripts'] as $path => $script) { echo 'script ', $path, \"\\n\"; }\n";

/// The OPcache at one moment.
#[derive(Clone, Debug)]
pub struct Opcache {
    /// The memory in use by compiled files, in bytes.
    pub code: u64,
    /// The memory in use by their strings, of which equal ones are kept once.
    pub strings: u64,
    /// How often a file was compiled because it was not in it, or not anymore.
    pub misses: u64,
    /// Whether it takes no more files.
    pub is_full: bool,
    /// The paths of the files.
    pub scripts: Vec<PathBuf>,
}

impl Opcache {
    /// Writes the script that asks to a directory that `url` must lead to, outside of all releases.
    pub fn install(site: &Site, directory: &str) {
        site.write(&format!("{directory}/opcache.php"), SCRIPT);
    }

    /// What it is now.
    ///
    /// # Panics
    /// If the script at this URL does not tell.
    #[must_use]
    pub fn ask(client: &Client, host: &str, url: &str) -> Self {
        let body = client.get_from(host, url).expect("a response").body;
        let values = |word: &str| -> Vec<&str> { body.lines().filter_map(|line| line.strip_prefix(word)).collect() };
        let number = |word: &str| match values(word)[..] {
            [value] => value.parse().unwrap_or_else(|_| panic!("{body}")),
            _ => panic!("{body}"),
        };
        Self {
            code: number("code "),
            strings: number("strings "),
            misses: number("misses "),
            is_full: number("full ") != 0,
            scripts: values("script ").into_iter().map(PathBuf::from).collect(),
        }
    }

    /// The files in it that are below a directory.
    #[must_use]
    pub fn scripts_below(&self, directory: &Path) -> Vec<PathBuf> {
        self.scripts.iter().filter(|path| path.starts_with(directory)).cloned().collect()
    }
}
