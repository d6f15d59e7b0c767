//! A full disk, directories that may not be written, configurations that cannot be used.
//!
//! Owns: that each ends with a clear message, and with everything as it was. Must not: need more than a test may do;
//! what this user cannot set up is said, not failed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::place::{Place, Unmount};

#[test]
fn a_full_disk_loses_nothing() {
    let place = Place::three("");
    fs::remove_dir(place.at("releases")).unwrap();
    fs::create_dir(place.at("releases")).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(place.at("releases")).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: this user cannot mount");
        return;
    }
    let unmount = Unmount(place.at("releases"));
    place.ok(&["deploy", "v1", "--all"]);
    fs::write(place.at("app/big"), vec![b'x'; 2 << 20]).unwrap();
    place.commit("v4");
    place.run(&["deploy", "v4", "--all"]).code(1).has("No space left on device");
    assert!(place.leftovers().is_empty());
    assert_eq!(place.releases(), [place.release("v1")]);
    assert_eq!(place.leads("www/a"), Some(place.release("v1")));

    // Full to the last byte: no release can be made, but links can be flipped, because journal and history have room set aside.
    place.ok(&["stage", "v2"]);
    let filler = place.at("releases/.filler");
    fill(&filler);
    let more = place.at("releases/.more");
    assert_eq!(fs::write(&more, "x").map_err(|error| error.kind()), Err(ErrorKind::StorageFull));
    fs::remove_file(more).unwrap();
    place.ok(&["activate", "v2", "--all"]);
    assert_eq!(place.leads("www/a"), Some(place.release("v2")));
    place.ok(&["rollback", "--all"]);
    assert_eq!(place.leads("www/a"), Some(place.release("v1")));
    place.run(&["stage", "v3"]).code(1).has("No space left on device");
    place.ok(&["status"]);
    // Emptied before it is removed: see `fill`.
    fs::write(&filler, "").unwrap();
    fs::remove_file(filler).unwrap();
    place.ok(&["activate", "v2", "--all"]);
    assert_eq!(place.leads("www/c"), Some(place.release("v2")));
    assert!(place.leftovers().is_empty());
    drop(unmount);
}

/// Takes all the room that is left on a file system.
///
/// One file that only grows: the room of a removed one comes back when nobody has it open any more, which can be a child
/// of another test, which has what this process has until it execs.
pub fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let error = std::iter::repeat_with(|| file.write_all(&[b'x'; 4096])).find_map(Result::err);
    assert_eq!(error.unwrap().kind(), ErrorKind::StorageFull);
}

#[test]
fn a_read_only_file_system_refuses_no_rollback() {
    let place = Place::three("");
    let mount = |arguments: &[&str]| Command::new("mount").args(arguments).arg(place.at("releases")).output();
    if !mount(&["-t", "tmpfs", "tmpfs"]).is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: this user cannot mount");
        return;
    }
    let _unmount = Unmount(place.at("releases"));
    for tag in ["v1", "v2"] {
        place.ok(&["deploy", tag, "--all"]);
    }
    // As the kernel does it when a disk fails. The links are on another one.
    assert!(mount(&["-o", "remount,ro"]).unwrap().status.success());
    place.run(&["activate", "v1", "--all"]).code(1).has("Read-only file system");
    place.run(&["stage", "v3"]).code(1).has("Read-only file system");
    let said = place.run(&["rollback", "--all"]);
    let status = place.run(&["status"]);
    assert!(mount(&["-o", "remount,rw"]).unwrap().status.success());
    said.code(0).has("3 flipped, 0 failed").has("Read-only file system");
    status.code(0);
    assert_eq!(place.leads("www/a"), Some(place.release("v1")));
}

