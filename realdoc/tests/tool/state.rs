//! `init`, `status`, `--json`, `--dry-run`, completions and manual pages.
//!
//! Owns: what the tool says about a state. Must not: test how a state comes about.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::{Place, names, said};

#[test]
fn from_nothing_to_a_flipped_site() {
    let place = Place::new("", "");
    fs::remove_file(place.at("realdoc.toml")).unwrap();
    fs::remove_dir(place.at("releases")).unwrap();
    place.run(&["status"]).code(3).has("`realdoc init` writes one");
    let source = place.at("app");
    place
        .ok(&["init", "--source", source.to_str().unwrap()])
        .has("wrote")
        .has("current is made by the first activation")
        .has("next: `realdoc deploy TAG --all`");
    place.ok(&["deploy", "v1"]);
    assert_eq!(place.leads("current"), Some(place.release("v1")));
    let written = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    place.ok(&["init"]);
    place.run(&["init", "--source", "other"]).code(2).has("exists; edit it");
    assert_eq!(fs::read_to_string(place.at("realdoc.toml")).unwrap(), written);
}

#[test]
fn init_says_what_is_to_be_edited_and_dry_run_writes_nothing() {
    let place = Place::new("", "");
    fs::remove_file(place.at("realdoc.toml")).unwrap();
    place.ok(&["init", "-n", "--instance", "shop=www/shop"]).has("# What realdoc deploys").has("/www/shop\"");
    assert!(!place.at("realdoc.toml").exists());
    place.ok(&["init"]).has("next: put your repository into");
    place.run(&["init", "--config", "bad.toml", "--instance", "shop"]).code(2).has("NAME=LINK");
    assert!(!place.at("bad.toml").exists());
}

#[test]
fn an_existing_tree_is_adopted() {
    let place = Place::three("");
    for release in ["20240101", "20240202"] {
        fs::create_dir(place.at("releases").join(release)).unwrap();
    }
    fs::create_dir(place.at("elsewhere")).unwrap();
    fs::create_dir(place.at("www/c")).unwrap();
    symlink("../releases/20240202", place.at("www/a")).unwrap();
    symlink("../elsewhere", place.at("www/b")).unwrap();
    let said = place.ok(&["init"]);
    let said =
        said.has("leads to 20240202, and is adopted").has("elsewhere, and is adopted").has("is a directory, no link");
    said.has(&format!("mv {0}/www/c {0}/releases/before-realdoc-c", place.at("").display()).replace("//", "/"));
    assert!(place.at("www/c").is_dir());
    // What it says to do works.
    fs::rename(place.at("www/c"), place.at("releases/before-realdoc-c")).unwrap();
    symlink(place.at("releases/before-realdoc-c"), place.at("www/c")).unwrap();
    place.ok(&["init"]).has("leads to before-realdoc-c, and is adopted");
    // And the way back leads to where each came from.
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["rollback", "--all"]);
    let targets: Vec<_> = place.status()["instances"].as_array().unwrap().iter().map(|i| i["target"].clone()).collect();
    let elsewhere = place.at("elsewhere");
    assert_eq!(targets, ["20240202", elsewhere.to_str().unwrap(), "before-realdoc-c"]);
}

