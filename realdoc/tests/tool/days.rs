//! The days between: what is said of what has happened, and of what would.
//!
//! Owns: the log, the line of sum, `status --check`, the identity of an activation. Must not: test what happens.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{Place, Said};

impl Said {
    fn events(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    fn sum(&self) -> Value {
        let mut sums = self.sums();
        assert_eq!(sums.len(), 1, "{}\n{}", self.out, self.err);
        sums.remove(0)
    }

    fn sums(&self) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == "sum").collect()
    }
}

impl Place {
    /// The ids of the activations in the history, the last one first.
    fn activations(&self) -> Vec<Value> {
        let entries = self.ok(&["log", "--json"]).out;
        let entries = entries.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        entries.filter(|entry| entry["action"] == "activate").map(|entry| entry["id"].clone()).collect()
    }

    /// A sum as it should be, but for the time that it took.
    #[track_caller]
    fn assert_sum(&self, sum: &Value, numbers: [usize; 3], id: &Value) {
        let expected = json!({ "flipped": numbers[0], "taken_back": numbers[1], "failed": numbers[2], "id": id,
            "changed": numbers[0] > 0 });
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&sum[key], value, "{key} in {sum}");
        }
        assert!(id.is_string(), "{id}");
    }
}

#[test]
fn the_log_says_who_did_what_when_and_why() {
    let place = Place::three("");
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["deploy", "v2", "--to", "b", "--why", "a canary"]);
    place.ok(&["mark-bad", "v2", "--reason", "loses orders"]);
    place.ok(&["rollback", "--from", "v2"]);
    let [v1, v2] = ["v1", "v2"].map(|tag| place.release(tag));
    let said = place.ok(&["log"]);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].contains("UTC") && lines[0].contains("tester"), "the last comes first: {lines:?}");
    assert!(lines[0].contains("rollback") && lines[0].contains(&format!("{v2} -> {v1}: b")), "{lines:?}");
    let said = said.has(&format!("mark-bad  {v2}: loses orders")).has("a canary");
    said.has(&format!("no link -> {v1}: a, b, c"));
    let said = place.ok(&["log", "a"]);
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    assert_eq!(place.ok(&["log", "--limit", "2"]).out.lines().count(), 2);
    for line in place.ok(&["log", "--json"]).out.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(entry["id"].is_string() && entry["action"].is_string(), "{entry}");
    }
    place.run(&["log", "nobody"]).code(3);
}

#[test]
fn a_command_ends_with_a_line_of_sum() {
    let place = Place::three("");
    place.ok(&["deploy", "v1", "--to", "a"]);
    place.ok(&["deploy", "v1", "--all"]).has("2 flipped, 1 already there, 0 failed, ");
    place.ok(&["deploy", "v2", "--all", "-n"]).has("3 would be flipped");
    let sum = place.ok(&["deploy", "v2", "--all", "--json"]).sum();
    assert_eq!((&sum["flipped"], &sum["changed"], &sum["failed"]), (&3.into(), &true.into(), &0.into()));
    assert!(sum["id"].is_string());
    let sum = place.ok(&["deploy", "v2", "--all", "--json"]).sum();
    assert_eq!((&sum["flipped"], &sum["changed"], &sum["id"]), (&0.into(), &false.into(), &Value::Null));
    let quiet = place.ok(&["-q", "deploy", "v3", "--all"]);
    assert_eq!((&*quiet.out, &*quiet.err), ("", ""));
}

#[test]
fn many_links_are_few_lines() {
    let place = Place::new("sites = \"ROOT/www/*\"", "");
    place.ok(&["stage", "v1"]);
    for n in 0..30 {
        symlink(place.at("releases").join(place.release("v1")), place.at(&format!("www/{n:02}"))).unwrap();
    }
    let [v1, v2] = ["v1", "v2"].map(|tag| place.release(tag));
    let said = place.ok(&["deploy", "v2", "--all"]).has(&format!("{v1} -> {v2}: 30 links")).has("30 flipped");
    assert!(said.out.lines().count() < 6, "{}", said.out);
    place.ok(&["prune"]).has("live on all 30");
    let said = place.ok(&["-v", "rollback", "--all"]).has("sites/07 (");
    assert!(said.out.lines().count() >= 30);
    let said = place.ok(&["status"]).has("all 30");
    assert!(said.out.lines().all(|line| line.len() < 200), "{}", said.out);
}

