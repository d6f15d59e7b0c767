//! Processes that die, fork, or read as somebody else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use docroot::inuse::{EntryCell, File, InUse, Ticket, Unknown};

use crate::child::{Holder, RELEASE, answer, command};
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
    // Others may run it there.
    fs::set_permissions(site.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = site.path("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
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

#[test]
fn a_reader_in_another_pid_namespace_sees_the_same() {
    let site = Site::new();
    let holder = Holder::start(&site.file());
    let read = || {
        let inner = command(&std::env::current_exe().unwrap(), "read", &site.file());
        let mut outer = Command::new("unshare");
        outer.args(["--pid", "--fork", "--mount-proc"]).arg(inner.get_program()).args(inner.get_args());
        outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        answer(outer)
    };
    let Some(before) = read() else {
        eprintln!("not run: no namespaces can be made here");
        return;
    };
    assert_eq!(before, format!("{:?}", InUse::Requests(1)));
    holder.kill();
    assert_eq!(read(), Some(format!("{:?}", InUse::Free)));
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
    let site = Site::new();
    let inner = command(&std::env::current_exe().unwrap(), "fill", &site.file());
    let mut outer = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size=128k none {} && exec \"$0\" \"$@\"", site.directory.path().display());
    outer.args(["--mount", "sh", "-c", &script]).arg(inner.get_program()).args(inner.get_args());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    match Command::new("unshare").args(["--mount", "true"]).status() {
        Ok(status) if status.success() => {}
        _ => {
            eprintln!("not run: no namespaces can be made here");
            return;
        }
    }
    assert_eq!(answer(outer).as_deref(), Some("2000 true true"), "all are counted, some for any release");
}
