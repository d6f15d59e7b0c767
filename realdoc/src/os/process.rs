//! Running other programs: git, and the command lines of the configuration.
//!
//! Owns: how a child is started, what it sees and how it ends with us. Must not: know what it is for.
//!
//! Every child is started through this binary itself ([`SUPERVISED`]), which asks the kernel to end it when the tool
//! dies, and then becomes the program. So a `kill -9` leaves no `git fetch` that runs on without the lock.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::error::{Context, Ending, Result};
use crate::os::interrupt::Interrupt;
use crate::os::limit::Limit;

/// The first argument that makes this binary become another program.
pub const SUPERVISED: &str = "__supervised";

/// A command that ends with the tool.
#[must_use]
pub fn command(program: &str) -> Command {
    // Not `current_exe`: that is another file, or none, after an upgrade.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("realdoc").arg(SUPERVISED).arg(std::process::id().to_string()).arg(program);
    command
}

/// Becomes the program if this process was started by [`command`]; returns only if it was not, or cannot.
#[must_use]
pub fn become_supervised(mut arguments: impl Iterator<Item = OsString>) -> Option<io::Error> {
    if arguments.nth(1)? != OsStr::new(SUPERVISED) {
        return None;
    }
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse().ok());
    let program = arguments.next()?;
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return Some(error.into());
    }
    if parent != Some(parent_id()) {
        return Some(io::Error::other("the process that wanted it has ended"));
    }
    let error = Command::new(&program).args(arguments).exec();
    Some(io::Error::new(error.kind(), format!("{}: {error}", program.to_string_lossy())))
}

/// Runs a line of the configuration with `/bin/sh` in `directory`. What it writes goes to our standard error.
///
/// # Errors
/// [`Error::Interrupted`](crate::error::Error::Interrupted), or the shell cannot be run.
pub fn shell(
    line: &str,
    directory: &Path,
    variables: &[(&str, &OsStr)],
    interrupt: &Interrupt,
    limit: Limit,
) -> Result<Result<(), Ending>> {
    interrupt.check()?;
    let sh = Path::new("/bin/sh");
    let mut command = command("/bin/sh");
    command.args(["-c", line]).current_dir(directory).envs(variables.iter().copied()).stdin(Stdio::null());
    let output = io::stderr().as_fd().try_clone_to_owned().context("run", sh)?;
    command.stdout(output);
    let leads_group = lead_group(&mut command);
    for name in REPOSITORY_VARIABLES {
        command.env_remove(name);
    }
    let mut child = command.spawn().context("run", sh)?;
    let ((), ended) = interrupt.attend(&mut child, leads_group, limit, |_, _| ()).context("wait for", sh)?;
    // A command that was stopped by the signal has not failed.
    interrupt.check()?;
    Ok(success(ended))
}

/// Whether a program has ended well.
///
/// # Errors
/// How it has ended instead.
pub fn success(ended: Result<ExitStatus, Ending>) -> Result<(), Ending> {
    ended.and_then(|status| if status.success() { Ok(()) } else { Err(Ending::Status(status)) })
}

/// Lets the command have a process group of its own, so that a signal reaches all of it, and says whether it has.
///
/// With a terminal it has none: Ctrl-C there reaches the whole command anyway, and it must stay in the foreground to ask
/// for a password.
pub fn lead_group(command: &mut Command) -> bool {
    let leads_group = !io::stdin().is_terminal();
    if leads_group {
        command.process_group(0);
    }
    leads_group
}

/// What git sets for its hooks and would take as an answer to "which repository?". A deploy may run in a `post-receive`
/// hook; its git must look where the configuration says.
pub const REPOSITORY_VARIABLES: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
];

/// The command line as a person typed it, for the record.
#[must_use]
pub fn command_line() -> String {
    let mut words = vec!["realdoc".to_owned()];
    // A path among them need not be UTF-8.
    words.extend(env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Who runs this process, for the record: not for deciding anything.
#[must_use]
pub fn user() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
