//! `realdoc`, the deploy tool, with a real httpd, php-fpm and git: thirty instances of one application.
//!
//! Owns: what visitors and the OPcache see of deploys and rollbacks, and that README's way to deploy works. Must not:
//! test what the tool does without a server; that is in `realdoc/tests/`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harness::document::{Block, blocks};
use harness::page::{END, token};
use harness::release::{PARTS, PHP_TOKENS, SLOW_PHP_TOKENS, SLOW_SSI_TOKENS, SSI_TOKENS};
use harness::{
    Config, Fpm, Httpd, Mpm, Opcache, Page, Record, Release, Repository, Site, Tool, Verdict, Visitors, tool,
};

const INSTANCES: usize = 30;
const TAGS: usize = 5;
const WORKERS: usize = 12;

/// How many classes the application has, each in a file of its own, and how many methods each of them.
const CLASSES: usize = 40;
const METHODS: usize = 12;

/// What a version of the application consists of.
fn fill(release: &Release) {
    release.ssi_page("public", "page.shtml");
    release.php_page("public", "index.php");
    release.slow_php_page("public", "slow.php");
    release.slow_ssi_page("public", "slow.shtml", "slow.php");
    let mut application = String::from("<?php $sum = 0;\n");
    for class in 0..CLASSES {
        let mut text = format!("<?php\nclass Service{class} {{\n    private $items = [];\n");
        for method in 0..METHODS {
            let _ = writeln!(
                text,
                "    public function step{class}of{method}(int $count, string $name = 'item-{class}-{method}'): int {{\n        \
                 if (isset($this->items[$name])) {{ throw new LogicException('twice: ' . $name); }}\n        \
                 foreach (range(1, $count) as $number) {{ $this->items[$name][] = [$number, strlen($name) * $number]; }}\n        \
                 return array_sum(array_column($this->items[$name], 1)) + count($this->items);\n    }}"
            );
        }
        release.write(&format!("src/Service{class}.php"), &(text + "}\n"));
        let _ = writeln!(
            application,
            "require dirname($_SERVER['DOCUMENT_ROOT']) . '/src/Service{class}.php';\n\
             $sum += (new Service{class})->step{class}of0(3);"
        );
    }
    release.write("public/app.php", &format!("{application}?>{}{END}\n", release.token()));
}

fn pages() -> [Page; 5] {
    [
        Page::new("/app.php", 1),
        Page::new("/index.php", PHP_TOKENS),
        Page::new("/page.shtml", SSI_TOKENS),
        Page::new("/slow.php", SLOW_PHP_TOKENS),
        Page::new("/slow.shtml", SLOW_SSI_TOKENS),
    ]
}

/// The files of a version that PHP compiles: three pages, parts, classes.
const PHP_FILES: usize = 3 + PARTS + CLASSES;

/// A host of thirty instances: `shop`, and the group `sites` of all others.
struct Host {
    site: Site,
    repository: Repository,
    fpm: Fpm,
    tool: &'static Tool,
}

fn link(instance: usize) -> String {
    if instance == 0 { "www/shop".to_owned() } else { format!("www/sites/{instance:02}") }
}

/// Its name in the configuration of the tool.
fn name(instance: usize) -> String {
    if instance == 0 { "shop".to_owned() } else { format!("sites/{instance:02}") }
}

fn names() -> Vec<String> {
    (0..INSTANCES).map(|instance| format!("host-{instance:02}.test")).collect()
}

