//! Requests that run in a release: it stays, and whoever says so waits for them.
//!
//! Owns: that what is not known is not zero. Must not: start httpd; a slot of the file of requests stands for it.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use docroot::inuse::Ticket;
use serde_json::Value;

use crate::httpd::Httpd;
use crate::place::{Paused, Place};

/// What may go at once, and where httpd counts.
const RULES: &str = "prune_after = \"0s\"\nkeep = 0\n[drain]\nfiles = [\"ROOT/inuse\"]\n";

/// v1, v2, v3 have been live on a, in this order. v1 may go.
fn after_three(rules: &str) -> Place {
    let place = Place::new("a = \"ROOT/www/a\"", rules);
    for tag in ["v1", "v2", "v3"] {
        place.ok(&["stage", tag]);
        place.ok(&["activate", tag]);
    }
    place
}

fn release(place: &Place, tag: &str) -> PathBuf {
    place.at("releases").join(place.release(tag))
}

fn requests(httpd: &Httpd, place: &Place, tag: &str, count: usize) -> Vec<Ticket> {
    (0..count).map(|_| httpd.begin(&release(place, tag))).collect()
}

/// Starts the tool, which is to wait, and waits until it says so.
fn start(place: &Place, arguments: &[&str]) -> Paused {
    let mut command = place.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut waiting = Paused::of(command);
    waiting.wait_for_line("waiting for");
    waiting
}

#[test]
fn what_requests_run_in_stays() {
    let place = after_three(RULES);
    let v1 = place.release("v1");
    let httpd = Httpd::start(&place.at("inuse"));
    let mut running = requests(&httpd, &place, "v1", 3);
    place.ok(&["prune", "-n"]).has(&format!("kept {v1}: 3 requests run in it"));
    place.ok(&["prune"]).has(&format!("kept {v1}: 3 requests run in it"));
    for request in running.drain(1..) {
        httpd.end(request);
    }
    place.ok(&["prune"]).has(&format!("kept {v1}: 1 request runs in it"));
    place.assert_whole(&v1);
    httpd.end(running.remove(0));
    place.ok(&["prune", "-n"]).has(&format!("would remove {v1}"));
    place.ok(&["prune"]).has(&format!("removed {v1}"));
}

#[test]
fn a_request_below_a_release_counts_too() {
    let place = after_three(&format!("subdirectory = \"lib\"\n{RULES}"));
    let httpd = Httpd::start(&place.at("inuse"));
    let request = httpd.begin(&release(&place, "v1").join("lib"));
    place.ok(&["prune"]).has("1 request runs in it");
    httpd.end(request);
    place.ok(&["prune"]).has("removed v1-");
}

#[test]
fn a_process_that_is_killed_stops_counting() {
    let place = after_three(RULES);
    let child = counting_child(&place);
    place.ok(&["prune"]).has("1 request runs in it");
    child.kill();
    place.ok(&["prune"]).has("removed v1-");
}

/// This test itself, as a child that counts a request of v1.
fn counting_child(place: &Place) -> Paused {
    let ready = place.fifo("ready");
    let never = place.fifo("never");
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "drain::a_child_counts", "--include-ignored"]);
    command.env("REALDOC_INUSE", place.at("inuse")).env("REALDOC_COUNTED", release(place, "v1"));
    command.env("REALDOC_READY", ready).env("REALDOC_NEVER", never);
    place.start(command, "ready")
}

#[test]
#[ignore = "a child of another test"]
fn a_child_counts() {
    let Some(file) = std::env::var_os("REALDOC_INUSE") else { return };
    let path = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let httpd = Httpd::start(file.as_ref());
    let _request = httpd.begin(&path("REALDOC_COUNTED"));
    fs::write(path("REALDOC_READY"), "ready").unwrap();
    let _ = fs::read(path("REALDOC_NEVER"));
}

