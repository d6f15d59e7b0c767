//! The site of these cases: its files, its sections, and what httpd answers for them.

use harness::raw::{RawResponse, ask};
use harness::{Config, Httpd, Mpm, Site};

const NOTHING: &str =
    "<Directory \"/\">\nAllowOverride None\nRequire all denied\nOptions FollowSymLinks\n</Directory>\n";
pub(super) const RELEASES: &str = "RealdocReleases \"${ROOT}/releases/*\"\n";
pub(super) const DOCROOT: &str = "DocumentRoot \"${ROOT}/current/public\"\n";

/// What is asked for, and the status.
pub(super) type Expected<'e> = &'e [(&'e str, u16)];

/// A site that grants at the docroot, denies `private`, and has `uploads` ignore its `.htaccess` files.
pub(super) const USUAL: Expected<'_> = &[
    ("/page.html", 200),
    ("/private/page.html", 403),
    ("/private/deep/page.html", 403),
    ("/uploads/page.html", 200),
    ("/uploads/.htaccess", 403),
];

pub(super) fn section(path: &str, what: &str) -> String {
    format!("<Directory \"${{ROOT}}/{path}\">\n{what}\n</Directory>\n")
}

/// The sections of [`USUAL`] for this docroot.
pub(super) fn usual_sections(docroot: &str) -> String {
    format!(
        "<Files \".ht*\">\nRequire all denied\n</Files>\n{}{}{}",
        section(docroot, "Require all granted\nAllowOverride All"),
        section(&format!("{docroot}/private"), "Require all denied"),
        section(&format!("{docroot}/uploads"), "AllowOverride None"),
    )
}

/// Writes a docroot of [`USUAL`].
pub(super) fn fill(site: &Site, docroot: &str) {
    for page in ["page.html", "private/page.html", "private/deep/page.html", "uploads/page.html", "secret.txt"] {
        site.write(&format!("{docroot}/{page}"), &format!("{docroot} {page}\n"));
    }
    site.write(&format!("{docroot}/uploads/.htaccess"), "Require all denied\n");
}

/// Releases 1 and 2, and a link to the first.
pub(super) fn site() -> Site {
    let site = Site::new();
    for release in ["releases/1", "releases/2"] {
        fill(&site, &format!("{release}/public"));
    }
    site.write("file", "a file\n");
    site.symlink("current", "releases/1");
    site
}

/// All in one virtual host, unless the text has some: httpd does not start where the main server's docroot is not there.
pub(super) fn config(text: &str) -> Config {
    let host = if text.contains("<VirtualHost") {
        text.to_owned()
    } else {
        format!("<VirtualHost 127.0.0.1:${{PORT}}>\nServerName host.test\n{text}</VirtualHost>\n")
    };
    Config::new(NOTHING)
        .text("DocumentRoot \"${ROOT}\"")
        .text(&host)
        .modules(&["alias", "authz_host", "dir", "headers", "rewrite", "setenvif", "vhost_alias"])
        .grants_nothing()
}

pub(super) fn start(site: &Site, mpm: Mpm, text: &str) -> Httpd {
    let httpd = Httpd::start(site, mpm, &config(text));
    for text in ["[realdoc:error]", "[core:error]", "AH01630", "AH00529"] {
        httpd.expect_error(text);
    }
    httpd
}

pub(super) fn get(httpd: &Httpd, path: &str) -> RawResponse {
    ask(httpd.port(), "GET", "host.test", path)
}

pub(super) fn assert_answers(httpd: &Httpd, when: &str, expected: Expected<'_>) {
    for (path, status) in expected {
        let response = get(httpd, path);
        assert_eq!(response.status(), *status, "{when}: {path}: {response:?}");
    }
}

/// That httpd alone answers so, too: what a test expects is not the module's own invention.
pub(super) fn assert_control(site: &Site, mpm: Mpm, text: &str, expected: Expected<'_>) {
    let text = format!(
        "<IfModule mod_realdoc.c>\n{}</IfModule>\n",
        text.lines().filter(is_ours).fold(String::new(), |all, line| all + line + "\n")
    ) + &text.lines().filter(|line| !is_ours(line)).fold(String::new(), |all, line| all + line + "\n");
    let control = Httpd::start_without_module(site, mpm, &config(&text));
    for text in ["[core:error]", "AH01630"] {
        control.expect_error(text);
    }
    assert_answers(&control, "without the module", expected);
}

fn is_ours(line: &&str) -> bool {
    ["Realdoc", "UseReadlink", "RealpathEvery"].iter().any(|word| line.starts_with(word))
}
