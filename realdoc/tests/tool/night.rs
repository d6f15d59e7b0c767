//! The bad night: whatever else is broken or busy, every site that can go back goes back.
//!
//! Owns: what must not stop a rollback. Must not: test where a rollback leads when all is well; `activate` does.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, Said, Unmount};

const SITES: [&str; 6] = ["www/shop", "sites/a", "sites/b", "sites/c", "sites/d", "sites/e"];

/// A rollback takes a fraction of a second. What it must not wait for takes for ever, and not these seconds that a busy
/// machine may take.
const PROMPT: Duration = Duration::from_secs(30);

/// Six links, one of them in no group, that somebody has made lead to v1. Tags v1 to v4.
fn fleet(more: &str) -> Place {
    let place = Place::new(
        "shop = \"ROOT/www/shop\"\nsites = \"ROOT/sites/*\"",
        &format!("keep = 3\nprune_after = \"0s\"\n{more}"),
    );
    place.commit("v4");
    fs::create_dir(place.at("sites")).unwrap();
    place.ok(&["stage", "v1"]);
    for site in SITES {
        symlink(place.at("releases").join(place.release("v1")), place.at(site)).unwrap();
    }
    place
}

/// [`fleet`], after deploys of v2 and v3.
fn after_deploys(more: &str) -> Place {
    let place = fleet(more);
    for tag in ["v2", "v3"] {
        place.ok(&["deploy", tag, "--all"]);
    }
    place
}

impl Place {
    #[track_caller]
    fn assert_all_lead(&self, tag: &str) {
        for site in SITES {
            assert_eq!(self.leads(site), Some(self.release(tag)), "{site}");
        }
    }

    /// Rolls back, and sees that nothing was waited for.
    #[track_caller]
    fn rollback(&self, arguments: &[&str]) -> Said {
        let start = Instant::now();
        let said = self.run(&[&["rollback"], arguments].concat());
        let took = start.elapsed();
        assert!(took < PROMPT, "it took {took:?}");
        said
    }
}

#[test]
fn a_site_without_history_keeps_nobody_from_going_back() {
    let place = after_deploys("");
    symlink(fs::read_link(place.at("www/shop")).unwrap(), place.at("sites/new")).unwrap();
    let said = place.rollback(&["--all"]).code(10).has("sites/new has nothing to go back to").has("realdoc activate");
    place.assert_all_lead("v2");
    assert!(said.err.contains("error: ") && said.err.contains("sites/new"), "{}", said.err);
    assert_eq!(place.leads("sites/new"), Some(place.release("v3")));
    // Nobody at all can go back: that is said, too, and nothing has changed.
    place.rollback(&["--to", "sites/new"]).code(3).has("sites/new has nothing to go back to");
}

#[test]
fn after_a_canary_only_the_canary_goes_back() {
    let place = fleet("");
    place.ok(&["deploy", "v2", "--all"]);
    place.ok(&["deploy", "v3", "--to", "shop"]);
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(|tag| place.release(tag));
    // It says who goes where before anything is flipped, also when nothing is.
    let said = place.ok(&["rollback", "--all", "-n"]);
    said.has(&format!("{v3} -> {v2}: shop")).has(&format!("{v2} -> {v1}: ")).has("--from");
    let command = format!("realdoc rollback --from {v3}");
    place.ok(&["mark-bad", "v3"]).has("shop leads to it").has(&command);
    place.ok(&["rollback", "--from", "v3", "-n"]).has("shop (").has(&format!("would flip {v3} -> {v2}"));
    place.ok(&["rollback", "--from", &v3]);
    place.assert_all_lead("v2");
    // Nothing leads there any more: what was wanted is the case.
    place.ok(&["rollback", "--from", "v3"]).has(&format!("nothing leads to {v3}"));
    place.assert_all_lead("v2");
}

/// A tag may have several builds. Only those that links lead to are meant.
#[test]
fn another_build_of_the_tag_refuses_no_rollback() {
    let place = fleet("");
    place.ok(&["deploy", "v2", "--all"]);
    let v2 = place.release("v2");
    place.ok(&["stage", "v2", "--rebuild"]).has(&format!("staged {v2}-2"));
    place.rollback(&["--from", "v2"]).code(0).has("6 flipped");
    place.assert_all_lead("v1");
    // Also once nothing leads to either.
    place.rollback(&["--from", "v2"]).code(0).has("nothing leads to v2");
    // Where links lead to both, somebody has to say which.
    place.ok(&["activate", &v2, "--to", "shop"]);
    place.ok(&["activate", &format!("{v2}-2"), "--to", "sites/a"]);
    place.rollback(&["--from", "v2"]).code(2).has("say which");
    place.rollback(&["--from", &v2]).code(0).has("1 flipped");
    place.rollback(&["--from", "v2"]).code(0).has("1 flipped");
    place.assert_all_lead("v1");
}

