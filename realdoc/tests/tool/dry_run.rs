//! A dry run ends as the command itself would.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

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
