//! Which process owns a slot, and whether it lives.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::inuse::format::{ALIVE, BOOT, HEADER, NAMESPACE, PID, START};
use crate::inuse::os;
use crate::inuse::words::Words;

/// A process, told from any other that has, or had, its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub(crate) pid: u64,
    /// When it started, in clock ticks since boot; zero if that cannot be told.
    pub(crate) start: u64,
    pub(crate) boot: [u64; 2],
    /// The inode of its PID namespace.
    pub(crate) namespace: u64,
}

impl Process {
    /// This process. What `/proc` does not tell is zero: then the lock alone tells whether the process lives.
    pub fn current() -> Self {
        let pid = std::process::id();
        let start = stat(pid.into()).map_or(0, |stat| stat.start);
        Self { pid: pid.into(), start, boot: boot(), namespace: namespace() }
    }

    /// The owner of a slot, by its header.
    pub(crate) fn of(header: &OwnerWords) -> Self {
        let [pid, start, namespace] = [PID, START, NAMESPACE].map(|word| header[word - HEADER]);
        Self { pid, start, boot: [header[BOOT - HEADER], header[BOOT + 1 - HEADER]], namespace }
    }

    pub(crate) fn write(&self, words: &impl Words) {
        words.store(PID, self.pid);
        words.store(START, self.start);
        words.store(BOOT, self.boot[0]);
        words.store(BOOT + 1, self.boot[1]);
        words.store(NAMESPACE, self.namespace);
    }

    /// Whether this process, whose byte is not locked, lives all the same: some part of it has closed a descriptor of the
    /// file, and lost the lock with that. `mutex` is what its slot has at [`ALIVE`].
    ///
    /// `/proc` tells of a process of this PID namespace, unless it hides the processes of others. The mutex tells the rest:
    /// there is no number for a process of another namespace, which may be that of a container.
    pub(crate) fn lives_without_lock(&self, mutex: u64) -> bool {
        let is_other = |this: [u64; 2]| self.boot != [0, 0] && this != [0, 0] && self.boot != this;
        if self.pid == 0 || is_other(boot()) {
            return false;
        }
        if self.start != 0 && self.namespace != 0 && self.namespace == namespace() {
            match stat(self.pid) {
                Ok(stat) => return stat.start == self.start && !stat.is_dead,
                Err(_) if !i32::try_from(self.pid).is_ok_and(os::process_exists) => return false,
                Err(_) => {}
            }
        }
        os::is_held(mutex)
    }
}

/// The number of [`OwnerWords`].
pub(crate) const OWNER_WORDS: usize = ALIVE + 1 - HEADER;

/// The words of a slot's header that say whose it is, and whether its owner lives.
pub(crate) type OwnerWords = [u64; OWNER_WORDS];

struct Stat {
    start: u64,
    /// Dead and not waited for. It has no files open, and so no requests.
    is_dead: bool,
}

fn stat(pid: u64) -> io::Result<Stat> {
    parse(&fs::read(format!("/proc/{pid}/stat"))?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The name of the program, in parentheses, may contain anything.
fn parse(stat: &[u8]) -> Option<Stat> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    // The first of these is the third, the state.
    let field = |number: usize| fields.split_ascii_whitespace().nth(number - 3);
    let threads: u64 = field(20)?.parse().ok()?;
    // A main thread may end before the others.
    Some(Stat { start: field(22)?.parse().ok()?, is_dead: matches!(field(3)?, "Z" | "X") && threads <= 1 })
}

fn boot() -> [u64; 2] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let number = u128::from_str_radix(&digits, 16).unwrap_or(0);
    [(number >> 64) as u64, number as u64]
}

fn namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_another_of_its_number_does_not() {
        let this = Process::current();
        assert!(this.start > 0 && this.boot != [0, 0] && this.namespace > 0, "{this:?}");
        assert!(this.lives_without_lock(0));
        for other in
            [Process { start: this.start + 1, ..this }, Process { boot: [1, 2], ..this }, Process { pid: 0, ..this }]
        {
            assert!(!other.lives_without_lock(1), "{other:?}");
        }
        // What its number does not tell.
        for other in [
            Process { namespace: 1, ..this },
            Process { namespace: 0, ..this },
            Process { start: 0, ..this },
            Process { start: 0, boot: [0, 0], namespace: 0, ..this },
        ] {
            assert!(other.lives_without_lock(1), "{other:?}");
            assert!(!other.lives_without_lock(0) && !other.lives_without_lock(1 << 30), "{other:?}");
        }
    }

    #[test]
    fn a_program_may_have_any_name() {
        let stat = parse(b"7 (a) Z 1 (\xff) S 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 3 0 99 1000 1\n").unwrap();
        assert_eq!((stat.start, stat.is_dead), (99, false));
        assert!(parse(b"7 (a) Z 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 99 1000 1\n").unwrap().is_dead);
        assert!(!parse(b"7 (a) Z 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 2 0 99 1000 1\n").unwrap().is_dead);
        assert!(parse(b"7 (a) S 1").is_none());
    }
}
