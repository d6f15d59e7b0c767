//! "All" means all, and what is served can be read.
//!
//! Owns: members of a group that are not where they should be, modes and owners, names that are used once. Must not: test
//! what stops a rollback; `night` does.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::place::{Place, REALDOC, said};

/// A group of three links on v1.
fn group(more: &str) -> Place {
    let place = Place::new("sites = \"ROOT/www/*\"", more);
    place.ok(&["stage", "v1"]);
    for site in ["a", "b", "c"] {
        symlink(place.at("releases").join(place.release("v1")), place.at("www").join(site)).unwrap();
    }
    place.ok(&["deploy", "v2", "--all"]);
    place
}

#[test]
fn a_member_that_was_led_elsewhere_is_missed_by_name() {
    let place = group("");
    fs::create_dir(place.at("hotfix")).unwrap();
    docroot::flip(&place.at("www/c"), &place.at("hotfix")).unwrap();
    fs::remove_file(place.at("www/b")).unwrap();
    let said = place.ok(&["status"]);
    said.has("sites/b").has("no link").has("sites/c").has("outside the releases");
    for dry_run in [&["-n"][..], &[]] {
        let said = place.run(&[&["deploy", "v3", "--all"], dry_run].concat()).code(10);
        said.has("sites/b").has("sites/c leads to").has("/hotfix").has("--to sites/c");
    }
    assert_eq!(place.leads("www/a"), Some(place.release("v3")));
    assert_eq!(fs::read_link(place.at("www/c")).unwrap(), place.at("hotfix"));
    assert!(!place.at("www/b").is_symlink());
    // A group is all of its members, too.
    place.run(&["activate", "v3", "--to", "sites"]).code(10).has("sites/c");
    place.run(&["rollback", "--all"]).code(10).has("sites/c");
    assert_eq!(place.leads("www/a"), Some(place.release("v2")));
    place.ok(&["deploy", "v3", "--to", "a"]);
    // By its name it is taken back in, whatever it is now.
    place.ok(&["activate", "v3", "--to", "sites/c", "--to", "b"]);
    for site in ["www/b", "www/c"] {
        assert_eq!(place.leads(site), Some(place.release("v3")));
    }
    place.ok(&["deploy", "v3", "--all"]);
}

#[test]
fn a_member_that_was_given_up_is_missed_no_more() {
    let place = group("");
    fs::remove_file(place.at("www/b")).unwrap();
    place.run(&["deploy", "v3", "--all"]).code(10).has("realdoc instance remove sites/b");
    place.ok(&["instance", "remove", "sites/b", "-n"]).has("would");
    place.run(&["deploy", "v3", "--all"]).code(10);
    place.ok(&["instance", "remove", "sites/b"]);
    place.ok(&["deploy", "v3", "--all"]);
    assert!(!place.ok(&["status"]).out.contains("sites/b"));
    // Its link is its own: as long as it leads into the releases, it is one of the group.
    place.run(&["instance", "remove", "sites/a"]).code(1).has("leads to");
    place.run(&["instance", "remove", "sites/x"]).code(3);
    // It comes back.
    symlink(place.at("releases").join(place.release("v1")), place.at("www/b")).unwrap();
    place.ok(&["deploy", "v2", "--all"]);
    assert_eq!(place.leads("www/b"), Some(place.release("v2")));
}

#[test]
fn an_instance_is_added_and_removed() {
    let place = Place::new("sites = \"ROOT/www/*\"", "");
    let before = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    // A link that a group matches is made, and needs a release to lead to.
    place.run(&["instance", "add", "sites/a", place.at("www/a").to_str().unwrap()]).code(1).has("no release");
    place.ok(&["stage", "v1"]);
    place.ok(&["instance", "add", "sites/a", "www/a", "-n"]).has("would");
    assert!(!place.at("www/a").is_symlink());
    place.ok(&["instance", "add", "sites/a", "www/a"]);
    assert_eq!(place.leads("www/a"), Some(place.release("v1")));
    assert_eq!(fs::read_to_string(place.at("realdoc.toml")).unwrap(), before, "the group has it already");
    // Another one goes into the configuration, whose comments stay.
    place.ok(&["instance", "add", "shop", "shop"]).has("wrote");
    let after = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    assert!(after.contains(&format!("shop = \"{}\"", place.at("shop").display())), "{after}");
    place.run(&["instance", "add", "shop", "elsewhere"]).code(2).has("there is");
    place.ok(&["deploy", "v2", "--all"]);
    assert_eq!(place.leads("shop"), Some(place.release("v2")));
    assert_eq!(place.leads("www/a"), Some(place.release("v2")));
    // A first deploy makes the links of a group, but a slip of the finger none.
    place.run(&["deploy", "v2", "--to", "sites/new"]).code(3);
    place.ok(&["deploy", "v2", "--to", "sites/new", "--create", "-n"]);
    place.ok(&["deploy", "v2", "--to", "sites/new", "--create"]);
    assert_eq!(place.leads("www/new"), Some(place.release("v2")));
}

#[test]
fn what_a_fetch_that_was_ended_has_left_is_cleaned_up() {
    let place = Place::three("");
    let text = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    let url = format!("source = \"file://{}\"", place.at("app").display());
    let old = format!("source = \"{}\"", place.at("app").display());
    fs::write(place.at("realdoc.toml"), text.replace(&old, &url)).unwrap();
    place.ok(&["stage", "v1"]);
    let objects = place.at("releases/.realdoc/repository/.git/objects");
    fs::create_dir_all(objects.join("pack")).unwrap();
    let left = ["tmp_obj_a", "pack/tmp_pack_b", "pack/tmp_idx_c"];
    for name in left {
        fs::write(objects.join(name), "x").unwrap();
    }
    place.ok(&["stage", "v2"]);
    assert!(!left.iter().any(|name| objects.join(name).exists()));
}
