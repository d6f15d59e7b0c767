//! Where the links and releases of one random host are, and where its link leads at each step.

use std::fs;
use std::path::{Path, PathBuf};

use harness::Site;

use super::rng::Rng;

/// The place of a docroot and of the link on its way. Paths are below the tree's own directory; `{host}` is the first
/// part of the host's name.
#[derive(Debug)]
pub struct Layout {
    pub name: &'static str,
    /// The link that flips, as the configuration says it.
    pub link: &'static str,
    /// Where that link is, if another link leads there.
    pub on_disk: &'static str,
    /// Links that never change.
    pub fixed: &'static [(&'static str, &'static str)],
    /// The docroot below the link's target.
    pub tail: &'static str,
    /// A docroot that `VirtualDocumentRoot` computes.
    pub is_computed: bool,
    /// A link in each target, on the way to the docroot: to `build` beside it.
    pub second: Option<&'static str>,
}

const fn layout(name: &'static str, link: &'static str, tail: &'static str) -> Layout {
    Layout { name, link, on_disk: link, fixed: &[], tail, is_computed: false, second: None }
}

pub const LAYOUTS: [Layout; 13] = [
    layout("link", "current", ""),
    layout("link and tail", "current", "public"),
    layout("deep link and long tail", "srv/app/current", "web/root"),
    layout("link that leads away", "www/example.com", ""),
    layout("link that leads away, and tail", "www/example.com", "public"),
    layout("link in the first place", "www", "site/public"),
    layout("link beside releases", "releases/current", "public"),
    Layout {
        fixed: &[("www", "data/www")],
        on_disk: "data/www/app/current",
        ..layout("chain", "www/app/current", "public")
    },
    Layout {
        fixed: &[("www", "data/x/y")],
        on_disk: "data/x/y/current",
        ..layout("chain without tail", "www/current", "")
    },
    Layout { is_computed: true, ..layout("computed", "hosts/{host}/current", "public") },
    Layout { is_computed: true, ..layout("computed without tail", "hosts/{host}/current", "") },
    // The first of two links flips: each target has the second one.
    Layout { second: Some("app/current"), ..layout("two links, the first flips", "www", "app/current/public") },
    layout("long name", "srv/the.site-of_2/current", "public"),
];

/// Where a link may lead.
#[derive(Debug)]
pub struct Target {
    /// Below the tree's own directory, or absolute.
    pub path: &'static str,
    pub kind: TargetKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// Holds a docroot and its files.
    Filled,
    /// Holds one that is itself a link, to another name beside it.
    LinkedTail,
    /// A link to a filled one.
    Hop(&'static str),
    /// A directory that has no docroot in it.
    Empty,
    File,
    Missing,
    Loop,
    /// The root of the file system.
    Root,
}

use TargetKind::{Empty, File, Filled, Hop, LinkedTail, Loop, Missing, Root};

const fn target(path: &'static str, kind: TargetKind) -> Target {
    Target { path, kind }
}

pub const TARGETS: [Target; 17] = [
    target("releases/1", Filled),
    target("releases/2", Filled),
    target("rel", Filled),
    target("far/er/still/3", Filled),
    target("away/releases/v4.0/build", Filled),
    target("releases/[1]*", Filled),
    target("releases/1/inner", Filled),
    target("releases/5", LinkedTail),
    target("hop", Hop("releases/2")),
    target("", Filled),
    target("releases", Empty),
    target("empty", Empty),
    target("a-file", File),
    target("missing", Missing),
    target("loop", Loop),
    target("/", Root),
    target("/usr", Root),
];

/// How many of them, from the first on, are good for a docroot.
const USUAL: usize = 9;

/// What happens before the requests of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Start,
    Flip,
    /// A flip, and a graceful restart of the server with the module.
    FlipAndRestart,
}

pub const STEPS: [Step; 7] =
    [Step::Start, Step::Flip, Step::Flip, Step::FlipAndRestart, Step::Flip, Step::FlipAndRestart, Step::Flip];

/// The files of a docroot, and what is in them but for the name of the release.
pub const PAGES: [&str; 14] = [
    "index.html",
    "other.html",
    "page.html",
    "secret.txt",
    "parts.shtml",
    "uploads/index.html",
    "uploads/page.html",
    "uploads/secret.txt",
    "uploads/deep/page.html",
    "private/page.html",
    "private/index.html",
    "a/b/page.html",
    "a/b/other.html",
    "a/page.html",
];

/// The directories of a docroot.
pub const DIRECTORIES: [&str; 6] = ["", "uploads", "uploads/deep", "private", "a", "a/b"];

/// One host's files and links. Cloned, it is the same at another place.
#[derive(Clone, Debug)]
pub struct Tree {
    pub layout: &'static Layout,
    /// Where the link leads at each step, as numbers of targets.
    pub targets: Vec<usize>,
    /// Whether the link's text is relative.
    pub is_relative: bool,
    /// `.htaccess` files: the number of a target or nothing for the tree itself, the path below, the text.
    pub htaccess: Vec<(Option<usize>, String, String)>,
}

impl Tree {
    pub fn random(rng: &mut Rng) -> Self {
        let mut targets: Vec<usize> = STEPS
            .iter()
            .map(|step| {
                let usual = if *step == Step::FlipAndRestart { 45 } else { 75 };
                if rng.percent(usual) { rng.below(USUAL) } else { USUAL + rng.below(TARGETS.len() - USUAL) }
            })
            .collect();
        // A link that is put right without a restart is what matters most.
        *targets.last_mut().expect("steps") = rng.below(USUAL);
        Self { layout: &LAYOUTS[rng.below(LAYOUTS.len())], targets, is_relative: rng.percent(50), htaccess: Vec::new() }
    }

