//! The documents as such: what they show is valid, and what they point to is there.
//!
//! Owns: every Markdown file of the repository. Must not: test what the lines that they show do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use harness::document::{Block, blocks, prose};
use harness::module::workspace;
use harness::{Config, Httpd, Mpm, Site};

use crate::examples::placed;

/// The documents, as paths in the repository.
fn documents() -> Vec<String> {
    let in_directory = |directory: &str| {
        let entries = fs::read_dir(workspace().join(directory)).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".md")).map(|name| format!("{directory}{name}")).collect::<Vec<_>>()
    };
    ["", "ansible/", "docs/", "tests/"].map(in_directory).concat()
}

/// How directives begin that httpd knows only with a module that is not its own. Blocks of those are tested where that module
/// is loaded (`third_party`, `modules`).
const OF_OTHERS: [&str; 4] = ["WSGI", "XSendFile", "SecRule", "php_admin_value"];

/// Every line of configuration that a document shows is one that httpd takes; what it does is tested elsewhere.
#[test]
fn what_the_documents_show() {
    let mut shown = 0;
    for file in documents() {
        let is_of_others = |text: &str| OF_OTHERS.iter().any(|name| text.starts_with(name));
        let is_httpds = |block: &Block| block.kind == "apache" && !is_of_others(&block.text);
        let blocks: Vec<_> = blocks(&file).into_iter().filter(is_httpds).collect();
        if blocks.is_empty() {
            continue;
        }
        let site = Site::new();
        site.directory("log");
        let mut text = "DocumentRoot \"${ROOT}\"\n".to_owned();
        for block in blocks {
            shown += 1;
            let lines = placed(&site, &block.text);
            // What concerns all virtual hosts stands in none.
            text += &if lines.contains("<VirtualHost ") || lines.starts_with("RealdocInUse ") {
                lines
            } else {
                format!("<VirtualHost *:${{PORT}}>\nServerName {shown}.example\n{lines}</VirtualHost>\n")
            };
        }
        let modules = [
            "alias",
            "auth_basic",
            "authn_core",
            "authn_file",
            "authz_host",
            "authz_user",
            "dav",
            "dav_fs",
            "dir",
            "headers",
            "proxy",
            "proxy_fcgi",
            "rewrite",
            "vhost_alias",
        ];
        let said = Httpd::ask(&site, Mpm::Event, &Config::new(&text).modules(&modules), &["-t"]);
        assert!(said.contains("Syntax OK"), "{file}: {said}");
    }
    assert!(shown > 20, "{shown} blocks");
}

/// What a heading is called in links, as GitHub does it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || "-_ ".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// Where a document's links lead, without those to other places of the web.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    targets.filter(|target| !target.contains("://")).collect()
}

#[test]
fn links_lead_somewhere() {
    let anchors: BTreeMap<String, Vec<String>> = documents()
        .into_iter()
        .map(|file| {
            let text = prose(&file);
            let headings = text.lines().filter(|line| line.starts_with('#'));
            let anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
            (file, anchors)
        })
        .collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in anchors.keys() {
        for target in links(&prose(file)) {
            seen += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let directory = Path::new(file).parent().unwrap_or(Path::new(""));
            // `../README.md` from a document in docs/.
            let path = match path {
                "" => file.clone(),
                path => match path.strip_prefix("../") {
                    Some(path) => path.to_owned(),
                    None => directory.join(path).display().to_string(),
                },
            };
            let is_there = workspace().join(&path).exists();
            let has_anchor =
                anchor.is_empty() || anchors.get(&path).is_some_and(|all| all.iter().any(|one| one == anchor));
            if !is_there || !has_anchor {
                wrong.push(format!("{file}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 40, "{seen} links");
}

/// Files of the repository that a document names.
#[test]
fn files_are_where_they_are_said_to_be() {
    const PLACES: [&str; 7] = ["apache-sys/", "conf/", "docroot/", "docs/", "realdoc/", "src/", "tests/"];
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in documents() {
        let text = prose(&file);
        for name in text.split('`').skip(1).step_by(2) {
            let is_path = name.contains('.') || name.ends_with('/');
            if is_path && PLACES.iter().any(|place| name.starts_with(place)) && !name.contains(' ') {
                seen += 1;
                if !workspace().join(name).exists() {
                    wrong.push(format!("{file}: {name}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 30, "{seen} names");
}
