//! Killed at every step, stopped at every step, and two at once.
//!
//! Owns: the tables of steps. Must not: depend on how fast anything is; the tool stops at the step and says so.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::place::{Paused, Place, said};

const STAGE_STEPS: [&str; 7] = [
    "stage.created",
    "stage.exported",
    "stage.shared",
    "stage.built",
    "stage.synced",
    "stage.recorded",
    "stage.renamed",
];

/// Each with how many of the three links are flipped then, and whether the next command goes on or puts back.
const ACTIVATE_STEPS: [(&str, usize, bool); 8] = [
    ("activate.checked", 0, false),
    ("activate.begun", 0, false),
    ("activate.flip.1", 1, false),
    ("activate.flip.2", 2, false),
    ("activate.flip.3", 3, true),
    ("activate.flipped", 3, true),
    ("activate.recorded", 3, true),
    ("activate.reloaded", 3, true),
];

const PRUNE_STEPS: [&str; 3] = ["prune.moved", "prune.forgotten", "prune.removed"];

/// Nobody waits for it unless a test fails.
const BUILD_ENDS_WITHIN: Duration = Duration::from_secs(5);

fn all(place: &Place) -> [Option<String>; 3] {
    ["www/a", "www/b", "www/c"].map(|link| place.leads(link))
}

fn thrice(release: &str) -> [Option<String>; 3] {
    [(); 3].map(|()| Some(release.to_owned()))
}

#[test]
fn killed_while_staging_there_is_a_whole_release_or_none() {
    for step in STAGE_STEPS {
        let place = Place::three("[shared]\npaths = [\"uploads/\"]\n[commands]\nbuild = [\"touch built\"]");
        place.ok(&["deploy", "v1", "--all"]);
        place.pause(step, &["deploy", "v2", "--all"]).kill();
        let (v1, v2) = (place.release("v1"), place.release("v2"));
        // A release that exists has been built.
        for release in place.releases() {
            assert!(place.at("releases").join(release).join("built").exists(), "{step}");
        }
        assert_eq!(place.releases().contains(&v2), step == "stage.renamed", "{step}");
        assert_eq!(all(&place), thrice(&v1), "{step}");
        let status = place.status();
        assert_eq!(status["busy"], serde_json::Value::Null, "{step}: the lock ends with its holder");
        assert_eq!(status["releases"].as_array().unwrap().len(), place.releases().len(), "{step}");
        // The next command simply works, and cleans up.
        place.ok(&["deploy", "v2", "--all"]);
        assert_eq!(all(&place), thrice(&v2), "{step}");
        assert!(place.leftovers().is_empty(), "{step}: {:?}", place.leftovers());
    }
}

#[test]
fn killed_while_activating_the_next_command_makes_it_all_or_none() {
    for (step, flipped, goes_on) in ACTIVATE_STEPS {
        for first in [true, false] {
            let place = Place::three("[commands]\nreload = \"echo x >> ROOT/reloads\"");
            let (v1, v2) = (place.release("v1"), place.release("v2"));
            let before = if first { [None, None, None] } else { thrice(&v1) };
            if !first {
                place.ok(&["deploy", "v1", "--all"]);
                fs::remove_file(place.at("reloads")).unwrap();
            }
            place.ok(&["stage", "v2"]);
            place.pause(step, &["activate", "v2", "--all"]).kill();

            // Whoever asks now gets a whole release (`leads` looks), and the status says what is the case.
            let links = all(&place);
            assert_eq!(links.iter().filter(|link| **link == Some(v2.clone())).count(), flipped, "{step}");
            let status = place.status();
            for (instance, link) in status["instances"].as_array().unwrap().iter().zip(&links) {
                assert_eq!(instance["target"].as_str(), link.as_deref(), "{step}");
            }
            assert_eq!(status["interrupted"], step != "activate.checked", "{step}");
            assert_eq!(status["busy"], serde_json::Value::Null, "{step}");

            // Any command that changes something puts it right.
            place.ok(&["stage", "v2"]);
            assert_eq!(all(&place), if goes_on { thrice(&v2) } else { before }, "{step}");
            let status = place.status();
            assert_eq!(status["interrupted"], false, "{step}");
            for instance in status["instances"].as_array().unwrap() {
                assert_eq!(instance["drift"], false, "{step}: {instance}");
                assert_eq!(instance["recorded"], instance["target"], "{step}");
            }
            assert_eq!(place.at("reloads").exists(), goes_on, "{step}");
            assert!(place.leftovers().is_empty(), "{step}: {:?}", place.leftovers());
            place.ok(&["activate", "v2", "--all"]);
            assert_eq!(all(&place), thrice(&v2), "{step}");
            if !first {
                place.ok(&["rollback", "--all"]);
                assert_eq!(all(&place), thrice(&v1), "{step}: the way back is known");
            }
        }
    }
}

