//! The directive and the manifest: what is refused, and what is ignored with one line.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use harness::error_log::lines_of;
use harness::{Httpd, Mpm, on_each_mpm};

use super::site::{ASSETS, config, deploy, get, manifest, public, retain, script, site, start};

/// What httpd says to a configuration that it refuses, at `-t` and at a start.
fn refusal(directives: &str) -> String {
    let refusal = Httpd::config_error(&site(), Mpm::Event, &config(directives));
    for said in [&refusal.test_output, &refusal.start_output] {
        assert!(said.contains("RealdocAssets"), "{said}");
    }
    refusal.test_output
}

#[test]
fn invalid_values_are_refused_by_name() {
    for value in ["", "build/", "/build", "/a/../b/", "//", "Off /build/", "On", "\"\""] {
        let said = refusal(&format!("RealdocReleases \"${{ROOT}}/releases/*\"\nRealdocAssets {value}"));
        assert!(said.contains("such as /build/"), "{value}: {said}");
    }
    let said = refusal(&format!("{ASSETS}\n<Directory \"${{ROOT}}\">\nRealdocAssets /x/\n</Directory>"));
    assert!(said.contains("not valid here"), "{said}");
}

#[test]
fn releases_must_be_known() {
    let host = "<VirtualHost *:${PORT}>\nServerName shop.example\nRealdocReleases Off\n</VirtualHost>";
    for (directives, whose) in [
        ("RealdocAssets /build/", "(main server)"),
        ("RealdocReleases Off\nRealdocAssets /build/", "(main server)"),
        (&format!("{ASSETS}\n{host}"), "shop.example"),
    ] {
        let said = refusal(directives);
        for text in ["RealdocAssets: '/build/'", "needs RealdocReleases", whose] {
            assert!(said.contains(text), "no {text:?} in {said}");
        }
    }
    for valid in ["RealdocAssets Off", "RealdocAssets /build/\nRealdoc Off", ASSETS] {
        let said = Httpd::ask(&site(), Mpm::Event, &config(valid), &["-t"]);
        assert!(said.contains("Syntax OK"), "{valid}: {said}");
    }
}

#[test]
fn a_virtual_host_inherits_and_sets_back() {
    let site = site();
    let hosts = "<VirtualHost *:${PORT}>\nServerName inherits.example\n</VirtualHost>\n\
        <VirtualHost *:${PORT}>\nServerName off.example\nRealdocAssets Off\n</VirtualHost>\n\
        <VirtualHost *:${PORT}>\nServerName other.example\nRealdocAssets /other/\n</VirtualHost>\n";
    let httpd = start(&site, Mpm::Event, hosts, &[]);
    site.write(&public("41", "other/x.js"), "other");
    deploy(&site, "43");
    let client = httpd.client();
    for (host, build, other) in [("inherits.example", 200, 404), ("off.example", 404, 404), ("other.example", 404, 200)]
    {
        let status = |path: &str| client.get_from(host, path).expect("a response").status;
        assert_eq!((status("/build/app.41.js"), status("/other/x.js")), (build, other), "{host}");
    }
}

/// A manifest that cannot be used: one line for all requests, and the next good one counts at once.
fn bad_manifests(mpm: Mpm) {
    let site = site();
    let httpd = Httpd::start(&site, mpm, &config(ASSETS).children(1, 8));
    httpd.expect_error("retained is ignored");
    deploy(&site, "43");
    let path = manifest(&site);
    let client = httpd.client();
    let chmod = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).expect("permissions");
    let cases: [(&str, &dyn Fn()); 7] = [
        ("line 1 is no name of a release: '../41'", &|| retain(&site, &["../41"])),
        ("line 2 is no name of a release: ''", &|| retain(&site, &["42", "", "41"])),
        ("longer than 65536 bytes", &|| retain(&site, &["41"; 30_000])),
        ("it is a symlink", &|| {
            retain(&site, &["41"]);
            fs::rename(&path, site.root().join("elsewhere")).expect("a file");
            symlink(site.root().join("elsewhere"), &path).expect("a link");
        }),
        ("it is a FIFO", &|| assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success())),
        ("it is a directory", &|| fs::create_dir(&path).expect("a directory")),
        ("others may write to it (mode 0666)", &|| {
            retain(&site, &["41"]);
            chmod(0o666);
        }),
    ];
    for (message, make) in cases {
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        make();
        for _ in 0..5 {
            assert_eq!(get(&client, "/build/app.41.js").0, 404, "{message}");
        }
        let log = httpd.error_log();
        let lines: Vec<_> = lines_of(&log, "realdoc:error").into_iter().filter(|line| line.contains(message)).collect();
        assert_eq!(lines.len(), 1, "{message}: {lines:#?}\n{log}");
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        assert_eq!(get(&client, "/build/app.41.js").0, 404, "no manifest");
        retain(&site, &["43", "41"]);
        assert_eq!(get(&client, "/build/app.41.js"), script("41"), "after: {message}");
    }
}

on_each_mpm!(assets_bad_manifests, bad_manifests, worker, event);

/// A manifest of somebody who cannot add releases.
#[test]
fn a_foreign_manifest_is_ignored() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let site = site();
    let httpd = start(&site, Mpm::Event, "", &[]);
    httpd.expect_error("retained is ignored");
    deploy(&site, "43");
    std::os::unix::fs::chown(manifest(&site), Some(12345), Some(12345)).expect("another owner");
    assert_eq!(get(&httpd.client(), "/build/app.41.js").0, 404);
    httpd.wait_for_log("user 12345 owns it");
}

/// `DUMP_REALDOC` shows the prefixes, and the releases that requests would be answered from.
#[test]
fn the_dump_shows_the_retained_releases() {
    let site = site();
    deploy(&site, "43");
    let dump = |directives: &str| Httpd::ask(&site, Mpm::Event, &config(directives), &["-t", "-D", "DUMP_REALDOC"]);
    let root = site.root().join("releases").display().to_string();
    retain(&site, &["43", "gone", "x1", "42", "41"]);
    let shown = |said: &str| {
        let lines =
            said.lines().map(str::trim).filter(|line| line.starts_with("assets:") || line.starts_with("retained:"));
        lines.map(|line| line.replace(&root, "R")).collect::<Vec<_>>()
    };
    let said = dump("RealdocReleases \"${ROOT}/releases/[4g]*\"\nRealdocAssets /build/ /x/");
    let expected = ["assets: /build/ /x/", "retained: R/gone (no directory)", "retained: R/42", "retained: R/41"];
    assert_eq!(shown(&said), expected, "{said}");
    let names: Vec<String> = (0..10).map(|number| format!("4{number}")).collect();
    retain(&site, &names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(shown(&dump(ASSETS)).len(), 1 + 8, "as many as are asked");
    retain(&site, &["43"]);
    assert_eq!(shown(&dump(ASSETS)), ["assets: /build/", "retained: none"]);
    retain(&site, &["../41"]);
    let ignored = "retained: none: line 1 is no name of a release: '../41'";
    assert_eq!(shown(&dump(ASSETS)), ["assets: /build/", ignored]);
    fs::remove_file(manifest(&site)).expect("a manifest");
    assert_eq!(shown(&dump(ASSETS)), ["assets: /build/", "retained: none: R/.realdoc/retained does not exist"]);
    for off in ["", "RealdocAssets Off", "RealdocReleases \"${ROOT}/releases/*\""] {
        assert_eq!(shown(&dump(off)), [""; 0], "{off}");
    }
}
