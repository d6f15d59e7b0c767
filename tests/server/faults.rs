//! Faults of the file system that a docroot meets while it is served: every way in which a link can be bad, targets that
//! vanish, descriptors that run out.
//!
//! Owns: what requests get meanwhile, and that the next good link is seen at once. Must not: repeat how one link that
//! is gone is told of (see `failures`), or refuse targets (see `guard`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::error_log::{lines_of, pid};
use harness::process::{limit_descriptors, next_descriptor};
use harness::raw::ask;
use harness::{Client, Config, Httpd, Mpm, Protocol, Response, Site, Verdict, on_each_mpm, page, readiness};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::ssi;

/// A way in which a link is bad.
struct Fault {
    name: &'static str,
    /// What the operating system calls it.
    cause: &'static str,
    /// The link's text; none of a link that is missing. `{link}` is the link's own name.
    text: Option<String>,
}

/// All of them, and what they lead to, for links in the site's root.
fn faults(site: &Site) -> Vec<Fault> {
    site.write("file", "");
    site.directory("locked/release");
    fs::set_permissions(site.root().join("locked"), fs::Permissions::from_mode(0o000)).expect("permissions");
    let deep = deep(site);
    let fault = |name, cause, text: &str| Fault { name, cause, text: Some(text.to_owned()) };
    vec![
        Fault { name: "missing", cause: "No such file", text: None },
        fault("dangling", "No such file", "releases/absent"),
        fault("empty-name", "No such file", "releases/absent/.."),
        fault("loop", "symbolic links", "{link}"),
        fault("loop-of-two", "symbolic links", "{link}-back"),
        fault("a-file", "Not a directory", "file"),
        fault("below-a-file", "Not a directory", "file/below"),
        fault("forbidden", "Permission denied", "locked/release"),
        fault("long-name", "File name too long", &"x".repeat(256)),
        fault("long-path", "File name too long", &deep),
    ]
}

/// The longest text that a link can have, for a link in the site's root. A page is there for those who follow the
/// link, but its real path is longer than any system call takes.
fn deep(site: &Site) -> String {
    let mut text = "deep".to_owned();
    while text.len() + 201 < 4_095 {
        text.push('/');
        text.push_str(&"d".repeat(200));
    }
    text.push('/');
    text.push_str(&"e".repeat(4_095 - text.len()));
    // The way there is too long for a single call, so that each half has a link of its own.
    let (first, second) = text.split_at(2_014);
    fs::create_dir_all(site.root().join(first)).expect("half of the way");
    site.symlink("half", first);
    site.write(&format!("half{second}/page.html"), &format!("{}{}", page::token(9), page::END));
    text
}

/// Puts the fault in the place of what is there.
fn inject(site: &Site, link: &str, fault: &Fault) {
    match &fault.text {
        None => fs::remove_file(site.root().join(link)).expect("removing the link"),
        Some(text) => {
            let back = format!("{link}-back");
            if fault.name == "loop-of-two" && fs::symlink_metadata(site.root().join(&back)).is_err() {
                site.symlink(&back, link);
            }
            site.flip_link(link, text.replace("{link}", link));
        }
    }
}

fn base(httpd: &Httpd, index: usize) -> String {
    format!("http://127.0.0.1:{}", httpd.ports()[index])
}

fn clients(httpd: &Httpd, index: usize, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::new(&base(httpd, index), Protocol::Http1)).collect()
}

fn shown(response: &Response) -> (u16, Vec<usize>) {
    (response.status, page::tokens(&response.body))
}

/// The same docroot with each directive, at a port each.
fn by_ports(directives: &[&str]) -> Config {
    let mut config = Config::new("").more_ports(directives.len() - 1);
    for (number, directive) in (1..).zip(directives) {
        let port = if number == 1 { "PORT".to_owned() } else { format!("PORT_{number}") };
        config = config.text(&format!(
            "<VirtualHost 127.0.0.1:${{{port}}}>\nServerName localhost\nDocumentRoot \"${{ROOT}}/current\"\n{directive}\n</VirtualHost>"
        ));
    }
    config
}

