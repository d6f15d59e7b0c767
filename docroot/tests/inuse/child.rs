//! Processes of their own: the test program again, told by its environment what to do.

use std::io::{BufRead, BufReader, Lines, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use docroot::Os;
use docroot::inuse::{EntryCell, File, Process, Reader};

use crate::{claim, enter, release};

const ROLE: &str = "INUSE_TEST_ROLE";
const FILE: &str = "INUSE_TEST_FILE";
/// The release that children use.
pub const RELEASE: &str = "/srv/releases/42";
/// What they say is behind this.
const MARK: &str = "child says: ";

/// A process with one request, until it is dropped.
pub struct Holder {
    child: Child,
    /// Open, because it goes on to write.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    /// Starts a process that counts a request of [`RELEASE`].
    pub fn start(file: &Path) -> Self {
        Self::start_as("hold", file)
    }

    /// The same, in another role.
    pub fn start_as(role: &str, file: &Path) -> Self {
        Self::run(command(&std::env::current_exe().expect("the test program"), role, file))
    }

    /// A process that this command starts.
    pub fn run(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let is_ready = lines.any(|line| line.expect("a line").contains("ready"));
        assert!(is_ready, "the child ended");
        Self { child, _lines: lines }
    }

    /// Ends the request and the process.
    pub fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("a process").success());
    }

    /// As the kernel does when memory is short.
    pub fn kill(mut self) {
        self.child.kill().expect("a process");
        self.child.wait().expect("a process");
    }

    pub fn process(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The test program in a role.
pub fn command(program: &Path, role: &str, file: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", "child::child", "--nocapture"]).env(ROLE, role).env(FILE, file);
    command
}

/// The same, in a PID namespace of its own.
pub fn in_namespace(inner: &Command) -> Command {
    through(&["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"], inner)
}

/// A command that another program runs.
pub fn through(outer: &[&str], inner: &Command) -> Command {
    let mut command = Command::new(outer[0]);
    command.args(&outer[1..]).arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// Whether namespaces can be made here. Where continuous integration runs as root, they must be.
pub fn has_namespaces() -> bool {
    let status = Command::new("unshare").args(["--mount", "--pid", "--fork", "--mount-proc", "true"]).status();
    let has = status.is_ok_and(|status| status.success());
    if !has {
        // SAFETY: the call takes nothing and cannot fail.
        let is_root = unsafe { libc::geteuid() } == 0;
        assert!(!is_root || std::env::var_os("CI").is_none(), "CI is set, and root can make no namespaces");
        eprintln!("not run: no namespaces can be made here");
    }
    has
}

/// What a process said that ran in the role "read".
pub fn answer(mut command: Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.split_once(MARK)).map(|(_, answer)| answer.to_owned())
}

/// No test, but what the other processes run.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var_os(FILE).expect("a file");
    let path = Path::new(&path);
    if role == "read" {
        match Reader::open(path) {
            Ok(reader) => println!("{MARK}{:?}", reader.in_use(&release(RELEASE))),
            Err(unknown) => println!("{MARK}{unknown:?}"),
        }
        return;
    }
    let file = File::create(path).expect("the file");
    if role == "fill" {
        fill(&file);
        return;
    }
    if role == "uncounted" {
        file_limit();
        assert!(file.claim(&Process::current(), Os::now(), Duration::ZERO, 4).is_err());
        println!("ready");
        std::io::stdin().read_to_end(&mut Vec::new()).expect("an end");
        return;
    }
    let slot = claim(&file, 4);
    let ticket = enter(&slot, RELEASE, &EntryCell::new());
    if role == "lose" {
        // Closing any descriptor of it unlocks it.
        drop(std::fs::File::open(path).expect("the file"));
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("an end");
    slot.leave(ticket);
}

/// Uses all the memory that there is.
fn fill(file: &File) {
    let slot = claim(file, 4);
    let tickets: Vec<_> = (0..2000).map(|number| enter(&slot, &format!("/{number}"), &EntryCell::new())).collect();
    // The memory for another slot is missing too.
    let next = (0..100).find_map(|_| file.claim(&Process::current(), Os::now(), Duration::ZERO, 4).err());
    let snapshot = file.reader().expect("the file").snapshot().expect("the file");
    println!("{MARK}{} {} {}", snapshot.releases.len() as u64 + snapshot.any, snapshot.any > 0, next.is_some());
    tickets.into_iter().for_each(|ticket| slot.leave(ticket));
}

/// Lets this process write no long files any more.
fn file_limit() {
    let limit = libc::rlimit { rlim_cur: 1 << 17, rlim_max: 1 << 17 };
    // SAFETY: the kernel reads one `rlimit`; to ignore a signal needs no handler.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit);
    }
}