/// The exit code is that of the reload, and not of the record that cannot be made of it.
#[test]
fn a_reload_that_cannot_be_recorded_is_told_from_one_that_fails() {
    for (reload, code) in [("true", 0), ("false", 8)] {
        let place = Place::three("keep = 9");
        for tag in ["v1", "v2"] {
            place.ok(&["deploy", tag, "--all"]);
        }
        let journal = place.at("releases/.realdoc/journal");
        fs::remove_file(&journal).unwrap();
        fs::create_dir(&journal).unwrap();
        place.add(&format!("[commands]\nreload = \"{reload}\""));
        place.run(&["rollback", "--all"]).code(code).has("3 flipped, 0 failed").has("Is a directory");
        assert_eq!(place.leads("www/a"), Some(place.release("v1")));
    }
}

#[test]
fn nobody_is_told_to_end_a_process_that_is_not_known() {
    let place = Place::three("");
    place.ok(&["stage", "v1"]);
    // It says nothing of itself, as another program or one on another host.
    let file = File::open(place.at("releases/.realdoc/stage.lock")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let said = place.run(&["stage", "v2"]).code(4).has("another process");
    assert!(!said.err.contains("kill"), "{}", said.err);
}

#[test]
fn a_read_only_releases_directory_is_named() {
    let place = Place::three("");
    place.run_unprivileged(&["deploy", "v1", "--all"]).code(0);
    let mode = |path: &str, mode| fs::set_permissions(place.at(path), fs::Permissions::from_mode(mode)).unwrap();
    mode("releases", 0o555);
    let said = place.run_unprivileged(&["stage", "v2"]);
    let status = place.run_unprivileged(&["status"]);
    mode("releases", 0o755);
    said.code(1).has("releases").has("Permission denied");
    status.code(0);
    mode("releases/.realdoc", 0o555);
    let said = place.run_unprivileged(&["activate", "v1", "--all"]);
    let failing = place.run_unprivileged(&["rollback", "--all"]);
    mode("releases/.realdoc", 0o755);
    said.code(0).has("already");
    assert_ne!(failing.code, 0);
    assert_eq!(place.leads("www/a"), Some(place.release("v1")));
}

#[test]
fn a_releases_directory_that_is_not_there_is_named() {
    let place = Place::three("");
    fs::remove_dir(place.at("releases")).unwrap();
    for command in [&["stage", "v1"][..], &["status"], &["prune"]] {
        place.run(command).code(3).has("does not exist; `realdoc init` makes it");
    }
    fs::write(place.at("releases"), "").unwrap();
    place.run(&["stage", "v1"]).code(1).has("is no directory");
}

#[test]
fn a_wrong_configuration_is_an_error_with_file_line_and_column() {
    let place = Place::three("kep = 3");
    place.run(&["status"]).code(2).has("realdoc.toml: line 5, column 1").has("there is no key `kep`");
    place.run(&["status", "--config", "none.toml"]).code(3).has("there is no configuration none.toml");
    place.run(&["frobnicate"]).code(2);
    place.run(&["deploy", "v1", "--all", "--to", "a"]).code(2);
}

#[test]
fn the_configuration_is_found_in_its_places() {
    let place = Place::three("");
    fs::create_dir(place.at("elsewhere")).unwrap();
    let run = |with: &[(&str, &str)]| {
        let mut command = place.command(&["status"]);
        crate::place::said(command.current_dir(place.at("elsewhere")).envs(with.iter().copied()))
    };
    let file = place.at("realdoc.toml");
    run(&[("REALDOC_CONFIG", file.to_str().unwrap())]).code(0);
    run(&[("REALDOC_CONFIG", "none.toml")]).code(3).has("none.toml");
    if !std::path::Path::new("/etc/realdoc.toml").exists() {
        run(&[]).code(3).has("/etc/realdoc.toml");
    }
}

#[test]
fn a_path_of_the_configuration_that_is_not_utf8_is_a_path() {
    let place = Place::three("");
    let directory = place.at("").join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&directory).unwrap();
    fs::rename(place.at("realdoc.toml"), directory.join("realdoc.toml")).unwrap();
    let mut command = place.command(&["stage", "v1", "--config"]);
    crate::place::said(command.arg(directory.join("realdoc.toml"))).code(0).has("staged v1-");
}

