//! `<Directory>` sections follow the link by what is served: one named case for each way in which they could be lost.
//!
//! Owns: single cases, each with the statuses of httpd alone. Must not: try random ones (see `sections_random`) or what
//! `RealdocReleases` refuses (see `break_in`).

use std::fs;

use harness::raw::ask;
use harness::{Mpm, Site, on_each_mpm};

mod site;
mod warnings;

use site::{
    DOCROOT, Expected, RELEASES, USUAL, assert_answers, assert_control, fill, get, section, site, start, usual_sections,
};

/// Restarts while the link leads elsewhere, and then puts the link right.
fn restart_with_the_link_at(mpm: Mpm, target: &str) {
    for releases in [RELEASES, ""] {
        let site = site();
        let text = format!("{releases}{DOCROOT}{}", usual_sections("current/public"));
        assert_control(&site, mpm, &text, USUAL);
        let httpd = start(&site, mpm, &text);
        assert_answers(&httpd, "at the start", USUAL);
        if target.starts_with('/') {
            site.flip_link("current", target)
        } else {
            site.flip_link("current", site.root().join(target))
        }
        httpd.replace_children();
        site.flip_link("current", "releases/2");
        assert_answers(&httpd, &format!("{releases:?}, after a restart with the link at {target:?}"), USUAL);
    }
}

fn restart_with_the_link_at_its_own_directory(mpm: Mpm) {
    restart_with_the_link_at(mpm, "");
}

fn restart_with_the_link_at_the_root(mpm: Mpm) {
    restart_with_the_link_at(mpm, "/");
}

fn restart_with_the_link_at_the_releases(mpm: Mpm) {
    restart_with_the_link_at(mpm, "releases");
}

fn restart_with_the_link_inside_a_release(mpm: Mpm) {
    restart_with_the_link_at(mpm, "releases/1/public");
}

fn restart_with_the_link_at_a_file(mpm: Mpm) {
    restart_with_the_link_at(mpm, "file");
}

fn restart_with_the_link_at_nothing(mpm: Mpm) {
    restart_with_the_link_at(mpm, "nothing");
}

on_each_mpm!(restart_at_own_directory, restart_with_the_link_at_its_own_directory, prefork, event);
on_each_mpm!(restart_at_root, restart_with_the_link_at_the_root, prefork, event);
on_each_mpm!(restart_at_releases, restart_with_the_link_at_the_releases, event);
on_each_mpm!(restart_inside_release, restart_with_the_link_inside_a_release, prefork, event);
on_each_mpm!(restart_at_file, restart_with_the_link_at_a_file, event);
on_each_mpm!(restart_at_nothing, restart_with_the_link_at_nothing, event);

/// A link that leads to directories at several depths, one after the other.
fn flips_to_other_depths(mpm: Mpm) {
    const DOCROOTS: [&str; 4] = ["releases/1/web", "releases/2/public/htdocs", "releases/3", "releases/4/a/b/c"];
    for (releases, first) in [(RELEASES, 0), (RELEASES, 2), ("", 0), ("RealdocReleases Off\nUseReadlink On\n", 1)] {
        let site = Site::new();
        for docroot in DOCROOTS {
            fill(&site, docroot);
        }
        site.symlink("current", DOCROOTS[first]);
        let text = format!("{releases}DocumentRoot \"${{ROOT}}/current\"\n{}", usual_sections("current"));
        assert_control(&site, mpm, &text, USUAL);
        let httpd = start(&site, mpm, &text);
        for docroot in DOCROOTS {
            site.flip_link("current", docroot);
            assert_answers(&httpd, &format!("{releases:?} from {} at {docroot}", DOCROOTS[first]), USUAL);
        }
    }
}

on_each_mpm!(other_depths, flips_to_other_depths, prefork, worker, event);

/// A link that is not there when httpd starts, and whose first release is not where `RealdocReleases` has them end.
fn first_deploy_after_the_start(mpm: Mpm) {
    for releases in [RELEASES, ""] {
        let site = Site::new();
        fill(&site, "releases/1/web");
        let text = format!("{releases}DocumentRoot \"${{ROOT}}/current\"\n{}", usual_sections("current"));
        let httpd = start(&site, mpm, &text);
        // httpd alone has no section either that grants anything while nothing is there.
        assert!(matches!(get(&httpd, "/page.html").status(), 403 | 404));
        site.symlink("current", "releases/1/web");
        assert_answers(&httpd, &format!("{releases:?} after the first deploy"), USUAL);
    }
}

