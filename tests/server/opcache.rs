//! What `docs/php.md` says of the OPcache over deploys: what is compiled anew, what is kept, and what is stale.
//!
//! Owns: the counts of `opcache_get_status()` and the deploys that the page shows, for directories that take turns too.
//! Must not: test how PHP is connected (see `php_guide`), or many sites on one release (see `deploy`).

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::document::texts;
use harness::fpm::Settings;
use harness::{Client, Config, Fpm, Httpd, Mpm, Opcache, Release, Repository, Site, tool};

use crate::examples::placed;
use crate::php_guide::YOUNG_FILES_TOO;

/// The files of the application, the page and the parts that it includes.
const PARTS: usize = 20;
const FILES: u64 = 1 + PARTS as u64;

/// Which parts a version brought: its number stands in them until another one brings them again.
fn version_of_part(version: usize, part: usize) -> usize {
    let brought: [&[usize]; 3] = [&[], &[0, 1], &[1, 2]];
    (1..=version).rev().find(|version| brought[version - 1].contains(&part)).unwrap_or(1)
}

/// How many parts differ between v1 and v3: what one of two directories is behind by when it has its turn.
const CHANGED: u64 = 3;

fn files(version: usize) -> Vec<(String, String)> {
    let parts = (0..PARTS)
        .map(|part| (format!("src/part{part}.php"), format!("<?php return {};", version_of_part(version, part))));
    let page = format!(
        "<?php for ($part = 0; $part < {PARTS}; $part++) {{ echo require __DIR__ . \"/../src/part$part.php\", ' '; }}"
    );
    parts.chain([("public/index.php".to_owned(), page)]).collect()
}

fn fill(release: &Release) {
    for (path, text) in files(release.number()) {
        release.write(&path, &text);
    }
}

/// What the page of a version shows.
fn page(version: usize) -> String {
    (0..PARTS).map(|part| format!("{} ", version_of_part(version, part))).collect()
}

/// A running site in `srv/app`.
struct Served {
    fpm: Fpm,
    httpd: Httpd,
    client: Client,
}

impl Served {
    fn new(site: &Site, ini: &str, directives: &str) -> Self {
        Opcache::install(site, "tools");
        // Each look at a file counts, and each file may be kept: a test has no two seconds.
        let ini = format!("{YOUNG_FILES_TOO}opcache.revalidate_freq=0\n{ini}");
        let fpm = Fpm::start_with(site, 1, &Settings { ini, ..Settings::default() }).expect("php-fpm");
        let text = format!("{}Alias /opcache.php \"${{ROOT}}/tools/opcache.php\"\n{directives}", fpm.directives());
        let config = Config::new(&text).modules(&["alias", "proxy", "proxy_fcgi"]);
        let httpd = Httpd::start(site, Mpm::Event, &config);
        let client = httpd.client();
        let served = Self { fpm, httpd, client };
        // The script that asks is one of the files that are compiled.
        served.opcache();
        served
    }

    fn opcache(&self) -> Opcache {
        Opcache::ask(&self.client, "localhost", "/opcache.php")
    }

    fn page(&self) -> String {
        let response = self.client.get("/index.php").expect("a response");
        assert_eq!(response.status, 200, "{}", response.body);
        response.body
    }

    /// Asserts that the page is that of a version, twice, and says how many files were compiled for it.
    fn compiled_for(&self, version: usize) -> u64 {
        let before = self.opcache().misses;
        for _ in 0..2 {
            assert_eq!(self.page(), page(version), "v{version}; {}", self.httpd.error_log());
        }
        self.opcache().misses - before
    }
}

fn flip(site: &Site, link: &str, target: &str) {
    site.flip_link(&format!("srv/app/{link}"), target);
}

fn release(site: &Site, directory: &str, version: usize) {
    for (path, text) in files(version) {
        site.write(&format!("srv/app/{directory}/{path}"), &text);
    }
}

const DOCROOT: &str = "DocumentRoot \"${ROOT}/srv/app/current/public\"\n";

#[test]
fn a_release_of_its_own_is_compiled_anew() {
    let site = Site::new();
    for version in 1..=3 {
        release(&site, &format!("releases/{version}"), version);
    }
    site.symlink("srv/app/current", "releases/1");
    let served = Served::new(&site, "", DOCROOT);
    assert_eq!(served.compiled_for(1), FILES);
    for version in [2, 3] {
        flip(&site, "current", &format!("releases/{version}"));
        assert_eq!(served.compiled_for(version), FILES);
    }
    flip(&site, "current", "releases/1");
    assert_eq!(served.compiled_for(1), 0, "a way back costs nothing");
}

/// The commands of the guide, as they stand but for the places.
fn deploy(site: &Site, commands: &str) {
    let mut command = Command::new("bash");
    command.arg("-ec").arg(placed(site, commands)).current_dir(site.root());
    let output = tool::isolated(&mut command).output().expect("running bash");
    assert!(output.status.success(), "{commands}{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes all files of a directory an hour older: a deploy is not followed by the next within a second.
fn age(directory: &Path) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            age(&entry.path());
        } else {
            let file = fs::File::options().write(true).open(entry.path());
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).expect("a time");
            let hour = std::time::Duration::from_secs(3600);
            file.and_then(|file| file.set_modified(modified - hour)).expect("setting a time");
        }
    }
}