#[test]
fn a_prune_waits_when_it_is_asked_to() {
    let place = after_three(RULES);
    let v1 = place.release("v1");
    let httpd = Httpd::start(&place.at("inuse"));
    let request = httpd.begin(&release(&place, "v1"));
    let said = place.run(&["prune", "--drain", "50ms"]).code(13);
    assert!(said.err.contains(&format!("waiting for {v1}: 1 request runs in it")), "{said:?}");
    assert!(said.err.contains(&format!("error: {v1}: 1 request runs in it")), "{said:?}");
    place.assert_whole(&v1);
    let waiting = start(&place, &["prune", "--drain", "1h"]);
    httpd.end(request);
    waiting.end().code(0).has(&format!("removed {v1}"));
}

#[test]
fn a_machine_is_told_what_is_waited_for() {
    let place = after_three(RULES);
    let httpd = Httpd::start(&place.at("inuse"));
    let running = requests(&httpd, &place, "v1", 2);
    let said = place.run(&["prune", "--drain", "50ms", "--json"]).code(13);
    let events: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let draining = events.iter().find(|event| event["event"] == "draining").unwrap();
    assert_eq!((&draining["release"], &draining["requests"]), (&Value::from(place.release("v1")), &2.into()));
    assert!(draining["seconds"].is_number() && draining["reason"] == "2 requests run in it");
    assert_eq!(events.last().unwrap()["exit"], "in-use");
    drop(running);
}

#[test]
fn what_is_not_known_is_not_zero() {
    let place = after_three(RULES);
    let v1 = place.release("v1");
    let kept =
        format!("warning: {v1} is kept: its requests are unknown: {}: no such file", place.at("inuse").display());
    place.ok(&["prune"]).has(&kept);
    place.run(&["prune", "--drain", "1h"]).code(14).has("the requests of httpd are unknown");
    fs::write(place.at("inuse"), "what is this").unwrap();
    place.ok(&["prune"]).has("it is damaged");
    fs::remove_file(place.at("inuse")).unwrap();
    fs::create_dir(place.at("inuse")).unwrap();
    place.ok(&["prune"]).has("it is no regular file");
    place.assert_whole(&v1);
}

#[test]
fn a_file_that_may_not_be_read_is_not_known() {
    let place = after_three(RULES);
    drop(Httpd::start(&place.at("inuse")));
    let mine = place.run_unprivileged(&["prune", "-n"]).code(0);
    assert!(mine.out.contains("would remove"), "{mine:?}");
    std::os::unix::fs::chown(place.at("inuse"), Some(0), Some(0)).unwrap_or_default();
    if rustix::process::getuid().is_root() {
        let mut command = place.command_of("setpriv".as_ref(), &["--reuid=65534", "--regid=65534", "--clear-groups"]);
        let said = crate::place::said(command.arg(place.at("realdoc")).arg("prune")).code(0);
        assert!(said.err.contains("no permission to read it"), "{said:?}");
        place.assert_whole(&place.release("v1"));
    }
}

#[test]
fn where_no_httpd_counts_time_is_all_there_is() {
    let place = after_three(&RULES.replace("\"ROOT/inuse\"", ""));
    place.run(&["prune", "--drain", "1h"]).code(14).has("[drain] files names none");
    place.ok(&["prune"]).has("removed v1-");
}

#[test]
fn httpd_may_not_have_seen_the_flip() {
    let place = after_three(&format!("{RULES}timeout = \"50ms\"\n"));
    let v1 = place.release("v1");
    let _httpd = Httpd::with_window(&place.at("inuse"), Duration::from_secs(3600));
    place.ok(&["prune"]).has(&format!("kept {v1}: httpd may not have seen the flip yet"));
    place.run(&["prune", "--drain", "20ms"]).code(13);
    place.assert_whole(&v1);
}

#[test]
fn a_window_is_waited_for() {
    let place = after_three(&format!("{RULES}timeout = \"0s\"\n"));
    let _httpd = Httpd::with_window(&place.at("inuse"), Duration::from_millis(400));
    place.ok(&["prune"]).has("removed v1-");
}

#[test]
fn whoever_flips_links_waits_for_no_prune_that_waits() {
    let place = after_three(RULES);
    place.configure("a = \"ROOT/www/a\"\nb = \"ROOT/www/b\"", RULES);
    let v1 = place.release("v1");
    let httpd = Httpd::start(&place.at("inuse"));
    let request = httpd.begin(&release(&place, "v1"));
    let waiting = start(&place, &["prune", "--drain", "1h"]);
    // It is claimed, but the prune lets go.
    place.ok(&["activate", "v1", "--to", "b"]);
    // Whatever runs there now, it is live.
    waiting.end().code(0).has(&format!("kept {v1}: live on b"));
    httpd.end(request);
    assert_eq!(place.leads("www/b"), Some(v1));
}

