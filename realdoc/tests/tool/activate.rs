//! Activation and rollback: which links lead where, and that it is all of them or none.
//!
//! Owns: what is flipped and what is put back. Must not: kill the tool; `crash` does.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::place::Place;

impl Place {
    #[track_caller]
    fn assert_leads(&self, expected: &[(&str, &str)]) {
        for (link, tag) in expected {
            assert_eq!(self.leads(&format!("www/{link}")), Some(self.release(tag)), "{link}");
        }
    }
}

#[test]
fn one_all_back_one_back_all() {
    let place = Place::three("[commands]\nreload = \"echo x >> ROOT/reloads\"");
    let reloads = || fs::read_to_string(place.at("reloads")).unwrap_or_default().len() / 2;
    place.ok(&["deploy", "v1", "--all"]).has("a (").has("no link -> v1-");
    place.assert_leads(&[("a", "v1"), ("b", "v1"), ("c", "v1")]);
    assert_eq!(reloads(), 1, "once for all");
    let text = fs::read_link(place.at("www/a")).unwrap();
    assert_eq!(text.as_os_str(), place.at("releases").join(place.release("v1")).as_os_str(), "no slash at the end");
    place.ok(&["deploy", "v2", "--to", "b"]);
    place.assert_leads(&[("a", "v1"), ("b", "v2"), ("c", "v1")]);
    place.ok(&["activate", "v2", "--to", "a", "--to", "b"]).has("b (").has("already v2-");
    place.assert_leads(&[("a", "v2"), ("b", "v2"), ("c", "v1")]);
    assert_eq!(reloads(), 3);
    place.ok(&["deploy", "v3", "--all"]);
    place.ok(&["deploy", "v3", "--all"]).has("already v3-");
    assert_eq!(reloads(), 4, "not for nothing");
    place.ok(&["rollback", "--to", "c"]);
    place.assert_leads(&[("a", "v3"), ("b", "v3"), ("c", "v1")]);
    place.ok(&["rollback", "--to", "a", "--to", "b"]);
    place.assert_leads(&[("a", "v2"), ("b", "v2"), ("c", "v1")]);
    place.ok(&["rollback", "--to", "a"]);
    place.assert_leads(&[("a", "v1"), ("b", "v2"), ("c", "v1")]);
    place.run(&["rollback", "--all"]).code(10).has("a has nothing to go back to").has("c has nothing");
    place.assert_leads(&[("a", "v1"), ("b", "v1"), ("c", "v1")]);
    place.run(&["deploy", "v1"]).code(2).has("which instance?");
    place.run(&["deploy", "v1", "--to", "d"]).code(3).has("there are a, b, c");
    place.run(&["activate", "v9", "--all"]).code(3).has("there is no release v9");
}

#[test]
fn a_rollback_follows_the_history_and_not_names_or_times() {
    let place = Place::new("a = \"ROOT/www/a\"", "");
    for tag in ["v3", "v1", "v2"] {
        place.ok(&["stage", tag]);
    }
    for tag in ["v2", "v3", "v1"] {
        place.ok(&["activate", tag]);
    }
    place.ok(&["rollback"]);
    place.assert_leads(&[("a", "v3")]);
    place.ok(&["rollback"]);
    place.assert_leads(&[("a", "v2")]);
    place.ok(&["activate", "v1"]);
    place.ok(&["activate", "v2"]);
    // Twice on the way: it is there now, so that is not where to go back to.
    place.ok(&["rollback"]);
    place.assert_leads(&[("a", "v1")]);
}

#[test]
fn no_rollback_leads_to_a_bad_release() {
    let place = Place::new("a = \"ROOT/www/a\"", "");
    for tag in ["v1", "v2", "v3"] {
        place.ok(&["deploy", tag]);
    }
    let v2 = place.release("v2");
    place.ok(&["mark-bad", "v2", "--reason", "loses orders"]).has("is marked bad");
    place.run(&["activate", "v2"]).code(1).has("loses orders").has("--clear");
    place.run(&["rollback", "--release", "v2"]).code(1).has("loses orders");
    assert_eq!(place.status()["instances"][0]["previous"], place.release("v1"));
    place.ok(&["rollback"]).has(&format!("not back to {v2}, which is marked bad: loses orders"));
    place.assert_leads(&[("a", "v1")]);
    place.ok(&["mark-bad", "v2", "--clear"]);
    place.ok(&["activate", "v2"]);
    place.ok(&["mark-bad", "v2"]).has("a leads to it").has("realdoc rollback --from v2-");
    place.ok(&["mark-bad", "v2", "--clear", "-n"]).has("would not be marked bad anymore");
    place.ok(&["rollback"]);
    place.assert_leads(&[("a", "v1")]);
    place.run(&["mark-bad", "v7"]).code(3);
}

