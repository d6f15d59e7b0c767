//! The file itself: who may read it, and what httpd does without it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use docroot::inuse::{Reader, Unknown};
use harness::{Config, Httpd, Mpm, Site, installation, on_each_mpm, readiness};

use super::counted;

const DOCROOT: &str = "DocumentRoot \"${ROOT}/current\"";

fn site() -> Site {
    Site::with_releases(1, |release| release.plain_page("page.html"))
}

fn config(directives: &str) -> Config {
    Config::new(&format!("{DOCROOT}\n{directives}"))
}

fn assert_serves(httpd: &Httpd) {
    assert_eq!(httpd.client().get("/page.html").expect("a response").status, 200);
}

/// Whether a process of this user and group can read a file.
fn can_read(file: &std::path::Path, user: u32, group: u32) -> bool {
    let mut command = Command::new("cat");
    command.arg(file).uid(user).gid(group).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("cat").success()
}

fn readers(mpm: Mpm) {
    let site = site();
    let httpd = Httpd::start(&site, mpm, &config(""));
    assert_serves(&httpd);
    assert_eq!(counted(&httpd).releases[0].total, 1);
    let file = httpd.run_file("realdoc.inuse");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o7777, 0o640);
    if installation::is_root() {
        // The directory of a test is its own; that of a real httpd may be entered by all.
        let directory = file.parent().expect("a directory");
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("permissions");
        assert!(can_read(&file, 65534, 0), "the group may read");
        assert!(!can_read(&file, 65534, 65534), "others may not");
    }
}

/// Where there can be no file, httpd says so once and serves without; and what is there stays as it is.
fn no_file(mpm: Mpm) {
    let site = site();
    site.write("notes", "not yours");
    site.directory("directory");
    site.symlink("link", "notes");
    for (path, why) in [
        ("none/realdoc.inuse", "No such file"),
        ("notes", "a file of something else"),
        ("directory", "no regular file"),
        ("link", "no regular file"),
    ] {
        let httpd = Httpd::start(&site, mpm, &config(&format!("RealdocInUse \"${{ROOT}}/{path}\"")));
        assert_serves(&httpd);
        let log = httpd.error_log();
        let warnings: Vec<_> = log.lines().filter(|line| line.contains("RealdocInUse")).collect();
        assert!(matches!(warnings[..], [line] if line.contains(why) && line.contains(path)), "{path}: {log}");
        assert!(warnings[0].contains("[realdoc:warn]") && warnings[0].contains("unknown"), "{log}");
        assert!(!httpd.run_file("realdoc.inuse").exists());
    }
    assert_eq!(fs::read_to_string(site.root().join("notes")).expect("a file"), "not yours");
}

/// `Off` leaves no file that would tell that nothing is in use.
fn off(mpm: Mpm) {
    let site = site();
    let httpd = Httpd::start(&site, mpm, &config("IncludeOptional \"${ROOT}/*.conf\""));
    assert_serves(&httpd);
    let file = httpd.run_file("realdoc.inuse");
    assert!(Reader::open(&file).is_ok());
    site.write("off.conf", "RealdocInUse Off\n");
    httpd.replace_children();
    assert_serves(&httpd);
    assert_eq!(Reader::open(&file).expect_err("no file"), Unknown::Missing);
    site.write("off.conf", "RealdocInUse On\n");
    httpd.replace_children();
    assert_serves(&httpd);
    assert_eq!(counted(&httpd).releases[0].total, 1);
}

/// The same file over restarts, so that processes of the generation before are still seen.
fn restarts(mpm: Mpm) {
    use std::os::unix::fs::MetadataExt;
    let site = site();
    let httpd = Httpd::start(&site, mpm, &config(""));
    let inode = || fs::metadata(httpd.run_file("realdoc.inuse")).expect("a file").ino();
    let before = inode();
    let descriptors = harness::process::open_files(httpd.pid());
    for _ in 0..3 {
        httpd.replace_children();
        assert_serves(&httpd);
    }
    assert_eq!(inode(), before);
    // Children come and go for a while after a restart, and the parent has pipes while it starts one.
    let settles = |what: &dyn Fn() -> bool| readiness::becomes_true(Duration::from_secs(10), what);
    let open = || harness::process::open_files(httpd.pid());
    assert!(settles(&|| open() == descriptors), "{:?} descriptors, before {descriptors:?}", open());
    let processes = || counted(&httpd).processes as usize;
    assert!(settles(&|| processes() <= httpd.children().len()), "{} processes count", processes());
}

#[test]
fn refused_values() {
    let site = site();
    for (text, said) in [
        ("RealdocInUse maybe", "RealdocInUse: 'maybe'"),
        ("RealdocInUse run/file", "'run/file'"),
        ("RealdocInUse /run/", "'/run/'"),
        ("<VirtualHost *:${PORT}>\nRealdocInUse Off\n</VirtualHost>", "server config only, because it concerns all"),
        ("<Directory />\nRealdocInUse Off\n</Directory>", "server config only"),
    ] {
        let refusal = format!("{:?}", Httpd::config_error(&site, Mpm::Event, &config(text)));
        assert!(refusal.contains("RealdocInUse") && refusal.contains(said), "{text}: {refusal}");
    }
}

#[test]
fn the_dump_names_the_file_and_makes_none() {
    let site = site();
    for (directives, said) in [
        ("", "/realdoc.inuse"),
        ("RealdocInUse \"${ROOT}/there\"", "/there"),
        ("RealdocInUse Off", "counts no requests"),
    ] {
        let dump = Httpd::ask(&site, Mpm::Event, &config(directives), &["-t", "-D", "DUMP_REALDOC"]);
        assert!(dump.lines().any(|line| line.contains("count") && line.contains(said)), "{directives}: {dump}");
    }
    assert!(!site.root().join("there").exists());
}

on_each_mpm!(who_may_read, readers, event);
on_each_mpm!(without_a_file, no_file, prefork, event);
on_each_mpm!(switched_off, off, event);
on_each_mpm!(over_restarts, restarts);
