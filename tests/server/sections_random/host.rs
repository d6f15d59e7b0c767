//! Random configurations of one host: sections, aliases, `.htaccess` files, the module's directives.
//!
//! `{B}` in a text is the tree's directory, `{host}` the first part of the host's name.

use std::path::Path;

use super::opening::{below_base, position, random_opening};
use super::rng::Rng;
use super::tree::{DIRECTORIES, TARGETS, TargetKind, Tree, join};
use super::wildcard;

/// What a section is, for the count of those that were seen to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Plain,
    Wildcard,
    Regex,
}

/// Where a section stands: above the link, from the link to the docroot, or further below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    Above,
    At,
    Below,
}

/// One `<Directory>` section.
#[derive(Clone, Debug)]
pub struct Section {
    pub name: String,
    pub form: Form,
    pub position: Position,
    /// As it opens, without the angle brackets.
    pub open: String,
    /// Each a directive or a nested section of several lines.
    pub directives: Vec<String>,
    /// Whether it stands in the main server.
    pub is_main: bool,
}

/// How strictly the answers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// Everything is as without the module.
    Equal,
    /// There are rewrite rules in sections: as without the module, or refused.
    Rewrite,
    /// There are sections and `.htaccess` files for real paths, too, which apply with the module alone: what is
    /// denied without the module is denied.
    Real,
}

/// One virtual host.
#[derive(Clone, Debug)]
pub struct Host {
    pub arm: Arm,
    pub sections: Vec<Section>,
    /// Patterns of `RealdocReleases`, below the tree's directory.
    pub releases: Vec<String>,
    pub is_readlink: bool,
    /// `Alias`, `ScriptAlias` and the like below the link.
    pub aliases: Vec<String>,
}

/// A tree and the hosts that serve it.
#[derive(Clone, Debug)]
pub struct Case {
    pub tree: Tree,
    pub hosts: Vec<Host>,
}

/// The paths that are asked for.
pub const REQUESTS: [&str; 24] = [
    "/",
    "/page.html",
    "/secret.txt",
    "/other.html",
    "/parts.shtml",
    "/uploads",
    "/uploads/",
    "/uploads/page.html",
    "/uploads/secret.txt",
    "/uploads/deep/page.html",
    "/uploads/deep/",
    "/uploads/absent",
    "/private/page.html",
    "/private/",
    "/a/b/page.html",
    "/a/",
    "/absent",
    "/rewritten",
    "/uploads/rewritten",
    "/alias/page.html",
    "/matched/page.html",
    "/cgi/who",
    "/archive/2/public/page.html",
    "/archive/2/page.html",
];

const RULES: [&str; 9] = [
    "RewriteRule ^secret\\.txt$ - [F]",
    "RewriteRule secret\\.txt$ - [F]",
    "RewriteRule ^(uploads/)?secret\\.txt$ - [G]",
    "RewriteRule ^rewritten$ page.html [L]",
    "RewriteBase /\nRewriteRule ^rewritten$ page.html [L]",
    "RewriteRule ^page\\.html$ other.html [L]",
    "RewriteRule ^page\\.html$ /a/page.html [L]",
    "RewriteCond %{REQUEST_FILENAME} !-f\nRewriteCond %{REQUEST_FILENAME} !-d\nRewriteRule ^ index.html [L]",
    "RewriteRule ^(.*)\\.txt$ /moved/$1 [R,L]",
];

impl Case {
    /// A random one.
    pub fn random(rng: &mut Rng) -> Self {
        let mut tree = Tree::random(rng);
        let arm = match rng.below(100) {
            0..70 => Arm::Equal,
            70..86 => Arm::Rewrite,
            _ => Arm::Real,
        };
        let count = if !tree.layout.is_computed && rng.percent(15) { 2 } else { 1 };
        add_htaccess(&mut tree, arm, rng);
        let hosts = (0..count).map(|_| Host::random(&tree, arm, rng)).collect();
        Self { tree, hosts }
    }
}

impl Host {
    fn random(tree: &Tree, arm: Arm, rng: &mut Rng) -> Self {
        let is_readlink = rng.percent(20);
        let releases = if rng.percent(45) { random_releases(tree, rng) } else { Vec::new() };
        let mut aliases = Vec::new();
        // Where a pattern ends with the docroot's own last part, what lies beside the docroot is in no release.
        if rng.percent(40) && !releases.iter().any(|pattern| pattern.ends_with("*/public")) {
            let link = tree.layout.link;
            aliases.push(format!("Alias /alias \"{{B}}/{link}/static\""));
            aliases.push(if rng.percent(50) {
                format!("AliasMatch \"^/matched/(.*)$\" \"{{B}}/{link}/static/$1\"")
            } else {
                format!("RewriteEngine On\nRewriteRule \"^/matched/(.*)$\" \"{{B}}/{link}/static/$1\" [L]")
            });
            if rng.percent(20) {
                aliases.push(format!("ScriptAlias /cgi \"{{B}}/{link}/cgi\""));
            }
        }
        if arm == Arm::Real {
            aliases.push("Alias /archive \"{B}/releases\"".to_owned());
        }
        let mut host = Self { arm, sections: Vec::new(), releases, is_readlink, aliases };
        host.add_sections(tree, rng);
        host
    }

