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
fn a_release_can_be_read_whatever_the_umask_is() {
    for (umask, directory, file) in [("000", 0o755, 0o644), ("027", 0o755, 0o644), ("077", 0o755, 0o644)] {
        let place =
            Place::new("a = \"ROOT/www/a\"", "[shared]\npaths = [\"uploads/\"]\n[commands]\nbuild = [\"touch built\"]");
        let line = format!("umask {umask} && exec \"$0\" deploy v1");
        said(&mut place.command_of("/bin/sh".as_ref(), &["-c", &line, REALDOC])).code(0);
        let release = place.at("releases").join(place.release("v1"));
        let mode = |path: &str| fs::metadata(release.join(path)).unwrap().mode() & 0o7777;
        let found = (mode(""), mode("lib"), mode("index.php"), mode("built"));
        assert_eq!(found, (directory, directory, file, file), "{umask}");
    }
}

#[test]
fn modes_and_groups_are_as_configured() {
    let rules = "mode = \"750\"\ngroup = \"65534\"\n[httpd]\nuser = \"nobody\"\n\
                 [shared]\npaths = [\"up/loads/\"]\nmode = \"770\"\nowner = \"nobody:65534\"";
    if !rustix::process::getuid().is_root() {
        eprintln!("not tested: only root may give files away");
        return;
    }
    let place = Place::new("a = \"ROOT/www/a\"", rules);
    fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    place.ok(&["deploy", "v1"]);
    let release = place.at("releases").join(place.release("v1"));
    for (path, mode) in [("", 0o2750), ("lib", 0o2750), ("index.php", 0o640), ("lib/deep.php", 0o640)] {
        let metadata = fs::metadata(release.join(path)).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.gid()), (mode, 65534), "{path}");
    }
    for path in ["shared/up", "shared/up/loads"] {
        let metadata = fs::metadata(place.at(path)).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (0o770, 65534, 65534), "{path}");
    }
    // What is wrong is said with the key and the value.
    for (rule, says) in [
        ("mode = \"75\"", "mode"),
        ("mode = \"999\"", "mode"),
        ("mode = \"777\"", "everybody"),
        ("group = \"no such group\"", "no such group"),
    ] {
        place.configure("a = \"ROOT/www/a\"", rule);
        place.run(&["stage", "v2"]).code(2).has(says);
    }
}

#[test]
fn what_httpd_cannot_read_does_not_go_live() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not tested: only root can be told from others here");
        return;
    }
    let place = Place::new("a = \"ROOT/www/a\"", "[httpd]\nuser = \"nobody\"");
    let open = |path: &str, mode| fs::set_permissions(place.at(path), fs::Permissions::from_mode(mode)).unwrap();
    open("", 0o755);
    place.ok(&["deploy", "v1"]);
    // The user's own choice.
    place.configure("a = \"ROOT/www/a\"", "mode = \"700\"\n[httpd]\nuser = \"nobody\"");
    place.run(&["deploy", "v2"]).code(1).has("nobody cannot read").has("[releases] mode");
    assert_eq!(place.leads("www/a"), Some(place.release("v1")));
    // One file is said, and stops nothing.
    place.configure("a = \"ROOT/www/a\"", "[commands]\nbuild = [\"chmod 600 index.php\"]\n[httpd]\nuser = \"nobody\"");
    place.ok(&["deploy", "v3"]).has("nobody cannot read 1 file").has("index.php");
    // Above the releases, and what is shared and not written.
    open("releases", 0o700);
    place.run(&["activate", "v1"]).code(1).has("nobody cannot").has("/releases");
    // But nothing keeps a rollback.
    place.ok(&["rollback"]).has("nobody cannot");
    open("releases", 0o755);
    assert_eq!(place.leads("www/a"), Some(place.release("v1")));
    place.configure(
        "a = \"ROOT/www/a\"",
        "[httpd]\nuser = \"nobody\"\n[shared]\npaths = [\"uploads/\"]\nowner = \"root\"",
    );
    place.commit("v4");
    place.ok(&["deploy", "v4"]).has("nobody cannot write").has("uploads");
    place.configure("a = \"ROOT/www/a\"", "[httpd]\nuser = \"no such user\"");
    place.run(&["deploy", "v3"]).code(2).has("no such user");
}

#[test]
fn a_name_is_never_used_for_another_build() {
    let place = Place::new("a = \"ROOT/www/a\"", "prune_after = \"0s\"\nkeep = 0");
    for tag in ["v1", "v2", "v3"] {
        place.ok(&["deploy", tag]);
    }
    let v1 = place.release("v1");
    assert!(!place.releases().contains(&v1), "it was pruned");
    place.ok(&["deploy", "v1", "-n"]).has(&format!("would stage {v1}-2"));
    place.ok(&["deploy", "v1"]);
    assert_eq!(place.leads("www/a"), Some(format!("{v1}-2")));
    place.ok(&["stage", "v1"]).has("already staged");
    // Somebody has removed it by hand.
    place.ok(&["activate", "v3"]);
    fs::remove_dir_all(place.at("releases").join(format!("{v1}-2"))).unwrap();
    place.ok(&["stage", "v1"]).has(&format!("staged {v1}-3"));
    // One that never got its name has used none.
    place.ok(&["activate", "v1"]).has("-3");
    // And the same commit again, when it is asked for.
    let v3 = place.release("v3");
    place.ok(&["stage", "v3", "--rebuild"]).has(&format!("staged {v3}-2"));
    place.run(&["activate", "v3"]).code(2).has("say which");
    place.ok(&["deploy", "v3", "--rebuild"]).has(&format!("staged {v3}-3"));
    assert_eq!(place.leads("www/a"), Some(format!("{v3}-3")));
}

