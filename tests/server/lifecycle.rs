//! The life of the server's processes: changes of its configuration, the module loaded, unloaded and loaded again,
//! children that retire and children that are killed.
//!
//! Owns: that each generation has its configuration and nothing of the one before. Must not: compare what restarts leave
//! in the parent (see `restart`).

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use harness::process::threads;
use harness::raw::ask;
use harness::{Config, FlipMode, Flipper, Httpd, Load, Module, Mpm, Protocol, Site, on_each_mpm, readiness};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ssi;

const SHOW: &str = "<!--#echo var=\"DOCUMENT_ROOT\" -->";

/// Everything that changes is in a file of its own; the module too.
const CHANGING: &str = "changing.conf";

fn change(site: &Site, httpd: &Httpd, directives: &str) {
    site.write(CHANGING, directives);
    httpd.replace_children();
}

fn load_module() -> String {
    let file = Module::release().expect("the module").file().display().to_string();
    format!("LoadModule realdoc_module \"{file}\"\n")
}

/// Whether the file of the module is mapped in a process.
fn has_module(pid: u32) -> bool {
    let name =
        Module::release().expect("the module").file().file_name().expect("a name").to_string_lossy().into_owned();
    fs::read_to_string(format!("/proc/{pid}/maps")).expect("a running process").contains(&name)
}

fn configuration_changes(mpm: Mpm) {
    let site = Site::new();
    for release in ["1", "2"] {
        site.write(&format!("releases/{release}/public/show.shtml"), SHOW);
    }
    site.write("plain/show.shtml", SHOW);
    site.symlink("A", "releases/1");
    site.symlink("B", "releases/2");
    site.symlink("current", "A");
    site.write(CHANGING, "");
    let config = Config::new("DocumentRoot \"${ROOT}/current/public\"")
        .text(&format!("Include \"${{ROOT}}/{CHANGING}\""))
        .modules(&["include"])
        // One process: what it remembers is all there is.
        .children(1, 8);
    let httpd = Httpd::start_without_module(&site, mpm, &config);
    for text in ["server reached MaxRequestWorkers setting", "[realdoc:error]"] {
        httpd.expect_error(text);
    }
    let root = site.root().display().to_string();
    let shown = |host: &str| {
        let response = ask(httpd.port(), "GET", host, "/show.shtml");
        match response.status() {
            200 => response.body.trim().replace(&root, ""),
            status => status.to_string(),
        }
    };
    let mut changes = 0;
    let mut expect = |directives: &str, expected: &str| {
        changes += 1;
        change(&site, &httpd, directives);
        assert_eq!(shown("localhost"), expected, "{directives}");
        let is_loaded = directives.contains("LoadModule");
        for pid in httpd.children().into_iter().chain([httpd.pid()]) {
            assert_eq!(has_module(pid), is_loaded, "process {pid} with {directives:?}");
        }
    };
    let module = load_module();
    let with = |directives: &str| format!("{module}{directives}\n");
    expect("", "/current/public");
    expect(&with(""), "/releases/1/public");
    expect(&with("UseReadlink On"), "/A/public");
    expect(&with("Realdoc Off"), "/current/public");
    expect(&with("RealdocReleases \"${ROOT}/elsewhere/*\""), "503");
    expect(&with("RealdocReleases \"${ROOT}/releases/*\""), "/releases/1/public");
    expect(&with("DocumentRoot \"${ROOT}/plain\""), "/plain");
    expect(
        &with("<VirtualHost *>\nServerName localhost\nDocumentRoot \"${ROOT}/B/public\"\n</VirtualHost>"),
        "/releases/2/public",
    );
    expect("DocumentRoot \"${ROOT}/A/public\"", "/A/public");
    expect(&with("RealpathEvery 1h"), "/releases/1/public");
    site.flip_link("current", "B");
    assert_eq!(shown("localhost"), "/releases/1/public", "inside the window");
    // Nothing that the generation before knew is left.
    expect(&with("RealpathEvery 1h"), "/releases/2/public");
    site.flip_link("current", "A");
    expect(&with("RealpathEvery 0"), "/releases/1/public");
    site.flip_link("current", "B");
    assert_eq!(shown("localhost"), "/releases/2/public", "without a window");
    println!("{}: {changes} changes of the configuration, each in force after one graceful restart", mpm.name());
}

/// httpd reads its configuration twice when it starts, and once more at each restart; each time it loads the module,
/// and before that it unloads it. Nothing is there twice.
fn loaded_again_and_again(mpm: Mpm) {
    const RESTARTS: usize = 3;
    let site = Site::with_releases(1, |release| release.plain_page("page.html"));
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current"
        RealdocReleases "${ROOT}/releases/*"
        <VirtualHost 127.0.0.1:${PORT}>
            ServerName localhost
            DocumentRoot "${ROOT}/current"
            <Directory "${ROOT}/current">
                Header append X-Section once
            </Directory>
        </VirtualHost>
        <VirtualHost 127.0.0.1:${PORT}>
            ServerName other.test
            DocumentRoot "${ROOT}/releases/0"
        </VirtualHost>
        <Location "/status">
            SetHandler server-status
        </Location>
        <Location "/hooks">
            SetHandler server-info
        </Location>
        "#,
    )
    .modules(&["headers", "info", "status"]);
    let httpd = Httpd::start(&site, mpm, &config);
    httpd.expect_error("server reached MaxRequestWorkers setting");
    for restarts in 0..=RESTARTS {
        if restarts > 0 {
            httpd.replace_children();
        }
        let status = ask(httpd.port(), "GET", "localhost", "/status?auto").body;
        let docroots: Vec<&str> = status.lines().filter(|line| line.starts_with("RealdocDocroot")).collect();
        let root = site.root().display();
        let expected = [format!("RealdocDocroot0: {root}/current"), format!("RealdocDocroot1: {root}/releases/0")];
        assert_eq!(docroots, expected, "after {restarts} restarts");
        let hooks = ask(httpd.port(), "GET", "localhost", "/hooks?hooks").body;
        let of_ours: Vec<(&str, usize)> = hooks
            .split("<dt><strong>")
            .filter_map(|hook| Some((hook.split_once(":<")?.0, hook.matches("?mod_realdoc.c").count())))
            .filter(|(_, count)| *count > 0)
            .collect();
        assert!(of_ours.len() >= 4 && of_ours.iter().all(|(_, count)| *count == 1), "after {restarts}: {of_ours:?}");
        let page = ask(httpd.port(), "GET", "localhost", "/page.html");
        assert!(page.head.contains("X-Section: once\n"), "after {restarts} restarts: {page:?}");
    }
}