const REQUESTS: usize = 10;

/// Each fault in turn, after a good release: the release goes on to be served, whatever the fault, and the next one is
/// served at once.
fn after_a_good_release(mpm: Mpm) {
    let site = Site::with_releases(4, |release| release.plain_page("page.html"));
    let faults = faults(&site);
    let directives = ["", "UseReadlink On", "RealdocReleases \"${ROOT}/releases/*\"", "RealpathEvery 1ms"];
    let httpd = Httpd::start(&site, mpm, &by_ports(&directives));
    httpd.expect_error("[realdoc:error]");
    let clients: Vec<Vec<Client>> = (0..directives.len()).map(|index| clients(&httpd, index, 2)).collect();
    let get = |client: &Client| shown(&client.get("/page.html").expect("a response"));
    let mut requests = 0;
    for (round, fault) in faults.iter().enumerate() {
        site.flip(round % 4);
        for (index, clients) in clients.iter().enumerate() {
            for client in clients {
                let fresh = readiness::becomes_true(Duration::from_secs(5), || {
                    get(client) == (200, vec![round % 4]) || !directives[index].contains("Every")
                });
                assert!(fresh && get(client) == (200, vec![round % 4]), "{} before {}", directives[index], fault.name);
            }
        }
        inject(&site, "current", fault);
        for _ in 0..REQUESTS {
            for (index, clients) in clients.iter().enumerate() {
                for client in clients {
                    assert_eq!(get(client), (200, vec![round % 4]), "{:?} during {}", directives[index], fault.name);
                    requests += 1;
                }
            }
        }
    }
    site.flip(2);
    for client in clients[..3].iter().flatten() {
        assert_eq!(get(client), (200, vec![2]), "after all faults");
    }
    println!("{} faults with {} settings, {requests} requests during them: 0 failed", faults.len(), directives.len());
    let log = httpd.error_log();
    let lines = lines_of(&log, "realdoc:error");
    // Each process tells no more than four causes of a docroot at a time; the modes and releases have docroots of their
    // own.
    let most = lines.iter().map(|line| lines.iter().filter(|other| pid(other) == pid(line)).count()).max();
    assert!(most.is_some_and(|most| most <= 4 * 3), "{most:?} lines of one process:\n{log}");
}

/// Each fault at the first look, when there is no last good release: httpd answers as without the module, but where
/// links may lead to releases only nothing is served.
fn at_the_first_look(mpm: Mpm) {
    let site = Site::with_releases(1, |release| release.plain_page("page.html"));
    let faults = faults(&site);
    let mut config = Config::new("DocumentRoot \"${ROOT}/releases/0\"").more_ports(2);
    for Fault { name, .. } in &faults {
        for (port, directive) in [
            ("PORT", ""),
            ("PORT_2", "<IfModule mod_realdoc.c>\nRealdoc Off\n</IfModule>"),
            ("PORT_3", "RealdocReleases \"${ROOT}/releases/*\""),
        ] {
            config = config.text(&format!(
                "<VirtualHost 127.0.0.1:${{{port}}}>\nServerName {name}.test\nDocumentRoot \"${{ROOT}}/{name}\"\n{directive}\n</VirtualHost>"
            ));
        }
    }
    for fault in &faults {
        site.symlink(fault.name, "releases/0");
    }
    // One process, so that it tells of each fault once.
    let httpd = Httpd::start(&site, mpm, &config.children(1, 8));
    for text in ["[realdoc:error]", "[core:error]", "AH00161"] {
        httpd.expect_error(text);
    }
    let [with, without, guarded] = httpd.ports() else { panic!("three ports") };
    let mut requests = 0;
    for fault in &faults {
        inject(&site, fault.name, fault);
        let host = format!("{}.test", fault.name);
        for path in ["/page.html", "/", "/absent", "/page.html/info", "//page.html", "/x/../page.html"] {
            for method in ["GET", "HEAD", "OPTIONS"] {
                let answers = [*with, *without].map(|port| ask(port, method, &host, path));
                assert_eq!(answers[0], answers[1], "{host}: {method} {path}");
                let guarded = ask(*guarded, method, &host, path);
                assert!([403, 404].contains(&guarded.status()), "{host}: {method} {path}: {guarded:?}");
                requests += 3;
            }
        }
        // Nobody but httpd itself can follow such a path.
        let status = ask(*with, "GET", &host, "/page.html").status();
        assert_eq!(status == 200, fault.name == "long-path", "{host}: status {status}");
        let log = httpd.error_log();
        let path = site.root().join(fault.name).display().to_string();
        let lines: Vec<&str> =
            lines_of(&log, "realdoc:error").into_iter().filter(|line| line.contains(&format!("] {path}: "))).collect();
        assert_eq!(lines.len(), 2, "{host}: one line each for both docroots: {lines:#?}");
        assert!(lines.iter().all(|line| line.contains(fault.cause)), "{host}: {lines:#?}");
        site.flip_link(fault.name, "releases/0");
        for port in [with, guarded] {
            assert_eq!(ask(*port, "GET", &host, "/page.html").status(), 200, "{host} once the link is good");
        }
    }
    println!("{} faults at the first look, {requests} requests: all as without the module or refused", faults.len());
}

