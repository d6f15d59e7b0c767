//! Calling git.
//!
//! Owns: how a git is started, watched and asked what went wrong. Must not: know what it is called for.

use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::os::interrupt::{GivenUp, Interrupt};
use crate::os::limit::Limit;
use crate::os::process::{self, REPOSITORY_VARIABLES};
use crate::report::Report;

/// What every call needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) report: &'a Report,
    pub(super) interrupt: &'a Interrupt,
    pub(super) limit: Limit,
}

impl Caller<'_> {
    /// Runs git for what it does. With `shown`, a person who looks on sees what it says.
    pub(super) fn run(&self, git: Command, name: &str, shown: bool) -> Result<()> {
        let read = |mut stdout| std::io::copy(&mut stdout, &mut std::io::sink());
        self.run_with(git, name, shown, read)?.1
    }

    /// Runs git for what it answers.
    pub(super) fn capture(&self, git: Command, name: &str) -> Result<String> {
        self.capture_bytes(git, name).map(|answer| String::from_utf8_lossy(&answer).into_owned())
    }

    /// As [`Self::capture`], for paths: they may have any bytes.
    pub(super) fn capture_bytes(&self, git: Command, name: &str) -> Result<Vec<u8>> {
        let mut answer = Vec::new();
        let (read, git) = self.run_with(git, name, false, |mut stdout| stdout.read_to_end(&mut answer))?;
        git?;
        read.context("read the answer of", Path::new("git"))?;
        Ok(answer)
    }

    /// Runs git, reads what it writes, and says how it ended.
    pub(super) fn run_with<T>(
        &self,
        mut git: Command,
        name: &str,
        shown: bool,
        read: impl FnOnce(Pipe) -> T,
    ) -> Result<(T, Result<()>)> {
        self.interrupt.check()?;
        let this = Path::new("git");
        let shown = shown && self.report.is_watched();
        git.stdout(Stdio::piped());
        if !shown {
            git.stderr(Stdio::piped());
        }
        if !self.report.is_watched() {
            git.stdin(Stdio::null());
        }
        let leads_group = process::lead_group(&mut git);
        let mut child = git.spawn().context("run", this)?;
        let complaint = child.stderr.take().map(Complaint::listen);
        let stdout = child.stdout.take();
        let work =
            |_: &mut Child, given_up: &GivenUp| stdout.map(|stdout| read(Pipe { stdout, given_up: given_up.clone() }));
        let (result, ended) =
            self.interrupt.attend(&mut child, leads_group, self.limit, work).context("wait for", this)?;
        let message = complaint.map(Complaint::text);
        self.interrupt.check()?;
        let result = result.ok_or_else(|| std::io::Error::other("no pipe")).context("read from", this)?;
        let ended = process::success(ended).map_err(|ending| Error::Git { command: name.to_owned(), ending, message });
        Ok((result, ended))
    }
}

/// What a git writes to its standard output.
pub(super) struct Pipe {
    stdout: ChildStdout,
    given_up: GivenUp,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // A descendant that has left git's process group may hold the pipe open when git has been ended.
        while !self.given_up.get() {
            let timeout = Duration::from_millis(200);
            let ready = poll(&mut [PollFd::new(&self.stdout, PollFlags::IN)], timeout.try_into().ok().as_ref());
            match ready {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.stdout.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }
}

/// What a git writes to its standard error.
struct Complaint {
    text: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Complaint {
    fn listen(mut stderr: ChildStderr) -> Self {
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let (end, ended) = mpsc::channel();
        let heard = Arc::clone(&text);
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut part) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&part[..length]);
            }
            let _ = end.send(());
        });
        Self { text, ended }
    }

    /// The text, once git has ended. Not to the end of the file: a shared ssh connection (`ControlPersist`) that git
    /// has opened keeps it open for hours.
    fn text(self) -> String {
        let _ = self.ended.recv_timeout(Duration::from_millis(300));
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).trim().to_owned()
    }
}

/// git, at work in a repository.
pub(super) fn git_in(repository: &Path) -> Command {
    let mut git = plain_git();
    git.arg("-C").arg(repository);
    git
}

/// git, as the user has set it up.
pub(super) fn plain_git() -> Command {
    let mut git = process::command("git");
    for name in REPOSITORY_VARIABLES {
        git.env_remove(name);
    }
    git
}
