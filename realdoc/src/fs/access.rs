//! Who may read and write what is served.
//!
//! Owns: the modes that releases and shared directories get, and whether the web server gets at them. Must not: follow a
//! link in a release.
//!
//! It goes by owners and modes. Where a file has an access control list, the group's bits stand for it, as `stat(2)` has
//! them.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use crate::config::Config;
use crate::error::{Context, Error, Result};
use crate::fs::tree;
use crate::os::account::{self, User};

/// The users that httpd runs as where distributions have packaged it.
const WEB_USERS: [&str; 4] = ["www-data", "apache", "wwwrun", "http"];

const READ: u32 = 4;
const WRITE: u32 = 2;
const SEARCH: u32 = 1;

/// Lets everything that this process and its children make have the modes of the configuration.
///
/// Without one, what is in a directory that hands its group on (`setgid`) is for this group as the umask says, and
/// everything else can be read by all. Nothing is ever writable for all.
pub fn set_umask(config: &Config) {
    let inherited = rustix::process::umask(Mode::empty()).as_raw_mode();
    let directory = fs::metadata(config.releases.directory.as_path());
    let umask = match config.releases.mode {
        Some(mode) => !mode.bits() & 0o777,
        None if directory.is_ok_and(|directory| directory.mode() & 0o2000 != 0) => inherited | 0o002,
        None => 0o022,
    };
    rustix::process::umask(Mode::from_raw_mode(umask));
}

/// The umask.
#[must_use]
pub fn umask() -> u32 {
    // It cannot be read otherwise; no other thread makes files.
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    mask.as_raw_mode()
}

/// Gives the directory in which a release grows to the configured group, and lets everything in it inherit the group.
///
/// # Errors
/// [`Error::Config`] if there is no such group, or what the file system says.
pub fn give_to_group(config: &Config, directory: &Path) -> Result<()> {
    let Some(group) = &config.releases.group else {
        return Ok(());
    };
    let gid = account::group(group)
        .ok_or_else(|| Error::Config(format!("[releases] group: there is no group {group}; a number will do, too")))?;
    std::os::unix::fs::chown(directory, None, Some(gid)).context("give to the group", directory)?;
    let mode = fs::metadata(directory).context("look at", directory)?.mode();
    fs::set_permissions(directory, Permissions::from_mode(mode & 0o777 | 0o2000)).context("protect", directory)
}

/// Makes a shared directory, and those above it that are missing, with the configured owner and mode.
///
/// # Errors
/// [`Error::Config`] if there is no such user or group, or what the file system says.
pub fn make_shared(config: &Config, path: &Path) -> Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    for directory in missing.into_iter().rev() {
        fs::create_dir(directory).context("create", directory)?;
        // The directory for all of them is nobody's but ours.
        if directory == config.shared_directory() || !directory.starts_with(config.shared_directory()) {
            continue;
        }
        if let Some((uid, gid)) = shared_owner(config)? {
            std::os::unix::fs::chown(directory, Some(uid), gid).context("give to its owner", directory)?;
        }
        if let Some(mode) = config.shared.mode {
            fs::set_permissions(directory, Permissions::from_mode(mode.bits())).context("protect", directory)?;
        }
    }
    Ok(())
}

/// Whose shared directories are: as configured, or, if root may give them away, the web server's.
fn shared_owner(config: &Config) -> Result<Option<(u32, Option<u32>)>> {
    let Some(owner) = &config.shared.owner else {
        let user = if rustix::process::geteuid().is_root() { web_user(config)? } else { None };
        return Ok(user.map(|user| (user.uid, Some(user.gid))));
    };
    let (user, group) = owner.split_once(':').map_or((&owner[..], None), |(user, group)| (user, Some(group)));
    let unknown = |what: &str| Error::Config(format!("[shared] owner: there is no {what}; a number will do, too"));
    let uid = account::user(user).ok_or_else(|| unknown(&format!("user {user}")))?.uid;
    let gid = match group {
        Some(group) => Some(account::group(group).ok_or_else(|| unknown(&format!("group {group}")))?),
        None => None,
    };
    Ok(Some((uid, gid)))
}

