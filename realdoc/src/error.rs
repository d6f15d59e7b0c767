//! What can go wrong, in words, and the exit code that says it to scripts.
//!
//! Owns: every error of the tool and the table of exit codes. Must not: print, or decide what to do about an error.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use std::{fmt, io};

use jiff::SignedDuration;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How another program ended that was not content.
#[derive(Clone, Debug)]
pub enum Ending {
    /// By itself, or by a signal.
    Status(ExitStatus),
    /// It took too long, and was ended with everything that it had started.
    TimedOut {
        /// How long it was given.
        after: Duration,
        /// The key in `[timeouts]` that says so.
        key: &'static str,
    },
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "exited with {code}"),
                (None, Some(signal)) => write!(f, "was ended by {}", signal_name(signal)),
                (None, None) => f.write_str("ended abnormally"),
            },
            Self::TimedOut { after, key } => {
                let after = SignedDuration::try_from(*after).unwrap_or(SignedDuration::MAX);
                write!(f, "did not end within {after:#} and was ended ([timeouts] {key})")
            }
        }
    }
}

/// A check that has failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the {what} of {release} failed: `{command}` {ending}; no link was flipped to it")]
pub struct FailedCheck {
    /// `check` or `warm-up`.
    pub what: &'static str,
    /// The release that was checked.
    pub release: String,
    /// The command as configured.
    pub command: String,
    /// How it ended.
    pub ending: Ending,
}

/// Why the tool stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),

    /// The configuration cannot be used; the message carries file, line and column.
    #[error("{0}")]
    Config(String),

    /// A release, an instance, a tag or a configuration file that does not exist.
    #[error("{0}")]
    NotFound(String),

    /// Another process holds the lock of the releases directory.
    #[error(
        "busy: {directory} is locked by {holder}; --wait waits for it{ending}",
        directory = .directory.display(),
        ending = ending_is_safe(*.pid, *.is_stopped)
    )]
    Busy {
        /// The releases directory.
        directory: PathBuf,
        /// The process that holds the lock; 0 if that is not known.
        pid: u32,
        /// Who holds the lock, in words.
        holder: String,
        /// Whether that process is stopped, and takes no other signal.
        is_stopped: bool,
    },

    /// The check command said no; nothing was flipped to the release.
    #[error("{0}; --skip-check goes on without the check")]
    CheckFailed(FailedCheck),

    /// An activation failed half-way and every link that had been flipped was put back.
    #[error("{cause}; every link is as it was")]
    PutBack {
        /// What failed.
        cause: String,
    },

    /// A build command failed; the release does not exist.
    #[error("`{command}` {} in the new release; nothing was staged", .ending)]
    BuildFailed {
        /// The command as configured.
        command: String,
        /// How it ended.
        ending: Ending,
    },

    /// A command that prepares a release failed; it does not go live.
    #[error(
        "`{command}` {ending} in {release}, which has to be prepared before it goes live; the next activation tries again"
    )]
    PrepareFailed {
        /// The release.
        release: String,
        /// The command as configured.
        command: String,
        /// How it ended.
        ending: Ending,
    },

    /// The probe said no after the flip, and the activation was taken back.
    #[error(
        "the probe of {release} failed: `{command}` {ending}; the activation was taken back, and {release} is marked bad{left}"
    )]
    ProbeFailed {
        /// The release.
        release: String,
        /// The command as configured.
        command: String,
        /// How it ended.
        ending: Ending,
        /// What could not be taken back; begins with a semicolon, or is empty.
        left: String,
    },

    /// The links are flipped and recorded, but the reload command failed.
    #[error(
        "the links are flipped, but the reload command failed: `{command}` {ending}; `realdoc reload` runs it again{left}"
    )]
    ReloadFailed {
        /// The command as configured.
        command: String,
        /// How it ended.
        ending: Ending,
        /// Which links a rollback has left where they were; begins with a semicolon, or is empty.
        left: String,
    },

    /// An activation failed half-way and some links could not be put back. The next command tries again.
    #[error("{cause}; not every link could be put back, the next command tries again")]
    Mixed {
        /// What failed.
        cause: String,
    },

    /// Some links are where they were to be, and others stay where they are.
    #[error("{done}; not: {left}")]
    Partial {
        /// What was done: "5 went back".
        done: String,
        /// The others, each with the reason.
        left: String,
    },

    /// `status --check` has found something.
    #[error("{0}")]
    Unhealthy(String),

    /// Requests still run in a release, or a process holds it, after the time that was given.
    #[error("{0}")]
    InUse(String),

    /// Whether requests run in a release cannot be told, which is not the same as none.
    #[error("{0}")]
    Unknown(String),

    /// git failed.
    #[error("`{command}` {}{}", .ending, said(.message.as_deref()))]
    Git {
        /// The command as a person would type it.
        command: String,
        /// How it ended.
        ending: Ending,
        /// What git said, unless that went to the terminal.
        message: Option<String>,
    },

    /// The file system said no.
    #[error("cannot {doing} {path}: {source}", path = .path.display())]
    Io {
        /// A verb: "read", "remove", ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// Something that would do harm, or a state that the tool does not touch.
    #[error("{0}")]
    Refused(String),

    /// A signal asked the tool to stop, and it did; nothing is half-done.
    #[error("stopped by {}", signal_name(*.0))]
    Interrupted(i32),
}

