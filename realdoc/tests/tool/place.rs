//! A place of its own for each test: a git repository, a configuration, links.
//!
//! Owns: its directory and every process it starts. Must not: know what is tested.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub const REALDOC: &str = env!("CARGO_BIN_EXE_realdoc");

/// Longer than anything takes on a busy machine; nobody waits for it unless a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Place {
    dir: tempfile::TempDir,
    root: PathBuf,
}

/// What a command has said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn has(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "no {text:?} in\n{}\n{}", self.out, self.err);
        self
    }
}

impl Place {
    /// A repository with the tags v1 to v3, each with an `index.php` that says which it is, and a configuration with
    /// these instances. `ROOT` in it stands for the place, and `more` goes before `[instances]`.
    pub fn new(instances: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let place = Self { dir, root };
        fs::create_dir_all(place.at("www")).unwrap();
        fs::create_dir_all(place.at("releases")).unwrap();
        place.git(".", &["init", "--quiet", "app"]);
        // git before 2.28 has no option for it.
        place.git("app", &["symbolic-ref", "HEAD", "refs/heads/main"]);
        for tag in ["v1", "v2", "v3"] {
            place.commit(tag);
        }
        place.configure(instances, more);
        place
    }

    pub fn configure(&self, instances: &str, more: &str) {
        let paths = "[git]\nsource = \"ROOT/app\"\n[releases]\ndirectory = \"ROOT/releases\"\n";
        let text = format!("{paths}{more}\n[instances]\n{instances}\n");
        fs::write(self.at("realdoc.toml"), text.replace("ROOT", self.root.to_str().unwrap())).unwrap();
    }

    /// Adds to the configuration, before the instances.
    pub fn add(&self, more: &str) {
        let text = fs::read_to_string(self.at("realdoc.toml")).unwrap();
        let more = more.replace("ROOT", self.at("").to_str().unwrap().trim_end_matches('/'));
        fs::write(self.at("realdoc.toml"), text.replace("[instances]", &format!("{more}\n[instances]"))).unwrap();
    }

    #[track_caller]
    pub fn set_source(&self, source: &str) {
        let text = fs::read_to_string(self.at("realdoc.toml")).unwrap();
        let old = format!("source = \"{}\"", self.at("app").display());
        assert!(text.contains(&old), "{text}");
        fs::write(self.at("realdoc.toml"), text.replace(&old, &format!("source = \"{source}\""))).unwrap();
    }

    /// Three instances: a, b, c.
    pub fn three(more: &str) -> Self {
        Self::new("a = \"ROOT/www/a\"\nb = \"ROOT/www/b\"\nc = \"ROOT/www/c\"", more)
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A commit with this tag, which says so in its files.
    pub fn commit(&self, tag: &str) {
        fs::write(self.at("app/index.php"), tag).unwrap();
        fs::create_dir_all(self.at("app/lib")).unwrap();
        fs::write(self.at("app/lib/deep.php"), tag).unwrap();
        self.git("app", &["add", "."]);
        self.git("app", &["commit", "--quiet", "-m", tag]);
        self.git("app", &["tag", "-f", tag]);
    }

    #[track_caller]
    pub fn git(&self, at: &str, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.current_dir(self.at(at)).args(arguments);
        let output = isolated(&mut git).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The name of the release of a tag.
    pub fn release(&self, tag: &str) -> String {
        let commit = self.git("app", &["rev-parse", &format!("{tag}^{{commit}}")]);
        format!("{tag}-{}", &commit[..12])
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(REALDOC.as_ref(), arguments)
    }

    pub fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        isolated(&mut command);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        said(&mut self.command(arguments))
    }

    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Said {
        self.run(arguments).code(0)
    }

    /// Runs the tool without the privileges of root, which no permission stops.
    pub fn run_unprivileged(&self, arguments: &[&str]) -> Said {
        if !rustix::process::getuid().is_root() {
            return self.run(arguments);
        }
        let program = self.at("realdoc");
        if !program.exists() {
            // By another process: what this one has open for writing, another test's child has too until it execs, and
            // nobody can run it meanwhile.
            let status = Command::new("cp").arg(REALDOC).arg(&program).status().unwrap();
            assert!(status.success());
        }
        let status = Command::new("chown").args(["-R", "65534:65534"]).arg(self.dir()).status().unwrap();
        assert!(status.success());
        let mut command = self.command_of("setpriv".as_ref(), &["--reuid=65534", "--regid=65534", "--clear-groups"]);
        said(command.arg(program).args(arguments))
    }

    /// The release that a link leads to, which must be whole.
    #[track_caller]
    pub fn leads(&self, link: &str) -> Option<String> {
        let text = fs::read_link(self.at(link)).ok()?;
        let release = text.file_name().unwrap().to_str().unwrap().to_owned();
        self.assert_whole(&release);
        Some(release)
    }

    #[track_caller]
    pub fn assert_whole(&self, release: &str) {
        let tag = release.split('-').next().unwrap();
        for file in ["index.php", "lib/deep.php"] {
            let path = self.at("releases").join(release).join(file);
            assert_eq!(fs::read_to_string(&path).unwrap(), tag, "{}", path.display());
        }
    }

    /// The names of what can be seen in the releases directory; everything in it must be whole.
    #[track_caller]
    pub fn releases(&self) -> Vec<String> {
        let names = names(&self.at("releases"));
        let visible: Vec<_> = names.into_iter().filter(|name| !name.starts_with('.')).collect();
        for name in visible.iter().filter(|name| name.starts_with('v')) {
            self.assert_whole(name);
        }
        visible
    }

    /// The hidden names beside the state: what a killed command left.
    pub fn leftovers(&self) -> Vec<String> {
        let hidden = |name: &String| name.starts_with('.') && name != ".realdoc";
        let mut left: Vec<_> = names(&self.at("releases")).into_iter().filter(hidden).collect();
        left.extend(names(&self.at("www")).into_iter().filter(hidden));
        left.extend(names(&self.at("releases/.realdoc")).into_iter().filter(|name| name.starts_with(".new")));
        left
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.ok(&["status", "--json"]).out).unwrap()
    }