#[test]
fn a_flip_by_hand_and_back_begins_the_wait_anew() {
    let place = after_three(&RULES.replace("\"ROOT/inuse\"", "\"ROOT/inuse\", \"ROOT/second\""));
    let [v1, v3] = ["v1", "v3"].map(|tag| release(&place, tag));
    let [first, second] = ["inuse", "second"].map(|file| Httpd::start(&place.at(file)));
    let request = first.begin(&v1);
    let waiting = start(&place, &["prune", "--drain", "1h"]);
    // Meanwhile it sees that nothing runs in the second. If it does not, the test shows less, and fails no sooner.
    thread::sleep(Duration::from_millis(100));
    docroot::flip(&place.at("www/a"), &v1).unwrap();
    let other = second.begin(&v1);
    docroot::flip(&place.at("www/a"), &v3).unwrap();
    first.end(request);
    // A prune that went by what it has seen before would remove it now.
    thread::sleep(Duration::from_millis(200));
    assert!(v1.exists());
    second.end(other);
    waiting.end().code(0);
    assert!(!v1.exists());
}

#[test]
fn a_command_that_flips_waits_for_what_it_leaves() {
    let place = after_three(RULES);
    let v3 = place.release("v3");
    let httpd = Httpd::start(&place.at("inuse"));
    let request = httpd.begin(&release(&place, "v3"));
    let said = place.run(&["activate", "v2", "--drain", "50ms"]).code(13);
    assert!(said.out.contains("1 flipped, 0 failed"), "{said:?}");
    let error = format!("the links are flipped, but {v3}: 1 request runs in it; `realdoc drain {v3}` waits on");
    assert!(said.err.contains(&error), "{said:?}");
    assert_eq!(place.leads("www/a"), Some(place.release("v2")));
    let waiting = start(&place, &["drain", "v3", "--timeout", "1h"]);
    httpd.end(request);
    waiting.end().code(0).has(&format!("{v3} is free"));
    // Back, and back again: nothing runs there.
    place.ok(&["rollback", "--drain", "1h"]);
    place.ok(&["deploy", "v2", "--drain", "1h"]);
}

#[test]
fn a_deploy_prunes_what_it_has_waited_for() {
    let place = after_three(RULES);
    place.commit("v4");
    let httpd = Httpd::start(&place.at("inuse"));
    let [first, second] = ["v1", "v3"].map(|tag| httpd.begin(&release(&place, tag)));
    let waiting = start(&place, &["deploy", "v4", "--drain", "1h"]);
    assert!(release(&place, "v1").exists() && release(&place, "v2").exists());
    httpd.end(first);
    httpd.end(second);
    waiting.end().code(0).has("removed v1-").has("removed v2-").has("1 flipped, 0 failed");
    assert_eq!(place.releases(), [place.release("v3"), place.release("v4")]);
}

#[test]
fn what_another_link_leads_to_is_not_waited_for() {
    let place = after_three(RULES);
    place.configure("a = \"ROOT/www/a\"\nb = \"ROOT/www/b\"", RULES);
    place.ok(&["activate", "v3", "--to", "b"]);
    let httpd = Httpd::start(&place.at("inuse"));
    let request = httpd.begin(&release(&place, "v3"));
    let said = place.ok(&["activate", "v2", "--to", "a", "--drain", "1h"]);
    assert!(said.err.contains(&format!("{} is not waited for: it is live on b", place.release("v3"))), "{said:?}");
    place.run(&["drain", "v3"]).code(1).has(&format!("{} is live on b", place.release("v3")));
    httpd.end(request);
}