#[test]
fn killed_while_putting_back_the_next_command_goes_on_with_it() {
    let place = Place::three("");
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["stage", "v2"]);
    place.pause("activate.flip.2", &["activate", "v2", "--all"]).kill();
    place.pause("activate.putting-back", &["stage", "v2"]).kill();
    let v1 = place.release("v1");
    assert_eq!(all(&place).iter().filter(|link| **link == Some(v1.clone())).count(), 2);
    place.ok(&["stage", "v3"]);
    assert_eq!(all(&place), thrice(&v1));
}

#[test]
fn what_a_killed_activation_had_made_live_is_not_removed_at_once() {
    let place = Place::three("keep = 0");
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["stage", "v2"]);
    // An hour ago.
    let v2 = place.release("v2");
    let record = place.at(&format!("releases/.realdoc/releases/{v2}.json"));
    let mut staged: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    staged["staged"] = "2001-01-01T00:00:00Z".into();
    fs::write(&record, staged.to_string()).unwrap();

    place.pause("activate.flip.2", &["activate", "v2", "--all"]).kill();
    place.ok(&["prune"]).has(&format!("kept {v2}: was live"));
    assert_eq!(all(&place), thrice(&place.release("v1")));
    // It was not where anybody wanted to be.
    assert_eq!(place.status()["instances"][0]["previous"], serde_json::Value::Null);
    place.run(&["rollback", "--all", "--release", "v2"]).code(3).has("a has never led to v2-");
}

#[test]
fn what_somebody_flips_after_the_crash_is_left_alone() {
    let place = Place::three("");
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["stage", "v2"]);
    place.ok(&["stage", "v3"]);
    place.pause("activate.flip.2", &["activate", "v2", "--all"]).kill();
    docroot::flip(&place.at("www/a"), &place.at("releases").join(place.release("v3"))).unwrap();
    place.ok(&["prune"]);
    let expected = ["v3", "v1", "v1"].map(|tag| Some(place.release(tag)));
    assert_eq!(all(&place), expected);
}

#[test]
fn a_rollback_after_a_crash_does_not_go_two_steps_back() {
    let place = Place::three("");
    let [v1, v2] = ["v1", "v2"].map(|tag| place.release(tag));
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["deploy", "v2", "--all"]);
    place.ok(&["stage", "v3"]);
    place.pause("activate.flip.2", &["activate", "v3", "--all"]).kill();
    // Somebody sees v2 beside v3, and wants to be where it was before.
    place.ok(&["rollback", "--all"]).has("that was its rollback");
    assert_eq!(all(&place), thrice(&v2));
    place.ok(&["rollback", "--all"]);
    assert_eq!(all(&place), thrice(&v1));
    // A rollback that was killed is simply done again.
    place.ok(&["activate", "v2", "--all"]);
    place.pause("activate.flip.1", &["rollback", "--all"]).kill();
    place.ok(&["rollback", "--all"]);
    assert_eq!(all(&place), thrice(&v1));
}

#[test]
fn killed_while_rolling_back_it_is_simply_done_again() {
    for (step, ..) in ACTIVATE_STEPS {
        let place = Place::three("[commands]\nreload = \"echo x >> ROOT/reloads\"");
        let v1 = place.release("v1");
        place.ok(&["deploy", "v1", "--all"]);
        place.ok(&["deploy", "v2", "--all"]);
        fs::remove_file(place.at("reloads")).unwrap();
        place.pause(step, &["rollback", "--all"]).kill();
        place.ok(&["rollback", "--from", "v2"]);
        assert_eq!(all(&place), thrice(&v1), "{step}");
        assert!(place.at("reloads").exists(), "{step}");
        place.ok(&["status", "--check"]);
        for instance in place.status()["instances"].as_array().unwrap() {
            assert_eq!((&instance["recorded"], &instance["previous"]), (&v1.as_str().into(), &serde_json::Value::Null));
        }
    }
}

