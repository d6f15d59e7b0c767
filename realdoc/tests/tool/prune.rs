//! Pruning: what goes, and above all what does not.
//!
//! Owns: the reasons to keep. Must not: kill the tool; `crash` does.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::place::{Place, Said, Unmount, names};

/// v1, v2, v3 have been live on a, in this order, and may go at once.
fn after_three(more: &str) -> Place {
    let place = Place::new("a = \"ROOT/www/a\"", &format!("prune_after = \"0s\"\n{more}"));
    for tag in ["v1", "v2", "v3"] {
        place.ok(&["stage", tag]);
        place.ok(&["activate", tag]);
    }
    place
}

#[test]
fn what_is_live_or_needed_stays_whatever_keep_says() {
    let place = after_three("");
    place.ok(&["prune", "--keep", "3"]);
    assert_eq!(place.releases().len(), 3);
    let v1 = place.release("v1");
    place.ok(&["prune", "--keep", "0", "-n"]).has(&format!("would remove {v1}"));
    assert_eq!(place.releases().len(), 3);
    place
        .ok(&["prune", "--keep", "0"])
        .has(&format!("removed {v1}"))
        .has("live on a")
        .has("a rollback of a goes there");
    assert_eq!(place.releases(), [place.release("v2"), place.release("v3")]);
    place.ok(&["rollback"]);
    assert_eq!(place.leads("www/a"), Some(place.release("v2")));
    // Now v3 is what was rolled back from, and nothing is left to go back to.
    place.ok(&["prune", "--keep", "0"]);
    assert_eq!(place.releases(), [place.release("v2")]);
    assert!(place.leftovers().is_empty());
    let records = names(&place.at("releases/.realdoc/releases"));
    assert_eq!(records.iter().filter(|name| name.ends_with(".json")).count(), 1);
}

#[test]
fn what_was_live_a_moment_ago_stays() {
    let place = Place::new("a = \"ROOT/www/a\"", "keep = 0");
    for tag in ["v1", "v2", "v3"] {
        place.ok(&["deploy", tag]);
    }
    place.ok(&["prune"]).has("requests may still run in it");
    assert_eq!(place.releases().len(), 3, "10 min are not over");
}

#[test]
fn a_bad_release_is_not_needed_for_a_rollback() {
    let place = after_three("keep = 1");
    place.ok(&["mark-bad", "v2"]);
    place.ok(&["prune"]);
    assert_eq!(place.releases(), [place.release("v1"), place.release("v3")]);
}

#[test]
fn a_deploy_prunes() {
    let place = after_three("keep = 2");
    place.commit("v4");
    place.ok(&["deploy", "v4"]).has("removed v1-").has("removed v2-");
    assert_eq!(place.releases(), [place.release("v3"), place.release("v4")]);
}

#[test]
fn a_dry_run_of_a_deploy_removes_what_the_deploy_would_remove() {
    let place = after_three("keep = 2");
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(|tag| place.release(tag));
    let says = |said: Said| ["v1", "v2", "v3"].map(|tag| said.out.contains(&format!("remove {}", place.release(tag))));
    // Back to an old one, which is then live.
    assert_eq!(says(place.ok(&["deploy", "v1", "-n"])), [false, true, false]);
    place.ok(&["deploy", "v1"]);
    assert_eq!(place.releases(), [v1, v3]);
    // A new one counts, too.
    place.commit("v4");
    assert_eq!(says(place.ok(&["deploy", "v4", "-n"])), [false, false, true]);
    place.ok(&["deploy", "v4"]).has(&format!("removed {}", place.release("v3")));
    assert!(!place.releases().contains(&v2));
}

#[test]
fn every_instance_counts_also_one_that_was_flipped_by_hand() {
    let place = after_three("keep = 0");
    place.configure("a = \"ROOT/www/a\"\nb = \"ROOT/www/b\"", "prune_after = \"0s\"\nkeep = 0");
    symlink(place.at("www/hop"), place.at("www/b")).unwrap();
    symlink(format!("../releases/{}/lib", place.release("v1")), place.at("www/hop")).unwrap();
    place.ok(&["prune"]).has("live on b");
    assert_eq!(place.releases().len(), 3);
}

