//! With `RealdocReleases`, httpd never follows a link on the way to a docroot by itself: attempts to have it do so.
//!
//! Owns: attempts by whoever can move the link, at requests, and what httpd must not serve or run then. Must not: test
//! what a refused request looks like (see `guard`).
//!
//! `BREAK_IN_SECONDS=30 cargo test -p realdoc-tests --test server break_in:: -- --nocapture` tries for so long.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::raw::{Raw, ask, get_request};
use harness::{Config, Httpd, Mpm, Site, on_each_mpm};

mod site;

use site::{PATHS, RELEASES, TARGETS, WAYS, lead, leak, site};

/// In a virtual host of the first port, and with a window in one of the second.
fn config(mpm: Mpm, window: &str) -> Config {
    let host = |port: &str, directives: &str| {
        format!(
            "<VirtualHost 127.0.0.1:${{{port}}}>\nServerName host.test\nKeepAliveTimeout 200ms\n<IfModule mod_realdoc.c>\n{RELEASES}{directives}</IfModule>\n\
             {WAYS}</VirtualHost>\n"
        )
    };
    Config::new("DocumentRoot \"${ROOT}/beside\"")
        .text(&host("PORT", ""))
        .text(&host("PORT_2", &format!("RealpathEvery {window}\n")))
        .modules(&["alias", "autoindex", "dir", "include", "rewrite", "status", mpm.cgi_module()])
        .more_ports(1)
}

fn expect_errors(httpd: &Httpd) {
    for module in ["realdoc", "core", "authz_core", "include", "cgi", "cgid", "autoindex", "rewrite"] {
        httpd.expect_error(&format!("[{module}:error]"));
    }
    // What prefork says of its only children.
    httpd.expect_error("AH00161");
}

fn start(site: &Site, mpm: Mpm, config: &Config) -> Httpd {
    let httpd = Httpd::start(site, mpm, config);
    expect_errors(&httpd);
    httpd
}

/// Asserts that these paths tell nothing that they must not.
fn assert_tight(httpd: &Httpd, port: u16, when: &str, paths: &[&str]) {
    for path in paths {
        let response = ask(port, "GET", "host.test", path);
        assert_eq!(leak(&response), None, "{when}: {path}: {response:?}\n{}", httpd.error_log());
    }
}

/// A target is worth trying if httpd alone shows what it must not, or if a section is lost there.
fn targets_are_worth_it(mpm: Mpm) {
    let site = site();
    let httpd = Httpd::start_without_module(&site, mpm, &config(mpm, "20ms"));
    expect_errors(&httpd);
    for (name, text, leaks) in TARGETS {
        lead(&site, text);
        // httpd alone opens a FIFO, and waits for somebody who writes to it.
        let mut paths = PATHS.iter().filter(|path| text != "fifo" || **path != "/link");
        let found = paths.find(|path| leak(&ask(httpd.port(), "GET", "host.test", path)).is_some());
        assert_eq!(found.is_some(), leaks, "{name}: {found:?}");
    }
}

on_each_mpm!(control, targets_are_worth_it, event);

/// A process whose first look at the link is at this target, which has no last good one to go on with.
fn cold_process(mpm: Mpm, window: &str) {
    let site = site();
    let httpd = start(&site, mpm, &config(mpm, window));
    for (name, text, _) in TARGETS {
        lead(&site, text);
        httpd.replace_children();
        for port in httpd.ports() {
            assert_tight(&httpd, *port, &format!("cold at {name}"), &PATHS);
        }
    }
}

fn cold_processes(mpm: Mpm) {
    cold_process(mpm, "30");
}

on_each_mpm!(cold, cold_processes, prefork, event);

/// The same with a process that knows a release.
fn warm_processes(mpm: Mpm) {
    let site = site();
    let httpd = start(&site, mpm, &config(mpm, "20ms").children(1, 8));
    for (name, text, _) in TARGETS {
        for known in ["releases/r1", "releases/r2", "releases/r1/up"] {
            lead(&site, known);
            assert_tight(&httpd, httpd.port(), &format!("at {known}"), &PATHS);
            lead(&site, text);
            for port in httpd.ports() {
                assert_tight(&httpd, *port, &format!("warm from {known} to {name}"), &PATHS);
            }
        }
    }
}