#[test]
fn what_leads_to_a_release_that_is_gone_goes_back_too() {
    let place = fleet("");
    place.ok(&["deploy", "v2", "--all"]);
    place.ok(&["deploy", "v3", "--to", "sites"]);
    let v3 = place.release("v3");
    // As somebody does at night with what must not be served.
    fs::remove_dir_all(place.at("releases").join(&v3)).unwrap();
    place.ok(&["rollback", "--from", "v3", "-n"]).has("5 would be flipped");
    place.rollback(&["--from", &v3]).code(0).has("5 flipped");
    place.assert_all_lead("v2");
    // Safe to repeat.
    for name in ["v3", &v3] {
        place.rollback(&["--from", name]).code(0).has("nothing leads to");
    }
    place.assert_all_lead("v2");
    place.rollback(&["--from", "v9"]).code(3).has("there is no release v9");
    // What is not in the releases directory at all.
    fs::create_dir(place.at("hotfix")).unwrap();
    docroot::flip(&place.at("www/shop"), &place.at("hotfix")).unwrap();
    place.rollback(&["--from", place.at("hotfix").to_str().unwrap()]).code(0);
    place.assert_all_lead("v2");
}

#[test]
fn a_hanging_fetch_holds_up_no_rollback() {
    let place = after_deploys("");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    place.set_source(&format!("git://{}/app.git", listener.local_addr().unwrap()));
    let mut command = place.command(&["deploy", "v4", "--all"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut fetching = crate::place::Paused::of(command);
    fetching.wait_for_line("fetching from");
    // It has accepted, and is silent.
    let (mut connection, _) = listener.accept().unwrap();
    assert_ne!(connection.read(&mut [0; 1]).unwrap(), 0);
    let status = place.status();
    assert_eq!(status["busy"]["step"], "fetch");
    place.rollback(&["--all"]).code(0);
    place.assert_all_lead("v2");
    // Who wants to stage is told what the other one does, and that it may be ended.
    place.run(&["stage", "v2"]).code(4).has("fetch").has("kill").has("safe");
    fetching.kill();
}

#[test]
fn a_running_build_holds_up_no_rollback() {
    let place = after_deploys("");
    place.fifo("ready");
    place.fifo("gate");
    place.add("[commands]\nbuild = [\"echo > ROOT/ready; read line < ROOT/gate\"]");
    let building = place.start(place.command(&["deploy", "v4", "--all"]), "ready");
    assert_eq!(place.status()["busy"]["step"], "build");
    place.rollback(&["--all"]).code(0);
    place.assert_all_lead("v2");
    // The deploy goes on where the world is now.
    fs::write(place.at("gate"), "go\n").unwrap();
    building.end().code(0);
    place.assert_all_lead("v4");
    place.rollback(&["--all"]).code(0);
    place.assert_all_lead("v2");
}

#[test]
fn a_running_check_holds_up_no_rollback() {
    let place = after_deploys("");
    place.ok(&["stage", "v4"]);
    place.fifo("ready");
    place.fifo("gate");
    place.add("[commands]\ncheck = \"echo > ROOT/ready; read line < ROOT/gate\"");
    let checking = place.start(place.command(&["activate", "v4", "--all"]), "ready");
    place.rollback(&["--all", "--skip-check"]).code(0);
    place.assert_all_lead("v2");
    // What was checked was another step.
    fs::write(place.at("gate"), "go\n").unwrap();
    checking.end().code(1).has("flipped by somebody else");
    place.assert_all_lead("v2");
}

#[test]
fn a_running_reload_holds_up_no_rollback() {
    let place = after_deploys("");
    place.fifo("ready");
    place.fifo("gate");
    place.add("[commands]\nreload = \"echo > ROOT/ready; read line < ROOT/gate\"");
    let reloading = place.start(place.command(&["deploy", "v4", "--all"]), "ready");
    let text = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    fs::write(place.at("realdoc.toml"), text.replace("echo > ", "true # ")).unwrap();
    place.rollback(&["--all"]).code(0);
    place.assert_all_lead("v3");
    fs::write(place.at("gate"), "go\n").unwrap();
    reloading.end().code(0);
}

#[cfg(any(feature = "fault-injection", debug_assertions))]
#[test]
fn a_prune_that_removes_files_holds_up_no_rollback() {
    let place = after_deploys("");
    place.commit("v5");
    place.ok(&["deploy", "v4", "--all"]);
    place.ok(&["stage", "v5"]);
    let pruning = place.pause("prune.removing", &["prune", "--keep", "3"]);
    place.rollback(&["--all"]).code(0);
    place.assert_all_lead("v3");
    pruning.go_on().code(0).has("removed v2-");
}

#[test]
fn a_release_that_is_about_to_go_live_is_not_pruned() {
    let place = after_deploys("");
    place.ok(&["stage", "v4"]);
    place.fifo("ready");
    place.fifo("gate");
    place.add("[commands]\ncheck = \"echo > ROOT/ready; read line < ROOT/gate\"");
    let checking = place.start(place.command(&["activate", "v4", "--all"]), "ready");
    place
        .ok(&["prune", "--keep", "0"])
        .has(&format!("kept {}: held by `", place.release("v4")))
        .has("activate v4 --all` (process ");
    fs::write(place.at("gate"), "go\n").unwrap();
    checking.end().code(0);
    place.assert_all_lead("v4");
}

#[test]
fn a_full_disk_refuses_no_rollback() {
    let place = Place::new("shop = \"ROOT/www/shop\"\nsites = \"ROOT/sites/*\"", "keep = 9");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(place.at("releases")).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: this user cannot mount");
        return;
    }
    let _unmount = Unmount(place.at("releases"));
    fs::create_dir(place.at("sites")).unwrap();
    place.ok(&["stage", "v1"]);
    for site in SITES {
        symlink(place.at("releases").join(place.release("v1")), place.at(site)).unwrap();
    }
    for tag in ["v2", "v3"] {
        place.ok(&["deploy", tag, "--all"]);
    }
    let filler = place.at("releases/.filler");
    crate::trouble::fill(&filler);
    place.ok(&["status"]);
    place.rollback(&["--all"]).code(0);
    place.assert_all_lead("v2");
    place.rollback(&["--all"]).code(0);
    place.assert_all_lead("v1");
    fs::write(&filler, "").unwrap();
    // All of it is known afterwards.
    let status = place.status();
    for instance in status["instances"].as_array().unwrap() {
        assert_eq!((&instance["drift"], &instance["recorded"]), (&false.into(), &place.release("v1").into()));
        assert_eq!(instance["previous"], serde_json::Value::Null);
    }
}

#[test]
fn a_full_disk_with_nothing_set_aside_refuses_no_rollback() {
    let place = Place::new("shop = \"ROOT/www/shop\"", "keep = 9");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(place.at("releases")).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: this user cannot mount");
        return;
    }
    let _unmount = Unmount(place.at("releases"));
    for tag in ["v1", "v2", "v3"] {
        place.ok(&["deploy", tag, "--all"]);
    }
    // As if no room could be set aside, on a file system that never writes in place.
    let history = place.at("releases/.realdoc/history.jsonl");
    fs::remove_file(place.at("releases/.realdoc/journal")).unwrap();
    fs::write(&history, fs::read(&history).unwrap()).unwrap();
    crate::trouble::fill(&place.at("releases/.filler"));
    place.rollback(&["--all"]).code(0).has("warning: ");
    assert_eq!(place.leads("www/shop"), Some(place.release("v2")));
}

