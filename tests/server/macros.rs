//! Virtual hosts that mod_macro makes.
//!
//! httpd keeps the names of files that directives come from as strings. mod_macro's strings are gone when httpd begins to
//! serve.

use harness::raw::ask;
use harness::{Config, Httpd, Mpm, Site, on_each_mpm};

const HOSTS: usize = 400;

/// Rules in a section at the link belong to the host whose macro states them.
fn rules_of_hosts(mpm: Mpm) {
    let site = Site::new();
    for release in ["1", "2"] {
        site.write(&format!("releases/{release}/public/page.html"), &format!("{release}\n"));
    }
    site.symlink("current", "releases/1");
    let host = "<VirtualHost 127.0.0.1:${PORT}>\nServerName $name.test\nDocumentRoot \"${ROOT}/current/public\"\n\
                <Directory \"${ROOT}/current/public\">\nRewriteEngine On\nRewriteRule ^$name\\.html$ page.html\n</Directory>\n\
                </VirtualHost>\n";
    // Many, so that a process has use for the memory that their names leave.
    let uses: String = (0..HOSTS).fold(String::new(), |uses, number| uses + &format!("Use Host h{number}\n"));
    let text = format!("<Macro Host $name>\n{host}</Macro>\n{uses}");
    let config = Config::new(
        "<Directory \"/\">\nAllowOverride None\nRequire all granted\nOptions FollowSymLinks\n</Directory>\n",
    )
    .text("DocumentRoot \"${ROOT}\"")
    .text(&text)
    .modules(&["alias", "dir", "rewrite", "macro"])
    .grants_nothing();
    let httpd = Httpd::start(&site, mpm, &config);
    for target in ["1", "2"] {
        site.flip_link("current", format!("releases/{target}"));
        for number in 0..HOSTS {
            let response = ask(httpd.port(), "GET", &format!("h{number}.test"), &format!("/h{number}.html"));
            assert_eq!((response.status(), response.body.trim()), (200, target), "h{number}: {response:?}");
        }
    }
}
on_each_mpm!(rules, rules_of_hosts);