#[test]
fn a_release_that_a_link_only_goes_through_is_live() {
    let place = Place::new("a = \"ROOT/www/a\"", "prune_after = \"0s\"\nkeep = 0\nsubdirectory = \"public\"");
    fs::create_dir(place.at("static")).unwrap();
    symlink(place.at("static"), place.at("app/public")).unwrap();
    for tag in ["v4", "v5", "v6"] {
        place.commit(tag);
        place.ok(&["deploy", tag]).has(&format!("-> {tag}-"));
    }
    place.ok(&["deploy", "v6"]).has("already v6-");
    assert_eq!(place.releases(), [place.release("v5"), place.release("v6")]);
    assert_eq!(place.status()["instances"][0]["target"], place.release("v6"));
}

#[test]
fn a_release_on_the_way_to_another_stays() {
    let place = after_three("keep = 0");
    let [v1, v3] = ["v1", "v3"].map(|tag| place.at("releases").join(place.release(tag)));
    symlink(&v3, v1.join("hop")).unwrap();
    symlink(v1.join("hop"), place.at("hop")).unwrap();
    fs::remove_file(place.at("www/a")).unwrap();
    symlink("../hop", place.at("www/a")).unwrap();
    place.ok(&["prune", "-n"]).has(&format!("kept {}: live on a", place.release("v1")));
    place.ok(&["prune"]).has(&format!("kept {}: live on a", place.release("v1")));
    assert!(place.at("www/a/index.php").exists());
    assert!(place.leftovers().is_empty());
}

#[test]
fn a_link_that_left_the_configuration_keeps_its_release() {
    let rules = "prune_after = \"0s\"\nkeep = 0";
    let place = Place::new("a = \"ROOT/www/a\"\nb = \"ROOT/sites/b\"", rules);
    fs::create_dir(place.at("sites")).unwrap();
    place.ok(&["deploy", "v1", "--all"]);
    place.configure("a = \"ROOT/www/a\"", rules);
    place.ok(&["deploy", "v2"]);
    place.ok(&["deploy", "v3"]);
    let v1 = place.release("v1");
    assert_eq!(place.leads("sites/b"), Some(v1.clone()));
    place.ok(&["prune"]).has(&format!("kept {v1}: live on {}", place.at("sites/b").display()));
    // Not mounted at the moment.
    fs::rename(place.at("sites"), place.at("away")).unwrap();
    place.ok(&["prune"]).has(&format!("kept {v1}"));
    fs::rename(place.at("away"), place.at("sites")).unwrap();
    assert_eq!(place.leads("sites/b"), Some(v1.clone()));
    // The site is given up.
    fs::remove_file(place.at("sites/b")).unwrap();
    place.ok(&["prune"]).has(&format!("removed {v1}"));
}

#[test]
fn a_link_in_a_group_whose_name_is_not_utf8_is_shown_and_keeps_its_release() {
    let rules = "prune_after = \"0s\"\nkeep = 0";
    let place = Place::new("a = \"ROOT/www/a\"\nsites = \"ROOT/sites/*\"", rules);
    fs::create_dir(place.at("sites")).unwrap();
    place.ok(&["deploy", "v1", "--all"]);
    let odd = place.at("sites").join(OsStr::from_bytes(b"caf\xe9"));
    symlink(place.at("releases").join(place.release("v1")), &odd).unwrap();
    place.ok(&["deploy", "v2", "--all"]);
    place.ok(&["deploy", "v3", "--all"]);
    assert!(odd.join("index.php").exists());
    place.ok(&["prune"]).has(&format!("kept {}: live on", place.release("v1")));
    place.ok(&["status"]).has("its name is not UTF-8");
    assert!(place.status()["ignored"][0]["path"].as_str().unwrap().contains("sites/caf"));
}

