//! Who holds a lock on a file, as `/proc/locks` tells.
//!
//! Owns: reading that table, and naming a process. Must not: be what a decision rests on; the lock itself says whether it
//! is held.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use docroot::escape;

/// How much of a command line is shown.
const SHOWN: usize = 120;

/// A process that holds a lock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its command line; none if it cannot be read.
    pub command: Option<String>,
    /// Whether it has ended, and a child has inherited the lock.
    pub has_ended: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            Some(command) => write!(f, "`{command}` (process {})", self.pid),
            None if self.has_ended => write!(f, "a child of process {}, which has ended", self.pid),
            None => write!(f, "process {}", self.pid),
        }
    }
}

/// The processes that hold a `flock` on a file or directory. None for a process of another PID namespace.
#[must_use]
pub fn holders(path: &Path) -> Vec<Holder> {
    let Ok(metadata) = fs::metadata(path) else { return Vec::new() };
    let table = fs::read_to_string("/proc/locks").unwrap_or_default();
    let file = (metadata.dev(), metadata.ino());
    let mut pids: Vec<u32> =
        table.lines().filter_map(flocked).filter(|(_, of)| *of == file).map(|(pid, _)| pid).collect();
    pids.sort_unstable();
    pids.dedup();
    let holder = |pid| {
        let command = command_of(pid);
        let has_ended = command.is_none() && !Path::new(&format!("/proc/{pid}")).exists();
        Holder { pid, command, has_ended }
    };
    pids.into_iter().map(holder).collect()
}

/// Who holds a lock on it, in words.
#[must_use]
pub fn describe(path: &Path) -> String {
    let holders: Vec<String> = holders(path).iter().map(ToString::to_string).collect();
    if holders.is_empty() { "a process that cannot be seen from here".to_owned() } else { holders.join(", ") }
}

/// The process, and the device and inode, of a line of the table that is a `flock` which is held.
fn flocked(line: &str) -> Option<(u32, (u64, u64))> {
    let mut fields = line.split_whitespace().skip(1);
    // "->" stands before whoever waits.
    if fields.next()? != "FLOCK" {
        return None;
    }
    let pid = fields.nth(2)?.parse().ok()?;
    let mut file = fields.next()?.split(':');
    let [major, minor] = [file.next()?, file.next()?].map(|number| u32::from_str_radix(number, 16));
    Some((pid, (rustix::fs::makedev(major.ok()?, minor.ok()?), file.next()?.parse().ok()?)))
}

fn command_of(pid: u32) -> Option<String> {
    let mut line = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
    line.truncate(line.len() - usize::from(line.ends_with(b"\0")));
    for byte in &mut line {
        if *byte == 0 {
            *byte = b' ';
        }
    }
    let command = escape(&line);
    let shown: String = command.chars().take(SHOWN).collect();
    Some(if shown.len() < command.len() { format!("{shown}...") } else { shown })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::fs::{FlockOperation, flock};

    use super::*;

    #[test]
    fn lines_of_the_table_are_read() {
        let line = "3: FLOCK  ADVISORY  READ  4711 fe:01:131074 0 EOF";
        assert_eq!(flocked(line), Some((4711, (rustix::fs::makedev(0xfe, 1), 131_074))));
        for other in [
            "3: -> FLOCK  ADVISORY  WRITE 4712 fe:01:131074 0 EOF",
            "4: POSIX  ADVISORY  WRITE 4713 fe:01:131074 0 EOF",
            "5: OFDLCK ADVISORY  WRITE -1 fe:01:131074 0 EOF",
            "6: FLOCK  ADVISORY  READ  -1 fe:01:131074 0 EOF",
            "",
        ] {
            assert_eq!(flocked(other), None, "{other}");
        }
    }

    #[test]
    fn who_holds_a_lock_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holders(dir.path()), []);
        let file = File::open(dir.path()).unwrap();
        flock(&file, FlockOperation::LockShared).unwrap();
        let [holder] = &holders(dir.path())[..] else { panic!("{:?}", holders(dir.path())) };
        assert_eq!(holder.pid, std::process::id());
        assert!(describe(dir.path()).contains(&format!("(process {})", std::process::id())));
        drop(file);
        assert_eq!(describe(dir.path()), "a process that cannot be seen from here");
    }
}
