//! A release proves itself, before and after the flip.
//!
//! Owns: `verify`, the probe, canaries, `prepare`, what CI has built. Must not: test the check; `activate` does.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use crate::place::{Place, said};

impl Place {
    #[track_caller]
    fn assert_all(&self, tags: [Option<&str>; 3]) {
        for (link, tag) in ["www/a", "www/b", "www/c"].into_iter().zip(tags) {
            assert_eq!(self.leads(link), tag.map(|tag| self.release(tag)), "{link}");
        }
    }
}

#[test]
fn a_release_is_verified_and_nothing_is_flipped() {
    let place = Place::three("[commands]\ncheck = \"grep -v v3 index.php\"\nreload = \"touch ROOT/reloaded\"");
    for tag in ["v2", "v3"] {
        place.ok(&["stage", tag]);
    }
    place.ok(&["deploy", "v1", "--all"]);
    fs::remove_file(place.at("reloaded")).unwrap();
    place.ok(&["verify", "v2", "--all"]).has("v2-").has("can go live on a, b, c");
    place.run(&["verify", "v3", "--all"]).code(5).has("the check of v3-");
    place.run(&["verify", "v9", "--all"]).code(3);
    fs::remove_file(place.at("www/b")).unwrap();
    fs::create_dir(place.at("www/b")).unwrap();
    place.run(&["verify", "v2", "--all"]).code(1).has("is a directory, no link");
    fs::remove_dir(place.at("www/b")).unwrap();
    place.ok(&["mark-bad", "v2"]);
    place.run(&["verify", "v2", "--all"]).code(1).has("marked bad");
    place.assert_all([Some("v1"), None, Some("v1")]);
    assert!(!place.at("reloaded").exists());
}