on_each_mpm!(first_deploy, first_deploy_after_the_start, event);

/// `RealdocReleases` is the guard alone, so that its depth does not matter.
fn releases_of_another_depth(mpm: Mpm) {
    for pattern in ["releases", "releases/*/public", "*", "releases/*/p*"] {
        let site = site();
        let text = format!("RealdocReleases \"${{ROOT}}/{pattern}\"\n{DOCROOT}{}", usual_sections("current/public"));
        let httpd = start(&site, mpm, &text);
        for release in ["releases/1", "releases/2", "releases/1"] {
            site.flip_link("current", release);
            assert_answers(&httpd, &format!("{pattern} at {release}"), USUAL);
        }
    }
}

on_each_mpm!(releases_depth, releases_of_another_depth, event);

/// Patterns are read as httpd reads them, and not as `fnmatch(3)` does.
fn patterns_of_httpd(mpm: Mpm) {
    // A set has no classes: this is one of `[:digt` and then `]`.
    for (pattern, releases) in [
        ("releases/[[:digit:]]*", [("1", false), ("d]1", true)]),
        ("releases/\\r1", [("r1", true), ("r2", false)]),
        ("releases/[!a]\\1*", [("r1", true), ("a1", false)]),
    ] {
        let site = Site::new();
        for (release, _) in releases {
            fill(&site, &format!("releases/{release}/public"));
        }
        for (release, is_admitted) in releases {
            site.flip_link("current", format!("releases/{release}"));
            let text =
                format!("RealdocReleases \"${{ROOT}}/{pattern}\"\n{DOCROOT}{}", usual_sections("current/public"));
            let httpd = start(&site, mpm, &text);
            let when = format!("{pattern} at {release}");
            // A backslash alone makes no wildcard in a section, so a guard that compares it as it stands is right, too.
            let is_literal = !pattern.contains(['*', '[']) && get(&httpd, "/page.html").status() == 503;
            if is_admitted && !is_literal {
                assert_answers(&httpd, &when, USUAL);
            } else {
                assert_answers(&httpd, &when, &[("/page.html", 503), ("/private/page.html", 503)]);
            }
        }
    }
}

on_each_mpm!(patterns, patterns_of_httpd, event);

/// Regular expressions match the path as configured, whatever their text looks like.
fn regular_expressions_follow(mpm: Mpm) {
    for expression in [
        "DirectoryMatch \"^${ROOT}/www/example\\.com/public/private\"",
        "DirectoryMatch \"^${ROOT}/www/example.com/public/private\"",
        "Directory ~ \"/www/[^/]+\\.com/public/private\"",
        "DirectoryMatch \"/example\\.com/public/pr[a-z]+/\"",
        "DirectoryMatch \"^${ROOT}/w{3}/(?i:EXAMPLE)\\.com/public/private\"",
    ] {
        for releases in [RELEASES, ""] {
            let site = site();
            site.symlink("www/example.com", "../releases/1");
            let name = expression.split(' ').next().expect("a word");
            let text = format!(
                "{releases}DocumentRoot \"${{ROOT}}/www/example.com/public\"\n\
                 {}<{expression}>\nRequire all denied\n</{name}>\n",
                section("www/example.com", "Require all granted"),
            );
            let expected: Expected<'_> = &[("/page.html", 200), ("/private/page.html", 403)];
            assert_control(&site, mpm, &text, expected);
            let httpd = start(&site, mpm, &text);
            for release in ["../releases/1", "../releases/2"] {
                site.flip_link("www/example.com", release);
                assert_answers(&httpd, &format!("{releases:?} {expression} at {release}"), expected);
            }
        }
    }
}

on_each_mpm!(expressions, regular_expressions_follow, event);

/// What an expression captures is what it captures of the configured path.
fn captures_of_the_configured_path(mpm: Mpm) {
    let site = site();
    let text = format!(
        "{RELEASES}{DOCROOT}<DirectoryMatch \"^${{ROOT}}/(?<LINK>[^/]+)/public\">\nRequire all granted\n\
         Header set X-Link \"%{{MATCH_LINK}}e\"\n</DirectoryMatch>\n"
    );
    let httpd = start(&site, mpm, &text);
    let response = get(&httpd, "/page.html");
    assert_eq!(response.status(), 200, "{response:?}");
    assert!(response.head.contains("X-Link: current"), "{response:?}");
}