    /// Starts the tool with the pause at `step` and waits until it is there.
    #[track_caller]
    pub fn pause(&self, step: &str, arguments: &[&str]) -> Paused {
        let fifo = self.fifo("paused");
        let mut command = self.command(arguments);
        command.env("REALDOC_PAUSE_AT", step).env("REALDOC_PAUSE_FIFO", &fifo);
        self.start(command, "paused")
    }

    /// Starts the tool and waits until somebody has written into the FIFO `ready`.
    #[track_caller]
    pub fn start(&self, mut command: Command, ready: &str) -> Paused {
        let fifo = self.at(ready);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut paused = Paused { child: Some(child), go: self.at(&format!("{ready}.go")), fifo: fifo.clone() };
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(fs::read_to_string(fifo)));
        let start = Instant::now();
        loop {
            match receiver.recv_timeout(Duration::from_millis(20)) {
                Ok(_) => return paused,
                Err(RecvTimeoutError::Timeout) => {
                    let ended = paused.child.as_mut().unwrap().try_wait().unwrap().is_some();
                    assert!(!ended && start.elapsed() < PATIENCE, "it did not get there: {:?}", paused.end());
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        let _ = fs::remove_file(&path);
        let _ = fs::remove_file(self.at(&format!("{name}.go")));
        rustix::fs::mkfifoat(CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
        path
    }
}

/// The tool, stopped at a step. Dropped, it is killed.
pub struct Paused {
    child: Option<Child>,
    fifo: PathBuf,
    go: PathBuf,
}

impl Paused {
    /// A command that runs and is waited for in another way than by its FIFO.
    pub fn of(mut command: Command) -> Self {
        Self { child: Some(command.spawn().unwrap()), fifo: PathBuf::new(), go: PathBuf::new() }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Waits until a line of standard error has this text.
    pub fn wait_for_line(&mut self, text: &str) {
        let stderr = self.child.as_mut().unwrap().stderr.as_mut().unwrap();
        let mut lines = BufReader::new(stderr).lines();
        assert!(lines.any(|line| line.unwrap().contains(text)), "it never said {text}");
    }

    /// Lets it go on.
    pub fn go_on(self) -> Said {
        fs::write(&self.go, "").unwrap();
        self.end()
    }

    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.as_mut().unwrap().wait().unwrap();
    }

    #[track_caller]
    pub fn end(mut self) -> Said {
        let child = self.child.take().unwrap();
        let pid = Pid::from_child(&child);
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(PATIENCE) else {
            let _ = kill_process(pid, Signal::KILL);
            panic!("it does not end");
        };
        to_said(&output.unwrap())
    }
}

/// Unmounts, when it is dropped, whatever is mounted in a place.
pub struct Unmount(pub PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for point in table.lines().filter_map(|line| line.split(' ').nth(1)) {
            // A test that fails may have moved it.
            if Path::new(point).starts_with(&self.0) {
                // Lazily: another test's child may still have a file of it open.
                let _ = Command::new("umount").arg("--lazy").arg(point).status();
            }
        }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_file(&self.fifo);
    }
}

/// Nothing of the machine's git or of the caller's environment.
fn isolated(command: &mut Command) -> &mut Command {
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "REALDOC_CONFIG", "SUDO_USER"] {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("USER", "tester")
        // Submodules from a path, which git does not like without being asked.
        .env("GIT_CONFIG_COUNT", "2")
        .env("GIT_CONFIG_KEY_0", "protocol.file.allow")
        .env("GIT_CONFIG_VALUE_0", "always")
        // And a repository that the test has given to another user.
        .env("GIT_CONFIG_KEY_1", "safe.directory")
        .env("GIT_CONFIG_VALUE_1", "*");
    for name in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{name}_NAME"), "t").env(format!("GIT_{name}_EMAIL"), "t@example.org");
    }
    command
}

pub fn said(command: &mut Command) -> Said {
    to_said(&command.output().unwrap())
}

fn to_said(output: &std::process::Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
