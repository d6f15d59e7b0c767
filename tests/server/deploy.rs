//! `realdoc`, the deploy tool, with a real httpd, php-fpm and git: thirty instances of one application.
//!
//! Owns: what visitors and the OPcache see of deploys and rollbacks, and that README's way to deploy works. Must not:
//! test what the tool does without a server; that is in `realdoc/tests/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::document::{Block, blocks};
use harness::page::token;
use harness::{Config, Httpd, Mpm, Opcache, Repository, Site, Tool, tool};

mod host;

use host::{Host, INSTANCES, PHP_FILES};

/// The PHP files below a directory.
fn php_files(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            php_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "php") {
            found.insert(path);
        }
    }
}

#[test]
fn thirty_instances() {
    let host = Host::new();
    let httpd = host.httpd_of_links("");
    host.answer(&httpd, &[1; INSTANCES]);

    // To one, to all, one back, all back: each along its own way.
    let others = |shop: usize, tag: usize| {
        let mut tags = [tag; INSTANCES];
        tags[0] = shop;
        tags
    };
    let with_one = |instance: usize, tag: usize, mut tags: [usize; INSTANCES]| {
        tags[instance] = tag;
        tags
    };
    host.under_load(&httpd, &["deploy", "v2", "--to", "shop"], &[1; INSTANCES], &others(2, 1));
    host.under_load(&httpd, &["deploy", "v3", "--all"], &others(2, 1), &[3; INSTANCES]);
    host.under_load(&httpd, &["deploy", "v4", "--all"], &[3; INSTANCES], &[4; INSTANCES]);
    let one_back = with_one(7, 3, [4; INSTANCES]);
    host.under_load(&httpd, &["rollback", "--to", "sites/07"], &[4; INSTANCES], &one_back);
    let all_back = with_one(7, 1, [3; INSTANCES]);
    host.under_load(&httpd, &["rollback", "--all"], &one_back, &all_back);
    host.under_load(&httpd, &["deploy", "v5", "--all"], &all_back, &[5; INSTANCES]);
}

/// The same load sees a mixture where the module does nothing.
#[test]
fn without_the_module_a_deploy_mixes() {
    let host = Host::new();
    let httpd = host.httpd_of_links("Realdoc Off\n");
    // An include that only the other release has.
    httpd.expect_error("");
    let (_, _, record) = host.visited(&httpd, &["deploy", "v2", "--to", "shop"], 0);
    println!("without the module: {record}");
    assert!(record.mixed() > 0, "{record}");
}

#[test]
fn the_opcache_holds_each_file_once() {
    let host = Host::new();
    let httpd = host.httpd_of_links("");
    host.answer(&httpd, &[1; INSTANCES]);
    host.realdoc(&["deploy", "v5", "--all"]);
    let release = host.release(5);
    let mut files = BTreeSet::new();
    php_files(&release, &mut files);
    assert_eq!(files.len(), PHP_FILES, "{files:?}");
    let shared = host.fill_opcache(&httpd, &host.site.root().join("releases"), 5);
    // A list and not a set: a file that was there twice would be seen.
    let mut scripts = shared.scripts.clone();
    scripts.sort();
    assert_eq!(scripts, Vec::from_iter(files), "each file of the release, and no other");
    httpd.finish();

    let httpd = host.httpd_of_copies(&release);
    host.fpm.reload();
    let copies = host.fill_opcache(&httpd, &host.site.root().join("copies"), 5);
    assert_eq!(copies.scripts.len(), INSTANCES * PHP_FILES);
    for (what, opcache) in [("one shared release", &shared), ("a copy each", &copies)] {
        println!(
            "OPcache, {INSTANCES} instances of {PHP_FILES} PHP files, {what}: {} files, {} KiB of code, {} KiB of strings",
            opcache.scripts.len(),
            opcache.code / 1024,
            opcache.strings / 1024
        );
    }
    let ratio = |part: fn(&Opcache) -> u64| part(&copies) as f64 / part(&shared) as f64;
    let (code, all) = (ratio(|opcache| opcache.code), ratio(|opcache| opcache.code + opcache.strings));
    println!("copies use {all:.1} times as much memory, and {code:.1} times as much for code");
    // Equal strings are kept once in any case.
    assert!(code > INSTANCES as f64 * 0.9, "{code}");
}

/// README's very lines, but for `make` and for the place: the tool under test is what is installed, and httpd is one
/// that the test starts.
#[test]
fn the_lines_of_the_readme() {
    let site = Site::new();
    site.directory("var/www");
    let repository = Repository::new(&site);
    for (version, tag) in [(1, "v1.0"), (2, "v1.1")] {
        repository.tag(version, |release| release.write("index.html", &release.token()));
        repository.alias(version, tag);
    }
    let mut blocks = blocks("README.md");
    blocks.retain(|block| block.heading == "Deploying");
    let lines: usize = blocks.iter().map(|block| block.text.lines().count()).sum();
    assert!((1..10).contains(&lines), "under ten lines: {blocks:?}");
    let here = |line: &str| {
        line.replace("https://example.org/app.git", &repository.directory().display().to_string())
            .replace("/var/www", &site.root().join("var/www").display().to_string())
            .replace("sudo ", "")
    };
    let tool = Tool::release().expect("the tool");
    let shell = |script: &str| {
        let directory = tool.program().parent().expect("a directory").display();
        let mut command = Command::new("bash");
        command.current_dir(site.root()).arg("-ec").arg(format!("PATH={directory}:$PATH\n{script}"));
        let output = tool::isolated(&mut command).output().expect("running bash");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    };
    // What Debian's own configuration says.
    let mut text = format!(
        "<Directory />\nRequire all denied\n</Directory>\n<Directory {}/>\nRequire all granted\n</Directory>\n",
        site.root().join("var/www").display()
    );
    let mut httpd: Option<Httpd> = None;
    let mut shown = Vec::new();
    for Block { kind, text: lines, .. } in blocks {
        let mut script = String::new();
        for line in lines.lines() {
            if kind == "apache" {
                text += &format!("{}\n", here(line));
            } else if line.contains("systemctl restart") {
                let config = Config::new(&text).grants_nothing();
                let said = Httpd::ask(&site, Mpm::Event, &config, &["-t"]);
                assert!(!said.contains("[realdoc:"), "{said}");
                httpd = Some(Httpd::start(&site, Mpm::Event, &config));
                shown.extend(httpd.as_ref().map(index));
            } else if !line.starts_with("make") {
                script += &format!("{}\n", here(line));
            }
        }
        shell(&script);
    }
    shown.extend(httpd.as_ref().map(index));
    assert_eq!(shown, [(200, token(1)), (200, token(2))]);
}

fn index(httpd: &Httpd) -> (u16, String) {
    let response = httpd.client().get("/index.html").expect("a response");
    (response.status, response.body)
}