/// The user that httpd runs as, as configured or as this distribution has it.
fn web_user(config: &Config) -> Result<Option<User>> {
    match &config.httpd.user {
        Some(name) => account::user(name)
            .map(Some)
            .ok_or_else(|| Error::Config(format!("[httpd] user: there is no user {name}; a number will do, too"))),
        None => Ok(WEB_USERS.iter().find_map(|name| account::user(name))),
    }
}

/// The web server, as the one who reads.
#[derive(Debug)]
pub struct Reader {
    user: User,
    groups: Vec<u32>,
    /// By the configuration; else it is a guess, and good enough to judge only what we have made.
    is_certain: bool,
}

/// What the web server does not get at.
#[derive(Debug, Default)]
pub struct Unreadable {
    /// Why nothing of the release would be served.
    pub all: Option<String>,
    /// What else is wrong.
    pub some: Vec<String>,
}

impl Reader {
    /// The web server, if it is known.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such user.
    pub fn of(config: &Config) -> Result<Option<Self>> {
        let user = web_user(config)?;
        Ok(user.map(|user| Self { groups: account::groups_of(&user), user, is_certain: config.httpd.user.is_some() }))
    }

    fn may(&self, metadata: &Metadata, what: u32) -> bool {
        if self.user.uid == 0 {
            return true;
        }
        let shift = match () {
            () if metadata.uid() == self.user.uid => 6,
            () if self.groups.contains(&metadata.gid()) => 3,
            () => 0,
        };
        metadata.mode() >> shift & what == what
    }

    /// What it does not get at in a release whose links lead to `docroot` in it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn check(&self, config: &Config, release: &Path, docroot: &Path) -> Result<Unreadable> {
        let name = &self.user.name;
        let mut found = Unreadable::default();
        let real = docroot.canonicalize().context("look at", docroot)?;
        let inside = |directory: &&Path| self.is_certain || directory.starts_with(release);
        let above: Vec<&Path> = real.ancestors().skip(1).filter(inside).collect();
        for directory in above.into_iter().rev() {
            if fs::metadata(directory).is_ok_and(|metadata| !self.may(&metadata, SEARCH)) {
                found.all = Some(format!("{name} cannot enter {}", directory.display()));
                return Ok(found);
            }
        }
        if fs::metadata(&real).is_ok_and(|metadata| !self.may(&metadata, READ | SEARCH)) {
            found.all = Some(format!(
                "{name} cannot read {}; [releases] mode and group say who can, [httpd] user who has to",
                real.display()
            ));
            return Ok(found);
        }
        let mut files: Vec<PathBuf> = Vec::new();
        tree::visit(release, &mut |path, metadata| {
            let wanted = if metadata.is_dir() { READ | SEARCH } else { READ };
            if !metadata.is_symlink() && !self.may(metadata, wanted) {
                files.push(path.strip_prefix(release).unwrap_or(path).to_owned());
            }
            Ok(())
        })?;
        files.sort();
        if let [first, ..] = &files[..] {
            let (count, plural) = (files.len(), if files.len() == 1 { "" } else { "s" });
            found.some.push(format!("{name} cannot read {count} file{plural}, such as {}", first.display()));
        }
        if self.is_certain {
            found.some.extend(self.check_shared(config));
        }
        Ok(found)
    }

    fn check_shared(&self, config: &Config) -> Vec<String> {
        let mut found = Vec::new();
        for path in &config.shared.paths {
            let real = config.shared_directory().join(path.as_path());
            let Ok(metadata) = fs::metadata(&real) else { continue };
            let (wanted, verb) = if metadata.is_dir() { (READ | WRITE | SEARCH, "write") } else { (READ, "read") };
            if !self.may(&metadata, wanted) {
                found.push(format!(
                    "{} cannot {verb} the shared {}; [shared] owner and mode are for those that realdoc makes",
                    self.user.name,
                    real.display()
                ));
            }
        }
        found
    }
}