#[test]
fn what_a_flip_would_stumble_over_is_found_by_verify() {
    let place = Place::new("a = \"ROOT/www/a\"\nb = \"ROOT/locked/b\"", "");
    fs::create_dir(place.at("locked")).unwrap();
    place.run_unprivileged(&["stage", "v1"]).code(0);
    let mode = |mode| fs::set_permissions(place.at("locked"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    let said = place.run_unprivileged(&["verify", "v1", "--all"]);
    mode(0o755);
    said.code(1).has("locked").has("cannot be written");
    assert!(!place.at("www/a").is_symlink());
}

#[test]
fn a_failing_probe_takes_this_activation_back() {
    let probe = "[commands]\nprobe = \"echo $REALDOC_RELEASE $REALDOC_INSTANCES >> ROOT/probed; ! grep -qs v3 ROOT/www/b/index.php\"\n\
                 probe_for = \"0s\"\nreload = \"echo x >> ROOT/reloads\"";
    let place = Place::three(probe);
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["deploy", "v2", "--to", "b"]);
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(|tag| place.release(tag));
    let said = place.run(&["deploy", "v3", "--all"]).code(12).has("the probe of v3-").has("taken back");
    said.has(&format!("{v3} -> {v1}")).has(&format!("{v3} -> {v2}"));
    place.assert_all([Some("v1"), Some("v2"), Some("v1")]);
    assert!(fs::read_to_string(place.at("probed")).unwrap().contains(&format!("{v3} a b c\n")));
    assert_eq!(fs::read_to_string(place.at("reloads")).unwrap().lines().count(), 4, "once there and once back");
    place.run(&["activate", "v3", "--all"]).code(1).has("is marked bad").has("probe");
    // Whoever goes back is not probed.
    let before = fs::read_to_string(place.at("probed")).unwrap();
    place.ok(&["rollback", "--to", "b"]);
    assert_eq!(fs::read_to_string(place.at("probed")).unwrap(), before);
    // A first deploy has nothing to go back to, and says so.
    let place = Place::three("[commands]\nprobe = \"false\"\nprobe_for = \"0s\"");
    place.run(&["deploy", "v1", "--all"]).code(12).has("had no link before");
    place.assert_all([Some("v1"); 3]);
}

#[test]
fn a_probe_goes_on_for_a_while_and_ends_in_time() {
    // The third time it fails.
    let probe = "[commands]\nprobe = \"echo x >> ROOT/probed; test $(wc -l < ROOT/probed) -lt 5\"\nprobe_for = \"60s\"";
    let place = Place::three(probe);
    fs::write(place.at("probed"), "x\nx\n").unwrap();
    place.run(&["deploy", "v1", "--to", "a"]).code(12);
    assert_eq!(fs::read_to_string(place.at("probed")).unwrap().lines().count(), 5);
    let place = Place::three("[commands]\nprobe = \"sleep 1000\"\n[timeouts]\nprobe = \"200ms\"");
    place.run(&["deploy", "v1", "--to", "a"]).code(12).has("200ms");
}

#[test]
fn whoever_is_to_know_of_a_failure_is_told() {
    let rules = "[commands]\ncheck = \"false\"\non_failure = \"echo $REALDOC_EXIT $REALDOC_CODE $REALDOC_COMMAND: $REALDOC_MESSAGE > ROOT/told; exit 7\"";
    let place = Place::three(rules);
    place.run(&["deploy", "v1", "--all"]).code(5).has("on_failure");
    let told = fs::read_to_string(place.at("told")).unwrap();
    assert!(told.starts_with("check-failed 5 realdoc deploy v1 --all: the check of v1-"), "{told}");
    fs::remove_file(place.at("told")).unwrap();
    place.run(&["deploy", "v9", "--all", "-n"]).code(3);
    place.run(&["status", "--config", "none"]).code(3);
    assert!(!place.at("told").exists(), "nobody has tried to change anything");
}

#[test]
fn canaries_go_first_and_then_all() {
    let probe =
        "[commands]\nprobe = \"echo $REALDOC_INSTANCES >> ROOT/probed; ! test -e ROOT/sick\"\nprobe_for = \"0s\"";
    let place = Place::three(probe);
    place.ok(&["deploy", "v1", "--all"]);
    fs::remove_file(place.at("probed")).unwrap();
    place.ok(&["deploy", "v2", "--canary", "b,c", "--then-all"]);
    place.assert_all([Some("v2"); 3]);
    assert_eq!(fs::read_to_string(place.at("probed")).unwrap(), "b c\na\n");
    fs::write(place.at("sick"), "").unwrap();
    place.run(&["deploy", "v3", "--canary", "b", "--then-all"]).code(12);
    place.assert_all([Some("v2"); 3]);
    fs::remove_file(place.at("sick")).unwrap();
    place.ok(&["mark-bad", "v3", "--clear"]);
    place.ok(&["deploy", "v3", "--canary", "b", "--then-all", "-n"]).has("would flip");
    place.ok(&["deploy", "v3", "--canary", "b"]);
    place.assert_all([Some("v2"), Some("v3"), Some("v2")]);
    place.run(&["deploy", "v3", "--canary", "b", "--all"]).code(2);
    place.run(&["deploy", "v3", "--canary", "x", "--then-all"]).code(3);
}

#[test]
fn what_has_absolute_names_is_prepared_at_the_final_path() {
    let place = Place::three(
        "[commands]\nprepare = [\"pwd > where\", \"echo $REALDOC_RELEASE_DIR >> where; test ! -e ROOT/broken\"]",
    );
    let v1 = place.release("v1");
    let path = place.at("releases").join(&v1);
    place.ok(&["stage", "v1"]).has("preparing: pwd");
    assert_eq!(fs::read_to_string(path.join("where")).unwrap(), format!("{0}\n{0}\n", path.display()));
    fs::write(path.join("where"), "").unwrap();
    place.ok(&["deploy", "v1", "--all"]);
    assert_eq!(fs::read_to_string(path.join("where")).unwrap(), "", "once");
    // One that could not be prepared does not go live before it can.
    fs::write(place.at("broken"), "").unwrap();
    place.run(&["stage", "v2"]).code(7).has("prepare");
    place.run(&["activate", "v2", "--all"]).code(7);
    place.assert_all([Some("v1"); 3]);
    fs::remove_file(place.at("broken")).unwrap();
    place.ok(&["activate", "v2", "--all"]);
    place.assert_all([Some("v2"); 3]);
    // What is built with the path of the building site is said.
    place.configure("a = \"ROOT/www/a\"", "[commands]\nbuild = [\"mkdir cache; pwd > cache/paths\"]");
    place.ok(&["deploy", "v3"]).has("cache/paths").has("[commands] prepare");
}

#[test]
fn a_release_is_warmed_before_it_goes_live() {
    let place = Place::three(
        "[commands]\nwarm = \"test ! -L ROOT/www/a && echo $REALDOC_RELEASE > ROOT/warmed; test ! -e ROOT/cold\"",
    );
    place.ok(&["deploy", "v1", "--all"]).has("warming");
    assert_eq!(fs::read_to_string(place.at("warmed")).unwrap(), format!("{}\n", place.release("v1")));
    fs::write(place.at("cold"), "").unwrap();
    place.run(&["deploy", "v2", "--all"]).code(5).has("warm");
    place.assert_all([Some("v1"); 3]);
    place.ok(&["deploy", "v2", "--all", "--skip-check"]);
    place.ok(&["rollback", "--all"]);
}

#[test]
fn what_ci_has_built_is_staged_from_a_directory() {
    let place =
        Place::new("a = \"ROOT/www/a\"", "[commands]\nbuild = [\"touch built\"]\n[shared]\npaths = [\"uploads/\"]");
    let dir = place.at("artifact");
    fs::create_dir_all(dir.join("lib")).unwrap();
    fs::write(dir.join("index.php"), "b77").unwrap();
    fs::write(dir.join("lib/deep.php"), "b77").unwrap();
    fs::write(dir.join("run.sh"), "").unwrap();
    symlink("run.sh", dir.join("link")).unwrap();
    for (path, mode) in [("index.php", 0o666), ("run.sh", 0o4777), ("lib", 0o777)] {
        fs::set_permissions(dir.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let tar = Command::new("tar").args(["-C", dir.to_str().unwrap(), "-cf"]).arg(place.at("b78.tar")).arg(".").status();
    assert!(tar.unwrap().success());
    place.ok(&["stage", "b77", "--from-dir", "artifact", "-n"]).has("would stage b77");
    place.ok(&["deploy", "b77", "--from-dir", "artifact"]).has("staged b77");
    place.ok(&["stage", "b78", "--from-tar", "b78.tar"]).has("staged b78");
    let file = fs::File::open(place.at("b78.tar")).unwrap();
    let output = place.command(&["stage", "b79", "--from-tar", "-"]).stdin(Stdio::from(file)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for name in ["b77", "b78", "b79"] {
        let at = place.at("releases").join(name);
        let mode = |path: &str| fs::metadata(at.join(path)).unwrap().permissions().mode() & 0o7777;
        let found = (mode(""), mode("lib"), mode("index.php"), mode("run.sh"));
        assert_eq!(found, (0o755, 0o755, 0o644, 0o755), "{name}");
        assert_eq!(fs::read_link(at.join("link")).unwrap().to_str(), Some("run.sh"));
        assert!(at.join("built").exists() && at.join("uploads").is_symlink());
    }
    assert_eq!(fs::read_link(place.at("www/a")).unwrap(), place.at("releases/b77"));
    // The name is used up.
    place.ok(&["stage", "b77", "--from-dir", "artifact"]).has("staged b77-2");
    place.run(&["stage", "b80", "--from-dir", "none"]).code(3).has("none");
    fs::write(place.at("bad.tar"), "no archive at all, and longer than a block".repeat(50)).unwrap();
    place.run(&["stage", "b81", "--from-tar", "bad.tar"]).code(1);
    assert!(place.leftovers().is_empty());
    // Another compression than none is named.
    place.command_of("gzip".as_ref(), &["-k", "b78.tar"]).status().unwrap();
    place.run(&["stage", "b81", "--from-tar", "b78.tar.gz"]).code(1).has("compressed");
    // A directory that holds the releases would be copied into itself.
    for dir in [".", "releases"] {
        for dry in [&["-n"][..], &[]] {
            let said = place.run(&[&["stage", "b81", "--from-dir", dir], dry].concat()).code(1);
            said.has("the releases directory is in it");
        }
    }
    assert!(place.leftovers().is_empty());
    // No way out of the release.
    let line = "mkdir evil && cd evil && ln -s ROOT/www out && tar -cf ../evil.tar out && rm out && mkdir out && \
                touch out/x && tar -rf ../evil.tar out/x";
    let line = line.replace("ROOT", place.at("").to_str().unwrap());
    said(&mut place.command_of("sh".as_ref(), &["-c", &line])).code(0);
    let _ = place.run(&["stage", "b82", "--from-tar", "evil.tar"]);
    assert!(!place.at("www/x").exists());
}
