//! The bad night: whatever else is broken or busy, every site that can go back goes back.
//!
//! Owns: what must not stop a rollback. Must not: test where a rollback leads when all is well; `activate` does.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, Said, Unmount, names, said};

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

    /// Adds to the configuration, before the instances.
    fn add(&self, more: &str) {
        let text = fs::read_to_string(self.at("realdoc.toml")).unwrap();
        let more = more.replace("ROOT", self.at("").to_str().unwrap().trim_end_matches('/'));
        fs::write(self.at("realdoc.toml"), text.replace("[instances]", &format!("{more}\n[instances]"))).unwrap();
    }

    fn set_source(&self, source: &str) {
        let text = fs::read_to_string(self.at("realdoc.toml")).unwrap();
        let old = format!("source = \"{}\"", self.at("app").display());
        assert!(text.contains(&old), "{text}");
        fs::write(self.at("realdoc.toml"), text.replace(&old, &format!("source = \"{source}\""))).unwrap();
    }
}

/// Whether a process with this in its command line is there.
fn is_running(mark: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|process| {
        fs::read(process.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
    })
}

#[test]
fn every_external_step_ends_in_time_with_all_that_it_has_started() {
    let place = fleet("");
    place.ok(&["deploy", "v2", "--all"]);
    place.ok(&["stage", "v3"]);
    let configuration = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    // Each with a child that ignores what asks it to end, and that no other test has.
    for (key, code, arguments) in [
        ("build", 7, &["stage", "v4"][..]),
        ("check", 5, &["activate", "v3", "--all"]),
        ("reload", 8, &["activate", "v3", "--all"]),
    ] {
        fs::write(place.at("realdoc.toml"), &configuration).unwrap();
        let mark = format!("7{}.{}", std::process::id(), key.len());
        let line = format!("trap '' TERM; sleep {mark} & trap '' TERM; sleep {mark}");
        let line = if key == "build" { format!("[\"{line}\"]") } else { format!("\"{line}\"") };
        place.add(&format!("[commands]\n{key} = {line}\n[timeouts]\n{key} = \"300ms\""));
        let said = place.run(arguments).code(code).has("300ms").has(&format!("[timeouts] {key}"));
        assert!(!is_running(&mark), "{key}: {said:?}");
    }
    fs::write(place.at("realdoc.toml"), &configuration).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git://{}/app.git", listener.local_addr().unwrap());
    place.set_source(&url);
    place.add("[timeouts]\ngit = \"300ms\"");
    place.run(&["stage", "v4"]).code(1).has("git fetch").has("300ms").has("[timeouts] git");
    place.run(&["stage", "v4", "-n"]).code(1).has("git ls-remote").has("300ms");
    assert!(!is_running(&url), "git runs on");
}

#[test]
fn a_step_on_a_terminal_ends_in_time_too() {
    let place = Place::new(
        "a = \"ROOT/www/a\"",
        "[commands]\nbuild = [\"sleep 8MARK & sleep 8MARK\"]\n[timeouts]\nbuild = \"300ms\"",
    );
    let mark = format!("8{}.5", std::process::id());
    let text = fs::read_to_string(place.at("realdoc.toml")).unwrap();
    fs::write(place.at("realdoc.toml"), text.replace("8MARK", &mark)).unwrap();
    // `script` gives it a terminal.
    let mut command = place.command_of("script".as_ref(), &["-qec"]);
    command.arg(format!("{} stage v1", crate::place::REALDOC)).arg("/dev/null");
    let said = said(&mut command);
    if !said.out.contains("exporting") {
        eprintln!("not tested: no script(1) here");
        return;
    }
    said.has("300ms");
    assert!(!is_running(&mark));
}