#[test]
fn status_shows_where_links_really_lead() {
    let place = Place::three("[opcache]\nmax_accelerated_files = 200");
    place.ok(&["deploy", "v1", "--all"]);
    place.ok(&["deploy", "v2", "--to", "b"]);
    place.ok(&["stage", "v3"]);
    let (v1, v2, v3) = (place.release("v1"), place.release("v2"), place.release("v3"));
    let text = place.ok(&["status"]).out;
    assert!(text.contains("room for 223 (max_accelerated_files = 200)") && !text.contains("do not fit"), "{text}");

    // By hand, behind its back.
    docroot::flip(&place.at("www/a"), &place.at("releases").join(&v3)).unwrap();
    fs::remove_file(place.at("www/c")).unwrap();
    let status = place.status();
    let a = &status["instances"][0];
    assert_eq!((a["target"].as_str(), a["recorded"].as_str()), (Some(&*v3), Some(&*v1)));
    assert_eq!((a["drift"].as_bool(), a["previous"].as_str()), (Some(true), Some(&*v1)));
    let b = &status["instances"][1];
    assert_eq!((b["target"].as_str(), b["previous"].as_str()), (Some(&*v2), Some(&*v1)));
    assert_eq!(b["drift"], false);
    let c = &status["instances"][2];
    assert_eq!((c["ok"].as_bool(), c["problem"].as_str()), (Some(false), Some("no link")));
    let used: BTreeMap<_, _> = status["releases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|release| (release["name"].as_str().unwrap(), release["used_by"].to_string()))
        .collect();
    assert_eq!(used[&*v1], "[]");
    assert_eq!((&*used[&*v2], &*used[&*v3]), ("[\"b\"]", "[\"a\"]"));
    assert_eq!(status["opcache"]["php_files"], 4, "two releases with two files each");
    let text = place.ok(&["status"]).out;
    assert!(text.contains(&format!("drift: {v1} is recorded")), "{text}");

    // The next command takes note, and the way back is the real one.
    place.ok(&["rollback", "--to", "a"]).has("somebody else has flipped it");
    assert_eq!(place.leads("www/a"), Some(v1));
}

#[test]
fn status_warns_when_opcache_is_too_small() {
    let place = Place::three("[opcache]\nmax_accelerated_files = 200");
    for number in 0..110 {
        fs::write(place.at(&format!("app/{number}.php")), "").unwrap();
    }
    for (tag, to) in [("v4", "a"), ("v5", "b"), ("v5", "c")] {
        if !place.git("app", &["tag"]).contains(tag) {
            place.commit(tag);
        }
        place.ok(&["deploy", tag, "--to", to]);
    }
    place.ok(&["status"]).has("224 PHP files are live, room for 223").has("they do not fit");
    assert_eq!(place.status()["opcache"]["full"], true);
}

#[test]
fn a_dangling_link_and_a_lost_release_are_shown() {
    let place = Place::three("");
    place.ok(&["deploy", "v1", "--to", "a"]);
    fs::remove_dir_all(place.at("releases").join(place.release("v1"))).unwrap();
    symlink("nowhere", place.at("www/b")).unwrap();
    symlink("c", place.at("www/c")).unwrap();
    let status = place.ok(&["status"]);
    status.has("the release is not there anymore").has("www/nowhere does not exist").has("symbolic links");
    place.ok(&["stage", "v3"]);
    docroot::flip(&place.at("www/a"), &place.at("releases").join(place.release("v3")).join("public")).unwrap();
    let problem = "the release is there, but has nothing where the link leads";
    assert_eq!(place.status()["instances"][0]["problem"], problem);
    place.ok(&["init"]).has(problem);
    place.ok(&["deploy", "v2", "--all"]);
    assert_eq!(place.leads("www/c"), Some(place.release("v2")));
}

/// Everything below a directory, with what it is: to see that nothing has changed.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for name in names(root) {
        let path = root.join(name);
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            all.extend(snapshot(&path));
        }
        let link = fs::read_link(&path).map(|text| text.display().to_string()).unwrap_or_default();
        all.insert(path, format!("{link} {:?} {}", metadata.modified().unwrap(), metadata.len()));
    }
    all
}

#[test]
fn a_dry_run_changes_nothing() {
    let place = Place::three("prune_after = \"0s\"\nkeep = 0\n[commands]\nreload = \"touch ROOT/reloaded\"");
    let compare = |commands: &[&[&str]]| {
        let before = snapshot(place.dir());
        for command in commands {
            let arguments = [command, &["--dry-run"][..]].concat();
            place.ok(&arguments);
            assert_eq!(snapshot(place.dir()), before, "{arguments:?}");
        }
    };
    compare(&[&["init"], &["stage", "v1"], &["deploy", "v1", "--all"], &["prune"]]);
    for tag in ["v1", "v2", "v3"] {
        place.ok(&["stage", tag]);
        place.ok(&["activate", tag, "--all"]);
    }
    place.ok(&["deploy", "v2", "--to", "a", "-n"]).has("a (").has("would flip v3-");
    compare(&[
        &["stage", "v1"],
        &["activate", "v1", "--all"],
        &["deploy", "main", "--to", "a"],
        &["rollback", "--all"],
        &["mark-bad", "v1"],
        &["prune"],
        &["init"],
    ]);
}