#[test]
fn why_many_links_stay_is_said_in_few_words() {
    let place = Place::new("sites = \"ROOT/www/*\"", "");
    place.ok(&["stage", "v1"]);
    let site = |n: u32| place.at(&format!("www/{n:02}"));
    let v1 = place.at("releases").join(place.release("v1"));
    (0..40).for_each(|n| symlink(&v1, site(n)).unwrap());
    place.ok(&["deploy", "v2", "--all"]);
    (40..60).for_each(|n| symlink(place.at("releases").join(place.release("v2")), site(n)).unwrap());
    place.add("[commands]\ncheck = \"false\"");
    let said = place.run(&["rollback", "--all"]).code(5);
    assert!(said.out.lines().count() < 30, "{}", said.out);
    assert!(said.err.lines().all(|line| line.len() < 2000), "{}", said.err);
    let said = place.run(&["rollback", "--all", "--skip-check"]).code(10).has("and 10 more");
    assert!(said.err.lines().all(|line| line.len() < 2000), "{}", said.err);
    // A machine is told each.
    let said = place.run(&["rollback", "--to", "sites", "--json"]);
    assert_eq!(said.out.matches("untouched").count(), 60, "{}", said.out);
}

#[test]
fn an_activation_is_taken_back_by_its_id_and_only_once() {
    let place = Place::three("");
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["deploy", "v2", "--to", "a"]);
    let sum = place.ok(&["deploy", "v3", "--to", "a", "--to", "b", "--json"]).sum();
    let id = sum["id"].as_str().unwrap();
    // Somebody has gone on with one of them since.
    place.ok(&["deploy", "v1", "--to", "b"]);
    let sum = place.ok(&["rollback", "--of", id, "--json"]).sum();
    assert_eq!(sum["flipped"], 1);
    assert_eq!(place.leads("www/a"), Some(place.release("v2")));
    assert_eq!(place.leads("www/b"), Some(place.release("v1")));
    assert_eq!(place.ok(&["rollback", "--of", id, "--json"]).sum()["changed"], false);
    assert_eq!(place.leads("www/a"), Some(place.release("v2")));
    place.run(&["rollback", "--of", "nonsense"]).code(3).has("realdoc log");
    // The first of all had no links before.
    let log = place.ok(&["log", "--json"]).out;
    let first: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    place.run(&["rollback", "--of", first["id"].as_str().unwrap()]).code(3).has("had no link");
}

#[test]
fn a_failed_probe_leaves_the_sum_of_its_activation() {
    let place = Place::three("[commands]\nprobe = \"! test -e ROOT/sick\"\nprobe_for = \"0s\"");
    for tag in ["v1", "v2"] {
        place.ok(&["deploy", tag, "--all"]);
    }
    fs::write(place.at("sick"), "").unwrap();
    let said = place.run(&["deploy", "v3", "--all", "--json"]).code(12);
    let id = &place.activations()[0];
    place.assert_sum(&said.sum(), [0, 3, 0], id);
    // It has been taken back, and nobody goes further back.
    let of = ["rollback", "--of", id.as_str().unwrap(), "--json"];
    assert_eq!(place.ok(&of).sum()["changed"], false);
    for link in ["www/a", "www/b", "www/c"] {
        assert_eq!(place.leads(link), Some(place.release("v2")));
    }
    place.ok(&["mark-bad", "v3", "--clear"]);
    place.run(&["activate", "v3", "--all"]).code(12).has("0 flipped, 3 taken back, 0 failed, ");
    // A link that has nothing to go back to stays flipped, and is told as such.
    let place = Place::three("[commands]\nprobe = \"false\"\nprobe_for = \"0s\"");
    symlink(place.at("www"), place.at("www/a")).unwrap();
    let said = place.run(&["deploy", "v1", "--all", "--json"]).code(12);
    place.assert_sum(&said.sum(), [2, 1, 0], &place.activations()[0]);
}

