//! What `docs/recipes.md` shows for each tool: its layout, the lines of configuration and its flip, with visitors.
//!
//! Owns: that these lines and commands work as they stand, and what the page says to watch. Must not: run the tools
//! themselves.

use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harness::document::texts;
use harness::release::SSI_TOKENS;
use harness::{Client, Config, Httpd, Mpm, Page, Record, Release, Site, Verdict, Visit, Visitors, on_each_mpm};

use crate::examples::placed;

mod previews;

const RECIPES: &str = "docs/recipes.md";
const HOST: &str = "app.example";

/// A tool's section of the page, and the names that the tool gives to releases: the first is live in the page's
/// layout, the second is what the page flips to.
struct Recipe {
    heading: &'static str,
    names: &'static [&'static str],
    /// The directory of releases, what follows a release's name there, and where the docroot is in a release.
    releases: &'static str,
    ending: &'static str,
    docroot: &'static str,
    /// The links before the first flip.
    links: &'static [(&'static str, &'static str)],
}

const NUMBERS: &[&str] = &["42", "43", "44", "45", "46"];

const PLAIN_SHELL: Recipe = Recipe {
    heading: "Plain shell",
    names: NUMBERS,
    releases: "srv/app/releases/",
    ending: "",
    docroot: "public",
    links: &[("srv/app/current", "releases/42")],
};

const DEPLOYER: Recipe = Recipe { heading: "Deployer", ..PLAIN_SHELL };

const CAPISTRANO: Recipe = Recipe {
    heading: "Capistrano",
    names: &["20261121224000", "20261121224030", "20261121225000", "20261121230000"],
    links: &[("srv/app/current", "{ROOT}/srv/app/releases/20261121224000")],
    ..PLAIN_SHELL
};

const GIT_SYNC: Recipe = Recipe {
    heading: "git-sync",
    names: &["6d2a7f1c", "9b1e4c22", "01c0ffee", "5eedbead"],
    releases: "srv/git/.worktrees/",
    links: &[("srv/git/site", ".worktrees/6d2a7f1c")],
    ..PLAIN_SHELL
};

const KUBERNETES: Recipe = Recipe {
    heading: "Kubernetes volumes",
    names: &[
        "..2026_11_21_22_40_30.123456789",
        "..2026_11_21_22_41_30.987654321",
        "..2026_11_21_22_42_30.111111111",
        "..2026_11_21_22_43_30.222222222",
    ],
    releases: "srv/vol/",
    docroot: "site",
    links: &[("srv/vol/..data", "..2026_11_21_22_40_30.123456789"), ("srv/vol/site", "..data/site")],
    ..PLAIN_SHELL
};

const NIX: Recipe = Recipe {
    heading: "Nix profiles",
    names: &["4m9w...", "7c1k...", "b00z...", "q5xv..."],
    releases: "nix/store/",
    ending: "-site",
    links: &[
        ("nix/var/nix/profiles/site-42-link", "{ROOT}/nix/store/4m9w...-site"),
        ("nix/var/nix/profiles/site", "site-42-link"),
    ],
    ..PLAIN_SHELL
};

impl Recipe {
    /// A site in the tool's layout, whose releases are all there already.
    fn site(&self) -> Site {
        let site = Site::new();
        for (number, name) in self.names.iter().enumerate() {
            let release = Release::create(number, site.root().join(self.directory(name)));
            release.ssi_page(self.docroot, "page.shtml");
            release.write(&format!("{}/style.css", self.docroot), name);
        }
        for (link, text) in self.links {
            site.symlink(link, text.replace("{ROOT}", &site.root().display().to_string()));
        }
        site
    }

    fn directory(&self, name: &str) -> String {
        format!("{}{name}{}", self.releases, self.ending)
    }

    fn placed(&self, site: &Site, kind: &str) -> String {
        let text = texts(RECIPES, self.heading, kind).concat();
        placed(site, &text).replace(" /nix/", &format!(" {}/nix/", site.root().display()))
    }

    /// The release that a flip leads to: they take turns.
    fn number(&self, flip: usize) -> usize {
        flip % self.names.len()
    }

