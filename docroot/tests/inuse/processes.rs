//! Processes that die, fork, or read as somebody else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use docroot::inuse::{EntryCell, File, InUse, Ticket, Unknown};

use crate::child::{Holder, RELEASE, answer, command, has_namespaces, in_namespace, through};
use crate::{Site, claim, drain, enter, open, poll, release};

#[test]
fn a_killed_process_uses_nothing() {
    let site = Site::new();
    let holder = Holder::start(&site.file());
    let reader = open(&site.file());
    assert_eq!(reader.in_use(&release(RELEASE)), InUse::Requests(1));
    let mut drain = drain(vec![reader.clone()], RELEASE);
    let progress = poll(&mut drain).unwrap();
    assert!(!progress.is_free && progress.running == 1 && !progress.wait.is_zero(), "{progress:?}");
    holder.kill();
    assert!(poll(&mut drain).unwrap().is_free);
    assert_eq!(reader.in_use(&release(RELEASE)), InUse::Free);
}

#[test]
fn a_release_is_free_when_all_processes_of_all_files_say_so() {
    let [one, two] = [Site::new(), Site::new()];
    let [first, second, third] = [&one, &one, &two].map(|site| Holder::start(&site.file()));
    let mut drain = drain(vec![open(&one.file()), open(&two.file())], RELEASE);
    for (holder, left) in [(first, 2), (third, 1), (second, 0)] {
        assert_eq!(poll(&mut drain).unwrap().running, left + 1);
        holder.end();
        let progress = poll(&mut drain).unwrap();
        assert_eq!((progress.running, progress.is_free), (left, left == 0));
    }
}

#[test]
fn the_next_process_starts_from_zero() {
    let site = Site::new();
    Holder::start(&site.file()).kill();
    let length = fs::metadata(site.file()).unwrap().len();
    let file = File::create(&site.file()).unwrap();
    let _slot = claim(&file, 1);
    let snapshot = file.reader().unwrap().snapshot().unwrap();
    assert_eq!((snapshot.processes, snapshot.releases.len(), snapshot.any), (1, 0, 0), "{snapshot:?}");
    assert_eq!(fs::metadata(site.file()).unwrap().len(), length, "the slot is used again");
}

/// Some part of a process opens the file and closes it again.
#[test]
fn a_process_that_lost_its_lock_is_seen() {
    let site = Site::new();
    let holder = Holder::start_as("lose", &site.file());
    let reader = open(&site.file());
    assert_eq!(reader.in_use(&release(RELEASE)), InUse::Requests(1));
    let other = Holder::start(&site.file());
    assert_eq!(reader.in_use(&release(RELEASE)), InUse::Requests(2), "nobody takes its slot");
    other.end();
    holder.kill();
    assert_eq!(reader.in_use(&release(RELEASE)), InUse::Free);
}

#[test]
fn a_stopped_process_goes_on_to_be_seen() {
    let site = Site::new();
    let mut holder = Holder::start(&site.file());
    let pid = i32::try_from(holder.process().id()).unwrap();
    // SAFETY: a signal to a child of this process that was not waited for.
    unsafe { libc::kill(pid, libc::SIGSTOP) };
    assert_eq!(open(&site.file()).in_use(&release(RELEASE)), InUse::Requests(1));
}

/// A CGI process runs its parent's cleanups when its client has left before it could execute.
#[test]
fn cleanups_in_a_forked_process_count_nothing() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let slot = claim(&file, 4);
    let ticket = enter(&slot, RELEASE, &EntryCell::new()).into_raw();
    let looking = slot.look();
    // SAFETY: the child does atomic accesses and ends, and none of them needs a lock of another thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        slot.leave(Ticket::from_raw(ticket));
        slot.leave_failed(Ticket::from_raw(ticket));
        drop(looking);
        // SAFETY: ends the child without the cleanups of the test program.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: waits for the child, whose status nobody wants.
    assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    let reader = file.reader().unwrap();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!((snapshot.running(&release(RELEASE)), snapshot.looking), (1, 1));
    assert_eq!(snapshot.releases[0].failed, 0);
    drop(looking);
    slot.leave(Ticket::from_raw(ticket));
    assert_eq!(reader.in_use(&release(RELEASE)), InUse::Free);
}

#[test]
fn others_read_by_group_or_not_at_all() {
    let site = Site::new();
    let holder = Holder::start(&site.file());
    let metadata = fs::metadata(site.file()).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    if metadata.uid() != 0 {
        eprintln!("not run: only root can be another user");
        return;
    }
    let program = program_for_all(&site);
    let read = |group: u32| {
        let mut command = command(&program, "read", &site.file());
        command.uid(65534).gid(group);
        answer(command).expect("an answer")
    };
    assert_eq!(read(65534), format!("{:?}", Unknown::Forbidden));
    assert_eq!(read(metadata.gid()), format!("{:?}", InUse::Requests(1)));
    holder.end();
    assert_eq!(read(metadata.gid()), format!("{:?}", InUse::Free));
}

