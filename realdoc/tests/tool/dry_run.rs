//! A dry run ends as the command itself would.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::place::Place;

/// A link that leads to v2 and was on v1 before; v3 is staged.
fn after_deploys() -> Place {
    let place = Place::new("shop = \"ROOT/www/shop\"", "keep = 9\n[drain]\nfiles = []");
    for tag in ["v1", "v2"] {
        place.ok(&["deploy", tag]);
    }
    place.ok(&["stage", "v3"]);
    place
}

#[track_caller]
fn both(place: &Place, arguments: &[&str], code: i32, text: &str) {
    place.run(&[arguments, &["-n"]].concat()).code(code).has(text);
    place.run(arguments).code(code).has(text);
}

#[test]
fn a_release_that_httpd_cannot_read() {
    let place = after_deploys();
    let v3 = place.at("releases").join(place.release("v3"));
    fs::set_permissions(v3, Permissions::from_mode(0o700)).unwrap();
    both(&place, &["activate", "v3"], 1, "would not be served");
    place.add("[httpd]\nuser = \"no-such-user\"");
    both(&place, &["activate", "v1"], 2, "no-such-user");
    // It keeps no rollback from anything.
    both(&place, &["rollback"], 0, "no-such-user");
}

#[test]
fn requests_that_nobody_counts() {
    let place = after_deploys();
    both(&place, &["activate", "v3", "--drain", "1s"], 14, "unknown");
    both(&place, &["deploy", "v3", "--drain", "1s"], 14, "unknown");
    both(&place, &["prune", "--drain", "1s"], 14, "unknown");
    both(&place, &["rollback", "--drain", "1s"], 14, "unknown");
    assert_eq!(place.leads("www/shop"), Some(place.release("v1")), "a rollback is not refused");
}

/// The links, each with where it leads; of the sums, what is counted; and what was pruned.
fn said_of(events: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str, fields: &[&str]| -> Vec<String> {
        let events = events.iter().filter(|line| line["event"] == event);
        let mut said: Vec<String> =
            events.map(|line| fields.iter().map(|field| line[field].to_string()).collect::<String>()).collect();
        said.sort();
        said
    };
    let sums = ["flipped", "already", "failed"];
    (of("flip", &["instance", "from", "to"]), of("sum", &sums), of("pruned", &["release"]))
}

#[test]
fn a_link_that_is_gone_and_comes_back() {
    let place = Place::new("sites = \"ROOT/www/*\"", "keep = 2\nprune_after = \"0s\"\n[drain]\nfiles = []");
    for site in ["a", "b", "c"] {
        place.ok(&["deploy", "v1", "--to", &format!("sites/{site}"), "--create"]);
    }
    let both = |arguments: &[&str]| {
        let dry = place.run(&[arguments, &["--json", "-n"]].concat());
        let real = place.run(&[arguments, &["--json"]].concat());
        assert_eq!((dry.code, said_of(&dry.out)), (real.code, said_of(&real.out)), "{}", dry.err);
        real
    };
    // A canary that is there.
    both(&["deploy", "v2", "--canary", "sites/a", "--then-all"]).code(0);
    // One that is not: after it, all are there.
    fs::remove_file(place.at("www/b")).unwrap();
    both(&["deploy", "v3", "--canary", "sites/b", "--then-all"]).code(0);
    assert_eq!(place.leads("www/b"), Some(place.release("v3")));
    // What it would go back to is not removed.
    fs::remove_file(place.at("www/b")).unwrap();
    place.commit("v4");
    both(&["deploy", "v4", "--to", "sites/a"]).code(0);
    both(&["deploy", "v4", "--to", "sites/b"]).code(0);
    both(&["rollback", "--all"]).code(0);
}
