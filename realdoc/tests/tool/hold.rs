//! Releases that somebody works in without httpd: `flock -s RELEASE command`, as queue workers are started.
//!
//! Owns: that such a release stays, and that whoever holds it is named. Must not: know how requests are counted.

use std::process::Command;

use crate::place::{Paused, Place};

/// v1, v2, v3 have been live on a, in this order, and may go at once.
fn after_three(more: &str) -> Place {
    let place = Place::new("a = \"ROOT/www/a\"", &format!("prune_after = \"0s\"\nkeep = 0\n{more}"));
    for tag in ["v1", "v2", "v3"] {
        place.ok(&["stage", tag]);
        place.ok(&["activate", tag]);
    }
    place
}

/// A worker in this directory, which has begun.
pub fn worker(place: &Place, directory: &str) -> Paused {
    let (ready, never) = (place.fifo("ready"), place.fifo("never"));
    let mut command = Command::new("flock");
    let wait = format!("echo > {}; read it < {}", ready.display(), never.display());
    // With -F there is no process between us and the worker.
    command.arg("-sF").arg(place.at(directory)).args(["sh", "-c", &wait]).current_dir(place.dir());
    place.start(command, "ready")
}

#[test]
fn what_a_worker_holds_stays_and_the_worker_is_named() {
    let place = after_three("");
    let v1 = place.release("v1");
    let worker = worker(&place, &format!("releases/{v1}"));
    let pid = worker.pid();
    for dry in [true, false] {
        let arguments: &[&str] = if dry { &["prune", "-n"] } else { &["prune"] };
        place.ok(arguments).has(&format!("kept {v1}: held by `sh -c echo")).has(&format!("(process {pid})"));
        assert!(place.releases().contains(&v1));
    }
    worker.kill();
    place.ok(&["prune"]).has(&format!("removed {v1}"));
}

#[test]
fn a_worker_may_hold_the_directory_that_links_lead_to() {
    let place = after_three("subdirectory = \"lib\"");
    let v1 = place.release("v1");
    let worker = worker(&place, &format!("releases/{v1}/lib"));
    place.ok(&["prune"]).has(&format!("kept {v1}: held by")).has(&format!("(process {})", worker.pid()));
    worker.kill();
    place.ok(&["prune"]).has(&format!("removed {v1}"));
}
