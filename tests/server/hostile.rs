//! Clients that mean no good, or behave as if: forged names, odd paths, pipelines, cut connections, slow readers.
//!
//! Owns: that such a client gets what an httpd without the module would give, and harms nobody else. Must not: repeat the
//! choice of virtual hosts (see `hosts`), or what decent requests map to.

use std::thread;
use std::time::Duration;

use harness::flipper::is_fresh;
use harness::process::open_files;
use harness::raw::{Raw, get_request};
use harness::{
    Config, FlipMode, Flipper, Httpd, Load, Memory, Mpm, Page, Site, Verdict, flipper, on_each_mpm, page, readiness,
};

use crate::ssi;

mod requests;

/// What stands in every file that no request may reach.
const SECRET: &str = "SECRET";

/// Two names, and one of them alone where docroots are computed; the same on ports that differ in what becomes of
/// encoded slashes.
fn config() -> Config {
    let mut config = Config::new("UseCanonicalName Off\nDocumentRoot \"${ROOT}/current/public\"")
        .modules(&["alias", "dir", "include", "vhost_alias"])
        .more_ports(3);
    for (number, slashes) in (1..).zip(["Off", "On", "NoDecode", "On"]) {
        let port = if number == 1 { "PORT".to_owned() } else { format!("PORT_{number}") };
        for name in ["one.test", "two.test"] {
            let computed = "VirtualDocumentRoot \"${ROOT}/hosts/%0/current\"\n";
            config = config.text(&format!(
                "<VirtualHost 127.0.0.1:${{{port}}}>\nServerName {name}\nDocumentRoot \"${{ROOT}}/{name}/public\"\n\
                 AllowEncodedSlashes {slashes}\nAlias /static \"${{ROOT}}/{name}/static\"\n{}</VirtualHost>",
                if number == 4 { computed } else { "" }
            ));
        }
    }
    config
}

fn site() -> Site {
    let site = Site::new();
    for (number, name) in [(1, "one.test"), (2, "two.test")] {
        let release = site.release(number);
        for directory in ["public", "public/sub", "static"] {
            release.plain_page(&format!("{directory}/page.html"));
        }
        for secret in ["secret.txt", "page.txt"] {
            release.write(secret, SECRET);
        }
        site.symlink(name, format!("releases/{number}"));
        site.symlink(&format!("hosts/{name}/current"), format!("../../releases/{number}/public"));
    }
    for secret in ["secret.txt", "releases/secret.txt", "hosts/secret.txt", "hosts/one.test/secret.txt"] {
        site.write(secret, SECRET);
    }
    site.symlink("current", "releases/1");
    site
}

