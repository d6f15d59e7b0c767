//! A host of thirty instances: the application, its tags, php-fpm, the tool and the httpds that serve it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harness::page::END;
use harness::release::{PARTS, PHP_TOKENS, SLOW_PHP_TOKENS, SLOW_SSI_TOKENS, SSI_TOKENS};
use harness::{Config, Fpm, Httpd, Mpm, Opcache, Page, Record, Release, Repository, Site, Tool, Verdict, Visitors};

pub(super) const INSTANCES: usize = 30;
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
pub(super) const PHP_FILES: usize = 3 + PARTS + CLASSES;

/// A host of thirty instances: `shop`, and the group `sites` of all others.
pub(super) struct Host {
    pub(super) site: Site,
    repository: Repository,
    pub(super) fpm: Fpm,
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
    pub(super) fn new() -> Self {
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
    pub(super) fn realdoc(&self, arguments: &[&str]) -> String {
        let starts = self.fpm.starts();
        let said = self.tool.succeed(self.site.root(), arguments);
        if !["init", "stage"].contains(&arguments[0]) {
            self.fpm.wait_for_start(starts + 1);
        }
        said
    }

    pub(super) fn release(&self, tag: usize) -> PathBuf {
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
    pub(super) fn httpd(&self, instance_at: impl Fn(usize) -> String, common: &str) -> Httpd {
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
    pub(super) fn httpd_of_links(&self, more: &str) -> Httpd {
        let section = |path: &str| {
            format!("<Directory \"${{ROOT}}/{path}\">\nRequire all granted\nOptions Includes\n</Directory>\n")
        };
        let releases = "RealdocReleases \"${ROOT}/releases/*\"\n";
        self.httpd(link, &format!("{more}{releases}{}{}", section("www/shop/public"), section("www/sites/*/public")))
    }

    /// An httpd whose instances are copies of a release, as they are without links.
    pub(super) fn httpd_of_copies(&self, of: &Path) -> Httpd {
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
    pub(super) fn visited(
        &self,
        httpd: &Httpd,
        arguments: &[&str],
        instance: usize,
    ) -> (SystemTime, SystemTime, Record) {
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
    pub(super) fn under_load(
        &self,
        httpd: &Httpd,
        arguments: &[&str],
        from: &[usize; INSTANCES],
        to: &[usize; INSTANCES],
    ) {
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
    pub(super) fn answer(&self, httpd: &Httpd, tags: &[usize; INSTANCES]) {
        let client = httpd.client();
        for (host, tag) in names().iter().zip(tags) {
            for page in pages() {
                let response = client.get_from(host, &page.path).expect("a response");
                let verdict = page.judge(response.status, &response.body);
                assert_eq!(verdict, Verdict::Whole(*tag), "{host}{}: {}", page.path, response.status);
            }
        }
    }

    pub(super) fn opcache(&self, httpd: &Httpd) -> Opcache {
        Opcache::ask(&httpd.client(), "tools.test", "/opcache.php")
    }

    /// Has all pages of all instances served from an empty OPcache, and says what it then holds and how much more
    /// memory it uses.
    pub(super) fn fill_opcache(&self, httpd: &Httpd, below: &Path, tag: usize) -> Opcache {
        let empty = self.opcache(httpd);
        let no_page = empty.scripts.iter().all(|path| path.starts_with(self.site.root().join("tools")));
        assert!(no_page, "the reload has emptied the OPcache: {:?}", empty.scripts);
        self.answer(httpd, &[tag; INSTANCES]);
        let full = self.opcache(httpd);
        let scripts = full.scripts_below(below);
        Opcache { code: full.code - empty.code, strings: full.strings - empty.strings, scripts, ..full }
    }
}