impl Host {
    fn new() -> Self {
        let tool = Tool::release().expect("the tool");
        let site = Site::new();
        let repository = Repository::new(&site);
        for tag in 1..=TAGS {
            repository.tag(tag, fill);
        }
        let fpm = Fpm::start(&site, WORKERS).expect("php-fpm");
        site.directory("www/sites");
        Opcache::install(&site, "tools");
        let configuration = format!(
            "[git]\nsource = \"./app\"\n[releases]\ndirectory = \"{root}/releases\"\n[commands]\n\
             build = [\"echo $REALDOC_RELEASE > built.txt\"]\n\
             check = \"grep -qx $REALDOC_RELEASE built.txt\"\nreload = \"{reload}\"\n\
             [instances]\nshop = \"{root}/www/shop\"\nsites = \"{root}/www/sites/*\"\n",
            root = site.root().display(),
            reload = fpm.reload_command(),
        );
        site.write("realdoc.toml", &configuration);
        let host = Self { site, repository, fpm, tool };
        // A new site joins the group when its link is made; the link of `shop` is made by the first activation.
        host.realdoc(&["init"]);
        host.realdoc(&["stage", "v1"]);
        for instance in 1..INSTANCES {
            symlink(host.release(1), host.site.root().join(link(instance))).expect("a link");
        }
        host.realdoc(&["deploy", "v1", "--all"]);
        host.lead(&[1; INSTANCES]);
        host
    }

    /// Runs the tool and waits until the reload that it asked for is over.
    fn realdoc(&self, arguments: &[&str]) -> String {
        let starts = self.fpm.starts();
        let said = self.tool.succeed(self.site.root(), arguments);
        if !["init", "stage"].contains(&arguments[0]) {
            self.fpm.wait_for_start(starts + 1);
        }
        said
    }

    fn release(&self, tag: usize) -> PathBuf {
        self.site.root().join("releases").join(format!("v{tag}-{}", &self.repository.commit(tag)[..12]))
    }

    /// Asserts where the links lead, and that the tool says so too.
    fn lead(&self, tags: &[usize; INSTANCES]) {
        let status = self.tool.succeed(self.site.root(), &["status"]);
        for (instance, tag) in tags.iter().enumerate() {
            let release = self.release(*tag);
            assert_eq!(fs::read_link(self.site.root().join(link(instance))).expect("a link"), release);
            let line = status.lines().find(|line| line.split_whitespace().next() == Some(&name(instance)));
            let line = line.unwrap_or_else(|| panic!("no {} in {status}", name(instance)));
            let leads_to = line.split_whitespace().nth(1);
            assert_eq!(leads_to, release.file_name().and_then(|name| name.to_str()), "{status}");
            assert!(!line.contains("drift"), "{status}");
        }
    }

    /// When a link was flipped last.
    fn flipped(&self, instance: usize) -> SystemTime {
        let link = self.site.root().join(link(instance)).symlink_metadata().expect("a link");
        let seconds = Duration::from_secs(link.ctime().try_into().expect("a time after 1970"));
        UNIX_EPOCH + seconds + Duration::from_nanos(link.ctime_nsec().try_into().expect("nanoseconds"))
    }

    /// Starts httpd with a virtual host for each instance, whose docroot is in what `instance_at` says.
    fn httpd(&self, instance_at: impl Fn(usize) -> String, common: &str) -> Httpd {
        let mut text = self.fpm.directives() + common;
        for (instance, name) in names().iter().enumerate() {
            let _ = writeln!(
                text,
                "<VirtualHost *:${{PORT}}>\nServerName {name}\nDocumentRoot \"${{ROOT}}/{}/public\"\n</VirtualHost>",
                instance_at(instance)
            );
        }
        text += "<VirtualHost *:${PORT}>\nServerName tools.test\nDocumentRoot \"${ROOT}/tools\"\n</VirtualHost>\n\
                 <Directory \"${ROOT}/tools\">\nRequire all granted\n</Directory>\n";
        let config = Config::new(&text).modules(&["include", "proxy", "proxy_fcgi"]).grants_nothing();
        Httpd::start(&self.site, Mpm::Event, &config)
    }

    /// An httpd of the instances. What they are granted is written for the links and has to follow them.
    fn httpd_of_links(&self, more: &str) -> Httpd {
        let section = |path: &str| {
            format!("<Directory \"${{ROOT}}/{path}\">\nRequire all granted\nOptions Includes\n</Directory>\n")
        };
        let releases = "RealdocReleases \"${ROOT}/releases/*\"\n";
        self.httpd(link, &format!("{more}{releases}{}{}", section("www/shop/public"), section("www/sites/*/public")))
    }