/// A response as it can be compared: without what changes from one moment to the next and its server's port, the methods of `Allow` in order.
fn comparable(response: &[u8], port: u16) -> String {
    // A tag is weak while its file is less than a second old.
    let text = String::from_utf8_lossy(response).replace(&port.to_string(), "PORT").replace("ETag: W/", "ETag: ");
    let lines =
        text.split('\n').filter(|line| !line.starts_with("Date:")).map(|line| match line.strip_prefix("Allow: ") {
            Some(methods) => {
                let mut methods: Vec<&str> = methods.trim().split(',').collect();
                methods.sort_unstable();
                format!("Allow: {}", methods.join(","))
            }
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

fn as_without_the_module(mpm: Mpm) {
    let site = site();
    let servers = [Httpd::start(&site, mpm, &config()), Httpd::start_without_module(&site, mpm, &config())];
    for httpd in &servers {
        httpd.expect_error("[core:error]");
    }
    let requests = requests::all();
    let (mut served, mut refused) = (0, 0);
    for (port, request) in &requests {
        let [with, without] = [&servers[0], &servers[1]].map(|httpd| {
            let port = httpd.ports()[*port];
            let mut raw = Raw::connect(port);
            // The server may be faster to hang up than we to say it all.
            raw.try_send(request);
            comparable(&raw.everything(), port)
        });
        let request = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
        assert_eq!(with, without, "port {port}: {request:?}");
        assert!(!with.contains(SECRET) && !with.contains("X-Forged"), "port {port}: {request:?}: {with}");
        if with.contains(page::END) { served += 1 } else { refused += 1 }
    }
    println!("{} hostile requests: {served} served a page, {refused} not, all as without the module", requests.len());
    assert!(served > 100 && refused > 400, "{served} served, {refused} refused: the list is worth nothing");
}

const PIPELINED: usize = 20;

fn request(page: &Page) -> String {
    get_request("localhost", &page.path)
}

/// Pipelines whose first header is cut in two by a flip: what was complete before it is of the old release, and all
/// that became complete after it is of the new one.
fn flip_in_a_header(mpm: Mpm) {
    const FLIPS: usize = 30;
    let site = ssi::small_site();
    let httpd = Httpd::start(&site, mpm, &ssi::config("current"));
    let pages = ssi::small_pages();
    let mut raw = Raw::connect(httpd.port());
    for flip in 0..FLIPS {
        let pipeline: Vec<&Page> = pages.iter().cycle().skip(flip).take(PIPELINED).collect();
        let requests: String = pipeline.iter().map(|page| request(page)).collect();
        // From its first byte on to the last but one.
        let (half, rest) = requests.split_at(1 + flip % (request(pipeline[0]).len() - 1));
        raw.send(half);
        let release = flip % flipper::RELEASES;
        site.flip(release);
        raw.send(rest);
        for page in pipeline {
            let response = raw.receive();
            let verdict = page.judge(response.status(), &response.body);
            assert_eq!(verdict, Verdict::Whole(release), "after {flip} flips: {}", page.path);
        }
    }
    println!(
        "{} pipelined requests, {FLIPS} of them cut in two by a flip: all of the right release",
        FLIPS * PIPELINED
    );
}

/// Pipelines under flips: each response is whole, and of a release that was there between the pipeline's first byte
/// and the response's last.
fn flips_all_the_time(mpm: Mpm) {
    const CLIENTS: usize = 4;
    const PIPELINES: usize = 12;
    let site = ssi::small_site();
    let httpd = Httpd::start(&site, mpm, &ssi::config("current"));
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let pages = ssi::small_pages();
    let of_several = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut raw = Raw::connect(httpd.port());
                    let mut of_several = 0;
                    for _ in 0..PIPELINES {
                        let asked: Vec<&Page> = pages.iter().cycle().take(PIPELINED).collect();
                        let before = flipper.now();
                        raw.send(asked.iter().map(|page| request(page)).collect::<String>());
                        let mut releases = Vec::new();
                        for page in asked {
                            let response = raw.receive();
                            let after = flipper.now();
                            let Verdict::Whole(release) = page.judge(response.status(), &response.body) else {
                                panic!("{}: {:?}", page.path, page.judge(response.status(), &response.body));
                            };
                            assert!(
                                is_fresh(release, before, after, flipper::RELEASES),
                                "{}: release {release}, {before:?} to {after:?}",
                                page.path
                            );
                            releases.push(release);
                        }
                        releases.dedup();
                        of_several += usize::from(releases.len() > 1);
                    }
                    of_several
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("whole responses")).sum::<usize>()
    });
    let flips = flipper.stop();
    println!(
        "{} pipelines of {PIPELINED} requests under {flips} flips, {of_several} of them of several releases: 0 mixed, 0 stale",
        CLIENTS * PIPELINES
    );
    assert!(of_several > 0 && flips > 0, "no pipeline overlapped a flip: the run proves nothing");
}

/// Clients that hang up in the middle of a header, of a body, of a response, of a pipeline.
fn cut_connections(mpm: Mpm) {
    const CUTS: usize = 300;
    let site = ssi::small_site();
    let count = mpm.fewest_children();
    let httpd = Httpd::start(&site, mpm, &ssi::config("current").children(count, 16));
    httpd.expect_error("AH00161");
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let header = "GET /page.shtml HTTP/1.1\r\nHost: localhost\r\nX-Padding: xxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n";
    let mut cuts = 0;
    let mut cut = |kind: usize| {
        let mut raw = Raw::connect(httpd.port());
        match kind % 4 {
            0 => raw.try_send(&header.as_bytes()[..kind % header.len()]),
            1 => {
                raw.try_send(header.as_bytes());
                // What was not read of it makes the end a reset.
                raw.receive_bytes(1 + 37 * kind % 150);
            }
            2 => raw.try_send(b"POST /page.shtml HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nshort"),
            _ => raw.try_send(header.repeat(1 + kind % 10).as_bytes()),
        }
        cuts += 1;
    };
    let usage = || -> (Memory, Vec<(u32, usize)>) {
        let memory = Memory::of_children(&httpd, count);
        (memory, httpd.all_children(count).into_iter().map(|pid| (pid, open_files(pid).unwrap_or(0))).collect())
    };
    // Everything has been in use once.
    let load = Load::new(&ssi::small_pages()).lasts(Duration::from_millis(700));
    load.run_while(&httpd.url(""), &flipper, |_, requests| (0..4).for_each(|kind| cut(kind + requests as usize)))
        .assert_whole_and_fresh();
    assert!(readiness::becomes_true(Duration::from_secs(20), || is_idle(&httpd, count)), "the children are not idle");
    let (memory_before, files_before) = usage();
    let mut next = 0;
    let tally = load.run_until(&httpd.url(""), &flipper, |_, _| {
        for _ in 0..if next < CUTS { 10 } else { 0 } {
            cut(next);
            next += 1;
        }
        next >= CUTS
    });
    tally.assert_whole_and_fresh();
    assert!(readiness::becomes_true(Duration::from_secs(20), || is_idle(&httpd, count)), "the children are not idle");
    let (memory, files) = usage();
    println!("{cuts} connections cut; {memory_before:?} to {memory:?}, descriptors {files_before:?} to {files:?}");
    assert!(next >= CUTS, "only {next} connections were cut");
    memory.assert_flat_since(&memory_before);
    for ((_, before), (pid, after)) in files_before.iter().zip(&files) {
        assert!(after <= before, "child {pid} has {after} descriptors, not {before}");
    }
}