    fn add_sections(&mut self, tree: &Tree, rng: &mut Rng) {
        let docroot = tree.docroot();
        let mut places: Vec<String> = vec![String::new()];
        places.extend(docroot.match_indices('/').map(|(end, _)| docroot[..end].to_owned()));
        places.push(docroot.clone());
        let upper = places.len();
        places.extend(DIRECTORIES.iter().skip(1).map(|directory| join(&docroot, directory)));
        if !self.aliases.is_empty() {
            places.extend(["static", "cgi"].map(|directory| join(tree.layout.link, directory)));
        }
        let count = 2 + rng.below(7);
        for number in 0..=count {
            // The first one grants, as some section does in each configuration that serves anything.
            let place = if number == 0 { rng.below(upper) } else { rng.below(places.len()) };
            for _ in 0..10 {
                let Some((form, open)) = random_opening(&places[place], tree, self, rng) else { continue };
                let position = position(&places[place], tree);
                let name = format!("s{number}");
                let mut directives = vec![trace(&name, &open)];
                if number == 0 {
                    directives.push("Require all granted".to_owned());
                    if rng.percent(60) {
                        directives.push("AllowOverride All".to_owned());
                    }
                }
                add_directives(&mut directives, position, rng);
                if self.arm == Arm::Rewrite && (number == 1 || rng.percent(30)) {
                    directives.push(format!("RewriteEngine On\n{}", rng.pick(&RULES)));
                }
                // An expression may match what is in other trees.
                let is_main = form != Form::Regex && open.contains("{B}") && rng.percent(12);
                self.sections.push(Section { name, form, position, open, directives, is_main });
                break;
            }
        }
        if self.arm == Arm::Real {
            self.add_real_sections(tree, rng);
        }
    }

    /// Sections for where the link may lead: they trace and deny.
    fn add_real_sections(&mut self, tree: &Tree, rng: &mut Rng) {
        let real = tree.real_docroots();
        for number in 0..2 {
            if real.is_empty() {
                return;
            }
            let place = join(&real[rng.below(real.len())], rng.pick(&DIRECTORIES));
            let name = format!("r{number}");
            let mut directives = vec![trace(&name, "")];
            if rng.percent(30) {
                directives.push("Require all denied".to_owned());
            }
            let (form, is_main) = (Form::Plain, rng.percent(30));
            let open = format!("Directory \"{}\"", below_base(&place));
            self.sections.push(Section { name, form, position: Position::At, open, directives, is_main });
        }
    }

    /// The sections, of the main server or of the virtual host.
    pub fn render_sections(&self, is_main: bool) -> String {
        let sections = self.sections.iter().filter(|section| section.is_main == is_main);
        sections.map(Section::render).collect()
    }

    /// Everything else that the virtual host says.
    pub fn render_rest(&self, tree: &Tree) -> String {
        let mut text = String::new();
        let docroot = tree.docroot();
        if tree.layout.is_computed {
            text += &format!("VirtualDocumentRoot \"{{B}}/{}\"\n", docroot.replace("{host}", "%1"));
        } else {
            text += &format!("DocumentRoot \"{{B}}/{docroot}\"\n");
        }
        text += "<IfModule mod_realdoc.c>\n";
        if !self.releases.is_empty() {
            let patterns: Vec<String> = self.releases.iter().map(|path| format!("\"{{B}}/{path}\"")).collect();
            text += &format!("RealdocReleases {}\n", patterns.join(" "));
        }
        if self.is_readlink {
            text += "UseReadlink On\n";
        }
        text += "</IfModule>\n";
        for alias in &self.aliases {
            text += &format!("{alias}\n");
        }
        text
    }

    /// Whether a real path is in a release, or no directive says where these are.
    pub fn admits(&self, base: &Path, real: &Path) -> bool {
        let base = base.display().to_string();
        let real = real.display().to_string();
        self.releases.is_empty()
            || self.releases.iter().any(|pattern| wildcard::matches_on_the_way(&format!("{base}/{pattern}"), &real))
    }
}

impl Section {
    fn render(&self) -> String {
        let word = self.open.split(' ').next().expect("a word");
        format!("<{}>\n{}\n</{word}>\n", self.open, self.directives.join("\n"))
    }
}

fn trace(name: &str, open: &str) -> String {
    let captured = if open.contains("<NAME>") { "-%{MATCH_NAME}e" } else { "" };
    format!("Header always append X-Trace {name}{captured}")
}

fn random_releases(tree: &Tree, rng: &mut Rng) -> Vec<String> {
    let mut patterns: Vec<String> = match rng.below(10) {
        0..2 => vec!["releases".to_owned()],
        2..3 if tree.layout.tail == "public" => vec!["releases/*/public".to_owned()],
        3..6 => vec!["releases/*".to_owned()],
        _ => ["releases/*", "rel", "far/er/still/*", "away/releases/*/build"].map(str::to_owned).to_vec(),
    };
    patterns.extend(tree.layout.fixed.iter().map(|(_, text)| (*text).to_owned()));
    patterns
}

