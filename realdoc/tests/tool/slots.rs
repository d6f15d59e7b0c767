//! Slots: directories that take turns, and are never written into while somebody uses them.
//!
//! Owns: that what is in a slot is whole, and that nobody goes back to what is gone. Must not: start httpd.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use crate::httpd::Httpd;
use crate::place::{Paused, Place, Said};

const RULES: &str = "slots = [\"A\", \"B\"]\nkeep = 0\nprune_after = \"0s\"\n[drain]\nfiles = [\"ROOT/inuse\"]\n";

/// v1 is in A, v2 in B and live.
fn after_two(more: &str) -> (Place, Httpd) {
    let place = Place::new("a = \"ROOT/www/a\"", &format!("{RULES}{more}"));
    let httpd = Httpd::start(&place.at("inuse"));
    for (tag, slot) in [("v1", "A"), ("v2", "B")] {
        place.ok(&["deploy", tag]).has(&format!("{tag} goes into slot {slot}")).has(&format!("staged {slot}"));
        assert_eq!(leads(&place), (slot.to_owned(), tag.to_owned()));
    }
    (place, httpd)
}

/// Which slot the link leads to, and what is there.
fn leads(place: &Place) -> (String, String) {
    let slot = fs::read_link(place.at("www/a")).unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let tag = content(place, &slot);
    (slot, tag)
}

/// What is in a slot, which must be whole.
fn content(place: &Place, slot: &str) -> String {
    let read = |file: &str| fs::read_to_string(place.at("releases").join(slot).join(file)).unwrap();
    assert_eq!(read("index.php"), read("lib/deep.php"));
    read("index.php")
}

fn start(place: &Place, arguments: &[&str]) -> Paused {
    let mut command = place.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut waiting = Paused::of(command);
    waiting.wait_for_line("waiting for A");
    waiting
}

#[test]
fn slots_take_turns_and_each_turn_is_a_new_directory() {
    let (place, _httpd) = after_two("");
    let inode = |slot: &str| fs::metadata(place.at("releases").join(slot)).unwrap().ino();
    let before = (inode("A"), inode("B"));
    let mut old = File::open(place.at("releases/A/index.php")).unwrap();
    place.ok(&["deploy", "v3", "-n"]).has("v3 goes into slot A").has("would stage A");
    assert_eq!(content(&place, "A"), "v1");
    place.ok(&["deploy", "v3"]);
    assert_eq!(leads(&place), ("A".to_owned(), "v3".to_owned()));
    assert_eq!(content(&place, "B"), "v2");
    assert!(inode("A") != before.0 && inode("B") == before.1);
    // Whoever has a file open, or mapped, goes on with it.
    let mut text = String::new();
    old.read_to_string(&mut text).unwrap();
    assert_eq!(text, "v1");
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
    // By what is in it, and shown with it.
    place.ok(&["activate", "v2"]).has("A -> B");
    let status = place.ok(&["status"]);
    assert!(status.out.lines().any(|line| line.starts_with("A ") && line.ends_with("v3")), "{status:?}");
    place.ok(&["stage", "v3"]).has("A is already staged");
    place.ok(&["mark-bad", "A"]);
    place.ok(&["prune"]).has("kept A: a slot");
    assert!(place.at("releases/A").is_dir());
}

#[test]
fn nobody_goes_back_to_what_was_overwritten() {
    let (place, _httpd) = after_two("");
    let id = |said: &Said| {
        let sum = said.out.lines().rfind(|line| line.contains("\"sum\"")).unwrap();
        serde_json::from_str::<serde_json::Value>(sum).unwrap()["id"].as_str().unwrap().to_owned()
    };
    place.ok(&["rollback"]).has("B -> A");
    let activation = id(&place.ok(&["activate", "v2", "--json"]));
    place.ok(&["mark-bad", "A"]);
    place.ok(&["stage", "v3"]).has("v3 goes into slot A");
    place.run(&["rollback"]).code(3).has("nothing to go back to");
    place.run(&["rollback", "--of", &activation]).code(3).has("another release is in A now");
    assert_eq!(leads(&place), ("B".to_owned(), "v2".to_owned()));
    // The mark was for what is gone.
    place.ok(&["activate", "v3"]);
    place.ok(&["rollback"]).has("A -> B");
    place.ok(&["log"]).has("into slot A");
}