/// Whether no child has a connection or a file of a site open.
fn is_idle(httpd: &Httpd, count: usize) -> bool {
    httpd.all_children(count).into_iter().all(|pid| {
        let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        let of_site = targets.filter(|target| target.to_string_lossy().contains("/releases/")).count();
        of_site == 0 && !has_connection(pid, httpd.port())
    })
}

/// Whether a process has an established connection to its port.
fn has_connection(pid: u32, port: u16) -> bool {
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let own = format!(":{port:04X}");
    // Local address, remote address, state: 01 is established, 08 is half closed.
    table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&own) && ["01", "08"].contains(&fields[3])
    })
}

const SLOW_PARTS: usize = 16;
const SLOW_PART: usize = 64 * 1024;

/// A page that is too large to be sent to a client that does not read.
fn slow_site() -> Site {
    Site::with_releases(flipper::RELEASES, |release| {
        let (number, token) = (release.number(), release.token());
        let mut page = format!("{token}\n");
        for part in 0..SLOW_PARTS {
            let name = if part % 2 == 0 { format!("part-{number}-{part}.html") } else { format!("part-{part}.html") };
            release.write(&name, &format!("{token}{}\n", page::FILLER.to_string().repeat(SLOW_PART)));
            page.push_str(&format!("<!--#include virtual=\"/{name}\" -->\n"));
        }
        release.write("slow.shtml", &format!("{page}{token}{}\n", page::END));
    })
}

/// Clients that read the beginning of a large page, and the rest after many flips. Returns what they got, and the
/// release that was there when they asked.
fn slow_readers(httpd: &Httpd, site: &Site) -> Vec<(usize, Verdict)> {
    const READERS: usize = 6;
    const FLIPS: usize = 100;
    let page = Page::new("/slow.shtml", SLOW_PARTS + 2);
    let readers: Vec<(usize, Raw, Vec<u8>)> = (0..READERS)
        .map(|release| {
            site.flip(release);
            let mut raw = Raw::connect(httpd.port());
            raw.send("GET /slow.shtml HTTP/1.0\r\nHost: localhost\r\n\r\n");
            let beginning = raw.receive_bytes(4_096);
            (release, raw, beginning)
        })
        .collect();
    for flip in 0..FLIPS {
        site.flip((READERS + flip) % flipper::RELEASES);
    }
    readers
        .into_iter()
        .map(|(release, raw, beginning)| {
            let response = [beginning, raw.everything()].concat();
            let response = String::from_utf8_lossy(&response);
            let (head, body) = response.split_once("\r\n\r\n").expect("a header");
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
            (release, page.judge(status, body))
        })
        .collect()
}

fn old_releases_held_for_long(mpm: Mpm) {
    let site = slow_site();
    let config = ssi::config("current").text("SendBufferSize 16384");
    // Without the module, what is sent after the flips is not of the release that was sent before them.
    let without = Httpd::start_without_module(&site, mpm, &config);
    let verdicts = slow_readers(&without, &site);
    assert!(verdicts.iter().all(|(_, verdict)| !matches!(verdict, Verdict::Whole(_))), "{verdicts:?}");
    without.expect_error("[include:error]");
    without.expect_error("AH00128");

    let httpd = Httpd::start(&site, mpm, &config);
    let verdicts = slow_readers(&httpd, &site);
    for (release, verdict) in &verdicts {
        assert_eq!(verdict, &Verdict::Whole(*release), "{verdicts:?}");
    }
    println!("{} slow readers over 100 flips: all whole, each of its own release", verdicts.len());
}

on_each_mpm!(odd_requests, as_without_the_module, prefork, event);
on_each_mpm!(pipeline_cut_by_a_flip, flip_in_a_header);
on_each_mpm!(pipelines_under_flips, flips_all_the_time);
on_each_mpm!(hanging_up, cut_connections);
on_each_mpm!(slow_reading, old_releases_held_for_long);
