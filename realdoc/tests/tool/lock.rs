//! The lock of a releases directory, when whoever has it does not let it go, or another user has made it.

#[cfg(any(feature = "fault-injection", debug_assertions))]
use std::fs;
#[cfg(any(feature = "fault-injection", debug_assertions))]
use std::thread;
#[cfg(any(feature = "fault-injection", debug_assertions))]
use std::time::Duration;

#[cfg(any(feature = "fault-injection", debug_assertions))]
use rustix::process::Signal;

#[cfg(any(feature = "fault-injection", debug_assertions))]
use crate::place::Paused;
use crate::place::Place;

/// Three links that lead to v2 and were on v1 before.
fn after_deploys() -> Place {
    let place = Place::three("keep = 9");
    for tag in ["v1", "v2"] {
        place.ok(&["deploy", tag, "--all"]);
    }
    place
}

/// Stops it as Ctrl-Z does, and waits until it is.
#[cfg(any(feature = "fault-injection", debug_assertions))]
fn stop(process: &Paused) {
    process.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", process.pid());
    while !fs::read_to_string(&stat).unwrap().contains(") T ") {
        thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(any(feature = "fault-injection", debug_assertions))]
#[test]
fn a_stopped_holder_of_the_lock_refuses_no_rollback() {
    for step in ["activate.begun", "activate.flip.2", "activate.flipped", "activate.recorded"] {
        let place = after_deploys();
        place.ok(&["stage", "v3"]);
        let stopped = place.pause(step, &["activate", "v3", "--all"]);
        stop(&stopped);
        let said = place.run(&["rollback", "--all"]).code(0).has("it was stopped");
        assert!(said.err.contains("ended `realdoc activate v3 --all` (process "), "{}", said.err);
        // Before the last link is flipped it is put back, which is its rollback.
        for link in ["www/a", "www/b", "www/c"] {
            assert_eq!(place.leads(link), Some(place.release("v2")), "{step}: {link}");
        }
        assert_eq!(stopped.end().code, -1, "{step}: it has been killed");
        place.ok(&["status", "--check"]);
    }
}

#[cfg(any(feature = "fault-injection", debug_assertions))]
#[test]
fn a_stopped_holder_is_told_from_one_that_runs() {
    let place = after_deploys();
    place.ok(&["stage", "v3"]);
    let stopped = place.pause("stage.renamed", &["stage", "v3", "--rebuild"]);
    let kill = format!("`kill {}`", stopped.pid());
    place.run(&["stage", "v1", "--rebuild"]).code(4).has(&kill);
    stop(&stopped);
    // A stopped process takes no signal that asks.
    let said = place.run(&["stage", "v1", "--rebuild"]).code(4).has("it is stopped");
    assert!(!said.err.contains(&kill), "{}", said.err);
    said.has(&format!("`kill -CONT {}`", stopped.pid())).has(&format!("`kill -KILL {}`", stopped.pid()));
    stopped.kill();
}

#[test]
fn what_another_user_has_made_refuses_no_rollback() {
    let place = after_deploys();
    // It gives everything to another user, who runs it.
    place.run_unprivileged(&["status"]).code(0);
    if !rustix::process::getuid().is_root() {
        eprintln!("not tested: this user can give nothing away");
        return;
    }
    for file in ["lock", "journal", "history.jsonl"] {
        std::os::unix::fs::chown(place.at("releases/.realdoc").join(file), Some(0), Some(0)).unwrap();
    }
    let said = run_as_owner(&place, &["rollback", "--all"]);
    said.code(0).has("3 flipped").has("history.jsonl: Permission denied");
    assert_eq!(place.leads("www/a"), Some(place.release("v1")));
}

/// As [`Place::run_unprivileged`], without giving anything away anew.
fn run_as_owner(place: &Place, arguments: &[&str]) -> crate::place::Said {
    let mut command = place.command_of("setpriv".as_ref(), &["--reuid=65534", "--regid=65534", "--clear-groups"]);
    crate::place::said(command.arg(place.at("realdoc")).args(arguments))
}