#[test]
fn killed_while_probing_the_links_stay_and_nothing_is_owed() {
    let place = Place::three("[commands]\nprobe = \"echo > ROOT/ready; read line < ROOT/gate\"\nreload = \"true\"");
    place.fifo("ready");
    place.fifo("gate");
    let (v1, probing) = (place.release("v1"), place.start(place.command(&["deploy", "v1", "--all"]), "ready"));
    // Nobody waits for a probe.
    assert_eq!(place.status()["busy"], serde_json::Value::Null);
    probing.kill();
    assert_eq!(all(&place), thrice(&v1));
    place.ok(&["status", "--check"]);
}

#[test]
fn killed_between_a_new_link_and_its_rename_nothing_stays_beside_it() {
    let place = Place::three("");
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["stage", "v2"]);
    place.pause("activate.begun", &["activate", "v2", "--all"]).kill();
    // What a flip has made when it is killed before its rename; and one of another tool's user.
    std::os::unix::fs::symlink(place.at("releases").join(place.release("v2")), place.at("www/.realdoc-4-0.tmp"))
        .unwrap();
    std::os::unix::fs::symlink("elsewhere", place.at("www/.realdoc-5-0.tmp")).unwrap();
    place.ok(&["deploy", "v3", "--all"]);
    assert_eq!(place.leftovers(), [".realdoc-5-0.tmp"]);
}

#[test]
fn killed_while_pruning_no_part_of_a_release_is_left() {
    for step in PRUNE_STEPS {
        let place = Place::new("a = \"ROOT/www/a\"", "prune_after = \"0s\"\nkeep = 2");
        for tag in ["v1", "v2", "v3"] {
            place.ok(&["stage", tag]);
            place.ok(&["activate", tag]);
        }
        place.pause(step, &["prune"]).kill();
        let expected = [place.release("v2"), place.release("v3")];
        assert_eq!(place.releases(), expected, "{step}");
        assert_eq!(place.leads("www/a"), Some(place.release("v3")), "{step}");
        assert_eq!(place.status()["releases"].as_array().unwrap().len(), 2, "{step}");
        place.ok(&["prune"]);
        assert!(place.leftovers().is_empty(), "{step}");
        place.ok(&["deploy", "v1"]);
        // Its name has been used up.
        assert_eq!(place.leads("www/a"), Some(format!("{}-2", place.release("v1"))), "{step}");
    }
}

#[test]
fn a_link_flipped_by_hand_while_pruning_saves_its_release() {
    let place = Place::new("a = \"ROOT/www/a\"", "prune_after = \"0s\"\nkeep = 1");
    for tag in ["v1", "v2", "v3"] {
        place.ok(&["stage", tag]);
        place.ok(&["activate", tag]);
    }
    let paused = place.pause("prune.moved", &["prune"]);
    let v1 = place.release("v1");
    docroot::flip(&place.at("www/a"), &place.at("releases").join(&v1)).unwrap();
    paused.go_on().code(1).has("a has just come to need it");
    assert_eq!(place.leads("www/a"), Some(v1));
    assert!(place.leftovers().is_empty());
}

#[test]
fn stopped_while_staging_nothing_is_left() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        for step in STAGE_STEPS {
            let place = Place::three("");
            let paused = place.pause(step, &["stage", "v1"]);
            paused.signal(signal);
            let said = paused.end();
            if step == "stage.renamed" {
                assert_eq!((said.code, place.releases().len()), (0, 1), "{step}: it is done");
            } else {
                assert_eq!(said.code, 128 + signal.as_raw(), "{step}");
                said.has("stopped by SIG");
                assert!(place.releases().is_empty(), "{step}");
            }
            assert!(place.leftovers().is_empty(), "{step}: {:?}", place.leftovers());
        }
    }
}

#[test]
fn stopped_while_activating_it_is_as_before_or_as_after() {
    for (step, _, _) in ACTIVATE_STEPS {
        let place = Place::three("[commands]\nreload = \"touch ROOT/reloaded\"");
        place.ok(&["deploy", "v1", "--all"]);
        fs::remove_file(place.at("reloaded")).unwrap();
        place.ok(&["stage", "v2"]);
        let paused = place.pause(step, &["activate", "v2", "--all"]);
        paused.signal(Signal::INT);
        let said = paused.end();
        let is_after = ["activate.flipped", "activate.recorded", "activate.reloaded"].contains(&step);
        // After the reload there is nothing left to stop.
        assert_eq!(said.code, if step == "activate.reloaded" { 0 } else { 130 }, "{step}: {said:?}");
        let expected = place.release(if is_after { "v2" } else { "v1" });
        assert_eq!(all(&place), thrice(&expected), "{step}");
        assert_eq!(place.at("reloaded").exists(), is_after, "{step}");
        let status = place.status();
        assert_eq!(status["interrupted"], false, "{step}");
        assert_eq!(status["instances"][0]["recorded"], expected, "{step}");
        assert!(place.leftovers().is_empty(), "{step}");
    }
}