impl Error {
    /// What a script sees of this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Git { .. } | Self::Io { .. } | Self::Refused(_) => 1,
            // clap uses 2 for a wrong command line.
            Self::Usage(_) | Self::Config(_) => 2,
            Self::NotFound(_) => 3,
            Self::Busy { .. } => 4,
            Self::CheckFailed(_) => 5,
            Self::PutBack { .. } => 6,
            Self::BuildFailed { .. } | Self::PrepareFailed { .. } => 7,
            Self::ReloadFailed { .. } => 8,
            Self::Mixed { .. } => 9,
            Self::Partial { .. } => 10,
            Self::Unhealthy(_) => 11,
            Self::ProbeFailed { .. } => 12,
            Self::InUse(_) => 13,
            Self::Unknown(_) => 14,
            // As a shell reports a process that a signal ended.
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(130),
        }
    }

    /// The name of the exit code, for `--json`.
    #[must_use]
    pub fn exit_name(&self) -> &'static str {
        match self {
            Self::Git { .. } | Self::Io { .. } | Self::Refused(_) => "failed",
            Self::Usage(_) | Self::Config(_) => "usage",
            Self::NotFound(_) => "not-found",
            Self::Busy { .. } => "busy",
            Self::CheckFailed(_) => "check-failed",
            Self::PutBack { .. } => "put-back",
            Self::BuildFailed { .. } | Self::PrepareFailed { .. } => "build-failed",
            Self::ReloadFailed { .. } => "reload-failed",
            Self::Mixed { .. } => "mixed",
            Self::Partial { .. } => "partial",
            Self::Unhealthy(_) => "unhealthy",
            Self::ProbeFailed { .. } => "probe-failed",
            Self::InUse(_) => "in-use",
            Self::Unknown(_) => "unknown",
            Self::Interrupted(_) => "interrupted",
        }
    }
}

/// The exit codes as `--help` and the manual page print them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done, or nothing to do
  1    failed; nothing is half-done
  2    wrong command line or configuration
  3    not found: a release, an instance, a tag
  4    busy: another process holds the lock
  5    the check failed; nothing was flipped
  6    an activation failed half-way and was put back
  7    a build command failed; nothing was staged
  8    flipped, but the reload command failed
  9    an activation failed half-way and could not be put back whole
  10   done for some links, and others were not reached; each is named
  11   status --check: a link is not where it should be, or a reload is owed
  12   the probe failed after the flip; the activation was taken back
  13   a release is still in use after the time given; links that were to be flipped are flipped
  14   whether a release is in use cannot be told, so it stays
  130  stopped by Ctrl-C (128 + the number of the signal)";

/// Gives an I/O error the file it is about.
pub trait Context<T> {
    /// `doing` is a verb: "cannot `doing` `path`".
    ///
    /// # Errors
    /// The error it was given, with file.
    fn context(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, doing: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| Error::Io { doing, path: path.to_owned(), source: error.into() })
    }
}

fn ending_is_safe(pid: u32, is_stopped: bool) -> String {
    match pid {
        // `kill 0` would end the shell's own processes.
        0 => String::new(),
        pid if is_stopped => format!(
            "; it is stopped: `kill -CONT {pid}` lets it go on, and ending it (`kill -KILL {pid}`) is safe, nothing of it \
             is left half-done"
        ),
        pid => format!("; ending it (`kill {pid}`) is safe, nothing of it is left half-done"),
    }
}

fn signal_name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
}

fn said(message: Option<&str>) -> String {
    match message {
        None => "; what it said is above".to_owned(),
        Some("") => String::new(),
        Some(message) => format!(": {message}"),
    }
}