on_each_mpm!(warm, warm_processes, prefork, event);

/// A process without a last good target, and the link at `/`: an `Alias` below the link is below `/` then.
fn alias_below_the_root(mpm: Mpm) {
    let site = site();
    lead(&site, "/");
    let httpd = start(&site, mpm, &config(mpm, "30"));
    assert_tight(&httpd, httpd.port(), "link at /", &["/appetc/os-release", "/etc/os-release", "/link/etc/os-release"]);
}

on_each_mpm!(alias_at_root, alias_below_the_root, prefork, event);

/// The same with the link at a directory above the releases, and scripts in it.
fn script_above_the_releases(mpm: Mpm) {
    for target in ["..", "../plain", "."] {
        let site = site();
        lead(&site, target);
        let httpd = start(&site, mpm, &config(mpm, "30"));
        let when = format!("link at {target}");
        assert_tight(&httpd, httpd.port(), &when, &["/cgi/who.sh", "/cgi/who", "/static/page.html"]);
    }
}

on_each_mpm!(script_above, script_above_the_releases, prefork, event);

/// A window in which a target is remembered that is admitted and has no docroot, while the link goes elsewhere.
fn window_of_an_admitted_target(mpm: Mpm) {
    let site = site();
    for elsewhere in ["../outside", "../plain", ".", "/"] {
        lead(&site, "releases/r1/up");
        let httpd = start(&site, mpm, &config(mpm, "30").children(1, 8));
        let port = httpd.ports()[1];
        let response = ask(port, "GET", "host.test", "/page.html");
        assert!(response.status() >= 400, "{response:?}");
        lead(&site, elsewhere);
        assert_tight(&httpd, port, &format!("in the window, link at {elsewhere}"), &PATHS);
    }
}

on_each_mpm!(window, window_of_an_admitted_target, prefork, event);

/// Each connection is a new process of a server that has long been up.
fn new_children(mpm: Mpm) {
    let site = site();
    lead(&site, "releases/r1/up");
    let config = config(mpm, "30").text("MaxConnectionsPerChild 1");
    let httpd = start(&site, mpm, &config);
    assert!(ask(httpd.ports()[1], "GET", "host.test", "/page.html").status() >= 400);
    for target in ["../outside", "../plain", "..", "/"] {
        lead(&site, target);
        for _ in 0..8 {
            assert_tight(&httpd, httpd.ports()[1], target, &["/static/page.html", "/cgi/who", "/appetc/os-release"]);
        }
    }
}

on_each_mpm!(children, new_children, prefork);

/// A flipper between what is admitted and has no docroot, and a directory outside; no window.
fn between_admitted_and_outside(mpm: Mpm) {
    let site = site();
    let httpd = start(&site, mpm, &config(mpm, "20ms"));
    let tally =
        attack(&site, &[&httpd], &["releases/r1/up", "../outside", "releases/bare", "../plain"], seconds(1), false);
    assert!(tally.leaks.is_empty(), "{} of {}: {:#?}", tally.leaks.len(), tally.requests, &tally.leaks[..1]);
    assert!(tally.requests >= 100, "{tally:?}");
}

on_each_mpm!(flipper, between_admitted_and_outside, prefork, event);

/// Handlers without files answer while the docroot is refused.
fn handlers_without_files(mpm: Mpm) {
    let site = site();
    let text = format!(
        "DocumentRoot \"${{ROOT}}/beside\"\n<VirtualHost 127.0.0.1:${{PORT}}>\nServerName host.test\n<IfModule mod_realdoc.c>\n{RELEASES}</IfModule>\n{WAYS}\
         <Location \"/server-status\">\nSetHandler server-status\n</Location>\n</VirtualHost>\n"
    );
    let config =
        Config::new(&text).modules(&["alias", "autoindex", "dir", "include", "rewrite", "status", mpm.cgi_module()]);
    let httpd = start(&site, mpm, &config);
    for target in ["releases/r1", "../outside", "/", "missing", "releases/r1/up"] {
        lead(&site, target);
        httpd.replace_children();
        let response = ask(httpd.port(), "GET", "host.test", "/server-status?auto");
        assert_eq!(response.status(), 200, "link at {target}: {response:?}");
        assert!(response.body.contains("ServerMPM"), "link at {target}: {response:?}");
    }
}

