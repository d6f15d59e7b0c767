//! The manifest of retained releases, which httpd reads.
//!
//! Owns: when it is written and what is in it. Must not: ask httpd.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use crate::httpd::Httpd;
use crate::place::{Place, REALDOC, said};

fn retained(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(place.at("releases/.realdoc/retained")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn releases<const N: usize>(place: &Place, tags: [&str; N]) -> Vec<String> {
    tags.iter().map(|tag| place.release(tag)).collect()
}

/// v1, v2, v3 have been live on a, in this order.
fn after_three(more: &str) -> Place {
    let place = Place::new("a = \"ROOT/www/a\"", more);
    for tag in ["v1", "v2", "v3"] {
        place.ok(&["stage", tag]);
        place.ok(&["activate", tag]);
    }
    place
}

#[test]
fn what_was_live_is_retained_the_newest_first() {
    let place = Place::new("a = \"ROOT/www/a\"", "");
    place.ok(&["stage", "v1"]);
    assert!(!place.at("releases/.realdoc/retained").exists(), "a staged release was not live");
    place.ok(&["activate", "v1"]);
    assert_eq!(retained(&place), releases(&place, ["v1"]));
    place.ok(&["deploy", "v2"]);
    assert_eq!(retained(&place), releases(&place, ["v2", "v1"]));
    place.ok(&["deploy", "v3"]);
    assert_eq!(retained(&place), releases(&place, ["v3", "v2", "v1"]));
    place.ok(&["rollback"]);
    assert_eq!(retained(&place), releases(&place, ["v2", "v3", "v1"]), "pages of v3 are still open");
}

#[test]
fn a_bad_release_leaves_at_once_even_if_it_is_live() {
    let place = after_three("");
    place.ok(&["mark-bad", "v2"]);
    assert_eq!(retained(&place), releases(&place, ["v3", "v1"]));
    place.ok(&["mark-bad", "v3"]);
    assert_eq!(retained(&place), releases(&place, ["v1"]));
    place.ok(&["mark-bad", "--clear", "v2"]);
    assert_eq!(retained(&place), releases(&place, ["v2", "v1"]));
}

#[test]
fn a_dry_run_and_a_command_that_changes_nothing_leave_the_manifest() {
    let place = after_three("");
    let inode = || fs::metadata(place.at("releases/.realdoc/retained")).unwrap().ino();
    let before = inode();
    place.ok(&["mark-bad", "-n", "v2"]);
    place.ok(&["deploy", "-n", "v1"]);
    place.ok(&["activate", "v3"]);
    place.ok(&["prune", "--keep", "3"]);
    assert_eq!(inode(), before, "httpd reads it again when its inode changes");
}

#[test]
fn a_release_is_retained_for_a_time() {
    let place = after_three("[assets]\nkeep_for = \"0s\"");
    assert_eq!(retained(&place), releases(&place, ["v3"]), "what is live is retained in any case");
    place.configure("a = \"ROOT/www/a\"", "[assets]\nkeep_for = \"1h\"");
    place.ok(&["prune"]);
    assert_eq!(retained(&place), releases(&place, ["v3", "v2", "v1"]));
}

#[test]
fn a_prune_keeps_what_is_retained_if_the_time_is_set() {
    let place = after_three("prune_after = \"0s\"\n[assets]\nkeep_for = \"1h\"");
    place.ok(&["prune", "--keep", "0"]).has("httpd may serve its assets");
    assert_eq!(place.releases(), releases(&place, ["v1", "v2", "v3"]));
    place.ok(&["mark-bad", "v1"]);
    let v1 = place.release("v1");
    place.ok(&["prune", "--keep", "0"]).has(&format!("removed {v1}"));
    assert_eq!(retained(&place), releases(&place, ["v3", "v2"]));
}

#[test]
fn a_pruned_release_leaves_before_it_goes() {
    let place = after_three("prune_after = \"0s\"");
    let expected = releases(&place, ["v3", "v2"]);
    #[cfg(any(feature = "fault-injection", debug_assertions))]
    {
        let paused = place.pause("prune.moved", &["prune", "--keep", "0"]);
        assert_eq!(retained(&place), expected);
        paused.go_on().code(0);
    }
    place.ok(&["prune", "--keep", "0"]);
    assert_eq!(retained(&place), expected);
}

#[test]
fn what_others_have_flipped_is_retained_too() {
    let place = after_three("");
    place.commit("v4");
    place.ok(&["stage", "v4"]);
    let v4 = place.release("v4");
    fs::remove_file(place.at("www/a")).unwrap();
    symlink(place.at("releases").join(&v4), place.at("www/a")).unwrap();
    place.ok(&["prune", "--keep", "9"]);
    assert_eq!(retained(&place), releases(&place, ["v4", "v3", "v2", "v1"]));
}

#[cfg(any(feature = "fault-injection", debug_assertions))]
#[test]
fn an_activation_that_is_put_back_was_live_for_a_moment() {
    let place = Place::new("a = \"ROOT/www/a\"\nb = \"ROOT/www/b\"", "");
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["stage", "v2"]);
    place.pause("activate.flip.1", &["activate", "v2", "--all"]).kill();
    place.ok(&["prune", "--keep", "9"]).has("interrupted");
    assert_eq!(place.leads("www/a"), Some(place.release("v1")));
    assert_eq!(retained(&place), releases(&place, ["v1", "v2"]));
}

/// What is in a slot that is not live may be staged anew at any time.
#[test]
fn a_slot_is_retained_while_it_is_live() {
    let rules = "slots = [\"A\", \"B\"]\n[drain]\nfiles = [\"ROOT/inuse\"]";
    let place = Place::new("a = \"ROOT/www/a\"", rules);
    let _httpd = Httpd::start(&place.at("inuse"));
    for (tag, slot) in [("v1", "A"), ("v2", "B"), ("v3", "A")] {
        place.ok(&["deploy", tag]);
        assert_eq!(retained(&place), [slot]);
    }
}

#[test]
fn nine_releases_are_retained_at_most() {
    let place = Place::new("a = \"ROOT/www/a\"", "keep = 20");
    let tags: Vec<String> = (1..=11).map(|number| format!("v{number}")).collect();
    for tag in &tags {
        if tag.len() > 2 || tag.as_str() > "v3" {
            place.commit(tag);
        }
        place.ok(&["deploy", tag]);
    }
    let newest: Vec<String> = tags.iter().rev().take(9).map(|tag| place.release(tag)).collect();
    assert_eq!(retained(&place), newest);
}

#[test]
fn httpd_can_read_the_manifest_whatever_the_umask() {
    let place = Place::new("a = \"ROOT/www/a\"", "");
    place.ok(&["stage", "v1"]);
    for umask in ["077", "000"] {
        let _ = fs::remove_file(place.at("releases/.realdoc/retained"));
        fs::set_permissions(place.at("releases/.realdoc"), fs::Permissions::from_mode(0o700)).unwrap();
        let _ = fs::remove_file(place.at("www/a"));
        let line = format!("umask {umask}; exec {REALDOC} --config {} activate v1", place.at("realdoc.toml").display());
        said(Command::new("/bin/sh").args(["-c", &line])).code(0);
        let mode = |path: &str| fs::metadata(place.at(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("releases/.realdoc/retained"), 0o644, "umask {umask}");
        assert_eq!(mode("releases/.realdoc"), 0o711, "umask {umask}");
    }
}

#[test]
fn a_manifest_that_cannot_be_written_stops_a_mark_and_no_flip() {
    let place = after_three("");
    let manifest = place.at("releases/.realdoc/retained");
    fs::remove_file(&manifest).unwrap();
    fs::create_dir_all(manifest.join("x")).unwrap();
    place.ok(&["rollback"]).has("httpd is not told which assets are retained");
    assert_eq!(place.leads("www/a"), Some(place.release("v2")));
    let said = place.run(&["mark-bad", "v1"]);
    assert_ne!(said.code, 0, "{}", said.out);
}