/// A place whose build command says that it runs and then waits for the FIFO `gate`.
fn building(instances: &str) -> Place {
    let build = "[commands]\nbuild = [\"echo $$ > ROOT/pid; echo > ROOT/ready; read line < ROOT/gate; touch built\"]";
    let place = Place::new(instances, build);
    place.fifo("ready");
    place.fifo("gate");
    place
}

fn start_building(place: &Place) -> Paused {
    place.start(place.command(&["deploy", "v1"]), "ready")
}

/// The shell of the build command, which may end without a trace: the tool is its parent and not the test.
struct Build(OwnedFd);

impl Build {
    fn of(place: &Place) -> Self {
        let pid: i32 = fs::read_to_string(place.at("pid")).unwrap().trim().parse().unwrap();
        Self(pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap())
    }

    fn ends_within(&self, timeout: Duration) -> bool {
        // What can be read is that it has ended, whether or not anybody has waited for it.
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout.try_into().unwrap())).unwrap() == 1
    }

    fn has_ended(&self) -> bool {
        self.ends_within(Duration::ZERO)
    }
}

#[test]
fn killed_while_building_the_build_command_ends_too() {
    let place = building("a = \"ROOT/www/a\"");
    let paused = start_building(&place);
    let build = Build::of(&place);
    assert!(!build.has_ended());
    paused.kill();
    assert!(build.ends_within(BUILD_ENDS_WITHIN), "the build command runs on");
    assert!(place.releases().is_empty());
    place.configure("a = \"ROOT/www/a\"", "");
    place.ok(&["deploy", "v1"]);
    assert!(place.leftovers().is_empty());
}

#[test]
fn stopped_while_building_the_build_command_ends_too() {
    let place = building("a = \"ROOT/www/a\"");
    let paused = start_building(&place);
    let build = Build::of(&place);
    paused.signal(Signal::INT);
    paused.end().code(130);
    assert!(build.has_ended());
    assert!(place.releases().is_empty() && place.leftovers().is_empty());
    assert_eq!(place.leads("www/a"), None);
}

#[test]
fn of_two_at_once_the_second_says_who_is_first() {
    let place = building("a = \"ROOT/www/a\"");
    let first = start_building(&place);
    for arguments in [&["deploy", "v2"][..], &["stage", "v2"]] {
        let said = place.run(arguments).code(4).has("busy").has("`realdoc deploy v1`").has("by tester");
        assert!(said.err.contains("--wait"), "{}", said.err);
    }
    // What makes no release waits for nobody.
    for (arguments, code) in [(&["rollback"][..], 3), (&["mark-bad", "x"], 3), (&["prune"], 0), (&["init"], 0)] {
        place.run(arguments).code(code);
    }
    // Looking is free.
    let status = place.status();
    assert_eq!(status["busy"]["command"], "realdoc deploy v1");
    place.ok(&["deploy", "v2", "-n"]).has("would stage");

    // The third waits, says for whom, and comes second.
    place.ok(&["init", "--wait", "-n"]);
    let mut waiting = place.command(&["stage", "v2", "--wait"]);
    let mut waiting = waiting.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stderr = std::io::BufReader::new(waiting.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
    assert!(line.starts_with("waiting for `realdoc deploy v1` (process "), "{line}");
    assert!(waiting.try_wait().unwrap().is_none());
    place.configure("a = \"ROOT/www/a\"", "");
    fs::write(place.at("gate"), "go\n").unwrap();
    first.end().code(0);
    // It builds, too, by the configuration of when it began.
    fs::write(place.at("gate"), "go\n").unwrap();
    assert!(waiting.wait().unwrap().success());
    assert_eq!(place.releases(), [place.release("v1"), place.release("v2")]);
}

#[test]
fn waiting_for_the_lock_can_be_stopped() {
    let place = building("a = \"ROOT/www/a\"");
    let first = start_building(&place);
    let mut waiting = {
        let mut command = place.command(&["stage", "v2", "--wait"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        Paused::of(command)
    };
    waiting.wait_for_line("waiting for");
    waiting.signal(Signal::INT);
    assert_eq!(waiting.end().code, 130);
    first.kill();
    // Killed, it holds nothing.
    place.configure("a = \"ROOT/www/a\"", "");
    said(&mut place.command(&["stage", "v2"])).code(0);
}
