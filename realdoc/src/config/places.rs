//! Where the configuration is found.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::error::{Error, Result};

/// Where the configuration is looked for, after `--config` and `$REALDOC_CONFIG`.
pub const PLACES: [&str; 2] = ["realdoc.toml", "/etc/realdoc.toml"];

/// The configuration file to use: the one that is named, or the first that exists.
///
/// # Errors
/// [`Error::NotFound`] if none is named and none exists.
pub fn find(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let found = PLACES.iter().map(PathBuf::from).find(|path| path.exists());
    if let Some(path) = &found {
        refuse_of_others(path)?;
    }
    found.ok_or_else(|| {
        let here = env::current_dir().unwrap_or_default();
        Error::NotFound(format!(
            "there is no configuration: neither --config, $REALDOC_CONFIG, {}/realdoc.toml nor /etc/realdoc.toml; \
             `realdoc init` writes one",
            here.display()
        ))
    })
}

/// Root obeys no configuration that it only happens to find, and that another user could have written: its commands would
/// be run as root.
fn refuse_of_others(path: &Path) -> Result<()> {
    const OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let is_ours = |path: &Path, harmless: u32| {
        fs::metadata(path).is_ok_and(|metadata| {
            metadata.uid() == 0 && (metadata.mode() & OTHERS == 0 || metadata.mode() & harmless != 0)
        })
    };
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directories = [&real, path].map(|path| std::path::absolute(path).ok()?.parent().map(Path::to_owned));
    // In a sticky directory, nobody puts another file in the place of root's.
    let is_safe = is_ours(&real, 0) && directories.iter().flatten().all(|directory| is_ours(directory, STICKY));
    if is_safe {
        return Ok(());
    }
    Err(Error::Config(format!(
        "{} or its directory is not root's alone: another user could have written it, and its commands would be run as root. \
         If you trust it, name it by --config",
        path.display()
    )))
}
