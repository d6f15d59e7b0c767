//! mod_rpaf: behind a proxy, it chooses the virtual host anew, by the proxy's `X-Host`.
//!
//! Owns: that a request gets the docroot, the rules and the variables of the virtual host that answers. Must not: test
//! other modules that choose a server.

use harness::{Client, Config, Httpd, Mpm, Response, Site, on_each_mpm};

use super::ThirdParty;

const RPAF: ThirdParty = ThirdParty { symbol: "rpaf_module", file: "mod_rpaf.so", package: "libapache2-mod-rpaf" };

/// As Debian's `rpaf.conf` has it.
const SETTINGS: &str = "RPAFenable On\nRPAFsethostname On\nRPAFproxy_ips 127.0.0.1 ::1\n";

const HOSTS: &str = r#"
    ErrorDocument 404 /missing.shtml
    DirectoryIndex index.shtml
    <VirtualHost *:${PORT}>
        ServerName a.test
        DocumentRoot "${ROOT}/a/current/public"
        <Location "/">
            Require expr "%{HTTP:Authorization} == 'of a'"
        </Location>
        {RULES}
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName b.test
        DocumentRoot "${ROOT}/b/current/public"
        Alias /static "${ROOT}/b/current/static"
        {RULES}
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName same.test
        DocumentRoot "${ROOT}/a/current/public"
        {RULES}
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName guarded.test
        DocumentRoot "${ROOT}/a/current/public"
        <IfModule mod_realdoc.c>
            RealdocReleases "${ROOT}/elsewhere/*"
        </IfModule>
        {RULES}
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName off.test
        DocumentRoot "${ROOT}/b/current/public"
        <IfModule mod_realdoc.c>
            Realdoc Off
        </IfModule>
        {RULES}
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName plain.test
        DocumentRoot "${ROOT}/plain"
        {RULES}
    </VirtualHost>
"#;

/// In each of them: a file is there, or it is not, in the docroot of the host that answers.
const RULES: &str = r#"
    RewriteEngine On
    RewriteCond "%{DOCUMENT_ROOT}/cached%{REQUEST_URI}" -f
    RewriteRule ^ "%{DOCUMENT_ROOT}/cached%{REQUEST_URI}" [L]
"#;

const SHOW: &str = "[<!--#echo var=\"SERVER_NAME\" -->][<!--#include virtual=\"/part.html\" -->]";

/// Hosts `a` and `b`, each with two releases.
fn site() -> Site {
    let site = Site::new();
    for host in ["a", "b"] {
        for release in ["one", "two"] {
            let write = |path: &str, text: &str| site.write(&format!("{host}/releases/{release}/{path}"), text);
            let name = format!("{host}-{release}");
            write(&format!("public/only-{host}.html"), &name);
            write("public/part.html", &name);
            write("public/page.shtml", SHOW);
            write("public/index.shtml", SHOW);
            write("public/sub/index.shtml", SHOW);
            write("public/missing.shtml", &format!("missing {SHOW}"));
            write(
                "public/variables.shtml",
                "<!--#echo var=\"DOCUMENT_ROOT\" --> <!--#echo var=\"REALDOC_DOCUMENT_ROOT\" --> <!--#echo var=\"REALDOC_RELEASE\" -->",
            );
            write(&format!("public/cached/cached-{host}.html"), &format!("cached {name}"));
            write("static/file.html", &format!("static {name}"));
        }
        site.symlink(&format!("{host}/current"), "releases/one");
    }
    site.write("plain/part.html", "plain");
    site.write("plain/page.shtml", SHOW);
    site.write("plain/missing.shtml", &format!("missing {SHOW}"));
    site.write("plain/variables.shtml", "<!--#echo var=\"DOCUMENT_ROOT\" -->");
    site
}

fn config(more: &str) -> Option<Config> {
    let config = RPAF.loaded(&format!("{SETTINGS}{more}\n{}", HOSTS.replace("{RULES}", RULES)))?;
    Some(config.modules(&["alias", "dir", "include", "rewrite"]))
}

/// The answer to what the proxy was asked of `host`, and asks `a.test` for.
fn forwarded(client: &Client, host: &str, path: &str) -> Response {
    let fields = [("Host", "a.test"), ("X-Forwarded-For", "192.0.2.1"), ("X-Host", host)];
    client.request(path, &fields).expect("a response")
}

const PATHS: [&str; 9] = [
    "/only-a.html",
    "/only-b.html",
    "/page.shtml",
    "/",
    "/sub/",
    "/absent",
    "/cached-a.html",
    "/cached-b.html",
    "/static/file.html",
];

/// Whatever host is asked for, the answer is the one without the module, before a flip and after it. The proxy keeps one
/// connection for all of them.
fn the_host_that_answers(mpm: Mpm) {
    for settings in ["RealpathEvery 1h", "RealpathEvery 0", "UseReadlink On"] {
        let site = site();
        let Some(config) = config(settings) else { return };
        let alone = self::config("").expect("the module");
        let (with, without) = (Httpd::start(&site, mpm, &config), Httpd::start_without_module(&site, mpm, &alone));
        let clients = [&with, &without].map(|httpd| {
            httpd.expect_error("AH01630");
            httpd.client()
        });
        for release in ["one", "two"] {
            for host in HOSTS_COMPARED {
                for path in PATHS {
                    let [with, without] = clients.each_ref().map(|client| forwarded(client, host, path));
                    let [with, without] = [with, without].map(|response| (response.status, response.body));
                    assert_eq!(with, without, "{settings}, release {release}: {host}{path}");
                }
            }
            if settings == "RealpathEvery 1h" {
                break;
            }
            for host in ["a", "b"] {
                site.flip_link(&format!("{host}/current"), "releases/two");
            }
        }
    }
}

const HOSTS_COMPARED: [&str; 6] = ["b.test", "same.test", "off.test", "a.test", "plain.test", "b.test"];

on_each_mpm!(host, the_host_that_answers);

/// The rules of the host that answers count, and not those of the one that was asked first.
fn rules_of_the_host(mpm: Mpm) {
    let site = site();
    let Some(config) = config("RealpathEvery 1h") else { return };
    let httpd = Httpd::start(&site, mpm, &config);
    httpd.expect_error("[realdoc:error]");
    let client = httpd.client();
    for path in ["/only-a.html", "/page.shtml", "/cached-a.html"] {
        let refused = forwarded(&client, "guarded.test", path);
        assert_eq!(refused.status, 503, "{path}: {refused:?}");
        assert!(!refused.body.contains("a-one"), "{refused:?}");
    }
    assert_eq!(forwarded(&client, "b.test", "/cached-b.html").body, "cached b-one");
    let shown = |host: &str| forwarded(&client, host, "/variables.shtml").body;
    let root = site.root().display();
    assert_eq!(shown("b.test"), format!("{root}/b/releases/one/public {root}/b/current/public one"));
    assert_eq!(shown("off.test"), format!("{root}/b/current/public (none) (none)"));
    assert_eq!(shown("plain.test"), format!("{root}/plain"));
    assert_eq!(shown("same.test"), format!("{root}/a/releases/one/public {root}/a/current/public one"));
}

on_each_mpm!(rules, rules_of_the_host);