on_each_mpm!(server_status, handlers_without_files, event);

/// Files that other modules open by a name below the link are theirs to lead, so the check says so, once for each.
#[test]
fn files_of_other_modules_are_warned_of() {
    let site = site();
    site.write("app/releases/r1/passwords", "");
    site.write("app/releases/r1/map", "a b\n");
    site.write("app/releases/r1/hook.lua", "");
    let directives = [
        ("AuthUserFile", "<Location \"/a\">\nAuthUserFile \"${ROOT}/app/current/passwords\"\n</Location>"),
        ("RewriteMap", "RewriteMap names \"txt:${ROOT}/app/current/map\""),
        ("LuaMapHandler", "LuaMapHandler \"^/lua$\" \"${ROOT}/app/current/hook.lua\""),
    ];
    for (directive, text) in directives {
        let config = Config::new("").text(&format!("{RELEASES}{WAYS}{text}\n")).modules(&[
            "alias",
            "auth_basic",
            "authn_core",
            "authn_file",
            "autoindex",
            "cgi",
            "dir",
            "include",
            "lua",
            "rewrite",
        ]);
        let said = Httpd::ask(&site, Mpm::Prefork, &config, &["-t"]);
        let warnings: Vec<&str> = said.lines().filter(|line| line.contains("[realdoc:warn]")).collect();
        let of_this = warnings.iter().filter(|line| line.contains(directive)).count();
        assert_eq!(of_this, 1, "{directive}: {said}");
        // A section with an expression, an alias and the like follow, and are not warned of.
        assert_eq!(warnings.len(), 1, "{directive}: {said}");
    }
}

fn seconds(usual: u64) -> Duration {
    let asked = env::var("BREAK_IN_SECONDS").map(|value| value.parse().expect("BREAK_IN_SECONDS is a number"));
    Duration::from_secs(asked.unwrap_or(usual))
}

/// What was tried, and what came through.
#[derive(Debug, Default)]
struct Attack {
    requests: u64,
    served: u64,
    refused: u64,
    scripts: u64,
    flips: u64,
    restarts: u64,
    /// Requests that began and ended while the link led to this target.
    at_target: BTreeMap<String, u64>,
    by_path: BTreeMap<&'static str, u64>,
    leaks: Vec<String>,
}

const ATTACKERS: usize = 4;

/// What a storm must have had at least, to prove anything.
const SERVED: u64 = 50;
const RESTARTS: u64 = 2;

