//! What `docs/recipes.md` shows for removing old releases: the commands run as they are written.
//!
//! Owns: these commands. Must not: run Capistrano or Deployer, which only pass them on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::httpd::Httpd;
use crate::place::{Place, REALDOC, Said, said};

/// The text of the code block of this kind in the section.
fn shown(kind: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recipes.md")).unwrap();
    let (_, section) = page.split_once("\n## Removing old releases\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let opening = format!("```{kind}\n");
    let mut blocks = section.split(&opening).skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let block = blocks.next().unwrap().to_owned();
    assert!(blocks.next().is_none());
    block
}

/// What stands between two texts.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0
}

/// Another tool's directory, with releases 38 to 43 and `current` on 43.
fn releases() -> Place {
    // Only for where httpd counts: the recipes need no configuration.
    let place = Place::new("a = \"ROOT/www/a\"", "[drain]\nfiles = [\"ROOT/inuse\"]");
    for number in 38..=43 {
        fs::create_dir_all(place.at(&format!("srv/app/releases/{number}"))).unwrap();
    }
    symlink(place.at("srv/app/releases/43"), place.at("srv/app/current")).unwrap();
    place
}

/// Runs a command as it is written, with another place and no patience.
fn run(place: &Place, command: &str) -> Said {
    assert!(command.contains("realdoc drain --timeout 60s "), "{command}");
    let command = command.replace("/srv/app", &place.at("srv/app").display().to_string()).replace("60s", "50ms");
    let mut shell = Command::new("sh");
    let path = format!("{}:{}", Path::new(REALDOC).parent().unwrap().display(), std::env::var("PATH").unwrap());
    shell.args(["-c", &command]).current_dir("/").env("PATH", path).env("REALDOC_CONFIG", place.at("realdoc.toml"));
    said(&mut shell)
}

fn there(place: &Place) -> Vec<String> {
    crate::place::names(&place.at("srv/app/releases"))
}

#[test]
fn plain_shell_removes_what_is_free() {
    let place = releases();
    let httpd = Httpd::start(&place.at("inuse"));
    let request = httpd.begin(&place.at("srv/app/releases/39"));
    run(&place, &shown("sh")).has("39: 1 request runs in it");
    assert_eq!(there(&place), ["39", "41", "42", "43"]);
    httpd.end(request);
    run(&place, &shown("sh")).code(0);
    assert_eq!(there(&place), ["41", "42", "43"]);
    // Of an old release that is live again, nothing is said or removed.
    docroot::flip(&place.at("srv/app/current"), &place.at("srv/app/releases/41")).unwrap();
    fs::create_dir(place.at("srv/app/releases/44")).unwrap();
    run(&place, &shown("sh")).code(0);
    assert_eq!(there(&place), ["41", "42", "43", "44"]);
}

#[test]
fn deployer_and_capistrano_wait_before_they_clean_up() {
    let deployer =
        between(&shown("php").replace("'\n        . '", ""), "run('", "')").replace("{{deploy_path}}", "/srv/app");
    let capistrano = between(&shown("ruby").replace("\" \\\n            \"", ""), "execute \"", "\"\n")
        .replace("#{releases_path}", "/srv/app/releases")
        .replace("#{current_path}", "/srv/app/current");
    assert_eq!(deployer, capistrano);
    assert!(shown("php").contains("before('deploy:cleanup', 'deploy:drain');"));
    assert!(shown("ruby").contains("before \"deploy:cleanup\", \"deploy:drain\""));
    let place = releases();
    // Nobody counts: that is not the same as no request.
    run(&place, &deployer).code(14);
    let httpd = Httpd::start(&place.at("inuse"));
    let live = httpd.begin(&place.at("srv/app/releases/43"));
    run(&place, &deployer).code(0).has("42 is free");
    let request = httpd.begin(&place.at("srv/app/releases/40"));
    run(&place, &deployer).code(13).has("40: 1 request runs in it");
    httpd.end(request);
    run(&place, &deployer).code(0);
    httpd.end(live);
}
