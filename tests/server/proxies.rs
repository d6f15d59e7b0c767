//! What is said of lines that give a FastCGI server a path through a docroot's link.
//!
//! Owns: that warning, and its absence where the path is not fixed or not under the link. Must not: run PHP (see
//! `php_guide`).

use crate::sections::{DOCROOT, RELEASES, warns};

const WORDS: &[&str] =
    &["gives the FastCGI server a path through the link", "/current,", "use SetHandler \"proxy:fcgi://...\""];

#[test]
fn fixed_paths() {
    let lines = [
        r#"ProxyPassMatch "^/(a.*\.php)$" "fcgi://127.0.0.1:9000${ROOT}/current/public/$1""#,
        r#"ProxyPassMatch "^(/b.*\.php)$" fcgi://127.0.0.1:9000${ROOT}/current/public$1 enablereuse=on"#,
        r#"ProxyPassMatch "^(/c.*\.php)$" "unix:/run/php/fpm.sock|fcgi://localhost${ROOT}/current$1""#,
        r#"ProxyPass "/d/" "FCGI://127.0.0.1:9000${ROOT}/current/public/""#,
        r#"RewriteRule ^/(e.*\.php)$ fcgi://127.0.0.1:9000${ROOT}/current/public/$1 [P]"#,
        r#"    ProxyPassMatch fcgi://127.0.0.1:9000${ROOT}/current/public$1"#,
    ];
    let text = format!(
        "RewriteEngine On\n{}\n<LocationMatch \"^(/f.*\\.php)$\">\n{}\n</LocationMatch>\n",
        lines[..5].join("\n"),
        lines[5]
    );
    let expected = lines.map(|line| (line, WORDS));
    warns(&format!("{DOCROOT}{text}"), &expected);
    // RealdocReleases has nothing to do with it, and what all virtual hosts inherit is said once.
    let hosts = format!("<VirtualHost *:${{PORT}}>\nServerName b.test\n{DOCROOT}</VirtualHost>\n").repeat(2);
    warns(&format!("{RELEASES}{DOCROOT}{text}{hosts}"), &expected);
}

/// A line in a virtual host is about the docroot of that host.
#[test]
fn in_a_virtual_host() {
    let host = |docroot: &str, more: &str| {
        format!(
            "<VirtualHost *:${{PORT}}>\nServerName a.test\nDocumentRoot \"${{ROOT}}/{docroot}\"\n{more}\n</VirtualHost>\n"
        )
    };
    let line = |path: &str| format!("ProxyPassMatch \"^/(.*\\.php)$\" \"fcgi://127.0.0.1:9000${{ROOT}}/{path}/$1\"");
    let one = host("current/public", &line("current/public"));
    warns(&format!("{}{one}", host("releases/1/public", "")), &[("ProxyPassMatch", WORDS)]);
    // The docroot of another host has nothing to do with it, and neither has one that is left alone.
    warns(&format!("{}{}", host("releases/1/public", &line("current/public")), host("current/public", "")), &[]);
    warns(&host("current/public", &format!("Realdoc Off\n{}", line("current/public"))), &[]);
}

#[test]
fn what_gives_no_path_through_the_link() {
    let lines = [
        "<FilesMatch \"\\.php$\">\nSetHandler \"proxy:fcgi://127.0.0.1:9000\"\n</FilesMatch>",
        r#"ProxyPassMatch "^/(.*\.php)$" "fcgi://127.0.0.1:9000${ROOT}/releases/1/public/$1""#,
        r#"ProxyPassMatch "^/(.*\.php)$" "fcgi://127.0.0.1:9000${ROOT}/current2/$1""#,
        r#"ProxyPassMatch "^/(.*\.php)$" "fcgi://127.0.0.1:9000/$1""#,
        r#"ProxyPass "/app" "fcgi://127.0.0.1:9000""#,
        r#"ProxyPass "/app" "http://127.0.0.1:9000${ROOT}/current/public/""#,
        "RewriteEngine On\nRewriteRule ^/(.*\\.php)$ fcgi://127.0.0.1:9000%{DOCUMENT_ROOT}/$1 [P]",
    ];
    warns(&format!("{DOCROOT}{}\n", lines.join("\n")), &[]);
}