#[test]
fn every_line_of_json_is_an_object() {
    let place =
        Place::three("[commands]\nbuild = [\"printf 'to %s' whom\"]\ncheck = \"true\"\nreload = \"echo reloading\"");
    let mut events = Vec::new();
    for arguments in [
        &["deploy", "v1", "--all"][..],
        &["rollback", "--all"],
        &["prune"],
        &["init"],
        &["init", "-n", "--config", "new.toml"],
        &["mark-bad", "v1"],
    ] {
        let said = place.run(&[arguments, &["--json"]].concat());
        for line in said.out.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            events.push(event["event"].as_str().unwrap().to_owned());
        }
        assert!(!said.out.contains("to whom"), "what commands write is not among the events");
        assert!(!said.err.contains("note:"), "{}", said.err);
    }
    for expected in ["step", "staged", "flip", "error", "kept", "note"] {
        assert!(events.iter().any(|event| event == expected), "no {expected} in {events:?}");
    }
}

#[test]
fn no_colours_where_nobody_wants_them() {
    let place = Place::three("");
    let plain = place.run(&["activate", "x", "--all"]);
    assert!(!plain.err.contains('\x1b'), "{}", plain.err);
    // `script` gives it a terminal.
    let on_terminal = |variables: &[(&str, &str)]| {
        let mut command = place.command_of("script".as_ref(), &["-qec"]);
        command.arg(format!("{} activate x --all", crate::place::REALDOC)).arg("/dev/null");
        command.env("TERM", "xterm").env_remove("NO_COLOR").envs(variables.iter().copied());
        said(&mut command).out
    };
    let coloured = on_terminal(&[]);
    if !coloured.contains("there is no release x") {
        eprintln!("not tested: no script(1) here");
        return;
    }
    assert!(coloured.contains('\x1b'), "{coloured}");
    assert!(!on_terminal(&[("NO_COLOR", "1")]).contains('\x1b'));
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let place = Place::three("");
    for shell in ["bash", "zsh", "fish"] {
        place.ok(&["completions", shell]).has("mark-bad").has("rollback");
    }
    place.ok(&["stage", "v1"]);
    assert_eq!(place.ok(&["__names", "instances"]).out, "a\nb\nc\n");
    assert_eq!(place.ok(&["__names", "releases"]).out, format!("{}\n", place.release("v1")));
    for shell in ["zsh", "fish"] {
        place.ok(&["completions", shell]).has("__names instances").has("__names releases");
    }
    // As bash calls it, with our program in its path.
    fs::write(place.at("script"), place.ok(&["completions", "bash"]).out).unwrap();
    let offered = |words: &str| {
        let line = format!(
            "source ./script; realdoc() {{ {} \"$@\"; }}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _realdoc_names realdoc \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; echo \"${{COMPREPLY[@]}}\"",
            crate::place::REALDOC
        );
        said(&mut place.command_of("bash".as_ref(), &["-c", &line])).code(0).out.trim().to_owned()
    };
    assert_eq!(offered("realdoc activate v1 --to ''"), "a b c");
    assert_eq!(offered("realdoc rollback --from v"), place.release("v1"));
    assert_eq!(offered("realdoc verify v"), place.release("v1"));
    assert!(offered("realdoc rollb").contains("rollback"));
    place.ok(&["man"]).has(".TH realdoc 1").has("EXIT STATUS").has("Exit codes");
    place.ok(&["man", "realdoc.toml"]).has(".TH realdoc.toml 5").has("prune_after");
    place.ok(&["man", "--directory", "man"]);
    let page = fs::read_to_string(place.at("man/man1/realdoc.1")).unwrap();
    assert!(page.contains("EXIT STATUS") && page.contains("FILES") && !page.contains(".SH EXTRA"), "{page}");
    assert!(names(&place.at("man/man1")).contains(&"realdoc-mark-bad.1".to_owned()));
    assert_eq!(names(&place.at("man")), ["man1", "man5"]);
    assert_eq!(names(&place.at("man/man5")), ["realdoc.toml.5"]);
    let page = fs::read_to_string(place.at("man/man5/realdoc.toml.5")).unwrap();
    assert_eq!(page, place.ok(&["man", "realdoc.toml"]).out);
    assert!(page.contains(concat!("realdoc ", env!("CARGO_PKG_VERSION"))), "{page}");
    for hidden in ["__supervised", "__names"] {
        assert!(!place.ok(&["--help"]).out.contains(hidden));
    }
}