/// Deploys v2 and v3 with the commands of the guide to A and B, both of which have v1.
fn turns(site: &Site, command: usize, prepare: impl Fn(usize)) {
    site.symlink("srv/app/current", "A");
    for directory in ["A", "B"] {
        age(&site.root().join("srv/app").join(directory).join("public"));
        age(&site.root().join("srv/app").join(directory).join("src"));
    }
    let lines = placed(site, &texts("docs/php.md", "Keeping the OPcache over deploys", "apache")[0]);
    let served = Served::new(site, "", &lines);
    let commands = &texts("docs/php.md", "Keeping the OPcache over deploys", "sh")[command];
    assert!(commands.contains(if command == 0 { " v3" } else { "/srv/build/ " }), "{commands}");
    let link = || fs::read_link(site.root().join("srv/app/current")).expect("a link");
    assert_eq!(served.compiled_for(1), FILES);
    prepare(2);
    deploy(site, &commands.replace(" v3", " v2"));
    assert_eq!(link(), Path::new("B"));
    assert_eq!(served.compiled_for(2), FILES, "B has not been served yet");
    prepare(3);
    deploy(site, commands);
    assert_eq!(link(), Path::new("A"));
    assert_eq!(served.compiled_for(3), CHANGED);
}

#[test]
fn directories_that_take_turns_with_git() {
    let site = Site::new();
    let repository = Repository::new(&site);
    repository.tag(1, fill);
    site.directory("srv/app");
    for directory in ["A", "B"] {
        deploy(&site, &format!("git clone --quiet '{}' srv/app/{directory}", repository.directory().display()));
    }
    repository.tag(2, fill);
    repository.tag(3, fill);
    turns(&site, 0, |_| {});
}

#[test]
fn directories_that_take_turns_with_rsync() {
    let site = Site::new();
    release(&site, "A", 1);
    release(&site, "B", 1);
    turns(&site, 1, |version| {
        for (path, text) in files(version) {
            site.write(&format!("srv/build/{path}"), &text);
        }
    });
}

/// Links that take turns keep nothing on stock PHP, and with its realpath cache they are wrong.
#[test]
fn links_that_take_turns_keep_nothing() {
    for (ini, is_stale) in [("", true), ("realpath_cache_size=0\nopcache.revalidate_path=1\n", false)] {
        let site = Site::new();
        for version in 1..=3 {
            release(&site, &format!("release-{version}"), version);
        }
        for (link, target) in [("A", "release-1"), ("B", "release-2"), ("current", "A")] {
            site.symlink(&format!("srv/app/{link}"), target);
        }
        let served = Served::new(&site, ini, &format!("{DOCROOT}UseReadlink On\n"));
        assert_eq!(served.compiled_for(1), FILES);
        flip(&site, "current", "B");
        assert_eq!(served.compiled_for(2), FILES);
        flip(&site, "A", "release-3");
        flip(&site, "current", "A");
        if is_stale {
            assert_eq!(served.page(), page(1), "A led there when it was used last");
        } else {
            assert_eq!(served.compiled_for(3), FILES);
        }
    }
}

/// `opcache.validate_timestamps=0`: a release directory that is filled anew is not looked at again.
#[test]
fn without_timestamps_a_name_is_for_ever() {
    let site = Site::new();
    release(&site, "releases/a", 1);
    release(&site, "releases/b", 2);
    site.symlink("srv/app/current", "releases/a");
    let served = Served::new(&site, "opcache.validate_timestamps=0\n", DOCROOT);
    assert_eq!(served.compiled_for(1), FILES);
    flip(&site, "current", "releases/b");
    assert_eq!(served.compiled_for(2), FILES);
    release(&site, "releases/a", 3);
    age(&site.root().join("srv/app/releases/a/src"));
    flip(&site, "current", "releases/a");
    assert_eq!(served.page(), page(1), "what was there before");
    served.fpm.reload();
    assert_eq!(served.page(), page(3));
}

/// A script that was looked at lately is taken for unchanged: two seconds by default, here for longer.
#[test]
fn what_was_looked_at_lately_is_not_looked_at() {
    let site = Site::new();
    release(&site, "A", 1);
    site.symlink("srv/app/current", "A");
    let served = Served::new(&site, "opcache.revalidate_freq=3600\n", DOCROOT);
    assert_eq!(served.compiled_for(1), FILES);
    release(&site, "A", 3);
    age(&site.root().join("srv/app/A/src"));
    assert_eq!(served.page(), page(1));
}

/// A full OPcache makes no room for the release that is served now; a reload does.
#[test]
fn old_releases_fill_it() {
    const RELEASES: u64 = 12;
    let site = Site::new();
    for number in 0..RELEASES {
        release(&site, &format!("releases/{number}"), 1);
    }
    site.symlink("srv/app/current", "releases/0");
    let served = Served::new(&site, "opcache.max_accelerated_files=200\n", DOCROOT);
    for number in 0..RELEASES {
        assert!(number > 0 || !served.opcache().is_full);
        flip(&site, "current", &format!("releases/{number}"));
        assert_eq!(served.page(), page(1));
    }
    assert!(served.opcache().is_full);
    assert!(served.compiled_for(1) > FILES, "the same files again and again");
    served.fpm.reload();
    served.opcache();
    assert_eq!(served.compiled_for(1), FILES);
    assert_eq!(served.compiled_for(1), 0);
}