#[test]
fn a_directory_that_holds_what_the_configuration_names_is_no_release_to_remove() {
    let place = Place::new("a = \"ROOT/releases/www/a\"", "prune_after = \"0s\"\nkeep = 0");
    fs::create_dir(place.at("releases/www")).unwrap();
    fs::rename(place.at("app"), place.at("releases/app")).unwrap();
    symlink("releases/app", place.at("app")).unwrap();
    let text = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    let shared = format!("[shared]\ndirectory = \"{}\"\npaths = [\"uploads/\"]\n", place.at("releases/data").display());
    fs::write(place.at("realdoc.toml"), text + &shared).unwrap();
    place.ok(&["deploy", "v1"]);
    fs::write(place.at("releases/data/uploads/cat.jpg"), "cat").unwrap();
    place
        .ok(&["prune", "--adopted"])
        .has("kept data: the shared directory is in it")
        .has("kept app: the repository is in it")
        .has("kept www: live on a");
    assert!(place.at("releases/data/uploads/cat.jpg").exists() && place.at("releases/www/a/index.php").exists());
}

#[test]
fn nothing_outside_the_release_is_removed() {
    let place = Place::new("a = \"ROOT/www/a\"", "prune_after = \"0s\"\nkeep = 0\n[shared]\npaths = [\"uploads/\"]");
    fs::create_dir(place.at("important")).unwrap();
    fs::write(place.at("important/file"), "x").unwrap();
    symlink(place.at("important"), place.at("app/absolute")).unwrap();
    symlink("../../important", place.at("app/relative")).unwrap();
    symlink("/", place.at("app/lib/root")).unwrap();
    place.commit("v4");
    place.ok(&["deploy", "v4"]);
    let upload = place.at("releases").join(place.release("v4")).join("uploads/cat.jpg");
    fs::write(upload, "cat").unwrap();
    place.ok(&["deploy", "v1"]);
    place.ok(&["deploy", "v2"]);
    assert!(!place.releases().contains(&place.release("v4")));
    assert_eq!(fs::read_to_string(place.at("important/file")).unwrap(), "x");
    assert_eq!(fs::read_to_string(place.at("shared/uploads/cat.jpg")).unwrap(), "cat");
}

#[test]
fn what_is_mounted_in_a_release_is_not_emptied() {
    let place = after_three("keep = 0");
    let inside = place.at("releases").join(place.release("v1")).join("uploads");
    fs::create_dir(&inside).unwrap();
    fs::create_dir(place.at("uploads")).unwrap();
    fs::write(place.at("uploads/cat.jpg"), "cat").unwrap();
    let mounted = Command::new("mount").arg("--bind").arg(place.at("uploads")).arg(&inside).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: this user cannot mount");
        return;
    }
    let unmount = Unmount(place.at("releases"));
    let said = place.run(&["prune"]);
    drop(unmount);
    said.code(1).has("something is mounted at");
    assert_eq!(fs::read_to_string(place.at("uploads/cat.jpg")).unwrap(), "cat");
    place.assert_whole(&place.release("v1"));
    place.ok(&["prune"]);
    assert!(place.at("uploads/cat.jpg").exists());
}

#[test]
fn what_realdoc_did_not_stage_goes_only_when_asked_for() {
    let place = after_three("keep = 0");
    fs::create_dir(place.at("releases/20240101")).unwrap();
    fs::write(place.at("releases/20240101/upload.jpg"), "x").unwrap();
    place.ok(&["prune"]).has("not staged by realdoc");
    assert!(place.at("releases/20240101/upload.jpg").exists());
    place.ok(&["prune", "--adopted", "-n"]).has("would remove 20240101");
    place.ok(&["prune", "--adopted"]).has("removed 20240101");
    assert!(!place.at("releases/20240101").exists());
}

#[test]
fn a_link_that_cannot_be_looked_at_stops_everything() {
    let place = Place::new("a = \"ROOT/www/a\"\nb = \"ROOT/locked/b\"", "prune_after = \"0s\"\nkeep = 0");
    fs::create_dir(place.at("locked")).unwrap();
    for tag in ["v1", "v2", "v3"] {
        place.run_unprivileged(&["stage", tag]).code(0);
        place.run_unprivileged(&["activate", tag, "--to", "a"]).code(0);
    }
    place.run_unprivileged(&["activate", "v1", "--to", "b"]).code(0);
    let mode = |mode| fs::set_permissions(place.at("locked"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    let said = place.run_unprivileged(&["prune"]);
    let status = place.run_unprivileged(&["status"]);
    mode(0o755);
    said.code(1).has("locked/b").has("Permission denied");
    status.code(0).has("Permission denied");
    assert_eq!(place.releases().len(), 3);
}
