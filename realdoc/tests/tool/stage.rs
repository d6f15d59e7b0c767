//! Staging: from every kind of repository to a whole release.
//!
//! Owns: what a release contains and which commit it is. Must not: flip links, except to see that staging does not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::place::{Place, REALDOC, names, said};

#[test]
fn a_release_is_what_is_in_the_tag() {
    let place = Place::three("");
    fs::write(place.at("app/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(place.at("app/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("run.sh", place.at("app/link")).unwrap();
    fs::write(place.at("app/name with blank"), "x").unwrap();
    place.commit("v4");
    fs::write(place.at("app/index.php"), "not committed").unwrap();

    place.ok(&["stage", "v4"]).has(&format!("staged {}", place.release("v4")));
    let release = place.at("releases").join(place.release("v4"));
    place.assert_whole(&place.release("v4"));
    assert_eq!(names(&release), ["index.php", "lib", "link", "name with blank", "run.sh"]);
    assert_eq!(fs::read_link(release.join("link")).unwrap(), Path::new("run.sh"));
    let mode = |path: &str| fs::metadata(release.join(path)).unwrap().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("index.php"), mode("lib"), mode("")), (0o755, 0o644, 0o755, 0o755));
    assert!(place.leftovers().is_empty());
    assert!(names(&place.at("www")).is_empty(), "staging touches no link");
}

#[test]
fn the_same_commit_is_staged_once() {
    let place = Place::three("");
    place.ok(&["stage", "v3"]);
    let id = |place: &Place| fs::metadata(place.at("releases").join(place.release("v3"))).unwrap().ino();
    let before = id(&place);
    for same in ["v3", "main", "HEAD", &place.git("app", &["rev-parse", "v3"])] {
        place.ok(&["stage", same]).has("already staged");
    }
    assert_eq!(place.releases(), [place.release("v3")]);
    assert_eq!(id(&place), before);
}

#[test]
fn a_release_is_known_by_every_name_that_it_was_staged_from() {
    let place = Place::new("a = \"ROOT/www/a\"", "");
    place.ok(&["stage", "main"]).has("staged main-");
    place.run(&["activate", "v3"]).code(3);
    place.ok(&["stage", "v3", "-n"]).has("already staged");
    place.run(&["activate", "v3"]).code(3);
    for _ in 0..2 {
        place.ok(&["stage", "v3"]).has("already staged");
    }
    for name in ["v3", "main"] {
        place.ok(&["activate", name]).has("main-");
    }
    // A tag that has moved there is not the release that it was before.
    place.ok(&["stage", "v1"]);
    place.git("app", &["tag", "-f", "v1", "v3"]);
    place.ok(&["stage", "v1"]).has("main-");
    place.run(&["activate", "v1"]).code(2).has("v1 could be main-").has("say which");
}

#[test]
fn tags_branches_and_commits_are_found_and_others_are_not() {
    let place = Place::three("");
    place.git("app", &["branch", "feature/x", "v1"]);
    place.ok(&["stage", "feature/x"]).has("staged feature-x-");
    let commit = place.git("app", &["rev-parse", "v2"]);
    place.ok(&["stage", &commit[..10]]).has(&format!("staged {}", &commit[..12]));
    place.run(&["stage", "v9"]).code(3).has("has no tag, branch or commit v9");
    place.run(&["stage", "0123456789"]).code(3);
    place.run(&["stage", "--", "--upload-pack=x"]).code(2).has("cannot be a tag");
    place.run(&["stage", ""]).code(2);
    assert!(place.leftovers().is_empty());
}

#[test]
fn an_annotated_tag_and_a_moved_one() {
    let place = Place::three("");
    place.git("app", &["tag", "-a", "-m", "x", "r1", "v1"]);
    place.ok(&["stage", "r1"]).has("staged r1-");
    place.git("app", &["tag", "-f", "-a", "-m", "x", "r1", "v2"]);
    place.ok(&["stage", "r1"]).has("staged r1-");
    assert_eq!(names(&place.at("releases")).len(), 3, "two releases, and the state");
    place.run(&["activate", "r1", "--all"]).code(2).has("say which");
}