    /// An httpd whose instances are copies of a release, as they are without links.
    fn httpd_of_copies(&self, of: &Path) -> Httpd {
        self.site.directory("copies");
        let copy = |instance: usize| format!("copies/{instance:02}");
        for instance in 0..INSTANCES {
            // With the times of the files: PHP looks at them.
            let to = self.site.root().join(copy(instance));
            let copied = Command::new("cp").arg("-a").arg(of).arg(to).status();
            assert!(copied.is_ok_and(|status| status.success()), "cp -a {}", of.display());
        }
        let grant = "<Directory \"${ROOT}/copies\">\nRequire all granted\nOptions Includes\n</Directory>\n";
        self.httpd(copy, grant)
    }

    /// Runs the tool under load, half of which is on one instance. Says when it began and when it returned, too.
    fn visited(&self, httpd: &Httpd, arguments: &[&str], instance: usize) -> (SystemTime, SystemTime, Record) {
        let (hosts, pages) = (names(), pages());
        let visitors = Visitors::new(&httpd.url(""), &hosts, &pages).favour(instance);
        let starts = self.fpm.starts();
        let ((began, returned), record) = visitors.during(|| {
            let began = SystemTime::now();
            let _ = self.tool.succeed(self.site.root(), arguments);
            let returned = SystemTime::now();
            self.fpm.wait_for_start(starts + 1);
            (began, returned)
        });
        (began, returned, record)
    }

    /// Runs the tool under load on its way from some releases to others, and asserts that visitors saw nothing else.
    fn under_load(&self, httpd: &Httpd, arguments: &[&str], from: &[usize; INSTANCES], to: &[usize; INSTANCES]) {
        let flipped: Vec<usize> = (0..INSTANCES).filter(|instance| from[*instance] != to[*instance]).collect();
        let (began, returned, record) = self.visited(httpd, arguments, flipped[0]);
        let overlapping = |instance: &usize| record.overlapping(*instance, self.flipped(*instance));
        let overlapped: usize = flipped.iter().map(overlapping).sum();
        println!(
            "realdoc {}: {record}; {} flips, {overlapped} requests overlapped one",
            arguments.join(" "),
            flipped.len()
        );
        assert!(record.mixed() == 0 && record.failed() == 0, "{record}\n{}", record.examples().join("\n"));
        assert!(overlapped > 0, "the run proves nothing, no request overlapped a flip: {record}");
        for visit in &record.visits {
            let Verdict::Whole(shown) = visit.verdict else { unreachable!("all are whole") };
            let old = (visit.sent < returned).then_some(from[visit.host]);
            let new = (visit.received > began).then_some(to[visit.host]);
            assert!(
                [old, new].contains(&Some(shown)),
                "{arguments:?}: {visit:?} shows {shown}, not {old:?} or {new:?}; {began:?} to {returned:?}"
            );
        }
        self.lead(to);
        self.answer(httpd, to);
    }

    /// Asserts that each page of each instance is of this release.
    fn answer(&self, httpd: &Httpd, tags: &[usize; INSTANCES]) {
        let client = httpd.client();
        for (host, tag) in names().iter().zip(tags) {
            for page in pages() {
                let response = client.get_from(host, &page.path).expect("a response");
                let verdict = page.judge(response.status, &response.body);
                assert_eq!(verdict, Verdict::Whole(*tag), "{host}{}: {}", page.path, response.status);
            }
        }
    }

    fn opcache(&self, httpd: &Httpd) -> Opcache {
        Opcache::ask(&httpd.client(), "tools.test", "/opcache.php")
    }

    /// Has all pages of all instances served from an empty OPcache, and says what it then holds and how much more
    /// memory it uses.
    fn fill_opcache(&self, httpd: &Httpd, below: &Path, tag: usize) -> Opcache {
        let empty = self.opcache(httpd);
        let no_page = empty.scripts.iter().all(|path| path.starts_with(self.site.root().join("tools")));
        assert!(no_page, "the reload has emptied the OPcache: {:?}", empty.scripts);
        self.answer(httpd, &[tag; INSTANCES]);
        let full = self.opcache(httpd);
        let scripts = full.scripts_below(below);
        Opcache { code: full.code - empty.code, strings: full.strings - empty.strings, scripts, ..full }
    }
}

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
