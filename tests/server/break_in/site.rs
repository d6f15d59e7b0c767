//! The site under attack: what its files hold, the ways to ask for them, and where the link may lead.

use std::fs;
use std::process::Command;

use harness::Site;
use harness::raw::RawResponse;

/// In every file that no release has.
const OUTSIDE: &str = "OUTSIDE";
/// In every file that a section or `.htaccess` file denies.
const DENIED: &str = "DENIED";
/// In `/etc/os-release`, which anybody may read.
const OF_THE_SYSTEM: &str = "PRETTY_NAME";

pub(super) const RELEASES: &str = "RealdocReleases \"${ROOT}/app/releases/*\"\n";

/// Everything is granted but for what is denied below the link, so that nothing else than the guard is in the way.
pub(super) const WAYS: &str = r#"
DocumentRoot "${ROOT}/app/current/public"
DirectoryIndex index.html
Alias /static "${ROOT}/app/current/static"
AliasMatch "^/match/(.*)$" "${ROOT}/app/current/static/$1"
Alias /appetc "${ROOT}/app/current/etc"
Alias /link "${ROOT}/app/current"
ScriptAlias /cgi "${ROOT}/app/current/cgi"
Alias /beside "${ROOT}/beside"
RewriteEngine On
RewriteRule "^/rewritten/(.*)$" "${ROOT}/app/current/static/$1" [L]
RewriteRule "^/etc/(.*)$" "${ROOT}/app/current/etc/$1" [L]
<Directory "/">
    AllowOverride None
    Require all granted
    Options FollowSymLinks Includes Indexes
</Directory>
<Directory "${ROOT}/app/current/public">
    AllowOverride All
    <Files "secret.txt">
        Require all denied
    </Files>
</Directory>
<Directory "${ROOT}/app/current/public/private">
    Require all denied
</Directory>
<Directory "${ROOT}/app/current/static/private">
    Require all denied
</Directory>
<DirectoryMatch "^${ROOT}/app/current/public/un(listed|seen)/">
    Require all denied
</DirectoryMatch>
"#;

pub(super) const PATHS: [&str; 26] = [
    "/",
    "/page.html",
    "/secret.txt",
    "/private/page.html",
    "/unlisted/page.html",
    "/by-htaccess/page.html",
    "/parts.shtml",
    "/static/page.html",
    "/static/",
    "/static/private/page.html",
    "/match/page.html",
    "/match/private/page.html",
    "/rewritten/page.html",
    "/rewritten/private/page.html",
    "/appetc/os-release",
    "/etc/os-release",
    "/appetc/page.html",
    "/link/static/page.html",
    "/link/public/page.html",
    "/link/public/private/page.html",
    "/link/etc/os-release",
    "/link",
    "/cgi/who",
    "/cgi/who/path/info",
    "/beside/parts.shtml",
    "/absent",
];

/// Where an attacker lets the link lead: a name, the text of the link, and whether httpd alone then shows something that
/// it must not.
pub(super) const TARGETS: [(&str, &str, bool); 23] = [
    ("a release", "releases/r1", false),
    ("another release", "releases/r2", false),
    ("outside", "{root}/outside", true),
    ("outside, relative", "../outside", true),
    ("outside, without a docroot", "../plain", true),
    ("above the releases", ".", true),
    ("above the application, without a docroot", "..", true),
    ("the releases", "releases", false),
    ("the root", "/", true),
    ("/usr", "/usr", false),
    ("inside a release", "releases/r1/up", false),
    ("the docroot in a release", "releases/r1/public", false),
    ("a file", "file", true),
    ("a loop", "current", false),
    ("a loop of two links", "loop", false),
    ("nothing", "missing", false),
    ("nothing below a release", "releases/r1/missing", false),
    ("a FIFO", "fifo", false),
    ("a release without a docroot", "releases/bare", false),
    ("a link to outside", "hop", true),
    ("a release that is a link to outside", "releases/away", true),
    ("a release whose docroot is a link to outside", "releases/tail", true),
    ("out through a release", "releases/r1/../../../outside", true),
];

fn fill(site: &Site, directory: &str, text: &str, denied: &str) {
    for page in ["public/index.html", "public/page.html", "static/page.html"] {
        site.write(&format!("{directory}/{page}"), text);
    }
    for page in [
        "public/secret.txt",
        "public/private/page.html",
        "public/unlisted/page.html",
        "public/by-htaccess/page.html",
        "static/private/page.html",
    ] {
        site.write(&format!("{directory}/{page}"), denied);
    }
    site.write(&format!("{directory}/public/by-htaccess/.htaccess"), "Require all denied\n");
    site.write(
        &format!("{directory}/public/parts.shtml"),
        "<!--#include virtual=\"/private/page.html\" --><!--#include virtual=\"/static/page.html\" -->\
         <!--#include virtual=\"/cgi/who\" --><!--#include virtual=\"/appetc/os-release\" -->",
    );
    let script = format!("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n{text}'\n");
    site.write_script(&format!("{directory}/cgi/who"), &script);
    site.write_script(&format!("{directory}/cgi/who.sh"), &script);
    site.write(&format!("{directory}/etc/page.html"), text);
}

/// All that [`TARGETS`] leads to.
pub(super) fn site() -> Site {
    let site = Site::new();
    let root = site.root().display().to_string();
    for release in ["r1", "r2"] {
        fill(&site, &format!("app/releases/{release}"), &format!("release {release}"), DENIED);
    }
    for place in [".", "app", "outside", "plain"] {
        fill(&site, place, &format!("{OUTSIDE} {place}"), &format!("{OUTSIDE} {place}"));
    }
    // From these no docroot can be found, and so none be refused.
    for place in [".", "plain"] {
        fs::remove_dir_all(site.root().join(place).join("public")).expect("removing a docroot");
    }
    site.write("app/releases/r1/up/page.html", "release r1, up");
    site.write("app/releases/bare/static/page.html", "release bare");
    site.write("app/releases/tail/static/page.html", "release tail");
    site.symlink("app/releases/tail/public", format!("{root}/outside/public"));
    site.symlink("app/releases/away", format!("{root}/outside"));
    site.symlink("app/hop", format!("{root}/outside"));
    site.symlink("app/loop", "loop2");
    site.symlink("app/loop2", "loop");
    site.write("app/file", OUTSIDE);
    let fifo = site.root().join("app/fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo of coreutils").success(), "no FIFO");
    site.write(
        "beside/parts.shtml",
        "beside <!--#include virtual=\"/page.html\" --><!--#include virtual=\"/static/page.html\" -->\
         <!--#include virtual=\"/cgi/who\" --><!--#include virtual=\"/etc/os-release\" -->",
    );
    lead(&site, "releases/r1");
    site
}

pub(super) fn lead(site: &Site, text: &str) {
    site.flip_link("app/current", text.replace("{root}", &site.root().display().to_string()));
}

/// What an answer holds that nobody may have.
pub(super) fn leak(response: &RawResponse) -> Option<&'static str> {
    [OUTSIDE, DENIED, OF_THE_SYSTEM].into_iter().find(|word| response.body.contains(word))
}
