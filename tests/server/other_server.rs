//! Another module gives a request another server, or its server another docroot, when the docroot is pinned already.
//!
//! Owns: that the request is answered as without the module: by the docroot and the rules of the server that answers.
//! Must not: load a module that is not httpd's own (see `third_party`).

use harness::{Client, Config, Httpd, Mpm, Site, on_each_mpm, shim};

const HOSTS: &str = r#"
    ErrorDocument 404 /missing.shtml
    DirectoryIndex index.shtml
    <VirtualHost *:${PORT}>
        ServerName a.test
        DocumentRoot "${ROOT}/a/current/public"
        <Location "/">
            Require expr "%{HTTP:Authorization} == 'of a'"
        </Location>
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName b.test
        DocumentRoot "${ROOT}/b/current/public"
        Alias /static "${ROOT}/b/current/static"
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName open.test
        DocumentRoot "${ROOT}/a/current/public"
        Alias /static "${ROOT}/a/current/static"
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName guarded.test
        DocumentRoot "${ROOT}/a/current/public"
        Alias /static "${ROOT}/a/current/static"
        <IfModule mod_realdoc.c>
            RealdocReleases "${ROOT}/elsewhere/*"
        </IfModule>
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName off.test
        DocumentRoot "${ROOT}/b/current/public"
        <IfModule mod_realdoc.c>
            Realdoc Off
        </IfModule>
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName plain.test
        DocumentRoot "${ROOT}/plain"
    </VirtualHost>
"#;

const SHOW: &str = "[<!--#echo var=\"SERVER_NAME\" -->][<!--#include virtual=\"/part.html\" -->]";
const VARIABLES: &str = "<!--#echo var=\"DOCUMENT_ROOT\" --> <!--#echo var=\"REALDOC_DOCUMENT_ROOT\" --> \
     <!--#echo var=\"REALDOC_RELEASE\" -->";

/// Docroots `a` and `b` with two releases each, and `plain` without a link.
fn site() -> Site {
    let site = Site::new();
    let fill = |directory: &str, host: &str, name: &str| {
        let write = |path: &str, text: &str| site.write(&format!("{directory}/{path}"), text);
        write(&format!("only-{host}.html"), name);
        write("part.html", name);
        write("index.shtml", SHOW);
        write("sub/index.shtml", SHOW);
        write("missing.shtml", &format!("missing {SHOW}"));
        write("variables.shtml", VARIABLES);
    };
    for host in ["a", "b"] {
        for release in ["one", "two"] {
            let directory = format!("{host}/releases/{release}");
            fill(&format!("{directory}/public"), host, &format!("{host}-{release}"));
            site.write(&format!("{directory}/static/file.html"), &format!("static {host}-{release}"));
        }
        site.symlink(&format!("{host}/current"), "releases/one");
    }
    fill("plain", "plain", "plain");
    site
}

fn config(settings: &str) -> Config {
    shim::beside(Config::new(&format!("{settings}\n{HOSTS}")).modules(&["alias", "dir", "include"]))
}

const PATHS: [&str; 8] =
    ["/only-a.html", "/only-b.html", "/only-plain.html", "/part.html", "/", "/sub/", "/absent", "/static/file.html"];

/// What is asked of host `a.test`, or of one that is left alone, with one more header field.
fn ask(client: &Client, host: &str, field: (&str, &str), path: &str) -> (u16, String) {
    let response = client.request(path, &[("Host", host), field]).expect("a response");
    (response.status, response.body)
}

const SETTINGS: [&str; 3] = ["RealpathEvery 0", "RealpathEvery 1h", "UseReadlink On"];