#[test]
fn a_flip_that_is_to_wait_is_not_made_where_nobody_counts_but_a_rollback_is() {
    let place = after_three(RULES);
    place.commit("v4");
    for command in [["activate", "v1"], ["deploy", "v4"], ["verify", "v1"]] {
        let mut command = command.to_vec();
        command.extend(["--drain", "1h"]);
        place.run(&command).code(14).has("the requests of httpd are unknown");
    }
    assert_eq!(place.leads("www/a"), Some(place.release("v3")));
    assert!(!release(&place, "v4").exists());
    place.run(&["rollback", "--drain", "1h"]).code(14).has("1 flipped, 0 failed");
    assert_eq!(place.leads("www/a"), Some(place.release("v2")));
}

/// A directory as another tool has it, without any configuration of ours.
fn foreign() -> (Place, PathBuf) {
    let place = Place::new("a = \"ROOT/www/a\"", "");
    fs::remove_file(place.at("realdoc.toml")).unwrap();
    let release = place.at("srv/app/releases/42");
    fs::create_dir_all(&release).unwrap();
    std::os::unix::fs::symlink("releases/43", place.at("srv/app/current")).unwrap();
    (place, release)
}

#[test]
fn another_tool_waits_by_a_path() {
    let (place, release) = foreign();
    let file = place.at("inuse").display().to_string();
    let drain = |timeout: &str, path: &str| place.run(&["drain", path, "--timeout", timeout, "--file", &file]);
    drain("1h", "srv/app/releases/42").code(14).has("no such file: no server counts requests there");
    let httpd = Httpd::start(&place.at("inuse"));
    for timeout in ["1h", "0s"] {
        drain(timeout, "srv/app/releases/42").code(0).has("is free");
    }
    let request = httpd.begin(&release);
    for path in ["srv/app/releases/42", "./srv/app/releases/42/", "srv/../srv/app/releases/42"] {
        drain("20ms", path).code(13).has(&format!("{}: 1 request runs in it", release.display()));
    }
    drain("1h", "srv/app/current").code(2).has("is a link");
    drain("1h", "srv/app/releases/41").code(3).has("there is no directory");
    // A name needs a configuration.
    drain("1h", "42").code(3).has("there is no configuration");
    httpd.end(request);
    drain("1h", "srv/app/releases/42/").code(0);
}

#[test]
fn a_path_is_live_if_a_link_of_ours_leads_there() {
    let place = after_three(RULES);
    let _httpd = Httpd::start(&place.at("inuse"));
    let v3 = place.release("v3");
    for path in [format!("releases/{v3}"), format!("releases/{v3}/lib"), "./releases".to_owned()] {
        place.run(&["drain", &path]).code(1).has("is live on a");
    }
    place.ok(&["drain", &format!("releases/{}", place.release("v1"))]);
    place.ok(&["drain", "v1", "v2"]).has(&format!("{} is free", place.release("v2")));
}

#[test]
fn a_worker_is_waited_for_like_a_request() {
    let place = after_three(RULES);
    let _httpd = Httpd::start(&place.at("inuse"));
    let worker = crate::hold::worker(&place, &format!("releases/{}", place.release("v1")));
    place.run(&["drain", "v1", "--timeout", "20ms"]).code(13).has(&format!("(process {})", worker.pid()));
    let waiting = start(&place, &["drain", "v1", "--timeout", "1h"]);
    worker.kill();
    waiting.end().code(0);
}

#[test]
fn the_status_shows_the_requests_of_each_release() {
    let place = after_three(RULES);
    let status = place.ok(&["status"]);
    assert!(status.out.contains("REQUESTS") && status.out.contains("requests are unknown: "), "{status:?}");
    let row = |said: &str, tag: &str| {
        let line = said.lines().find(|line| line.starts_with(&place.release(tag))).unwrap().to_owned();
        // Behind the age and the size, which have two words each.
        line.split_whitespace().nth(6).unwrap().to_owned()
    };
    assert_eq!(row(&status.out, "v1"), "?");
    assert!(place.status()["releases"][0]["requests"].is_null() && place.status()["requests_unknown"].is_string());
    let httpd = Httpd::start(&place.at("inuse"));
    let running = requests(&httpd, &place, "v3", 2);
    let status = place.ok(&["status"]);
    assert_eq!([row(&status.out, "v1"), row(&status.out, "v3")], ["0", "2"]);
    assert_eq!(place.status()["releases"][0]["requests"], 2);
    assert!(place.status()["requests_unknown"].is_null());
    drop(running);
}
