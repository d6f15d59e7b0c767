//! What is said of paths below a docroot's link that other modules open or compare by themselves.
//!
//! Owns: that warning for each kind of directive, and its absence where the path is led, elsewhere, or none. Must not:
//! show what such a directive does (see `modules`).

use crate::sections::{DOCROOT, RELEASES, warns};

const OPENS: &[&str] = &["follows the link", "/current by itself", "a path outside of the releases"];
const COMPARES: &[&str] = &["compares names of files", "/current leads", "<Directory> or <Location>"];

/// Asserts that each of these lines is warned of, once, whatever `RealdocReleases` says.
fn each(lines: &[&str], words: &[&str]) {
    let text = format!("RewriteEngine On\n{}\n", lines.join("\n"));
    // A line with more in it is found by the first.
    let expected: Vec<_> = lines.iter().map(|line| (line.lines().next().unwrap_or_default(), words)).collect();
    warns(&format!("{DOCROOT}{text}"), &expected);
    let hosts = format!("<VirtualHost *:${{PORT}}>\nServerName b.test\n{DOCROOT}</VirtualHost>\n").repeat(2);
    warns(&format!("{RELEASES}{DOCROOT}{text}{hosts}"), &expected);
}

#[test]
fn what_is_opened() {
    each(
        &[
            r#"RewriteMap a "txt:${ROOT}/current/map.txt""#,
            r#"RewriteMap b "prg:/bin/cat ${ROOT}/current/map.txt""#,
            r#"ProxyFCGISetEnvIf "true" SCRIPT_FILENAME "${ROOT}/current/public/index.php""#,
            r#"LuaMapHandler "^/a" "${ROOT}/current/a.lua""#,
            r#"LuaHookFixups ${ROOT}/current/b.lua fix"#,
            r#"SetEnv APPLICATION_ROOT "${ROOT}/current""#,
            "<If \"-f '${ROOT}/current/maintenance'\">\nRequire all denied\n</If>",
        ],
        OPENS,
    );
    for line in [
        r#"AuthUserFile "${ROOT}/current/.htpasswd""#,
        r#"AuthGroupFile ${ROOT}/current/.htgroup"#,
        r#"SetHandler "proxy:unix:${ROOT}/current/fpm.sock|fcgi://localhost""#,
    ] {
        warns(&format!("{DOCROOT}<Location \"/a\">\n{line}\n</Location>\n"), &[(line, OPENS)]);
    }
}

#[test]
fn what_is_compared() {
    for (line, end) in [
        (r#"<If "%{REQUEST_FILENAME} =~ m#^${ROOT}/current/public/private/#">"#, "Require all denied\n</If>"),
        (r#"<If "%{SCRIPT_FILENAME} -strmatch '${ROOT}/current/*'">"#, "Require all denied\n</If>"),
        (r#"Require expr "%{REQUEST_FILENAME} != '${ROOT}/current/public/b'""#, ""),
    ] {
        let text = format!("{DOCROOT}<Location \"/a\">\n{line}\n{end}\n</Location>\n");
        warns(&text, &[(line, COMPARES)]);
        warns(&format!("{RELEASES}{text}"), &[(line, COMPARES)]);
    }
}

/// At the link, below a link that another leads to, and in a virtual host.
#[test]
fn wherever_the_link_is() {
    let line = |path: &str| format!("RewriteMap a \"txt:${{ROOT}}/{path}\"");
    for path in ["current", "current/", "current/../current/map.txt"] {
        let line = line(path);
        warns(&format!("{DOCROOT}{line}\n"), &[(line.as_str(), &["follows the link"])]);
    }
    let chain = "DocumentRoot \"${ROOT}/www/a/current\"\n";
    for path in ["www/map.txt", "www/a/current/map.txt", "data/www/a/current/map.txt"] {
        let line = line(path);
        warns(&format!("{chain}{line}\n"), &[(line.as_str(), &["follows the link"])]);
    }
    let host = |docroot: &str, more: &str| {
        format!(
            "<VirtualHost *:${{PORT}}>\nServerName a.test\nDocumentRoot \"${{ROOT}}/{docroot}\"\n{more}\n</VirtualHost>\n"
        )
    };
    let line = line("current/map.txt");
    let one = host("current/public", &line);
    warns(&format!("{}{one}", host("releases/1/public", "")), &[(line.as_str(), OPENS)]);
    // The docroot of another host has nothing to do with it, and neither has one that is left alone.
    warns(&format!("{}{}", host("releases/1/public", &line), host("current/public", "")), &[]);
    warns(&host("current/public", &format!("Realdoc Off\n{line}")), &[]);
}

#[test]
fn what_is_led_or_elsewhere() {
    let lines = [
        r#"Alias "/static" "${ROOT}/current/static""#,
        r#"AliasMatch "^/match/(.*)$" "${ROOT}/current/static/$1""#,
        r#"ScriptAlias "/cgi" "${ROOT}/current/cgi""#,
        r#"RewriteRule "^/rewritten/(.*)$" "${ROOT}/current/static/$1""#,
        r#"RewriteCond "${ROOT}/current/maintenance" -f"#,
        r#"RewriteRule "^" "-" [F]"#,
        r#"RewriteMap a "txt:${ROOT}/releases/1/map.txt""#,
        r#"RewriteMap b "txt:${ROOT}/current2/map.txt""#,
        r#"RewriteMap c "txt:${ROOT}/shared/map.txt""#,
        r#"RewriteMap d "txt:${ROOT}/other/map.txt""#,
        "ErrorDocument 404 ${ROOT}/current/missing.html",
        "Redirect ${ROOT}/current /elsewhere",
        "ProxyPass ${ROOT}/current http://127.0.0.1:9${ROOT}/current",
        "DirectoryIndex ${ROOT}/current/index.html",
        "<Location \"${ROOT}/current\">\nRequire all granted\n</Location>",
        "<If \"%{REQUEST_URI} =~ m#^${ROOT}/current/#\">\nRequire all denied\n</If>",
        "SetEnvIf Request_URI \"^${ROOT}/current/\" a",
        "UserDir \"${ROOT}/current/users\"",
        "# ErrorLog ${ROOT}/current/error.log",
    ];
    warns(&format!("RewriteEngine On\n{DOCROOT}{}\n", lines.join("\n")), &[]);
}
