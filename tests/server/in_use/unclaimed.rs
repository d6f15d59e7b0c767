//! Processes that can have no slot: httpd serves on, and nobody takes what is not counted for free.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use docroot::inuse::format::SLOTS;
use docroot::inuse::{File, InUse, Reader, Release, Unknown};
use harness::{Config, Httpd, Mpm, Site, Tool, installation, on_each_mpm, readiness};

use super::FREE_WITHIN;

const ERROR: &str = "no slot for process";

fn site() -> Site {
    let site = Site::with_releases(2, |release| release.plain_page("page.html"));
    site.directory("small");
    site
}

fn config(mpm: Mpm) -> Config {
    let children = mpm.fewest_children().min(3);
    Config::new("DocumentRoot \"${ROOT}/current\"\nRealdocInUse \"${ROOT}/small/inuse\"").children(children, 8)
}

/// A path as a process sees it, which may have mounted something else there.
fn as_seen_by(pid: u32, path: &Path) -> PathBuf {
    Path::new(&format!("/proc/{pid}/root")).join(path.strip_prefix("/").expect("an absolute path"))
}

/// Serves, says once for each process that it is not counted, and lets no tool believe that a release is free.
fn assert_unknown(httpd: &Httpd, site: &Site) {
    httpd.expect_error(ERROR);
    let client = httpd.client();
    for _ in 0..20 {
        assert_eq!(client.get("/page.html").expect("a response").status, 200);
    }
    let said = || {
        let log = httpd.error_log();
        let lines: Vec<String> = log.lines().filter(|line| line.contains("RealdocInUse")).map(str::to_owned).collect();
        lines
    };
    let each_says_so = || {
        let (children, said) = (httpd.children(), said());
        let of_child = |child: &u32| said.iter().filter(|line| line.contains(&format!("{ERROR} {child}:"))).count();
        !children.is_empty() && children.iter().all(|child| of_child(child) == 1) && said.len() == children.len()
    };
    assert!(readiness::becomes_true(FREE_WITHIN, each_says_so), "{:?} of {:?}", said(), httpd.children());
    let file = as_seen_by(httpd.pid(), &site.root().join("small/inuse"));
    for number in [0, 1] {
        // The one that requests run in, and the other.
        let release = Release::at(&site.release_directory(number)).expect("a release");
        let in_use = Reader::open(&file).expect("the file").in_use(&release);
        assert_eq!(in_use, InUse::Unknown(Unknown::Uncounted));
    }
    let other = site.release_directory(1);
    let arguments = ["drain", "--file", file.to_str().expect("text"), other.to_str().expect("text")];
    let said = Tool::release().expect("the tool").run(site.root(), &arguments).expect("the tool");
    assert!(said.code == Some(14) && said.errors.contains("could not get a slot"), "{said:?}");
}

/// Whether file systems can be mounted, as root must be able to in continuous integration.
fn can_mount() -> bool {
    let status = std::process::Command::new("unshare").args(["--mount", "true"]).status();
    let can = status.is_ok_and(|status| status.success());
    let must = installation::is_root() && std::env::var_os("CI").is_some();
    assert!(can || !must, "CI is set, and root can mount nothing");
    if !can {
        eprintln!("not run: nothing can be mounted here");
    }
    can
}

/// There is room for the head of the file alone.
fn full_disk(mpm: Mpm) {
    if !can_mount() {
        return;
    }
    let site = site();
    let script =
        format!("mount -t tmpfs -o size=4k none '{}' && exec \"$0\" \"$@\"", site.root().join("small").display());
    let httpd = Httpd::start(&site, mpm, &config(mpm).through(&["unshare", "--mount", "sh", "-c", &script]));
    assert_unknown(&httpd, &site);
}

/// `ulimit -f` ends no process, and the slots are beyond it.
fn file_limit(mpm: Mpm) {
    let site = site();
    let httpd = Httpd::start(&site, mpm, &config(mpm).through(&["prlimit", "--fsize=1048576"]));
    assert_unknown(&httpd, &site);
}

/// A process that has all slots, until this is dropped.
struct Taker(nix::unistd::Pid);

impl Taker {
    fn new(file: &fs::File) -> Self {
        let lock = nix::libc::flock {
            l_type: nix::libc::F_WRLCK as i16,
            l_whence: nix::libc::SEEK_SET as i16,
            l_start: 0,
            l_len: SLOTS.cast_signed(),
            l_pid: 0,
        };
        // SAFETY: the child makes system calls alone, which need no lock that another thread may have.
        match unsafe { nix::unistd::fork() }.expect("a process") {
            nix::unistd::ForkResult::Parent { child } => Self(child),
            nix::unistd::ForkResult::Child => loop {
                // SAFETY: the kernel reads one `flock`, and the descriptor is inherited. A lock is the process's own.
                unsafe { nix::libc::fcntl(file.as_raw_fd(), nix::libc::F_SETLK, &raw const lock) };
                nix::unistd::pause();
            },
        }
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(self.0, nix::sys::signal::Signal::SIGKILL);
        let _ = nix::sys::wait::waitpid(self.0, None);
    }
}

/// More processes than slots; and a restart when there are some again.
fn no_slot_left(mpm: Mpm) {
    let site = site();
    let path = site.root().join("small/inuse");
    drop(File::create(&path).expect("a file"));
    let file = fs::File::options().read(true).write(true).open(&path).expect("a file");
    let taker = Taker::new(&file);
    let is_taken = || {
        let lock = fs::read_to_string("/proc/locks").expect("the locks");
        lock.lines().any(|line| line.contains(&format!(" {} ", taker.0)))
    };
    assert!(readiness::becomes_true(FREE_WITHIN, is_taken));
    let httpd = Httpd::start(&site, mpm, &config(mpm));
    assert_unknown(&httpd, &site);
    drop(taker);
    httpd.replace_children();
    assert_eq!(httpd.client().get("/page.html").expect("a response").status, 200);
    let free = || Reader::open(&path).expect("the file").in_use(&Release::at(&site.release_directory(1)).expect("it"));
    assert!(readiness::becomes_true(FREE_WITHIN, || free() == InUse::Free), "{:?}", free());
}

on_each_mpm!(a_full_disk, full_disk, prefork, event);
on_each_mpm!(a_limit_of_files, file_limit, prefork, event);
on_each_mpm!(more_processes_than_slots, no_slot_left, prefork, event);