fn add_directives(directives: &mut Vec<String>, position: Position, rng: &mut Rng) {
    let is_below = position == Position::Below;
    let mut add = |text: &str| directives.push(text.to_owned());
    if rng.percent(if is_below { 35 } else { 6 }) {
        add("Require all denied");
    } else if rng.percent(15) {
        add("Require all granted");
    }
    if rng.percent(6) {
        add(rng.pick(&["AuthMerging And", "AuthMerging Or"]));
    }
    if rng.percent(25) {
        add(rng.pick(&[
            "AllowOverride None",
            "AllowOverride All",
            "AllowOverride FileInfo Indexes",
            "AllowOverride AuthConfig FileInfo",
            "AllowOverride None\nAllowOverrideList Header Require DirectoryIndex",
        ]));
    }
    if rng.percent(25) {
        add(rng.pick(&[
            "Options +Indexes",
            "Options -Indexes",
            "Options FollowSymLinks",
            "Options Indexes FollowSymLinks Includes",
            "Options -Includes",
            "Options SymLinksIfOwnerMatch Includes",
        ]));
    }
    if rng.percent(20) {
        add(rng.pick(&[
            "<Files \"secret.txt\">\nRequire all denied\n</Files>",
            "<Files \"page.*\">\nHeader always append X-Trace files\n</Files>",
            "<FilesMatch \"^(other|parts)\\.\">\nRequire all denied\n</FilesMatch>",
        ]));
    }
    if rng.percent(12) {
        add(rng.pick(&[
            "<If \"%{REQUEST_URI} =~ m#^/private#\">\nRequire all denied\n</If>",
            "<If \"%{REQUEST_URI} =~ m#page#\">\nHeader always append X-Trace if\n</If>",
        ]));
    }
    if rng.percent(15) {
        add(rng.pick(&[
            "SetHandler none",
            "ForceType text/x-forced",
            "AddType text/x-added .html",
            "SetHandler default-handler",
        ]));
    }
    if rng.percent(12) {
        add(rng.pick(&[
            "DirectoryIndex page.html",
            "DirectoryIndex absent.html other.html",
            "DirectoryIndex disabled",
        ]));
    }
    if rng.percent(10) {
        add(rng.pick(&[
            "ErrorDocument 403 \"kept out\"",
            "ErrorDocument 404 /page.html",
            "ErrorDocument 403 /a/page.html",
        ]));
    }
}

fn add_htaccess(tree: &mut Tree, arm: Arm, rng: &mut Rng) {
    let layout = tree.layout;
    let text = |name: &str, may_rewrite: bool, rng: &mut Rng| {
        let mut text = format!("Header always append X-Trace {name}\n");
        if rng.percent(50) {
            text += rng.pick(&[
                "Require all denied\n",
                "Require all granted\n",
                "Options +Indexes\n",
                "DirectoryIndex other.html\n",
                "AddType text/x-htaccess .html\n",
                "ErrorDocument 404 \"none of htaccess\"\n",
                "SetHandler none\n",
                "<Files \"secret.txt\">\nRequire all denied\n</Files>\n",
            ]);
        }
        if may_rewrite && rng.percent(25) {
            text += &format!("RewriteEngine On\n{}\n", rng.pick(&RULES));
        }
        text
    };
    if rng.percent(25) && !layout.is_computed {
        // Directories above the link, where they are on the disk: `www` may be a link itself.
        let mut above = vec![String::new()];
        above.extend(layout.on_disk.match_indices('/').map(|(end, _)| layout.on_disk[..end].to_owned()));
        if let [(_, first)] = layout.fixed {
            above.retain(|path| path.is_empty() || path.starts_with(first));
        }
        let place = above[rng.below(above.len())].clone();
        // httpd reads a file twice that is above the link and in the directory where it leads.
        if place.is_empty() {
            tree.targets.iter_mut().filter(|target| TARGETS[**target].path.is_empty()).for_each(|target| *target = 0);
        }
        let text = text("above", false, rng);
        tree.htaccess.push((None, place, text));
    }
    for number in tree.targets.clone() {
        if rng.percent(25) && matches!(TARGETS[number].kind, TargetKind::Filled | TargetKind::LinkedTail) {
            // The tree's own directory is a target as well as above the link.
            if TARGETS[number].path.is_empty() && tree.htaccess.iter().any(|(number, ..)| number.is_none()) {
                continue;
            }
            let place = join(layout.tail, rng.pick(&DIRECTORIES));
            let text = text(&format!("h{number}"), true, rng);
            if !tree.htaccess.iter().any(|(other, path, _)| *other == Some(number) && *path == place) {
                tree.htaccess.push((Some(number), place, text));
            }
        }
    }
    if arm == Arm::Real && rng.percent(40) {
        tree.htaccess.push((None, "releases".to_owned(), "Header always append X-Trace real\n".to_owned()));
    }
}