#[test]
fn a_url_is_fetched_and_remembered() {
    let place = Place::three("");
    let toml = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    let url = format!("file://{}", place.at("app").display());
    fs::write(
        place.at("realdoc.toml"),
        toml.replace(&format!("{}/app", place.at("").display()).replace("//", "/"), &url),
    )
    .unwrap();
    place.run(&["stage", "v1", "--no-fetch"]).code(3).has("nothing has been fetched yet");
    place.run(&["stage", "v9", "-n"]).code(3).has("has no tag, branch or commit v9");
    place.ok(&["stage", "v1", "-n"]).has("would stage");
    assert!(place.releases().is_empty());
    place.ok(&["stage", "v1"]).has("fetching from file://");
    place.commit("v4");
    place.run(&["stage", "v4", "--no-fetch"]).code(3);
    place.ok(&["stage", "v4"]);
    // A branch, and a tag that moves at the source.
    place.commit("v5");
    place.ok(&["stage", "main"]).has("staged main-");
    place.git("app", &["tag", "-f", "v1", "v2"]);
    place.ok(&["stage", "v1"]).has(&format!("staged {}", place.release("v1")));
    // The network is gone; what was fetched is there.
    fs::rename(place.at("app"), place.at("gone")).unwrap();
    place.run(&["stage", "v2"]).code(1).has("`git fetch` exited with 128").has("does not appear to be");
    place.ok(&["stage", "v2", "--no-fetch"]).has("already staged");
    place.ok(&["stage", "v3", "--no-fetch"]).has("staged v3-");
}

#[test]
fn a_branch_is_the_sources_and_not_a_stale_one() {
    let place = Place::three("");
    place.git(".", &["clone", "--quiet", "app", "clone"]);
    place.commit("v4");
    let toml = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    fs::write(place.at("realdoc.toml"), toml.replace("/app\"", "/clone\"")).unwrap();
    place.ok(&["stage", "main"]);
    let release = names(&place.at("releases")).pop().unwrap();
    assert_eq!(fs::read_to_string(place.at("releases").join(release).join("index.php")).unwrap(), "v4");
    assert_eq!(place.git("clone", &["rev-parse", "main"]), place.git("app", &["rev-parse", "v3"]), "left alone");
}