/// A copy of the test program that any user may run, beside the file.
fn program_for_all(site: &Site) -> PathBuf {
    fs::set_permissions(site.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = site.path("program");
    // In a process of its own: one that another test forks here would have the file open for writing, and nobody could run it.
    assert!(Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap().success());
    program
}

/// How readers run that see other processes, or fewer of them.
const READERS: [&[&str]; 5] = [
    &["env"],
    &["unshare", "--pid", "--fork", "--mount-proc"],
    &["unshare", "--pid", "--fork", "--mount-proc", "setpriv", "--reuid", "65534", "--regid", "0", "--clear-groups"],
    &["setpriv", "--reuid", "65534", "--regid", "0", "--clear-groups"],
    // `/proc` shows a user nothing of the processes of others.
    &[
        "unshare",
        "--mount",
        "sh",
        "-c",
        "mount -t proc -o hidepid=2 none /proc && exec setpriv --reuid 65534 --regid 0 --clear-groups \"$0\" \"$@\"",
    ],
];

/// In use for any reader while the request runs, and free when its process has ended; whether the process has its lock, or
/// lost it, and whether its number means something to the reader.
#[test]
fn readers_of_other_namespaces_and_users_see_the_same() {
    if !has_namespaces() {
        return;
    }
    for role in ["hold", "lose"] {
        for is_contained in [false, true] {
            let site = Site::new();
            let program = program_for_all(&site);
            if fs::metadata(&program).unwrap().uid() != 0 {
                eprintln!("not run: only root can be another user");
                return;
            }
            let holder = command(&program, role, &site.file());
            let holder = Holder::run(if is_contained { in_namespace(&holder) } else { holder });
            let read = |how: &[&str]| answer(through(how, &command(&program, "read", &site.file())));
            for how in READERS {
                let expected = format!("{:?}", InUse::Requests(1));
                assert_eq!(read(how), Some(expected), "{role}, contained: {is_contained}, {how:?}");
            }
            // Nobody takes its slot either.
            let other = Holder::start(&site.file());
            assert_eq!(open(&site.file()).in_use(&release(RELEASE)), InUse::Requests(2), "{role}, {is_contained}");
            other.end();
            holder.kill();
            for how in READERS {
                let free = format!("{:?}", InUse::Free);
                let is_free = (0..1000).any(|_| {
                    let is_free = read(how).as_ref() == Some(&free);
                    // The kernel ends the processes of a namespace after the first of them.
                    if !is_free {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    is_free
                });
                assert!(is_free, "{role}, contained: {is_contained}, {how:?}: {:?}", read(how));
            }
        }
    }
}

/// A container that starts again has another namespace, and the file of the time before.
#[test]
fn slots_of_a_namespace_that_is_gone_are_used_again() {
    if !has_namespaces() {
        return;
    }
    let site = Site::new();
    let mut length = None;
    for _ in 0..3 {
        let program = std::env::current_exe().unwrap();
        Holder::run(in_namespace(&command(&program, "hold", &site.file()))).end();
        let now = fs::metadata(site.file()).unwrap().len();
        assert_eq!(*length.get_or_insert(now), now);
    }
}

/// A process that counts nothing, for want of memory or whatever, is not a process without requests.
#[test]
fn a_process_without_a_slot_is_unknown() {
    let site = Site::new();
    let counted = Holder::start(&site.file());
    let mut drain = drain(vec![open(&site.file())], RELEASE);
    counted.end();
    let uncounted = Holder::start_as("uncounted", &site.file());
    assert_eq!(poll(&mut drain), Err(Unknown::Uncounted));
    uncounted.kill();
    assert!(poll(&mut drain).unwrap().is_free);
}

/// A store into a hole kills a process where no memory is left for it.
#[test]
fn a_full_file_system_kills_nobody() {
    if !has_namespaces() {
        return;
    }
    let site = Site::new();
    let inner = command(&std::env::current_exe().unwrap(), "fill", &site.file());
    let script = format!("mount -t tmpfs -o size=128k none {} && exec \"$0\" \"$@\"", site.directory.path().display());
    let outer = through(&["unshare", "--mount", "sh", "-c", &script], &inner);
    assert_eq!(answer(outer).as_deref(), Some("2000 true true"), "all are counted, some for any release");
}