#[test]
fn init_looks_where_every_command_looks() {
    let place = Place::three("");
    fs::rename(place.at("realdoc.toml"), place.at("etc.toml")).unwrap();
    fs::create_dir(place.at("elsewhere")).unwrap();
    // A view of the machine of its own, in which there is nothing else in /etc.
    let in_a_view = |line: &str| {
        let line = format!("mount -t tmpfs tmpfs /etc && {line}");
        let arguments = ["--mount", "/bin/sh", "-c", &line, crate::place::REALDOC];
        crate::place::said(&mut place.command_of("unshare".as_ref(), &arguments))
    };
    if in_a_view("true").code != 0 {
        eprintln!("not tested: this user cannot mount");
        return;
    }
    let said = in_a_view("cp etc.toml /etc/realdoc.toml && cd elsewhere && \"$0\" init && \"$0\" init --source x");
    said.code(2).has("a is made by the first activation").has("/etc/realdoc.toml exists; edit it instead");
    assert!(crate::place::names(&place.at("elsewhere")).is_empty());
}

#[test]
fn a_release_is_there_even_if_its_other_names_cannot_be_recorded() {
    let place = Place::three("");
    place.run_unprivileged(&["stage", "main"]).code(0);
    let records = place.at("releases/.realdoc/releases");
    fs::set_permissions(&records, fs::Permissions::from_mode(0o555)).unwrap();
    place
        .run_unprivileged(&["deploy", "v3", "--all"])
        .code(0)
        .has("warning: the release is not known as v3: cannot write");
    place.run_unprivileged(&["activate", "v3", "--all"]).code(3);
    fs::set_permissions(&records, fs::Permissions::from_mode(0o755)).unwrap();
    place.run_unprivileged(&["deploy", "v3", "--all"]).code(0);
    place.run_unprivileged(&["activate", "v3", "--all"]).code(0);
}

#[test]
fn no_repository_and_no_git_are_named() {
    let place = Place::three("");
    fs::rename(place.at("app"), place.at("gone")).unwrap();
    place.run(&["stage", "v1"]).code(3).has("there is no repository").has("/app");
    fs::create_dir(place.at("app")).unwrap();
    place.run(&["stage", "v1"]).code(1).has("not a git repository");
    let mut command = place.command(&["stage", "v1"]);
    let said = crate::place::said(command.env("PATH", "/nonexistent"));
    assert_ne!(said.code, 0);
    said.has("git");
}

#[test]
fn a_damaged_history_is_named_and_nothing_is_removed() {
    let place = Place::three("");
    place.ok(&["deploy", "v1", "--all"]);
    fs::write(place.at("releases/.realdoc/history.jsonl"), "nonsense\n").unwrap();
    for (command, code) in [(&["status"][..], 0), (&["prune"], 1), (&["deploy", "v2", "--all"], 0)] {
        place.run(command).code(code).has("history.jsonl: line 1");
    }
    assert_eq!(place.leads("www/a"), Some(place.release("v2")));
    assert_eq!(place.releases().len(), 2);
}

#[test]
fn a_reader_that_goes_away_stops_nothing() {
    let place = Place::three("");
    let command = format!("{} deploy v1 --all --json | true", crate::place::REALDOC);
    let mut shell = place.command_of("sh".as_ref(), &["-c"]);
    crate::place::said(shell.arg(command));
    // The shell waits for both.
    for link in ["www/a", "www/b", "www/c"] {
        assert_eq!(place.leads(link), Some(place.release("v1")));
    }
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let place = Place::three("");
    for arguments in [&["status"][..], &["status", "--json"], &["completions", "bash"], &["man"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = place.command(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
}