#[test]
fn what_a_release_lacks_is_said() {
    let place = Place::three("");
    place.git(".", &["init", "--quiet", "inner"]);
    fs::write(place.at("inner/file"), "").unwrap();
    place.git("inner", &["add", "."]);
    place.git("inner", &["commit", "--quiet", "-m", "x"]);
    place.git("app", &["submodule", "add", "--quiet", place.at("inner").to_str().unwrap(), "modules/inner"]);
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "a".repeat(64));
    fs::write(place.at("app/logo.png"), pointer).unwrap();
    place.commit("v4");
    place.ok(&["stage", "v4"]).has("modules/inner").has("submodules = true").has("logo.png").has("LFS");
    let said = place.ok(&["stage", "v1"]);
    assert!(!said.err.contains("warning"), "{}", said.err);
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

#[test]
fn a_source_with_sha256_is_fetched() {
    let place = Place::three("");
    let text = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    if !said(&mut place.command_of("git".as_ref(), &["init", "--quiet", "--object-format=sha256", "new"])).code.eq(&0) {
        eprintln!("not tested: this git has no sha256");
        return;
    }
    fs::write(place.at("new/index.php"), "v9").unwrap();
    place.git("new", &["add", "."]);
    place.git("new", &["commit", "--quiet", "-m", "x"]);
    place.git("new", &["tag", "v9"]);
    let url = |name: &str| format!("source = \"file://{}\"", place.at(name).display());
    let old = format!("source = \"{}\"", place.at("app").display());
    fs::write(place.at("realdoc.toml"), text.replace(&old, &url("app"))).unwrap();
    place.ok(&["stage", "v1"]);
    fs::write(place.at("realdoc.toml"), text.replace(&old, &url("new"))).unwrap();
    place.ok(&["stage", "v9"]).has("staged v9-");
    fs::write(place.at("realdoc.toml"), text.replace(&old, &url("app"))).unwrap();
    place.ok(&["stage", "v2"]);
}

#[test]
fn root_obeys_no_configuration_that_others_could_have_written() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not tested: this is not root");
        return;
    }
    let place = Place::three("");
    let file = place.at("realdoc.toml");
    let mode = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (path, bad, good) in [(file.clone(), 0o666, 0o644), (file.clone(), 0o664, 0o644), (place.at(""), 0o777, 0o755)]
    {
        mode(&path, bad);
        place.run(&["status"]).code(2).has("could have written").has("--config");
        place.ok(&["status", "--config", "realdoc.toml"]);
        mode(&path, good);
        place.ok(&["status"]);
    }
    std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
    place.run(&["status"]).code(2).has("could have written");
    std::os::unix::fs::chown(&file, Some(0), None).unwrap();
    place.ok(&["status"]);
}

#[test]
fn files_that_the_web_server_has_written_are_counted_when_they_go() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not tested: only root may give files away");
        return;
    }
    let place = Place::new("a = \"ROOT/www/a\"", "prune_after = \"0s\"\nkeep = 0");
    place.ok(&["deploy", "v1"]);
    let release = place.at("releases").join(place.release("v1"));
    for name in ["cache.php", "lib/upload.jpg"] {
        fs::write(release.join(name), "x").unwrap();
        std::os::unix::fs::chown(release.join(name), Some(65534), None).unwrap();
    }
    place.ok(&["deploy", "v2"]);
    place.ok(&["prune", "-n"]);
    place.ok(&["deploy", "v3"]).has("2 files of nobody").has("[shared]");
    assert!(!release.exists());
}

#[test]
fn a_releases_directory_behind_a_link_is_told_with_its_real_path() {
    let place = Place::three("");
    fs::rename(place.at("releases"), place.at("real")).unwrap();
    symlink("real", place.at("releases")).unwrap();
    let real = format!("RealdocReleases {}/*", place.at("real").display());
    place.ok(&["init"]).has(&real);
    place.ok(&["stage", "v1"]).has(&real);
    place.ok(&["status"]).has(&real);
}

#[test]
fn two_deployers_of_one_group_take_turns() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not tested: only root can be two users");
        return;
    }
    let place = Place::three("mode = \"775\"\nprune_after = \"0s\"\nkeep = 0");
    let program = place.at("realdoc");
    let status = std::process::Command::new("cp").arg(REALDOC).arg(&program).status().unwrap();
    assert!(status.success());
    for path in ["", "releases", "www"] {
        std::os::unix::fs::chown(place.at(path), None, Some(4242)).unwrap();
        fs::set_permissions(place.at(path), fs::Permissions::from_mode(0o2775)).unwrap();
    }
    let run = |user: &str, arguments: &[&str]| {
        let options = [&format!("--reuid={user}")[..], "--regid=4242", "--clear-groups"];
        let mut command = place.command_of("setpriv".as_ref(), &options);
        said(command.arg(&program).args(arguments))
    };
    for (user, tag) in [("4001", "v1"), ("4002", "v2"), ("4001", "v3"), ("4002", "v1")] {
        run(user, &["deploy", tag, "--all"]).code(0);
    }
    run("4001", &["rollback", "--all"]).code(0);
    run("4002", &["mark-bad", "v1"]).code(0);
    run("4001", &["prune"]).code(0);
    run("4002", &["status"]).code(0);
    let said = run("4002", &["deploy", "v2", "--all"]).code(0);
    assert!(!said.err.contains("warning"), "{}", said.err);
}