/// The link and a real directory change places, atomically and many times; each request after it sees what is there.
fn exchanged_with_a_directory(mpm: Mpm) {
    const EXCHANGES: usize = 40;
    const SHOW: &str = "<!--#echo var=\"DOCUMENT_ROOT\" --> [<!--#echo var=\"REALDOC_RELEASE\" -->]";
    let site = Site::with_releases(1, |release| release.write("page.shtml", &format!("{} {SHOW}", release.token())));
    site.write("directory/page.shtml", &format!("{} {SHOW}", page::token(1)));
    let directives = ["", "UseReadlink On", "RealdocReleases \"${ROOT}/releases/*\""];
    let httpd = Httpd::start(&site, mpm, &by_ports(&directives).modules(&["include"]));
    let clients: Vec<Client> = (0..directives.len()).flat_map(|index| clients(&httpd, index, 2)).collect();
    let expected = [
        format!("{} {} [0]", page::token(0), site.release_directory(0).display()),
        format!("{} {} [(none)]", page::token(1), site.link().display()),
    ];
    let mut requests = 0;
    for exchange in 0..=EXCHANGES {
        for client in &clients {
            for _ in 0..2 {
                let response = client.get("/page.shtml").expect("a response");
                assert_eq!(response.body, expected[exchange % 2], "after {exchange} exchanges");
                requests += 1;
            }
        }
        let (link, directory) = (site.link(), site.root().join("directory"));
        renameat2(AT_FDCWD, &link, AT_FDCWD, &directory, RenameFlags::RENAME_EXCHANGE).expect("an exchange");
    }
    println!("{EXCHANGES} exchanges of the link and a directory, {requests} requests: 0 on what was not there");
}

