//! What is run may take so long, and no longer.
//!
//! Owns: that everything which a step has started is gone when its time is over. Must not: depend on how fast anything is;
//! what is ended would run for hours.

use std::fs;
use std::net::TcpListener;

use crate::place::{Place, said};

/// Whether a process with this in its command line is there.
fn is_running(mark: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|process| {
        fs::read(process.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
    })
}

#[test]
fn every_external_step_ends_in_time_with_all_that_it_has_started() {
    let place = Place::three("");
    place.commit("v4");
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