/// Compares answers with those of httpd alone, before and after a flip.
fn compare(mpm: Mpm, first: &str, fields: &[(&str, String)], site: &Site) {
    for settings in SETTINGS {
        for host in ["a", "b"] {
            site.flip_link(&format!("{host}/current"), "releases/one");
        }
        let (with, without) =
            (Httpd::start(site, mpm, &config(settings)), Httpd::start_without_module(site, mpm, &config("")));
        let clients = [&with, &without].map(|httpd| {
            httpd.expect_error("AH01630");
            httpd.client()
        });
        for release in ["one", "two"] {
            for (name, value) in fields {
                for path in PATHS {
                    let [with, without] =
                        clients.each_ref().map(|client| ask(client, first, (name, value.as_str()), path));
                    assert_eq!(with, without, "{settings}, release {release}: {path} of {first}, {name}: {value}");
                }
            }
            if settings.ends_with('h') {
                break;
            }
            for host in ["a", "b"] {
                site.flip_link(&format!("{host}/current"), "releases/two");
            }
        }
    }
}

fn another_server(mpm: Mpm) {
    for first in ["a.test", "off.test", "plain.test"] {
        let hosts = ["b.test", "open.test", "off.test", "plain.test", "a.test", "b.test"];
        let fields: Vec<_> = ["X-Server-When-Read", "X-Server-When-Mapped"]
            .into_iter()
            .flat_map(|name| hosts.map(|host| (name, host.to_owned())))
            .collect();
        compare(mpm, first, &fields, &site());
    }
}

on_each_mpm!(another_server, another_server);

/// It is the server's, for all threads to see: one client, and nobody else.
fn another_docroot(mpm: Mpm) {
    let site = site();
    let docroots = ["b/current/public", "plain", "a/current/public", "a/releases/one/public", "absent", "b/current"];
    let fields: Vec<_> = ["X-Docroot-When-Read", "X-Docroot-When-Mapped"]
        .into_iter()
        .flat_map(|name| docroots.map(|docroot| (name, site.root().join(docroot).display().to_string())))
        .chain([("X-Other", String::new())])
        .collect();
    for first in ["open.test", "plain.test", "off.test"] {
        compare(mpm, first, &fields, &site);
    }
}

on_each_mpm!(another_docroot, another_docroot, prefork, event);

/// The first requests of a process: what is remembered of the server's docroot at another one's address must not be taken
/// for the next docroot at that address.
fn first_docroots(mpm: Mpm) {
    let site = site();
    for name in ["X-Docroot-When-Read", "X-Docroot-When-Mapped"] {
        for first in ["a/current/public", "a/releases/one/public"] {
            let httpd = Httpd::start(&site, mpm, &config("RealpathEvery 1h").children(1, 1));
            // The only process is at work whenever httpd counts the idle ones meanwhile.
            httpd.expect_error("server reached MaxRequestWorkers setting");
            let client = httpd.client();
            let answer = |docroot: &str| {
                let docroot = site.root().join(docroot).display().to_string();
                ask(&client, "open.test", (name, &docroot), "/part.html").1
            };
            for _ in 0..3 {
                assert_eq!(answer(first), "a-one", "{name}: {first}");
                for (next, expected) in [("b/current/public", "b-one"), ("plain", "plain")] {
                    assert_eq!(answer(next), expected, "{name}: {next} after {first}");
                }
            }
        }
    }
}

on_each_mpm!(first_docroots, first_docroots, prefork);

fn rules_and_variables(mpm: Mpm) {
    let site = site();
    let httpd = Httpd::start(&site, mpm, &config("RealpathEvery 1h"));
    httpd.expect_error("[realdoc:error]");
    let client = httpd.client();
    let root = site.root().display();
    for field in ["X-Server-When-Read", "X-Server-When-Mapped"] {
        for path in ["/only-a.html", "/", "/absent", "/static/file.html"] {
            let (status, body) = ask(&client, "a.test", (field, "guarded.test"), path);
            assert_eq!(status, 503, "{field}: {path}: {body}");
        }
        let shown = |host: &str| ask(&client, "a.test", (field, host), "/variables.shtml").1;
        assert_eq!(shown("b.test"), format!("{root}/b/releases/one/public {root}/b/current/public one"));
        assert_eq!(shown("off.test"), format!("{root}/b/current/public (none) (none)"));
        assert_eq!(shown("plain.test"), format!("{root}/plain {root}/plain (none)"));
        assert_eq!(shown("open.test"), format!("{root}/a/releases/one/public {root}/a/current/public one"));
    }
}

on_each_mpm!(rules_and_variables, rules_and_variables);
