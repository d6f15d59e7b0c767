//! Warnings about sections that follow, or that cannot.

use harness::{Httpd, Mpm, Site};

use super::site::{DOCROOT, RELEASES, config, fill, get, section, site};
use crate::sections::warns;

/// What follows is nothing to warn of.
#[test]
fn nothing_to_warn_of() {
    let grant = section("current/public", "Require all granted");
    let denied = section("current/public/private", "Require all denied");
    for sections in [
        denied.clone(),
        section("current/public/private", "RewriteEngine Off"),
        // Both paths are stated.
        format!("{denied}{}", section("releases/*/public/private", "Require all denied")),
        "<DirectoryMatch \"^${ROOT}/current/public/private\">\nRequire all denied\n</DirectoryMatch>\n".to_owned(),
        section("*/public/private", "Require all denied"),
    ] {
        for releases in ["", RELEASES] {
            warns(&format!("{releases}{DOCROOT}{grant}{sections}"), &[]);
        }
    }
}

/// The link's name is a part of a name in an expression.
#[test]
fn expressions_that_only_look_like_the_link() {
    for (link, expression) in [("git", "/\\.git"), ("site", "/websites/"), ("html", "\\.html?$")] {
        let site = site();
        site.symlink(link, "releases/1");
        let text = config(&format!(
            "{RELEASES}DocumentRoot \"${{ROOT}}/{link}/public\"\n{}\
             <DirectoryMatch \"{expression}\">\nRequire all denied\n</DirectoryMatch>\n",
            section(&format!("{link}/public"), "Require all granted")
        ));
        let said = Httpd::ask(&site, Mpm::Event, &text, &["-t"]);
        assert!(!said.contains("[realdoc:warn]"), "{link} {expression}: {said}");
    }
}

/// One section of the main server over eight hosts is one section.
#[test]
fn one_warning_for_many_hosts() {
    let site = site();
    let mut text = section("*/public/private", "RewriteEngine On\nRewriteRule ^ - [F]");
    for number in 1..=8 {
        site.symlink(&format!("current{number}"), "releases/1");
        text += &format!(
            "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName h{number}.test\nDocumentRoot \"${{ROOT}}/current{number}/public\"\n\
             </VirtualHost>\n"
        );
    }
    let said = Httpd::ask(&site, Mpm::Event, &config(&text), &["-t"]);
    let count = said.matches("[realdoc:warn]").count();
    assert!(count <= 1, "{count} warnings: {said}");
}

/// Patterns that are written through a linked parent refuse every request, so that is said when it can be seen.
#[test]
fn a_docroot_that_is_refused_is_warned_of() {
    let site = Site::new();
    fill(&site, "data/www/app/releases/1/public");
    site.symlink("www", "data/www");
    site.symlink("data/www/app/current", "releases/1");
    let text = config(&format!(
        "RealdocReleases \"${{ROOT}}/www/app/releases/*\"\nDocumentRoot \"${{ROOT}}/www/app/current/public\"\n{}",
        section("www/app/current/public", "Require all granted")
    ));
    let tested = Httpd::ask(&site, Mpm::Event, &text, &["-t"]);
    let httpd = Httpd::start(&site, Mpm::Event, &text);
    httpd.expect_error("[realdoc:error]");
    assert_eq!(get(&httpd, "/page.html").status(), 503);
    for (how, said) in [("-t", tested), ("start", httpd.error_log())] {
        let warnings: Vec<&str> = said.lines().filter(|line| line.contains("[realdoc:warn]")).collect();
        let is_told = |line: &&str| line.contains("RealdocReleases") && line.contains("/www/app/current/public");
        assert!(warnings.iter().any(is_told), "{how}: {said}");
    }
}