/// The release that the link leads to is taken away while pages are made of it, again and again: for a while, and just
/// before the next flip.
fn target_taken_away(mpm: Mpm) {
    const ROUNDS: usize = 7;
    let site = ssi::site("");
    let httpd = Httpd::start(&site, mpm, &ssi::config("current"));
    for text in ["[realdoc:error]", "[core:error]", "[include:error]", "[include:warn]"] {
        httpd.expect_error(text);
    }
    let pages = ssi::pages();
    let (stop, missing, whole) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let broken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let client = httpd.client();
                for page in pages.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    // A page that loses its files while it is made is cut, or has httpd's own words in it.
                    let Ok(response) = client.get(&page.path) else {
                        broken.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    match page.judge(response.status, &response.body) {
                        Verdict::Whole(_) => whole.fetch_add(1, Ordering::Relaxed),
                        Verdict::Mixed(releases) => {
                            stop.store(true, Ordering::Relaxed);
                            panic!("a page of releases {releases:?}");
                        }
                        Verdict::Failed(_) if [403, 404].contains(&response.status) => {
                            missing.fetch_add(1, Ordering::Relaxed)
                        }
                        Verdict::Failed(_) => broken.fetch_add(1, Ordering::Relaxed),
                    };
                }
            });
        }
        let client = httpd.client();
        let grows = |count: &AtomicUsize, what: &str| {
            let before = count.load(Ordering::Relaxed);
            let grown = || stop.load(Ordering::Relaxed) || count.load(Ordering::Relaxed) >= before + 5;
            if !readiness::becomes_true(Duration::from_secs(10), grown) {
                stop.store(true, Ordering::Relaxed);
                panic!("no {what} page");
            }
        };
        let rounds = || {
            for release in 0..2 * ROUNDS {
                let gone = site.root().join("gone");
                fs::rename(site.release_directory(release), &gone).expect("taking the release away");
                if release.is_multiple_of(2) {
                    grows(&missing, "missing");
                }
                site.flip(release + 1);
                let response = client.get("/page.shtml").expect("a response");
                assert_eq!(pages[0].judge(response.status, &response.body), Verdict::Whole(release + 1));
                grows(&whole, "whole");
                fs::rename(&gone, site.release_directory(release)).expect("putting the release back");
            }
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(rounds));
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|cause| std::panic::resume_unwind(cause));
    });
    println!(
        "{} releases taken away: {whole:?} pages whole, {missing:?} missing, {broken:?} broken, 0 mixed",
        2 * ROUNDS
    );
}

/// A child that may not open one more file: the docroot is still the right one, and what fails is what httpd opens.
fn descriptors_exhausted(mpm: Mpm) {
    const ROUNDS: usize = 10;
    let site = Site::with_releases(4, |release| release.plain_page("page.html"));
    let config = Config::new("DocumentRoot \"${ROOT}/current\"")
        .text("LogFormat \"%>s [%{REALDOC_RELEASE}e]\" told\nCustomLog \"${RUN}/told\" told")
        .children(1, 4);
    let statuses = |httpd: &Httpd| -> Vec<u16> {
        httpd.expect_error("Too many open files");
        httpd.expect_error("AH00161");
        let client = httpd.client();
        let mut statuses = vec![client.get("/page.html").expect("a response").status];
        let [child] = httpd.all_children(1)[..] else { panic!("one child") };
        let next = next_descriptor(child);
        for round in 0..ROUNDS {
            for exhausted in [true, false] {
                limit_descriptors(child, if exhausted { next } else { 256 });
                site.flip((2 * round + usize::from(exhausted)) % 4);
                let response = client.get("/page.html").expect("a response");
                if response.status == 200 {
                    assert_eq!(page::tokens(&response.body), [(2 * round + usize::from(exhausted)) % 4]);
                }
                statuses.push(response.status);
            }
        }
        statuses
    };
    let without = Httpd::start_without_module(&site, mpm, &config);
    let expected = statuses(&without);
    assert!(expected[1..].chunks(2).all(|pair| pair[0] >= 400 && pair[1] == 200), "{expected:?}");
    site.flip(0);
    let httpd = Httpd::start(&site, mpm, &config);
    assert_eq!(statuses(&httpd), expected);
    let told = || fs::read_to_string(httpd.run_file("told")).unwrap_or_default();
    let complete = readiness::becomes_true(Duration::from_secs(5), || told().lines().count() == expected.len());
    assert!(complete, "{}", told());
    for (index, line) in told().lines().skip(1).enumerate() {
        let (round, exhausted) = (index / 2, index.is_multiple_of(2));
        assert!(line.ends_with(&format!("[{}]", (2 * round + usize::from(exhausted)) % 4)), "request {index}: {line}");
    }
    assert!(lines_of(&httpd.error_log(), "realdoc:error").is_empty(), "{}", httpd.error_log());
    println!("{ROUNDS} requests without a free descriptor, {ROUNDS} with: docroots right in all");
}

on_each_mpm!(all_after_a_good_release, after_a_good_release);
on_each_mpm!(all_at_the_first_look, at_the_first_look, prefork, event);
on_each_mpm!(real_directory, exchanged_with_a_directory, prefork, event);
on_each_mpm!(target_gone, target_taken_away);
on_each_mpm!(no_descriptors, descriptors_exhausted, prefork, event);