#[test]
fn a_rollback_to_a_named_release_needs_to_have_been_there() {
    let place = Place::three("");
    for (tag, to) in [("v1", "a"), ("v1", "b"), ("v2", "a"), ("v3", "a"), ("v3", "b"), ("v3", "c")] {
        place.ok(&["deploy", tag, "--to", to]);
    }
    place.run(&["rollback", "--to", "c", "--release", "v1"]).code(3).has("c has never led to v1-");
    place.assert_leads(&[("a", "v3"), ("b", "v3"), ("c", "v3")]);
    place.run(&["rollback", "--all", "--release", "v1"]).code(10).has("c has never led to v1-");
    place.assert_leads(&[("a", "v1"), ("b", "v1"), ("c", "v3")]);
}

#[test]
fn a_failing_check_stops_the_flip() {
    let check = "[commands]\ncheck = \"echo $REALDOC_INSTANCES > ROOT/seen; grep -v v2 index.php\"";
    let place = Place::three(check);
    place.ok(&["deploy", "v1", "--to", "a", "--to", "b"]);
    assert_eq!(fs::read_to_string(place.at("seen")).unwrap(), "a b\n");
    place.run(&["deploy", "v2", "--all"]).code(5).has("the check of v2-").has("exited with 1");
    place.assert_leads(&[("a", "v1"), ("b", "v1")]);
    assert_eq!(place.leads("www/c"), None);
    assert!(!place.at("releases/.realdoc/activation.json").exists());
    // What is live may fail the check by now; going back to it is possible all the same.
    place.ok(&["deploy", "v3", "--to", "a"]);
    fs::write(place.at("releases").join(place.release("v1")).join("index.php"), "v2").unwrap();
    place.run(&["rollback", "--to", "a"]).code(5);
    fs::write(place.at("releases").join(place.release("v1")).join("index.php"), "v2").unwrap();
    place.ok(&["rollback", "--to", "a", "--skip-check"]);
}

#[test]
fn what_somebody_flips_during_the_check_stays() {
    let place = Place::three("[commands]\ncheck = \"test ! -L ROOT/by-hand || mv -T ROOT/by-hand ROOT/www/b\"");
    place.ok(&["stage", "v1"]);
    place.ok(&["deploy", "v2", "--all"]);
    symlink(place.at("releases").join(place.release("v1")), place.at("by-hand")).unwrap();
    place.run(&["deploy", "v3", "--all"]).code(1).has("b has been flipped by somebody else").has("nothing was flipped");
    place.assert_leads(&[("a", "v2"), ("b", "v1"), ("c", "v2")]);
    // Now it is known, and part of the way back.
    place.ok(&["deploy", "v3", "--all"]);
    place.ok(&["rollback", "--all"]);
    place.assert_leads(&[("a", "v2"), ("b", "v1"), ("c", "v2")]);
}

#[test]
fn a_failing_reload_is_said_and_nothing_is_undone() {
    let place = Place::three("[commands]\nreload = \"exit 4\"");
    place.run(&["deploy", "v1", "--all"]).code(8).has("the links are flipped").has("exited with 4");
    place.assert_leads(&[("a", "v1"), ("b", "v1"), ("c", "v1")]);
    assert_eq!(place.status()["instances"][0]["recorded"], place.release("v1"));
    place.run(&["activate", "v1", "--all"]).code(8).has("already");
}

/// The outcome that `--json` tells of each instance.
#[cfg(any(feature = "fault-injection", debug_assertions))]
fn outcomes(out: &str) -> Vec<(String, String)> {
    out.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["event"] == "flip")
        .map(|event| (event["instance"].as_str().unwrap().into(), event["outcome"].as_str().unwrap().into()))
        .collect()
}

