//! Denials by rules of mod_rewrite that see more than what is below the link.
//!
//! Owns: rules that are written where the link's name is seen, and are no rules right in a section. Must not: repeat
//! what `sections_follow` has.

use harness::raw::ask;
use harness::{Config, Httpd, Mpm, Site, on_each_mpm};

/// A site of two releases with `secret.txt`, its host's text, and perhaps an `.htaccess` file above the link.
fn assert_denied(mpm: Mpm, text: &str, htaccess: &str) {
    let site = Site::new();
    for release in ["1", "2"] {
        for page in ["page.html", "secret.txt"] {
            site.write(&format!("releases/{release}/public/{page}"), &format!("{release} {page}\n"));
        }
    }
    if !htaccess.is_empty() {
        site.write(".htaccess", htaccess);
    }
    site.symlink("current", "releases/1");
    let config = Config::new("<Directory \"/\">\nAllowOverride None\nRequire all granted\nOptions FollowSymLinks\n</Directory>\n")
        .text("DocumentRoot \"${ROOT}\"")
        .text(&format!(
            "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName host.test\nDocumentRoot \"${{ROOT}}/current/public\"\n{text}\n</VirtualHost>\n"
        ))
        .modules(&["alias", "dir", "rewrite"])
        .grants_nothing();
    let alone = Httpd::start_without_module(&site, mpm, &config);
    assert_eq!(ask(alone.port(), "GET", "host.test", "/secret.txt").status(), 403, "without the module");
    assert_eq!(ask(alone.port(), "GET", "host.test", "/page.html").status(), 200, "without the module");
    drop(alone);
    let httpd = Httpd::start(&site, mpm, &config);
    httpd.expect_error("[realdoc:error]");
    for target in ["releases/1", "releases/2"] {
        site.flip_link("current", target);
        let response = ask(httpd.port(), "GET", "host.test", "/secret.txt");
        assert_eq!(response.status(), 403, "{target}: {response:?}");
    }
}

fn section(path: &str, rules: &str) -> String {
    format!("<Directory \"${{ROOT}}{path}\">\nRewriteEngine On\n{rules}\n</Directory>\n")
}

/// The `.htaccess` file of a directory that both paths go through.
fn file_above_the_link(mpm: Mpm) {
    let text = "<Directory \"${ROOT}\">\nAllowOverride All\n</Directory>\n";
    assert_denied(mpm, text, "RewriteEngine On\nRewriteRule ^current/public/secret\\.txt$ - [F]\n");
}
on_each_mpm!(file_above, file_above_the_link);

/// Conditions that ask what a rule has captured.
fn captures_in_conditions(mpm: Mpm) {
    assert_denied(mpm, &section("", "RewriteCond $1 ^current/public/secret\nRewriteRule ^(.*)$ - [F]"), "");
}
on_each_mpm!(captures, captures_in_conditions);

/// Conditions that ask for the name of the file.
fn names_in_conditions(mpm: Mpm) {
    for path in ["", "/current", "/current/public"] {
        let rules = "RewriteCond %{REQUEST_FILENAME} current/public/secret\nRewriteRule ^ - [F]";
        assert_denied(mpm, &section(path, rules), "");
    }
}
on_each_mpm!(names, names_in_conditions);

/// Rules that are in no `<Directory>` section.
fn rules_outside(mpm: Mpm) {
    for kind in ["Files \"secret.txt\"", "Location \"/\""] {
        let (name, _) = kind.split_once(' ').expect("a name");
        let text = format!("<{kind}>\nRewriteEngine On\nRewriteRule current/public/secret - [F]\n</{name}>\n");
        assert_denied(mpm, &text, "");
    }
}
on_each_mpm!(outside, rules_outside);