    /// The docroot as configured, below the tree's own directory.
    pub fn docroot(&self) -> String {
        join(self.layout.link, self.layout.tail)
    }

    /// The docroot below the target without a link.
    fn real_tail(&self) -> String {
        match self.layout.second {
            Some(second) => self.layout.tail.replace(second, "app/build"),
            None => self.layout.tail.to_owned(),
        }
    }

    /// Real docroots at each step's target, below the tree's own directory, where they are there.
    pub fn real_docroots(&self) -> Vec<String> {
        let mut all = Vec::new();
        for number in &self.targets {
            let Target { path, kind } = &TARGETS[*number];
            match kind {
                Filled | LinkedTail => {
                    for tail in [self.layout.tail, &self.real_tail()] {
                        all.push(join(path, tail));
                        all.push(join(path, &linked_tail(tail)));
                    }
                }
                Hop(real) => {
                    all.push(join(path, self.layout.tail));
                    all.push(join(real, self.layout.tail));
                    all.push(join(real, &self.real_tail()));
                }
                Empty => all.push((*path).to_owned()),
                _ => {}
            }
        }
        all
    }

    /// Writes everything below `directory` of the site, the link leading where it leads at the start.
    pub fn write(&self, site: &Site, directory: &str, host: &str) {
        let at = |path: &str| join(directory, path);
        let mut used = self.targets.clone();
        used.sort_unstable();
        used.dedup();
        if used.iter().any(|number| matches!(TARGETS[*number].kind, Hop(_))) && !used.contains(&1) {
            used.push(1);
        }
        for number in used {
            let Target { path, kind } = &TARGETS[number];
            match kind {
                Filled => {
                    fill(site, &at(path), &self.real_tail(), path);
                    if let Some(second) = self.layout.second {
                        site.symlink(&at(&join(path, second)), "build");
                    }
                }
                LinkedTail => {
                    let real = linked_tail(&self.real_tail());
                    if let Some(second) = self.layout.second {
                        site.directory(&at(&join(path, "app/build")));
                        site.symlink(&at(&join(path, second)), "build");
                    }
                    fill(site, &at(path), &real, path);
                    if !real.is_empty() {
                        site.symlink(&at(&join(path, self.layout.tail)), real.rsplit('/').next().expect("a name"));
                    }
                }
                Hop(real) => site.symlink(&at(path), site.root().join(at(real))),
                Empty => site.directory(&at(path)),
                File => site.write(&at(path), "a file\n"),
                Loop => site.symlink(&at(path), "loop"),
                Missing | Root => {}
            }
        }
        for (number, path, text) in &self.htaccess {
            let file = format!("{path}/.htaccess").trim_start_matches('/').to_owned();
            match number {
                None => site.write(&at(&file), text),
                Some(number) if self.targets.contains(number) => {
                    site.write(&at(&join(TARGETS[*number].path, &file)), text);
                }
                Some(_) => {}
            }
        }
        for (link, text) in self.layout.fixed {
            site.directory(&at(text));
            site.symlink(&at(link), text);
        }
        let link = self.link_on_disk(site, directory, host);
        fs::create_dir_all(link.parent().expect("a directory")).expect("a directory");
        self.flip(site, directory, host, 0);
    }

    fn link_on_disk(&self, site: &Site, directory: &str, host: &str) -> PathBuf {
        site.root().join(directory).join(self.layout.on_disk.replace("{host}", host))
    }

    /// Makes the link lead where it leads at this step.
    pub fn flip(&self, site: &Site, directory: &str, host: &str, step: usize) {
        let link = self.link_on_disk(site, directory, host);
        let path = TARGETS[self.targets[step]].path;
        let up = self.layout.on_disk.matches('/').count();
        let text = if path.starts_with('/') {
            PathBuf::from(path)
        } else if self.is_relative {
            PathBuf::from(format!("./{}{path}", "../".repeat(up)))
        } else {
            site.root().join(directory).join(path)
        };
        docroot::flip(&link, &text).expect("a flip");
    }

    /// The real path of the docroot at present, if there is one.
    pub fn resolve(&self, root: &Path, host: &str) -> Option<PathBuf> {
        root.join(self.docroot().replace("{host}", host)).canonicalize().ok().filter(|path| path.is_dir())
    }
}

/// `public` is a link to this.
fn linked_tail(tail: &str) -> String {
    if tail.is_empty() { String::new() } else { format!("{tail}-1") }
}

fn fill(site: &Site, directory: &str, tail: &str, name: &str) {
    for page in PAGES {
        let text = match page {
            "parts.shtml" => format!(
                "[{name}] <!--#include virtual=\"/private/page.html\" --><!--#include file=\"uploads/page.html\" -->\
                 <!--#include virtual=\"/alias/page.html\" -->\n"
            ),
            _ => format!("[{name}] {page}\n"),
        };
        site.write(&join(&join(directory, tail), page), &text);
    }
    site.write(&join(directory, "static/page.html"), &format!("[{name}] static\n"));
    site.write_script(
        &join(directory, "cgi/who"),
        &format!("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n[{name}] cgi\\n'\n"),
    );
}

/// A path below another, either of which may be empty.
pub fn join(above: &str, below: &str) -> String {
    match (above, below) {
        ("", path) | (path, "") => path.to_owned(),
        _ => format!("{}/{below}", above.trim_end_matches('/')),
    }
}