#[cfg(any(feature = "fault-injection", debug_assertions))]
#[test]
fn a_failure_half_way_puts_back_what_was_flipped() {
    for (json, first) in [(false, true), (true, false)] {
        let place = Place::three("[commands]\nreload = \"touch ROOT/reloaded\"");
        if first {
            place.ok(&["deploy", "v1", "--all"]);
            fs::remove_file(place.at("reloaded")).unwrap();
        }
        place.ok(&["stage", "v2"]);
        let mut arguments = vec!["activate", "v2", "--all"];
        arguments.extend(json.then_some("--json"));
        let paused = place.pause("activate.flip.1", &arguments);
        // Somebody puts a directory in the second link's place while the first is flipped.
        assert_eq!(place.leads("www/a"), Some(place.release("v2")));
        let _ = fs::remove_file(place.at("www/b"));
        fs::create_dir_all(place.at("www/b/uploads")).unwrap();
        let said = paused.go_on().code(6);
        let before = first.then(|| place.release("v1"));
        assert_eq!((place.leads("www/a"), place.leads("www/c")), (before.clone(), before));
        assert!(place.at("www/b/uploads").is_dir());
        assert!(!place.at("reloaded").exists() && place.leftovers().is_empty());
        if json {
            let outcome = |instance: &str, outcome: &str| (instance.to_owned(), outcome.to_owned());
            let expected = [outcome("b", "failed"), outcome("a", "put-back"), outcome("c", "untouched")];
            assert_eq!(outcomes(&said.out), expected);
            let last: serde_json::Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
            assert_eq!((last["event"].as_str(), last["exit"].as_str()), (Some("error"), Some("put-back")));
            assert_eq!(last["code"], 6);
        } else {
            let v1 = place.release("v1");
            let said = said.has("b (").has("could not be flipped").has(&format!("put back to {v1}"));
            said.has(&format!("untouched, still {v1}")).has("every link is as it was");
        }
        fs::remove_dir_all(place.at("www/b")).unwrap();
        place.ok(&["activate", "v2", "--all"]);
        place.assert_leads(&[("a", "v2"), ("b", "v2"), ("c", "v2")]);
    }
}

#[test]
fn one_instance_that_may_not_be_written_keeps_all_as_they_were() {
    let place = Place::new("a = \"ROOT/www/a\"\nb = \"ROOT/locked/b\"\nc = \"ROOT/www/c\"", "");
    fs::create_dir(place.at("locked")).unwrap();
    place.run_unprivileged(&["deploy", "v1", "--all"]).code(0);
    place.run_unprivileged(&["stage", "v2"]).code(0);
    let mode = |mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(place.at("locked"), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o555);
    let said = place.run_unprivileged(&["activate", "v2", "--all"]);
    mode(0o755);
    said.code(6).has("b (").has("Permission denied").has("put back to v1-").has("c (");
    place.assert_leads(&[("a", "v1"), ("c", "v1")]);
    assert_eq!(place.leads("locked/b"), Some(place.release("v1")));
}

#[test]
fn what_is_no_link_is_never_replaced() {
    let place = Place::three("");
    fs::create_dir(place.at("www/b")).unwrap();
    fs::write(place.at("www/b/precious"), "x").unwrap();
    fs::write(place.at("www/c"), "a file").unwrap();
    let said = place.run(&["deploy", "v1", "--all"]).code(1);
    said.has("is a directory, no link").has("is a file, no link").has("realdoc init");
    assert_eq!(place.leads("www/a"), None, "all or none");
    assert_eq!(fs::read_to_string(place.at("www/b/precious")).unwrap(), "x");
    assert_eq!(fs::read_to_string(place.at("www/c")).unwrap(), "a file");
    assert_eq!(place.status()["instances"][1]["problem"], "a directory, no link");
}

#[test]
fn a_link_below_a_file_or_in_no_directory_is_refused() {
    let place = Place::new("a = \"ROOT/www/a\"\nb = \"ROOT/realdoc.toml/b\"", "");
    place.run(&["deploy", "v1", "--all"]).code(1).has("realdoc.toml/b").has("Not a directory");
    assert_eq!(place.leads("www/a"), None);
    place.configure("a = \"ROOT/www/a\"\nb = \"ROOT/none/b\"", "");
    place.run(&["deploy", "v1", "--all"]).code(1).has("the directory of").has("does not exist");
    assert_eq!(place.leads("www/a"), None);
}

#[test]
fn a_group_is_moved_and_its_neighbours_are_not() {
    let place = Place::new("sites = \"ROOT/www/*\"", "");
    fs::create_dir_all(place.at("other/releases/1")).unwrap();
    fs::create_dir_all(place.at("www/html")).unwrap();
    symlink("../other/releases/1", place.at("www/other")).unwrap();
    place.ok(&["stage", "v1"]);
    for site in ["one", "two"] {
        symlink(Path::new("../releases").join(place.release("v1")), place.at("www").join(site)).unwrap();
    }
    place.ok(&["deploy", "v2", "--to", "sites"]).has("sites/one").has("sites/two");
    place.assert_leads(&[("one", "v2"), ("two", "v2")]);
    assert_eq!(fs::read_link(place.at("www/other")).unwrap(), Path::new("../other/releases/1"));
    place.ok(&["rollback", "--to", "two"]);
    place.assert_leads(&[("one", "v2"), ("two", "v1")]);
    let status = place.status();
    assert_eq!(status["ignored"].as_array().unwrap().len(), 2, "{status}");
}