#[test]
fn a_torn_journal_stops_nothing() {
    for damage in [&b"{\"entry\":"[..], b"", &[0xff; 9000]] {
        let place = after_deploys("");
        fs::write(place.at("releases/.realdoc/journal"), damage).unwrap();
        place.ok(&["status"]);
        place.rollback(&["--all"]).code(0);
        place.assert_all_lead("v2");
        let said = place.ok(&["stage", "v4"]);
        assert!(!said.err.contains("journal"), "it was mended: {}", said.err);
    }
}

#[test]
fn garbage_in_the_history_stops_no_rollback_and_no_status() {
    let place = after_deploys("");
    let history = place.at("releases/.realdoc/history.jsonl");
    let text = fs::read_to_string(&history).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(1, "\u{0}\u{0}garbage");
    fs::write(&history, lines.join("\n") + "\n").unwrap();
    place.ok(&["status"]).has("history.jsonl: line 2");
    place.rollback(&["--all"]).code(0).has("history.jsonl: line 2");
    place.assert_all_lead("v2");
    // A prune goes by what was live when, and guesses nothing.
    place.run(&["prune"]).code(1).has("history.jsonl: line 2").has("remove the line");
    // All of it.
    fs::remove_file(&history).unwrap();
    fs::create_dir(&history).unwrap();
    place.ok(&["status"]).has("history.jsonl");
    place.rollback(&["--all"]).code(3).has("nothing to go back to");
    place.run(&["rollback", "--all", "--release", "v1"]).code(3).has("use activate");
}