#[test]
fn a_partial_clone_gets_what_it_has_not() {
    let place = Place::three("");
    place.git("app", &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", place.at("app").display());
    place.git(".", &["clone", "--quiet", "--bare", "--filter=blob:none", &url, "partial.git"]);
    let missing = || place.git("partial.git", &["rev-list", "--objects", "--missing=print", "v2"]).contains('?');
    assert!(missing(), "it has no file yet");
    let toml = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    fs::write(place.at("realdoc.toml"), toml.replace("/app\"", "/partial.git\"")).unwrap();
    place.ok(&["stage", "v2"]);
    place.assert_whole(&place.release("v2"));
}

/// Makes the repository `inner` a submodule of `outer`; both are made if they are not there.
fn add_submodule(place: &Place, outer: &str, inner: &str) {
    for repository in [inner, outer] {
        if !place.at(repository).exists() {
            place.git(".", &["-c", "init.defaultBranch=main", "init", "--quiet", repository]);
            fs::write(place.at(repository).join("name.php"), repository).unwrap();
            place.git(repository, &["add", "."]);
            place.git(repository, &["commit", "--quiet", "-m", "x"]);
        }
    }
    let path = place.at(inner);
    place.git(outer, &["submodule", "add", "--quiet", path.to_str().unwrap(), &format!("modules/{inner}")]);
    place.git(outer, &["commit", "--quiet", "-m", "submodule"]);
}

fn want_submodules(place: &Place) {
    let toml = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    fs::write(place.at("realdoc.toml"), toml.replace("[releases]", "submodules = true\n[releases]")).unwrap();
}

#[test]
fn submodules_of_submodules_are_exported() {
    let place = Place::three("");
    for (inner, outer) in [("leaf", "lib1"), ("lib1", "app")] {
        add_submodule(&place, outer, inner);
    }
    place.commit("v4");
    want_submodules(&place);
    place.ok(&["stage", "v4"]);
    let release = place.at("releases").join(place.release("v4"));
    let read = |path: &str| fs::read_to_string(release.join(path)).unwrap();
    assert_eq!(read("modules/lib1/name.php"), "lib1");
    assert_eq!(read("modules/lib1/modules/leaf/name.php"), "leaf");
    // An older one, without.
    place.ok(&["stage", "v1"]);
    place.assert_whole(&place.release("v1"));
}

#[test]
fn a_submodule_that_is_export_ignored_is_left_out() {
    let place = Place::three("");
    add_submodule(&place, "app", "lib1");
    fs::write(place.at("app/.gitattributes"), "modules export-ignore\n").unwrap();
    place.commit("v4");
    want_submodules(&place);
    place.ok(&["stage", "v4"]);
    assert!(!place.at("releases").join(place.release("v4")).join("modules").exists());
}

#[test]
fn a_broken_submodule_on_another_branch_stops_nothing() {
    let place = Place::three("");
    add_submodule(&place, "app", "lib1");
    place.commit("v4");
    want_submodules(&place);
    place.ok(&["stage", "v4"]);
    // Somebody has pushed a branch, and not the submodule's commit.
    place.git("app", &["checkout", "--quiet", "-b", "broken"]);
    let nowhere = format!("160000,{},modules/lib1", "1".repeat(40));
    place.git("app", &["update-index", "--cacheinfo", &nowhere]);
    place.git("app", &["commit", "--quiet", "-m", "broken"]);
    place.ok(&["stage", "v3"]);
    place.run(&["stage", "broken"]).code(1).has("`git submodule` exited with");
    assert!(place.leftovers().is_empty());
}

#[test]
fn git_may_be_set_up_to_recurse_into_submodules() {
    let place = Place::three("");
    add_submodule(&place, "app", "lib1");
    place.commit("v4");
    want_submodules(&place);
    place.ok(&["stage", "v4"]);
    fs::write(place.at("lib1/name.php"), "newer").unwrap();
    place.git("lib1", &["commit", "--quiet", "-a", "-m", "newer"]);
    place.git("app/modules/lib1", &["pull", "--quiet", "origin", "main"]);
    place.commit("v5");
    place.git("releases/.realdoc/repository", &["config", "submodule.recurse", "true"]);
    place.ok(&["stage", "v5"]);
    let name = place.at("releases").join(place.release("v5")).join("modules/lib1/name.php");
    assert_eq!(fs::read_to_string(name).unwrap(), "newer");
}

#[test]
fn a_submodule_is_exported_whatever_bytes_its_path_has() {
    let place = Place::three("");
    add_submodule(&place, "app", "lib1");
    let path = Path::new(OsStr::from_bytes(b"caf\xe9\n"));
    let mut git = place.command_of("git".as_ref(), &["-C", "app", "mv", "modules/lib1"]);
    said(git.arg(path)).code(0);
    place.commit("v4");
    want_submodules(&place);
    place.ok(&["stage", "v4"]);
    let name = place.at("releases").join(place.release("v4")).join(path).join("name.php");
    assert_eq!(fs::read_to_string(name).unwrap(), "lib1");
}

#[test]
fn a_lock_that_a_killed_git_left_in_our_repository_is_no_hindrance() {
    let place = Place::three("");
    want_submodules(&place);
    place.ok(&["stage", "v1"]);
    for lock in ["config.lock", "index.lock", "refs/remotes/origin/main.lock"] {
        fs::write(place.at("releases/.realdoc/repository/.git").join(lock), "").unwrap();
    }
    place.ok(&["stage", "v2"]);
    // Nor is it when there is no network to fetch from.
    fs::write(place.at("releases/.realdoc/repository/.git/index.lock"), "").unwrap();
    place.ok(&["stage", "v3", "--no-fetch"]);
}

#[test]
fn a_tag_that_has_moved_at_the_source_of_a_clone_is_named() {
    let place = Place::three("");
    place.git(".", &["clone", "--quiet", "app", "clone"]);
    place.git("app", &["tag", "-f", "v1", "v2"]);
    let toml = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    fs::write(place.at("realdoc.toml"), toml.replace("/app\"", "/clone\"")).unwrap();
    place.run(&["stage", "v3"]).code(1).has("`git fetch` exited with 1").has("would clobber existing tag");
}

#[test]
fn a_deploy_in_a_git_hook_uses_the_configured_repository() {
    let place = Place::three("");
    place.git(".", &["init", "--quiet", "--bare", "hooked.git"]);
    let mut command = place.command(&["stage", "v1"]);
    said(command.env("GIT_DIR", place.at("hooked.git")).env("GIT_INDEX_FILE", "/nonexistent")).code(0);
}

#[test]
fn build_commands_run_in_the_release_before_it_is_one() {
    let build = r#"
[commands]
build = [
  'pwd > where; ls .. > seen; echo "$REALDOC_RELEASE $REALDOC_COMMIT $REALDOC_REF $REALDOC_RELEASE_DIR" > variables',
  'test -f where && echo two >> where',
]"#;
    let place = Place::three(build);
    place.ok(&["stage", "v1"]).has("building: pwd");
    let name = place.release("v1");
    let read = |file: &str| fs::read_to_string(place.at("releases").join(&name).join(file)).unwrap();
    assert!(read("where").contains("/releases/.realdoc-staging-") && read("where").ends_with("two\n"));
    assert!(!read("seen").contains(&name));
    let commit = place.git("app", &["rev-parse", "v1"]);
    let path = place.at("releases").join(&name);
    assert_eq!(read("variables"), format!("{name} {commit} v1 {}\n", path.display()));
}

#[test]
fn a_build_command_that_fails_leaves_nothing() {
    let place = Place::three("[commands]\nbuild = [\"mkdir -p a/b && chmod 500 a\", \"echo broken >&2; exit 3\"]");
    place.run(&["stage", "v1"]).code(7).has("broken").has("exited with 3").has("nothing was staged");
    assert!(place.releases().is_empty() && place.leftovers().is_empty());
    assert!(names(&place.at("releases/.realdoc/releases")).is_empty());
    place.run(&["deploy", "v1", "--all"]).code(7);
    place.configure("a = \"ROOT/www/a\"", "");
    place.ok(&["deploy", "v1"]);
    assert_eq!(place.leads("www/a"), Some(place.release("v1")));
}

#[test]
fn shared_paths_are_linked() {
    let place = Place::three("[shared]\npaths = [\"uploads/\", \".env\"]");
    place.run(&["stage", "v1"]).code(3).has("shared/.env does not exist");
    assert!(place.leftovers().is_empty());
    fs::write(place.at("shared/.env"), "secret").unwrap();
    for tag in ["v1", "v2"] {
        place.ok(&["stage", tag]);
        let release = place.at("releases").join(place.release(tag));
        assert_eq!(fs::read_to_string(release.join(".env")).unwrap(), "secret");
        fs::write(release.join("uploads").join(tag), "").unwrap();
    }
    assert_eq!(names(&place.at("shared/uploads")), ["v1", "v2"]);
}

#[test]
fn what_others_put_in_the_way_is_left_alone() {
    let place = Place::three("");
    let path = place.at("releases").join(place.release("v1"));
    fs::create_dir(&path).unwrap();
    place.run(&["stage", "v1"]).code(1).has("in the way");
    assert!(names(&path).is_empty());
}

#[test]
fn a_relative_source_works_with_the_configuration_that_is_found_here() {
    let place = Place::new("", "");
    let text = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    let old = format!("source = \"{}\"", place.at("app").display());
    // With submodules, a repository of realdoc's own fetches from there.
    fs::write(place.at("realdoc.toml"), text.replace(&old, "source = \"./app\"\nsubmodules = true")).unwrap();
    place.ok(&["stage", "v1"]);
    // What realdoc has checked out there is nobody's HEAD.
    place.run(&["stage", "HEAD"]).code(3);
}

#[test]
fn what_is_fetched_is_the_remote_that_branches_are_looked_up_in() {
    let place = Place::new("", "");
    place.git(".", &["clone", "--quiet", "app", "clone"]);
    place.git(".", &["clone", "--quiet", "--bare", "app", "fork"]);
    place.git("clone", &["remote", "add", "fork", "../fork"]);
    place.git("clone", &["config", "branch.main.remote", "fork"]);
    place.commit("v4");
    let text = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    fs::write(place.at("realdoc.toml"), text.replace("/app\"", "/clone\"")).unwrap();
    let commit = place.git("app", &["rev-parse", "v4"]);
    place.ok(&["stage", "main"]).has(&format!("staged main-{}", &commit[..12]));
}

#[test]
fn a_dry_run_finds_no_more_than_the_real_one() {
    let place = Place::new("", "");
    let text = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    let url = format!("source = \"file://{}\"", place.at("app").display());
    let old = format!("source = \"{}\"", place.at("app").display());
    fs::write(place.at("realdoc.toml"), text.replace(&old, &url)).unwrap();
    place.git("app", &["update-ref", "refs/odd/refs/tags/v9", "v1"]);
    for reference in ["v*", "v9"] {
        place.run(&["stage", reference, "-n"]).code(3);
        place.run(&["stage", reference]).code(3);
    }
    place.ok(&["stage", "v1", "-n"]).has("would stage v1-");
}

#[test]
fn a_dry_run_asks_the_source_of_a_clone() {
    let place = Place::new("", "");
    place.git(".", &["clone", "--quiet", "app", "clone"]);
    place.commit("v4");
    let text = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    fs::write(place.at("realdoc.toml"), text.replace("/app\"", "/clone\"")).unwrap();
    for reference in ["v4", "main"] {
        let said = place.ok(&["stage", reference, "-n"]);
        said.has(&format!("would stage {}", place.release("v4").replace("v4", reference)));
    }
    assert!(!place.git("clone", &["tag"]).contains("v4"), "nothing is fetched");
    // A tag that nobody else has.
    place.git("clone", &["tag", "mine", "v1"]);
    place.ok(&["stage", "mine", "-n"]).has("would stage mine-");
}

#[test]
fn a_dry_run_knows_which_branches_a_clone_fetches() {
    let place = Place::new("", "");
    for (clone, kind) in [("bare", &["--bare"][..]), ("single", &["--single-branch"]), ("mirror", &["--mirror"])] {
        place.git(".", &[&["clone", "--quiet"], kind, &["app", clone]].concat());
    }
    place.git("app", &["checkout", "--quiet", "-b", "dev"]);
    place.commit("v4");
    place.git("app", &["branch", "--force", "main"]);
    let toml = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    for (clone, main, dev) in [("bare", "v3", None), ("single", "v4", None), ("mirror", "v4", Some("v4"))] {
        fs::write(place.at("realdoc.toml"), toml.replace("/app\"", &format!("/{clone}\""))).unwrap();
        for (branch, tag) in [("main", Some(main)), ("dev", dev)] {
            for dry_run in [&["-n"][..], &[]] {
                let said = place.run(&[&["stage", branch], dry_run].concat());
                match tag {
                    Some(tag) => said.code(0).has(place.release(tag).trim_start_matches(tag)),
                    None => said.code(3),
                };
            }
            let _ = fs::remove_dir_all(place.at("releases"));
            fs::create_dir(place.at("releases")).unwrap();
        }
    }
}

#[test]
fn the_group_that_the_releases_directory_hands_on_reaches_every_file() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not tested: this user cannot give a directory to another group");
        return;
    }
    let place = Place::new("", "");
    std::os::unix::fs::chown(place.at("releases"), None, Some(65534)).unwrap();
    fs::set_permissions(place.at("releases"), fs::Permissions::from_mode(0o2755)).unwrap();
    let line = "umask 027 && exec \"$0\" stage v1";
    said(&mut place.command_of("/bin/sh".as_ref(), &["-c", line, REALDOC])).code(0);
    let release = place.at("releases").join(place.release("v1"));
    for (path, mode) in [("index.php", 0o640), ("lib", 0o2750), ("lib/deep.php", 0o640)] {
        let metadata = fs::metadata(release.join(path)).unwrap();
        assert_eq!((metadata.gid(), metadata.mode() & 0o7777), (65534, mode), "{path}");
    }
}