#[test]
fn a_lost_release_takes_nobody_out_of_a_group() {
    let place = Place::new("sites = \"ROOT/sites/*/current\"", "");
    fs::create_dir_all(place.at("disk/sites/hop")).unwrap();
    fs::create_dir(place.at("disk/sites/relative")).unwrap();
    symlink("disk/sites", place.at("sites")).unwrap();
    // Beside the directories that the pattern is about.
    fs::write(place.at("sites/README"), "").unwrap();
    place.ok(&["stage", "v1"]);
    let v1 = place.release("v1");
    symlink(format!("../../../releases/{v1}"), place.at("sites/relative/current")).unwrap();
    symlink(format!("releases/{v1}"), place.at("live")).unwrap();
    symlink(place.at("live"), place.at("sites/hop/current")).unwrap();
    place.ok(&["deploy", "v2", "--all", "-n"]).has("sites/hop").has("sites/relative");
    fs::remove_dir_all(place.at("releases").join(&v1)).unwrap();
    place.ok(&["deploy", "v2", "--all"]);
    for site in ["hop", "relative"] {
        assert_eq!(place.leads(&format!("sites/{site}/current")), Some(place.release("v2")), "{site}");
    }
}

#[test]
fn a_file_where_a_pattern_has_a_directory_stops_nothing() {
    let place = Place::new("sites = \"ROOT/sites/*/htdocs/current\"", "");
    fs::create_dir_all(place.at("sites/a/htdocs")).unwrap();
    fs::create_dir(place.at("sites/b")).unwrap();
    fs::write(place.at("sites/b/htdocs"), "").unwrap();
    place.ok(&["stage", "v1"]);
    symlink(place.at("releases").join(place.release("v1")), place.at("sites/a/htdocs/current")).unwrap();
    place.ok(&["status"]).has("sites/a");
    place.ok(&["deploy", "v2", "--all"]);
    assert_eq!(place.leads("sites/a/htdocs/current"), Some(place.release("v2")));
}

#[test]
fn links_may_lead_to_a_directory_in_the_release() {
    let place = Place::three("subdirectory = \"lib\"");
    place.ok(&["deploy", "v1", "--all"]);
    assert_eq!(fs::read_to_string(place.at("www/a/deep.php")).unwrap(), "v1");
    assert!(fs::read_link(place.at("www/a")).unwrap().as_os_str().to_str().unwrap().ends_with("/lib"));
    assert_eq!(place.status()["instances"][0]["target"], place.release("v1"));
    place.ok(&["activate", "v1", "--all"]).has("already");
    place.configure("a = \"ROOT/www/a\"", "subdirectory = \"none\"");
    place.run(&["deploy", "v2"]).code(1).has("none is no directory");
    assert_eq!(fs::read_to_string(place.at("www/a/deep.php")).unwrap(), "v1");
}

#[test]
fn a_release_without_the_subdirectory_is_refused_with_the_reason() {
    let place = Place::new("a = \"ROOT/www/a\"", "");
    place.ok(&["deploy", "v1"]);
    fs::create_dir(place.at("app/public")).unwrap();
    fs::write(place.at("app/public/index.php"), "v4").unwrap();
    place.commit("v4");
    place.configure("a = \"ROOT/www/a\"", "subdirectory = \"public\"");
    place.ok(&["deploy", "v4"]);
    for dry_run in [&["-n"][..], &[]] {
        let said = place.run(&[&["rollback"], dry_run].concat());
        said.code(1).has("/public is no directory; [releases] subdirectory says");
    }
    place.ok(&["deploy", "v2", "-n"]).has("would flip");
    assert_eq!(fs::read_to_string(place.at("www/a/index.php")).unwrap(), "v4");
}

#[test]
fn a_link_that_is_right_already_is_not_touched() {
    let place = Place::new("a = \"ROOT/www/a\"", "");
    place.ok(&["stage", "v1"]);
    symlink(Path::new("../releases").join(place.release("v1")), place.at("www/a")).unwrap();
    let before = fs::symlink_metadata(place.at("www/a")).unwrap().ino();
    place.ok(&["activate", "v1"]).has("already");
    assert_eq!(fs::symlink_metadata(place.at("www/a")).unwrap().ino(), before);
}