#[test]
fn a_damaged_record_of_a_release_stops_no_rollback_and_no_status() {
    let place = after_deploys("");
    let v3 = place.release("v3");
    fs::write(place.at(&format!("releases/.realdoc/releases/{v3}.json")), "{").unwrap();
    place.ok(&["status"]).has("cannot be read");
    place.rollback(&["--from", &v3]).code(0);
    place.assert_all_lead("v2");
    place.ok(&["prune", "--keep", "0"]).has(&format!("kept {v3}: not staged by realdoc"));
}

#[test]
fn a_damaged_repository_of_our_own_is_fetched_anew() {
    let place = after_deploys("");
    place.set_source(&format!("file://{}", place.at("app").display()));
    fs::write(place.at("app/same"), "same").unwrap();
    place.commit("v5");
    place.ok(&["stage", "v5"]);
    let git = place.at("releases/.realdoc/repository/.git");
    let damages: [&dyn Fn(); 3] = [
        &|| fs::write(git.join("HEAD"), "garbage").unwrap(),
        &|| {
            fs::remove_dir_all(git.join("objects")).unwrap();
            fs::create_dir(git.join("objects")).unwrap();
        },
        // A file that all the commits have.
        &|| {
            let id = place.git("app", &["rev-parse", "HEAD:same"]);
            fs::remove_file(git.join("objects").join(&id[..2]).join(&id[2..])).unwrap();
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        damage();
        place.ok(&["status"]);
        place.rollback(&["--all", "-n"]).code(0);
        let tag = format!("w{number}");
        fs::write(place.at("app/extra"), &tag).unwrap();
        place.commit(&tag);
        let said = place.ok(&["stage", &tag]).has("fetching");
        // A repository without any object is fetched into as if it were new.
        assert!(said.err.contains("is damaged") || number == 1, "{}", said.err);
    }
    // Without a network, what is wrong and what mends it is said.
    fs::write(git.join("HEAD"), "garbage").unwrap();
    place.run(&["stage", "v2", "--no-fetch"]).code(1).has("damaged").has("without --no-fetch");
    fs::rename(place.at("app"), place.at("gone")).unwrap();
    place.run(&["stage", "v2"]).code(1);
    place.rollback(&["--all"]).code(0);
}

#[test]
fn a_failing_check_says_what_goes_on_without_it() {
    let place = after_deploys("");
    place.add("[commands]\ncheck = \"false\"");
    place.rollback(&["--all"]).code(5).has("--skip-check");
    place.assert_all_lead("v3");
    place.rollback(&["--all", "--skip-check"]).code(0);
    place.assert_all_lead("v2");
    place.run(&["activate", "v3", "--all"]).code(5).has("--skip-check");
    place.ok(&["activate", "v3", "--all", "--skip-check"]);
    place.assert_all_lead("v3");
}

#[test]
fn a_check_that_fails_for_one_release_keeps_the_others_from_nothing() {
    let place = fleet("");
    place.ok(&["deploy", "v2", "--all"]);
    place.ok(&["deploy", "v3", "--to", "shop"]);
    // shop goes to v2, the others to v1, which fails.
    place.add("[commands]\ncheck = \"grep v2 index.php\"");
    place.rollback(&["--all"]).code(10).has("sites/a").has("--skip-check");
    assert_eq!(place.leads("www/shop"), Some(place.release("v2")));
    assert_eq!(place.leads("sites/a"), Some(place.release("v2")));
}

#[test]
fn a_link_that_cannot_be_flipped_keeps_nobody_from_going_back() {
    let place = fleet("");
    for tag in ["v2", "v3"] {
        place.run_unprivileged(&["deploy", tag, "--all"]).code(0);
    }
    let mode = |mode| fs::set_permissions(place.at("www"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    let said = place.run_unprivileged(&["rollback", "--all"]);
    mode(0o755);
    said.code(10).has("shop (").has("Permission denied");
    assert_eq!(place.leads("www/shop"), Some(place.release("v3")));
    for site in &SITES[1..] {
        assert_eq!(place.leads(site), Some(place.release("v2")), "{site}");
    }
    // And of what has happened each, and nothing else, is recorded.
    let status: serde_json::Value =
        serde_json::from_str(&place.run_unprivileged(&["status", "--json"]).code(0).out).unwrap();
    for instance in status["instances"].as_array().unwrap() {
        assert_eq!(instance["drift"], false, "{instance}");
    }
    // A directory in a link's place, and a link that cannot be looked at.
    fs::remove_file(place.at("www/shop")).unwrap();
    fs::create_dir(place.at("www/shop")).unwrap();
    place.run_unprivileged(&["rollback", "--all"]).code(10).has("is a directory, no link");
    assert_eq!(place.leads("sites/a"), Some(place.release("v1")));
    mode(0o000);
    place.run_unprivileged(&["activate", "v2", "--to", "sites"]).code(0);
    let said = place.run_unprivileged(&["rollback", "--all"]);
    mode(0o755);
    said.code(10).has("Permission denied");
    assert_eq!(place.leads("sites/a"), Some(place.release("v1")));
}

#[test]
fn a_group_that_cannot_be_read_keeps_nobody_else_from_going_back() {
    let place = fleet("");
    for tag in ["v2", "v3"] {
        place.run_unprivileged(&["deploy", tag, "--all"]).code(0);
    }
    let mode = |mode| fs::set_permissions(place.at("sites"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    let status = place.run_unprivileged(&["status"]);
    let said = place.run_unprivileged(&["rollback", "--all"]);
    let deploy = place.run_unprivileged(&["deploy", "v4", "--all"]);
    mode(0o755);
    status.code(0).has("Permission denied");
    said.code(10).has("Permission denied");
    deploy.code(1).has("Permission denied");
    assert_eq!(place.leads("www/shop"), Some(place.release("v2")));
    assert_eq!(place.leads("sites/a"), Some(place.release("v3")));
}

#[test]
fn the_same_command_again_reloads_after_a_failed_reload() {
    let place = fleet("[commands]\nreload = \"test -e ROOT/works && echo x >> ROOT/reloads\"");
    let reloads = || fs::read_to_string(place.at("reloads")).unwrap_or_default().len() / 2;
    place.run(&["deploy", "v2", "--all"]).code(8).has("realdoc reload");
    assert_eq!(place.status()["reload_owed"], true);
    place.ok(&["status"]).has("a reload is owed");
    place.run(&["deploy", "v2", "--all"]).code(8);
    fs::write(place.at("works"), "").unwrap();
    // It is nobody else's to run.
    place.ok(&["stage", "v3"]);
    assert_eq!(reloads(), 0);
    place.ok(&["deploy", "v2", "--all"]).has("already");
    assert_eq!((reloads(), &place.status()["reload_owed"]), (1, &false.into()));
    place.ok(&["deploy", "v2", "--all"]);
    assert_eq!(reloads(), 1, "not for nothing");
    place.ok(&["reload"]);
    assert_eq!(reloads(), 2, "asked for");
    fs::remove_file(place.at("works")).unwrap();
    place.run(&["reload"]).code(8);
    symlink(fs::read_link(place.at("www/shop")).unwrap(), place.at("sites/new")).unwrap();
    let said = place.run(&["rollback", "--all"]).code(8).has("; not: sites/new has nothing to go back to");
    assert!(!said.err.contains("same command"), "it would go further back: {}", said.err);
    fs::write(place.at("works"), "").unwrap();
    place.ok(&["reload", "-n"]).has("would");
    assert_eq!(place.status()["reload_owed"], true);
    place.ok(&["reload"]);
    assert_eq!(place.status()["reload_owed"], false);
    place.configure("shop = \"ROOT/www/shop\"", "");
    place.run(&["reload"]).code(2).has("[commands] reload");
}