#[test]
fn a_slot_is_taken_when_its_requests_are_over() {
    let (place, httpd) = after_two("");
    let request = httpd.begin(&place.at("releases/A"));
    let waiting = start(&place, &["deploy", "v3"]);
    assert_eq!(content(&place, "A"), "v1");
    httpd.end(request);
    waiting.end().code(0);
    assert_eq!(leads(&place), ("A".to_owned(), "v3".to_owned()));
}

#[test]
fn a_slot_that_does_not_become_free_is_left_as_it_is() {
    let (place, httpd) = after_two("timeout = \"50ms\"\n");
    let request = httpd.begin(&place.at("releases/A"));
    let error = "A: 1 request runs in it; nothing was staged";
    place.run(&["deploy", "v3"]).code(13).has(error);
    httpd.end(request);
    let worker = crate::hold::worker(&place, "releases/A");
    place.run(&["stage", "v3"]).code(13).has("A: held by `sh -c echo");
    worker.kill();
    assert_eq!((content(&place, "A"), leads(&place).1), ("v1".to_owned(), "v2".to_owned()));
    assert!(place.leftovers().is_empty());
    place.ok(&["rollback"]).has("B -> A");
}

#[test]
fn no_slot_is_taken_where_nobody_counts() {
    let (place, _httpd) = after_two("");
    fs::remove_file(place.at("inuse")).unwrap();
    for command in [["stage", "v3"], ["deploy", "v3"]] {
        place.run(&command).code(14).has("no slot is taken: the requests of httpd are unknown");
    }
    assert_eq!(content(&place, "A"), "v1");
}

#[test]
fn a_slot_that_goes_live_meanwhile_is_not_taken() {
    let (place, httpd) = after_two("");
    let request = httpd.begin(&place.at("releases/A"));
    let waiting = start(&place, &["stage", "v3"]);
    place.ok(&["rollback"]).has("B -> A");
    waiting.end().code(1).has("A has come to be live on a; nothing was staged");
    assert_eq!(leads(&place), ("A".to_owned(), "v1".to_owned()));
    httpd.end(request);
}

#[test]
fn slots_that_are_all_live_are_named() {
    let (place, _httpd) = after_two("");
    place.configure("a = \"ROOT/www/a\"\nb = \"ROOT/www/b\"", RULES);
    place.ok(&["activate", "v1", "--to", "b"]);
    place.run(&["stage", "v3"]).code(1).has("no slot is free: A is live on b; B is live on a");
}

#[test]
fn slots_are_two_or_more_names() {
    for (slots, says) in
        [("[\"A\"]", "name two or more"), ("[\"A\", \"A\"]", "two slots"), ("[\"a/b\", \"c\"]", "no name")]
    {
        let place = Place::new("a = \"ROOT/www/a\"", &format!("slots = {slots}"));
        place.run(&["status"]).code(2).has(says).has("line 5, column 9");
    }
}

#[cfg(any(feature = "fault-injection", debug_assertions))]
#[test]
fn a_crash_leaves_a_slot_whole() {
    for step in ["stage.synced", "stage.slot.forgotten", "stage.slot.taken"] {
        let (place, _httpd) = after_two("");
        place.pause(step, &["stage", "v3"]).kill();
        let is_taken = step == "stage.slot.taken";
        assert_eq!(content(&place, "A"), if is_taken { "v3" } else { "v1" }, "{step}");
        assert_eq!(leads(&place), ("B".to_owned(), "v2".to_owned()));
        place.ok(&["deploy", "v3"]);
        assert_eq!(leads(&place), ("A".to_owned(), "v3".to_owned()), "{step}");
        assert!(place.leftovers().is_empty(), "{step}: {:?}", place.leftovers());
    }
}