/// Flips through these targets at random while four clients ask for everything, and servers restart now and then.
fn attack(site: &Site, servers: &[&Httpd], targets: &[&str], time: Duration, restarts: bool) -> Attack {
    let end = Instant::now() + time;
    let (flips, at, stop) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let tally = Mutex::new(Attack::default());
    // On a busy machine it takes longer until everything was tried.
    let latest = end + Duration::from_secs(30);
    let is_covered = || {
        let tally = tally.lock().expect("no panic while locked");
        let is_everything = tally.at_target.len() == targets.len() && tally.by_path.len() == PATHS.len();
        is_everything && tally.scripts > 0 && tally.served >= SERVED && tally.restarts >= RESTARTS
    };
    let random = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*state >> 33).expect("31 bits")
    };
    thread::scope(|scope| {
        let (flips, at, stop, tally, is_covered) = (&flips, &at, &stop, &tally, &is_covered);
        scope.spawn(move || {
            let mut state = 1;
            while !stop.load(Ordering::SeqCst) {
                let next = random(&mut state) % targets.len();
                flips.fetch_add(1, Ordering::SeqCst);
                lead(site, targets[next]);
                at.store(next, Ordering::SeqCst);
                flips.fetch_add(1, Ordering::SeqCst);
                // Mostly as fast as it can be; now and then so long that a request begins and ends here.
                let pause = if random(&mut state).is_multiple_of(8) { 6000 } else { random(&mut state) % 800 };
                thread::sleep(Duration::from_micros(pause as u64));
            }
        });
        let attackers: Vec<_> = (0..ATTACKERS)
            .map(|attacker| {
                scope.spawn(move || {
                    let mut state = 1000 + attacker as u64;
                    let mut kept: Vec<Option<Raw>> = Vec::new();
                    let ports: Vec<u16> = servers.iter().flat_map(|httpd| httpd.ports()).copied().collect();
                    kept.resize_with(ports.len(), || None);
                    while Instant::now() < end || (restarts && Instant::now() < latest && !is_covered()) {
                        let index = random(&mut state) % ports.len();
                        let path = PATHS[random(&mut state) % PATHS.len()];
                        let before = (flips.load(Ordering::SeqCst), at.load(Ordering::SeqCst));
                        let mut raw = kept[index].take().unwrap_or_else(|| Raw::connect(ports[index]));
                        raw.try_send(get_request("host.test", path).as_bytes());
                        let Some(response) = raw.receive_if_open() else { continue };
                        let after = (flips.load(Ordering::SeqCst), at.load(Ordering::SeqCst));
                        let is_closed = response.head.contains("\nConnection: close");
                        if !is_closed && random(&mut state) % 4 != 0 {
                            kept[index] = Some(raw);
                        }
                        let mut tally = tally.lock().expect("no panic while locked");
                        tally.requests += 1;
                        *tally.by_path.entry(path).or_default() += 1;
                        if response.status() < 400 {
                            tally.served += 1;
                        } else {
                            tally.refused += 1;
                        }
                        if path.starts_with("/cgi/") && response.status() == 200 {
                            tally.scripts += 1;
                        }
                        if before == after && before.0 % 2 == 0 {
                            *tally.at_target.entry(targets[before.1].to_owned()).or_default() += 1;
                        }
                        if let Some(word) = leak(&response) {
                            let target = targets[before.1];
                            tally.leaks.push(format!("{word} at {target}: {path}: {response:?}"));
                        }
                    }
                })
            })
            .collect();
        while restarts && (Instant::now() < end || (Instant::now() < latest && !is_covered())) {
            for httpd in servers {
                httpd.graceful_restart();
                tally.lock().expect("no panic while locked").restarts += 1;
            }
            // A generation is to have served something.
            let before = tally.lock().expect("no panic while locked").requests;
            while Instant::now() < end && tally.lock().expect("no panic while locked").requests < before + 200 {
                thread::sleep(Duration::from_millis(5));
            }
        }
        for attacker in attackers {
            attacker.join().expect("an attacker");
        }
        stop.store(true, Ordering::SeqCst);
    });
    let mut tally = tally.into_inner().expect("no panic while locked");
    tally.flips = flips.into_inner() / 2;
    tally
}

/// All targets and ways at once, with and without a window, while generations of processes come and go.
fn storm(mpm: Mpm) {
    let site = site();
    let httpd = start(&site, mpm, &config(mpm, "20ms"));
    let targets = TARGETS.map(|(_, text, _)| text);
    let tally = attack(&site, &[&httpd], &targets, seconds(3), true);
    println!(
        "{}: {} requests ({} served, {} refused, {} scripts run), {} flips, {} restarts; while the link stood still: {:?}; {} leaks",
        mpm.name(),
        tally.requests,
        tally.served,
        tally.refused,
        tally.scripts,
        tally.flips,
        tally.restarts,
        tally.at_target,
        tally.leaks.len()
    );
    assert!(tally.leaks.is_empty(), "{} of {} requests: {}", tally.leaks.len(), tally.requests, tally.leaks[0]);
    for target in targets {
        assert!(tally.at_target.get(target).is_some_and(|count| *count >= 1), "nothing tried at {target}: {tally:?}");
    }
    for path in PATHS {
        assert!(tally.by_path.get(path).is_some_and(|count| *count >= 1), "{path} not tried: {tally:?}");
    }
    assert!(tally.served >= SERVED && tally.scripts >= 1 && tally.restarts >= RESTARTS, "{tally:?}");
    // It has lost nothing by all that.
    lead(&site, "releases/r2");
    let response = ask(httpd.port(), "GET", "host.test", "/page.html");
    assert_eq!((response.status(), response.body.as_str()), (200, "release r2"));
    assert!(fs::read_link(site.root().join("app/current")).is_ok());
}

on_each_mpm!(storm, storm);