on_each_mpm!(captures, captures_of_the_configured_path, event);

/// A rewrite rule in a section works, or what it denies is denied.
fn rules_in_a_section(mpm: Mpm) {
    for (rule, path) in [
        ("RewriteRule ^secret\\.txt$ - [F]", "/secret.txt"),
        ("RewriteRule ^secret\\.txt$ - [G]", "/secret.txt"),
        ("RewriteRule ^(.*)\\.txt$ page.html [L]", "/secret.txt"),
        ("RewriteBase /\nRewriteRule ^secret page.html [L]", "/secret.txt"),
        ("RewriteCond %{REQUEST_URI} ^/private\nRewriteRule ^ - [F]", "/private/page.html"),
    ] {
        for (releases, place) in [(RELEASES, "current/public"), (RELEASES, "current/*"), ("", "current/public")] {
            let site = site();
            let rules = format!("Require all granted\nRewriteEngine On\n{rule}");
            let httpd = start(&site, mpm, &format!("{releases}{DOCROOT}{}", section(place, &rules)));
            if place.contains('*') && rule.contains('^') && !rule.contains("Cond") {
                // httpd cuts no directory off before it looks for the rule: nothing is denied without the module.
                continue;
            }
            for release in ["releases/1", "releases/2"] {
                site.flip_link("current", release);
                let response = get(&httpd, path);
                let is_page = response.body.ends_with("public page.html\n");
                assert!(response.status() >= 400 || is_page, "{releases:?} {place} {rule} at {release}: {response:?}");
            }
        }
    }
}

on_each_mpm!(rules, rules_in_a_section, event);

/// httpd reads `.htaccess` files on the way to the link, so those apply that are above the link and not above where
/// the link leads.
fn htaccess_above_the_link(mpm: Mpm) {
    for (denied, is_denied) in [("Require all denied\n", true), ("Header set X-Above yes\n", false)] {
        for releases in [RELEASES, ""] {
            let site = site();
            site.write("www/.htaccess", denied);
            site.symlink("www/site", "../releases/1");
            let text = format!(
                "{releases}DocumentRoot \"${{ROOT}}/www/site/public\"\n{}{}",
                section("www", "Require all granted\nAllowOverride All"),
                section("releases", "Require all granted"),
            );
            let httpd = start(&site, mpm, &text);
            for release in ["../releases/1", "../releases/2"] {
                site.flip_link("www/site", release);
                let response = get(&httpd, "/page.html");
                let when = format!("{releases:?} {denied} at {release}: {response:?}");
                assert_eq!(response.status(), if is_denied { 403 } else { 200 }, "{when}");
                assert_eq!(response.head.contains("X-Above: yes"), !is_denied, "{when}");
            }
        }
    }
}

on_each_mpm!(htaccess_above, htaccess_above_the_link, event);

/// A section above a link that leads away, and one below that is matched by a wildcard.
fn sections_above_and_wildcards(mpm: Mpm) {
    let expected: Expected<'_> = &[("/page.html", 200), ("/private/page.html", 403)];
    for (grants, denies) in [
        ("www", "www/site/public/private"),
        ("www", "*/*/public/private"),
        ("w*", "www/s?te/*/private"),
        ("*/site", "www/[a-z]ite/public/private"),
    ] {
        for releases in [RELEASES, ""] {
            let site = site();
            site.symlink("www/site", "../releases/1");
            let text = format!(
                "{releases}DocumentRoot \"${{ROOT}}/www/site/public\"\n{}{}",
                section(grants, "Require all granted"),
                section(denies, "Require all denied"),
            );
            assert_control(&site, mpm, &text, expected);
            let httpd = start(&site, mpm, &text);
            for release in ["../releases/1", "../releases/2"] {
                site.flip_link("www/site", release);
                assert_answers(&httpd, &format!("{releases:?} {grants} {denies} at {release}"), expected);
            }
        }
    }
}

on_each_mpm!(above_and_wildcards, sections_above_and_wildcards, event);

/// An earlier section that is led away does not go before a later one that matches both paths.
fn order_of_what_matches_both(mpm: Mpm) {
    for releases in ["", "RealdocReleases \"${ROOT}/data\"\n"] {
        let site = Site::new();
        fill(&site, "data/public");
        site.symlink("www", "data");
        let text = format!(
            "{releases}DocumentRoot \"${{ROOT}}/www/public\"\n{}{}",
            section("www", "Require all granted\nHeader always append X-Order first"),
            section("*", "Require all denied\nHeader always append X-Order second"),
        );
        assert_control(&site, mpm, &text, &[("/page.html", 403)]);
        let httpd = start(&site, mpm, &text);
        let response = get(&httpd, "/page.html");
        assert_eq!(response.status(), 403, "{response:?}");
        assert!(response.head.contains("X-Order: first, second\n"), "each applies once: {response:?}");
    }
}