/// Waits until the children that have used up their connections are gone. Nobody may send requests meanwhile.
///
/// In httpd itself one of them may stay (2.4.71, worker and event, without the module too). Its listener wakes the main
/// thread with SIGTERM, and if that comes before the main thread reads the pipe on which the parent announces a stop,
/// nothing is left to end that read. Such a child has no other thread any more. At a stop it takes the byte of a child
/// that works, because the parent writes one for each child that may be active and no more. The child without a byte
/// takes no notice of SIGTERM and is killed in the end.
fn let_retired_children_end(httpd: &Httpd, mpm: Mpm) {
    /// So many looks at the same children: none is about to end.
    const SETTLED: usize = 60;
    let is_stuck = |child: &u32| mpm.is_threaded() && threads(*child) == Some(1);
    let mut seen = Vec::new();
    let settled = readiness::becomes_true(Duration::from_secs(20), || {
        let children = httpd.children();
        let mut stuck = children.iter().copied().filter(is_stuck).peekable();
        let none_stuck = stuck.peek().is_none();
        // What it has missed. One that is only starting is replaced or takes no notice; one that is gone needs none.
        stuck.for_each(|child| _ = kill(Pid::from_raw(child.cast_signed()), Signal::SIGTERM));
        seen.push(children);
        let latest = &seen[seen.len().saturating_sub(SETTLED)..];
        none_stuck && latest.len() == SETTLED && latest.iter().all(|children| *children == latest[0])
    });
    assert!(settled, "children come and go, or stay: {:?}", seen.last());
}

/// Children that end after a few connections, under load and flips: each new one looks for itself.
fn retiring_children(mpm: Mpm) {
    const CHILDREN: usize = 5;
    let site = ssi::small_site();
    let httpd = Httpd::start(&site, mpm, &ssi::config("current").text("MaxConnectionsPerChild 10"));
    httpd.expect_error("server reached MaxRequestWorkers setting");
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let load =
        Load::new(&ssi::small_pages()).protocol(Protocol::Http1NewConnections).bounds(100, Duration::from_secs(60));
    load.run(&httpd.url(""), &flipper).assert_whole_and_fresh();
    let served = || {
        let log = fs::read_to_string(httpd.run_file("children")).unwrap_or_default();
        log.lines().map(str::to_owned).collect::<BTreeSet<String>>().len()
    };
    let_retired_children_end(&httpd, mpm);
    assert!(served() >= CHILDREN, "only {} children have served", served());
    println!("{}: {} children, each for ten connections", mpm.name(), served());
}

/// The only child is killed again and again, under load and flips. Its requests are lost, nobody else's, and another
/// child takes its place.
fn killed_children(mpm: Mpm) {
    const KILLS: usize = 5;
    let site = ssi::small_site();
    let httpd = Httpd::start(&site, mpm, &ssi::config("current").children(1, 8));
    for text in ["server reached MaxRequestWorkers setting", "exit signal Killed"] {
        httpd.expect_error(text);
    }
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let load = Load::new(&ssi::small_pages())
        .protocol(Protocol::Http1NewConnections)
        .bounds(20 * (KILLS + 1) as u64, Duration::from_secs(60));
    let (mut kills, mut of_last_kill) = (0, 0);
    let mut pids = BTreeSet::new();
    let tally = load.run_until(&httpd.url(""), &flipper, |_, requests| {
        if kills == KILLS || requests < of_last_kill + 20 {
            return kills == KILLS && requests >= of_last_kill + 20;
        }
        let [child] = httpd.all_children(1)[..] else { panic!("one child") };
        pids.insert(child);
        kill(Pid::from_raw(child.cast_signed()), Signal::SIGKILL).expect("a running child");
        let replaced = || !httpd.children().is_empty() && !httpd.children().contains(&child);
        assert!(readiness::becomes_true(Duration::from_secs(20), replaced), "child {child} is not replaced");
        (kills, of_last_kill) = (kills + 1, requests);
        false
    });
    println!("{}: {kills} children killed: {tally}", mpm.name());
    assert_eq!((kills, pids.len()), (KILLS, KILLS));
    assert!(tally.mixed == 0 && tally.stale == 0, "{tally}\n{}", tally.examples.join("\n"));
    assert!(tally.failed <= (KILLS * 8) as u64, "more failed than were under way: {tally}");
    assert_eq!(tally.proves_nothing(), None);
    // Who comes when all is quiet is served as ever.
    load.run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

on_each_mpm!(changes, configuration_changes, prefork, event);
on_each_mpm!(no_state, loaded_again_and_again, prefork, event);
on_each_mpm!(max_connections, retiring_children);
on_each_mpm!(kill_9, killed_children);