#[test]
fn every_activation_has_a_sum_of_its_own_however_the_command_ends() {
    let rules = "[commands]\ncheck = \"! test -e ROOT/unsound\"\nprobe_for = \"0s\"\n\
                 reload = \"! test -e ROOT/reload || { echo > ROOT/ready; read line < ROOT/gate; }\"\n\
                 probe = \"! test -e ROOT/probe || { echo > ROOT/ready; read line < ROOT/gate; }\"";
    let place = Place::three(rules);
    let said = place.ok(&["deploy", "v1", "--canary", "a", "--then-all", "--json"]);
    let [rest, canary] = &place.activations()[..] else { panic!() };
    place.assert_sum(&said.sums()[0], [1, 0, 0], canary);
    place.assert_sum(&said.sums()[1], [2, 0, 0], rest);
    for (step, tag) in [("reload", "v2"), ("probe", "v3")] {
        place.ok(&["stage", tag]);
        place.fifo("ready");
        place.fifo("gate");
        fs::write(place.at(step), "").unwrap();
        let running = place.start(place.command(&["activate", tag, "--all", "--json"]), "ready");
        running.signal(Signal::TERM);
        let said = running.end().code(143);
        place.assert_sum(&said.sum(), [3, 0, 0], &place.activations()[0]);
        fs::remove_file(place.at(step)).unwrap();
    }
    // Where nothing was flipped, there is nothing to take back.
    fs::write(place.at("unsound"), "").unwrap();
    let sum = place.run(&["rollback", "--all", "--json"]).code(5).sum();
    assert_eq!((&sum["flipped"], &sum["failed"], &sum["id"]), (&0.into(), &3.into(), &Value::Null));
}

#[test]
fn a_link_that_is_added_to_a_group_is_an_activation_too() {
    let place = Place::new("sites = \"ROOT/www/*\"", "[commands]\nreload = \"test ! -e ROOT/broken\"");
    place.ok(&["deploy", "v1", "--to", "sites/a", "--create"]);
    let link = |name: &str| place.at(&format!("www/{name}")).to_str().unwrap().to_owned();
    let sum = place.ok(&["instance", "add", "sites/b", &link("b"), "--json"]).sum();
    place.assert_sum(&sum, [1, 0, 0], &place.activations()[0]);
    fs::write(place.at("broken"), "").unwrap();
    let sum = place.run(&["instance", "add", "sites/c", &link("c"), "--json"]).code(8).sum();
    place.assert_sum(&sum, [1, 0, 0], &place.activations()[0]);
}

#[test]
fn a_check_of_the_status_fails_when_something_is_wrong() {
    let place = Place::three("[commands]\nreload = \"test ! -e ROOT/broken\"");
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["deploy", "v2", "--all"]);
    place.ok(&["status", "--check"]);
    let v1 = place.at("releases").join(place.release("v1"));
    docroot::flip(&place.at("www/a"), &v1).unwrap();
    place.run(&["status", "--check"]).code(11).has("a: drift");
    place.ok(&["status"]);
    place.ok(&["activate", "v2", "--all"]);
    docroot::flip(&place.at("www/b"), "nowhere".as_ref()).unwrap();
    place.run(&["status", "--check", "--json"]).code(11).has("nowhere");
    fs::write(place.at("broken"), "").unwrap();
    place.run(&["activate", "v2", "--all"]).code(8);
    place.run(&["status", "--check"]).code(11).has("reload is owed");
    fs::remove_file(place.at("broken")).unwrap();
    place.ok(&["reload"]);
    place.ok(&["status", "--check"]);
}

#[test]
fn a_deploy_says_what_comes() {
    let place = Place::three("");
    place.ok(&["deploy", "v1", "--all"]);
    for n in 0..20 {
        place.commit(&format!("w{n}"));
    }
    place.ok(&["deploy", "v3", "-n", "--all"]).has("2 commits").has(" v2").has(" v3");
    let said = place.ok(&["deploy", "w19", "--all"]).has("22 commits").has(" w19").has("and 12 more");
    assert!(!said.err.contains(" w1\n"), "{}", said.err);
    // Back: what goes is not what comes.
    place.ok(&["deploy", "v2", "--all"]).has("takes back 21 commits");
}

#[test]
fn a_wrong_command_line_is_an_event_too() {
    let place = Place::three("");
    for arguments in [&["deploy", "--json"][..], &["--json", "frobnicate"], &["status", "--json", "--chek"]] {
        let said = place.run(arguments).code(2);
        let events = said.events();
        let [event] = &events[..] else { panic!("{events:?}") };
        assert_eq!((&event["event"], &event["exit"], &event["code"]), (&"error".into(), &"usage".into(), &2.into()));
    }
    place.ok(&["--help"]).has("Usage");
}