on_each_mpm!(order, order_of_what_matches_both, event);

/// Docroots that are computed for each request have sections, too.
fn computed_docroots(mpm: Mpm) {
    for releases in ["", "RealdocReleases \"${ROOT}/hosts/*/releases/*\"\n"] {
        let site = Site::new();
        for release in ["1/web", "2", "3/a/b"] {
            fill(&site, &format!("hosts/host.test/releases/{release}"));
        }
        site.symlink("hosts/host.test/current", "releases/1/web");
        let text = format!(
            "{releases}VirtualDocumentRoot \"${{ROOT}}/hosts/%0/current\"\n{}",
            usual_sections("hosts/*/current"),
        );
        assert_control(&site, mpm, &text, USUAL);
        let httpd = start(&site, mpm, &text);
        for release in ["1/web", "2", "3/a/b"] {
            site.flip_link("hosts/host.test/current", format!("releases/{release}"));
            assert_answers(&httpd, &format!("{releases:?} at {release}"), USUAL);
        }
    }
}

on_each_mpm!(computed, computed_docroots, event);

/// Two hosts serve one docroot and say different things of it.
fn two_hosts_with_one_docroot(mpm: Mpm) {
    let site = site();
    let host = |name: &str, denied: &str| {
        format!(
            "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName {name}.test\n{DOCROOT}{}{}</VirtualHost>\n",
            section("current/public", "Require all granted"),
            section(&format!("current/public/{denied}"), "Require all denied"),
        )
    };
    let httpd = start(&site, mpm, &format!("{}{}", host("a", "private"), host("b", "uploads")));
    for release in ["releases/2", "releases/1/../2", "releases/1"] {
        site.flip_link("current", release);
        for (name, path, status) in [
            ("a.test", "/private/page.html", 403),
            ("a.test", "/uploads/page.html", 200),
            ("b.test", "/private/page.html", 200),
            ("b.test", "/uploads/page.html", 403),
        ] {
            let response = ask(httpd.port(), "GET", name, path);
            assert_eq!(response.status(), status, "{name}{path} at {release}: {response:?}");
        }
    }
}

on_each_mpm!(two_hosts, two_hosts_with_one_docroot, event);

/// What is denied stays denied, for each request of a hundred flips and twenty restarts.
fn denials_stay(mpm: Mpm) {
    let site = site();
    fill(&site, "releases/3/public");
    fill(&site, "archive/of/2025/4/public");
    let text = format!("{DOCROOT}{}", usual_sections("current/public"));
    let httpd = start(&site, mpm, &text);
    let targets = ["releases/1", "releases/2", "missing", "releases/3", "archive/of/2025/4", "file", "/", "releases/1"];
    for flip in 0..100 {
        let target = targets[flip % targets.len()];
        site.flip_link("current", target);
        if flip % 5 == 0 {
            httpd.graceful_restart();
        }
        for path in ["/private/page.html", "/private/deep/page.html"] {
            let response = get(&httpd, path);
            assert!(matches!(response.status(), 403 | 404), "flip {flip} to {target}: {path}: {response:?}");
        }
        if target.contains('/') && target != "/" {
            assert_answers(&httpd, &format!("flip {flip} to {target}"), USUAL);
        }
    }
}

on_each_mpm!(flips_and_restarts, denials_stay, prefork, worker, event);

/// Moving a site whole and back again, with its link, loses nothing either.
fn renamed_away_and_back(mpm: Mpm) {
    let site = site();
    let text = format!("{DOCROOT}{}", usual_sections("current/public"));
    let httpd = start(&site, mpm, &text);
    let [here, there] = ["releases", "elsewhere"].map(|path| site.root().join(path));
    for _ in 0..2 {
        assert_answers(&httpd, "in place", USUAL);
        fs::rename(&here, &there).expect("moved away");
        assert_ne!(get(&httpd, "/private/page.html").status(), 200);
        httpd.graceful_restart();
        fs::rename(&there, &here).expect("moved back");
    }
}

on_each_mpm!(renamed, renamed_away_and_back, event);