    /// Flips as the page does, for the first time or again.
    fn flip(&self, flip: usize, commands: &str) {
        assert!(commands.contains(self.names[1]), "{commands}");
        let commands = commands
            .replace(self.names[1], self.names[self.number(flip)])
            .replace("site-43-link", &format!("site-{}-link", 42 + flip));
        let output = Command::new("bash").arg("-ec").arg(&commands).output().expect("running bash");
        assert!(output.status.success(), "{commands}{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts httpd with the page's lines, to which the module has no objection.
    fn start(&self, site: &Site, mpm: Mpm, more: &str) -> Httpd {
        // What no section grants is denied, as distributions have it.
        let before = format!(
            "DocumentRoot \"${{ROOT}}\"\n{more}\n<Directory \"/\">\nRequire all denied\nOptions FollowSymLinks Includes\n\
             </Directory>\n"
        );
        let config = Config::new(&before).text(&self.placed(site, "apache")).modules(&["headers", "include"]);
        let config = config.grants_nothing();
        let said = Httpd::ask(site, mpm, &config, &["-t"]);
        assert!(said.contains("Syntax OK") && !said.contains("[realdoc:"), "{said}");
        Httpd::start(site, mpm, &config)
    }
}

fn page() -> Page {
    Page::new("/page.shtml", SSI_TOKENS)
}

/// Asserts that a page is of a release, and whole.
fn check(client: &Client, number: usize) {
    let response = client.get_from(HOST, "/page.shtml").expect("a response");
    assert_eq!(page().judge(response.status, &response.body), Verdict::Whole(number));
}

/// How often a site flips while visitors are there.
const FLIPS: usize = 12;

/// Flips with visitors, and looks at the page after each flip.
fn visited(recipe: &Recipe, site: &Site, httpd: &Httpd, after_flip: impl Fn(usize)) -> Record {
    // What removes the old release is tested by itself.
    let commands = recipe.placed(site, "sh").replace("rm -r \"$old\"\n", "");
    let (hosts, pages) = ([HOST.to_owned()], [page()]);
    let mut times = Vec::new();
    let ((), record) = Visitors::new(&httpd.url(""), &hosts, &pages).during(|| {
        for flip in 1..=FLIPS {
            let before = SystemTime::now();
            recipe.flip(flip, &commands);
            times.push((before, SystemTime::now()));
            after_flip(recipe.number(flip));
        }
    });
    let meets = |visit: &&Visit| times.iter().any(|(before, after)| visit.sent < *after && visit.received > *before);
    let met = record.visits.iter().filter(meets).count();
    println!("{}: {record}, {met} during one of {FLIPS} flips", recipe.heading);
    assert!(met > 0, "the run proves nothing, no request met a flip: {record}");
    record
}

fn flips(mpm: Mpm, recipe: &Recipe) {
    let site = recipe.site();
    let httpd = recipe.start(&site, mpm, "");
    let client = httpd.client();
    check(&client, 0);
    let record = visited(recipe, &site, &httpd, |number| check(&client, number));
    assert!(record.mixed() == 0 && record.failed() == 0, "{record}\n{}", record.examples().join("\n"));
}

fn plain_shell(mpm: Mpm) {
    flips(mpm, &PLAIN_SHELL);
}

fn deployer(mpm: Mpm) {
    flips(mpm, &DEPLOYER);
}

fn capistrano(mpm: Mpm) {
    flips(mpm, &CAPISTRANO);
}

fn git_sync(mpm: Mpm) {
    flips(mpm, &GIT_SYNC);
}

fn kubernetes(mpm: Mpm) {
    flips(mpm, &KUBERNETES);
}

fn nix(mpm: Mpm) {
    flips(mpm, &NIX);
}

on_each_mpm!(recipe_plain_shell, plain_shell, event);
on_each_mpm!(recipe_deployer, deployer, event);
on_each_mpm!(recipe_capistrano, capistrano, worker);
on_each_mpm!(recipe_git_sync, git_sync, event);
on_each_mpm!(recipe_kubernetes, kubernetes, prefork, worker, event);
on_each_mpm!(recipe_nix, nix, prefork, worker, event);

/// Without the module the same visitors see mixed or broken pages.
#[test]
fn without_the_module() {
    let site = KUBERNETES.site();
    let httpd = KUBERNETES.start(&site, Mpm::Event, "Realdoc Off");
    httpd.expect_error("");
    let record = visited(&KUBERNETES, &site, &httpd, |_| {});
    assert!(record.mixed() + record.failed() > 0, "{record}");
}

/// `docs/modules.md` repeats this flip for mod_wsgi.
#[test]
fn the_flip_for_mod_wsgi() {
    let flip = texts(RECIPES, PLAIN_SHELL.heading, "sh").concat();
    let repeated = texts("docs/modules.md", "mod_wsgi", "sh").concat();
    assert!(repeated.starts_with(&flip), "{repeated}");
}

/// Links inside a release to what is shared, and a section for them that is written for the link.
fn shared(recipe: &Recipe, text: &str, denied: u16) {
    let site = recipe.site();
    for file in ["cat.txt", "evil.php"] {
        site.write(&format!("srv/app/shared/public/uploads/{file}"), "shared");
    }
    for name in recipe.names {
        let text = text.replace("{ROOT}", &site.root().display().to_string());
        site.symlink(&format!("{}/public/uploads", recipe.directory(name)), text);
    }
    let httpd = recipe.start(&site, Mpm::Event, "");
    httpd.expect_error("AH01630");
    let client = httpd.client();
    let commands = recipe.placed(&site, "sh");
    for number in [1, 2] {
        recipe.flip(number, &commands);
        let get = |path: &str| client.get_from(HOST, path).expect("a response");
        assert_eq!(get("/uploads/cat.txt").body, "shared");
        assert_eq!(get("/uploads/evil.php").status, denied);
    }
}

#[test]
fn shared_directories() {
    shared(&DEPLOYER, "../../../shared/public/uploads", 403);
    // That page shows no section for them.
    shared(&CAPISTRANO, "{ROOT}/srv/app/shared/public/uploads", 200);
}

/// Kubernetes removes the old directory at once.
fn removed_at_once(mpm: Mpm) {
    for (every, gone) in [("0", false), ("60", true)] {
        let site = KUBERNETES.site();
        let httpd = KUBERNETES.start(&site, mpm, &format!("RealpathEvery {every}"));
        let commands = KUBERNETES.placed(&site, "sh");
        assert!(commands.contains("rm -r"), "{commands}");
        let client = httpd.client();
        for number in [1, 2] {
            check(&client, number - 1);
            KUBERNETES.flip(number, &commands);
            let left = site.root().join(KUBERNETES.directory(KUBERNETES.names[number - 1])).exists();
            assert!(!left, "the old directory is gone");
            if gone {
                // As the section for the root has it, which is the last on the way to what is not there.
                httpd.expect_error("AH01630");
                assert_eq!(client.get_from(HOST, "/page.shtml").expect("a response").status, 403);
                break;
            }
        }
        if !gone {
            check(&client, 2);
        }
    }
}

on_each_mpm!(recipe_kubernetes_removal, removed_at_once, prefork, event);

/// The times of a Nix store tell nothing; without the lines of the page httpd takes them for the truth.
#[test]
fn nix_times() {
    for (defaults, status) in [(false, 200), (true, 304)] {
        let site = NIX.site();
        for name in NIX.names {
            let file = site.root().join(NIX.directory(name)).join("public/style.css");
            let file = File::options().write(true).open(file).expect("a file");
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1)).expect("setting a time");
        }
        let lines = NIX.placed(&site, "apache");
        assert!(lines.contains("FileETag"), "{lines}");
        let httpd = if defaults {
            let kept: Vec<&str> =
                lines.lines().filter(|line| !line.contains("FileETag") && !line.contains("Header ")).collect();
            let config = Config::new("DocumentRoot \"${ROOT}\"").text(&kept.join("\n"));
            Httpd::start(&site, Mpm::Event, &config)
        } else {
            NIX.start(&site, Mpm::Event, "")
        };
        let client = httpd.client();
        let first = client.get_from(HOST, "/style.css").expect("a response");
        let (tag, modified) = (first.header("ETag").to_owned(), first.header("Last-Modified").to_owned());
        assert_eq!((first.body.as_str(), modified.is_empty()), (NIX.names[0], !defaults));
        let again = |number: usize| {
            NIX.flip(number, &NIX.placed(&site, "sh"));
            let mut fields = vec![("Host", HOST), ("If-None-Match", tag.as_str())];
            fields.extend((!modified.is_empty()).then_some(("If-Modified-Since", modified.as_str())));
            client.request("/style.css", &fields).expect("a response")
        };
        let changed = again(1);
        assert_eq!(changed.status, status, "{:?}", changed.headers);
        assert!(status != 200 || changed.body == NIX.names[1], "{}", changed.body);
        // What has not changed is still not sent again: the same file in another generation.
        let store = |number: usize| site.root().join(NIX.directory(NIX.names[number])).join("public/style.css");
        fs::remove_file(store(2)).and_then(|()| fs::hard_link(store(0), store(2))).expect("one file");
        assert_eq!(again(2).status, 304);
    }
}
