//! Which `<Directory>` sections follow a link, and what is said of those that cannot.
//!
//! Owns: warnings at start-up and by `-t`, the table of `DUMP_REALDOC`, and sections for links that are not yet what
//! they will be. Must not: compare whole sites (see `equivalence`) or test refused targets (see `guard`).

use std::fs;
use std::path::Path;

use harness::raw::ask;
use harness::{Config, Httpd, Mpm, Site, on_each_mpm};

mod dump;

fn site() -> Site {
    Site::with_releases(2, |release| {
        release.write("public/page.html", &format!("release {}", release.number()));
        release.write("public/private/page.html", "private");
        release.write("static/page.html", "static");
    })
}

pub const RELEASES: &str = "RealdocReleases \"${ROOT}/releases/*\"\n";
pub const DOCROOT: &str = "DocumentRoot \"${ROOT}/current/public\"\n";
const NOTHING: &str = "<Directory \"/\">\nRequire all denied\nOptions FollowSymLinks\n</Directory>\n";
const GRANT: &str = "<Directory \"${ROOT}/current/public\">\nRequire all granted\n</Directory>\n";

fn config(text: &str) -> Config {
    Config::new(NOTHING)
        .text(text)
        .modules(&["alias", "authz_host", "dir", "headers", "proxy", "proxy_fcgi", "rewrite", "vhost_alias"])
        .modules(&[
            "auth_basic",
            "authn_core",
            "authn_file",
            "authz_groupfile",
            "authz_user",
            "env",
            "lua",
            "setenvif",
            "userdir",
        ])
        .grants_nothing()
}

/// The module's warnings in a text that httpd has printed or logged.
pub fn warnings(text: &str) -> Vec<String> {
    text.lines().filter(|line| line.contains("[realdoc:warn]")).map(str::to_owned).collect()
}

/// The line of a configuration file that a warning names as `file:line`.
fn line_named(warning: &str) -> String {
    let (_, place) =
        warning.rsplit_once(" at ").and_then(|(_, rest)| Some(((), rest.split_once(": ")?.0))).expect("a place");
    let (file, number) = place.rsplit_once(':').expect("file:line");
    let text = fs::read_to_string(Path::new(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let number: usize = number.parse().unwrap_or_else(|_| panic!("no line number in {place:?}"));
    text.lines().nth(number - 1).expect("a line of that number").to_owned()
}

/// Asserts that `-t` and a start warn of exactly these: the line that the warning names holds the first text, and the
/// warning itself all the others.
pub fn warns(text: &str, expected: &[(&str, &[&str])]) {
    let site = site();
    site.symlink("www", "data/www");
    site.symlink("data/www/a/current", "../../../releases/1");
    // A link that no docroot leads through.
    site.symlink("other", "releases/1");
    for directory in ["releases/0", "releases/1", "data/www", "current2", "shared"] {
        site.write(&format!("{directory}/map.txt"), "");
    }
    let config = config(text);
    let tested = Httpd::ask(&site, Mpm::Event, &config, &["-t"]);
    assert!(tested.contains("Syntax OK"), "{tested}");
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    // Not what it says on the terminal, which a server that runs in the background has let go of.
    let started = warnings(&httpd.error_log());
    for (how, said) in [("-t", warnings(&tested)), ("start", started)] {
        assert_eq!(said.len(), expected.len(), "{how}: {said:#?}\nof {text}");
        for (section, words) in expected {
            let found = said.iter().find(|line| line_named(line).contains(section));
            let line = found.unwrap_or_else(|| panic!("{how}: no warning of {section:?} in {said:#?}"));
            for word in *words {
                assert!(line.contains(word), "{how}: no {word:?} in {line}");
            }
        }
    }
}

/// A server in the background has let go of the terminal when the module finds what to warn of, and its log is not open
/// yet.
#[test]
fn warnings_of_a_server_in_the_background_are_in_its_log() {
    let text = format!("{DOCROOT}{GRANT}{PASSWORDS}");
    let log = Httpd::log_of_background(&site(), Mpm::Event, &config(&text));
    let said = warnings(&log);
    assert_eq!(said.len(), 1, "{log}");
    assert!(said[0].contains("AuthUserFile"), "{}", said[0]);
}

/// A file that another module opens by its name below the link.
const PASSWORDS: &str = "<Location \"/none\">\nAuthUserFile \"${ROOT}/current/passwords\"\n</Location>\n";

/// All sections follow, with and without `RealdocReleases`, so that there is nothing to say of them.
#[test]
fn no_section_is_warned_of() {
    let denied = |section: &str| {
        let end = if section.starts_with("<DirectoryMatch") { "Match" } else { "" };
        format!("{section}\nRequire all denied\n</Directory{end}>\n")
    };
    for section in [
        r#"<DirectoryMatch "^${ROOT}/[^/]+/current/public/private">"#,
        r#"<DirectoryMatch "/current/">"#,
        r#"<Directory ~ "/current/public/p">"#,
        r#"<Directory "${ROOT}/current/public/private">"#,
        r#"<Directory "${ROOT}//current/public/private/">"#,
        r#"<Directory "${ROOT}/*/public/private">"#,
        r#"<Directory "${ROOT}/curren[t]">"#,
        r#"<Directory "${ROOT}/c?rrent/*/private">"#,
        r#"<Directory "${ROOT}/releases">"#,
        "<Directory \"${ROOT}/current/public/private\">\nRewriteEngine On\nRewriteRule ^a$ b",
    ] {
        for releases in ["", RELEASES] {
            warns(&format!("{releases}{DOCROOT}{GRANT}{}", denied(section)), &[]);
        }
    }
    let host = format!(
        "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName b.test\n{DOCROOT}{}</VirtualHost>\n",
        denied(r#"<Directory "${ROOT}/current/public/private">"#)
    );
    warns(&host, &[]);
}

#[test]
fn what_follows_is_not_warned_of() {
    warns(
        &format!("{RELEASES}{DOCROOT}{GRANT}<Directory \"${{ROOT}}/current2\">\nRequire all denied\n</Directory>"),
        &[],
    );
    warns(
        &format!(
            "{RELEASES}{DOCROOT}{GRANT}<DirectoryMatch \"^/srv/elsewhere\">\nRequire all denied\n</DirectoryMatch>\n\
             <Directory \"${{ROOT}}\">\nRequire all denied\n</Directory>"
        ),
        &[],
    );
}

/// A link that leads elsewhere when httpd starts, and is put right later, without a restart.
fn repaired_later(mpm: Mpm) {
    let site = site();
    site.write("outside/public/page.html", "SECRET");
    site.write("outside/page.html", "SECRET");
    site.flip_link("current", "outside");
    let httpd = Httpd::start(
        &site,
        mpm,
        &config(&format!(
            "{RELEASES}{DOCROOT}{GRANT}Alias /outside \"${{ROOT}}/outside\"\nAlias /archive \"${{ROOT}}/releases\"\n\
             <Directory \"${{ROOT}}/current/public/private\">\nRequire all denied\n</Directory>"
        )),
    );
    for text in ["[realdoc:error]", "AH01630"] {
        httpd.expect_error(text);
    }
    let get = |path: &str| {
        let response = ask(httpd.port(), "GET", "localhost", path);
        assert!(!response.body.contains("SECRET"), "{path}: {response:?}");
        response.status()
    };
    assert_eq!(get("/page.html"), 503);
    // The sections for the link grant nothing to where it happens to lead.
    for path in ["/outside/page.html", "/outside/public/page.html", "/outside/"] {
        assert_eq!(get(path), 403, "{path}");
    }
    site.flip(1);
    for (path, status) in [
        ("/page.html", 200),
        ("/private/page.html", 403),
        ("/archive/1/public/page.html", 200),
        ("/archive/1/public/private/page.html", 403),
        ("/archive/1/static/page.html", 403),
        ("/outside/page.html", 403),
        ("/outside/public/page.html", 403),
    ] {
        assert_eq!(get(path), status, "repaired: {path}");
    }
}

/// A section that is stated for the real path wins over one that follows the link.
fn stated_for_the_real_path(mpm: Mpm) {
    let site = site();
    let section = |path: &str, what: &str| format!("<Directory \"${{ROOT}}/{path}\">\n{what}\n</Directory>\n");
    let text = format!(
        "{}{RELEASES}{DOCROOT}{GRANT}{}",
        section("releases/*/public", "Header set X-Section real\nOptions None"),
        section("current/public", "Header set X-Section link"),
    );
    let httpd = Httpd::start(&site, mpm, &config(&text));
    for _ in 0..2 {
        let response = ask(httpd.port(), "GET", "localhost", "/page.html");
        assert_eq!(response.status(), 200, "{response:?}");
        assert!(response.head.contains("X-Section: real"), "{response:?}");
        httpd.graceful_restart();
    }
}

/// Sections of the main server follow the links of virtual hosts, wherever `RealdocReleases` stands, and grant nothing
/// beyond.
fn between_servers(mpm: Mpm) {
    let denied = "<Directory \"${ROOT}/current/public/private\">\nRequire all denied\n</Directory>\n";
    let archive = "Alias /archive \"${ROOT}/releases\"\n";
    for (main, host) in [
        (format!("{GRANT}{denied}"), RELEASES.to_owned()),
        (RELEASES.to_owned(), format!("{GRANT}{denied}")),
        (format!("{RELEASES}{GRANT}"), denied.to_owned()),
    ] {
        let site = site();
        site.write("plain/page.html", "plain");
        let text = format!(
            "DocumentRoot \"${{ROOT}}/plain\"\n{archive}{main}<VirtualHost 127.0.0.1:${{PORT_2}}>\nServerName host.test\n\
             {DOCROOT}{host}</VirtualHost>"
        );
        let httpd = Httpd::start(&site, mpm, &config(&text).more_ports(1));
        httpd.expect_error("AH01630");
        let [main, host] = httpd.ports() else { panic!("two ports") };
        for (port, path, status) in [
            (host, "/page.html", 200),
            (host, "/private/page.html", 403),
            (host, "/archive/1/static/page.html", 403),
            (host, "/archive/1/public/private/page.html", 403),
            (main, "/page.html", 403),
            (main, "/archive/1/public/page.html", 403),
            (main, "/archive/1/public/private/page.html", 403),
        ] {
            let response = ask(*port, "GET", "localhost", path);
            assert_eq!(response.status(), status, "{text}: port {port} {path}: {response:?}");
        }
    }
}

/// A docroot that is not there has no link that a section could follow: the default docroot of a server that needs
/// none, for one, below a directory that the distribution grants to all.
#[test]
fn a_docroot_that_is_not_there() {
    let site = site();
    // Nor has that of a host that computes its docroots, and has one that nobody uses.
    let host = |name: &str, docroot: &str| {
        format!(
            "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName {name}.test\n{docroot}\
             VirtualDocumentRoot \"${{ROOT}}/hosts/%0/current\"\n</VirtualHost>\n"
        )
    };
    site.directory("there");
    for above in ["there", "www", "www/html"] {
        for docroot in ["there/html", "www/html"] {
            let text = config(&format!(
                "{RELEASES}DocumentRoot \"${{ROOT}}/{docroot}\"\n\
                 <Directory \"${{ROOT}}/{above}\">\nRequire all granted\n</Directory>\n{}{}",
                host("inherits", ""),
                host("unused", &format!("DocumentRoot \"${{ROOT}}/{docroot}\"\n")),
            ));
            // httpd itself checks only docroots that are stated, and not with `-T`.
            let table = Httpd::ask(&site, Mpm::Event, &text, &["-t", "-T", "-DDUMP_REALDOC"]);
            assert!(table.contains(&format!("/{docroot}\n")), "{table}");
            assert!(!table.contains("follows:"), "<Directory {above}> grants the releases to all:\n{table}");
        }
    }
}

/// A virtual host whose first release is yet to come, or whose directories are mounted later than httpd starts: what is
/// written for its link is in force from the first request on that finds one.
fn link_that_is_not_there_yet(mpm: Mpm) {
    let section =
        |path: &str, what: &str| format!("<Directory \"${{ROOT}}/{path}\">\nRequire all {what}\n</Directory>\n");
    let denied = section("app/current/public/private", "denied");
    let [above, at_docroot] = ["app", "app/current/public"].map(|path| section(path, "granted"));
    for (mode, main, host) in [("Off", &above, &denied), ("On", &denied, &at_docroot)] {
        let site = Site::new();
        site.write("app/releases/0/public/page.html", "page");
        site.write("app/releases/0/public/private/page.html", "private");
        site.symlink("app/current", "releases/0");
        site.directory("plain");
        let text = format!(
            "DocumentRoot \"${{ROOT}}/plain\"\nRealdocReleases \"${{ROOT}}/app/releases/*\"\nUseReadlink {mode}\n{main}\
             <VirtualHost 127.0.0.1:${{PORT}}>\nServerName host.test\n\
             DocumentRoot \"${{ROOT}}/app/current/public\"\n{host}</VirtualHost>"
        );
        let hidden = site.root().join("hidden");
        // The link, and all there is: that releases are below `app` tells that this is not the link.
        let [link, all] = ["app/current", "app"].map(|path| site.root().join(path));
        fs::rename(&link, &hidden).expect("moved away");
        let httpd = Httpd::start(&site, mpm, &config(&text));
        for text in ["[realdoc:error]", "AH01630"] {
            httpd.expect_error(text);
        }
        let get = |path: &str| ask(httpd.port(), "GET", "host.test", path).status();
        let comes = |path: &Path| {
            assert_eq!(get("/page.html"), 404, "{}", path.display());
            fs::rename(&hidden, path).expect("moved back");
            assert_eq!([get("/page.html"), get("/private/page.html")], [200, 403], "{} is there", path.display());
        };
        comes(&link);
        for path in [&link, &all] {
            fs::rename(path, &hidden).expect("moved away");
            httpd.replace_children();
            comes(path);
        }
    }
}

/// A release in which a part of the docroot is a link, while it was none when httpd started.
fn link_inside_a_release(mpm: Mpm) {
    let denied = "<Directory \"${ROOT}/current/public/private\">\nRequire all denied\n</Directory>\n";
    for mode in ["On", "Off"] {
        let site = site();
        let release = site.release_directory(1);
        fs::rename(release.join("public"), release.join("web")).expect("another name");
        site.symlink("releases/1/public", "web");
        let text = format!("{RELEASES}UseReadlink {mode}\n{DOCROOT}{GRANT}{denied}");
        let httpd = Httpd::start(&site, mpm, &config(&text));
        httpd.expect_error("AH01630");
        let get = |path: &str| ask(httpd.port(), "GET", "localhost", path).status();
        assert_eq!([get("/page.html"), get("/private/page.html")], [200, 403]);
        site.flip(1);
        assert_eq!([get("/page.html"), get("/private/page.html")], [200, 403], "UseReadlink {mode}");
    }
}

/// `RealdocReleases` is inherited, replaced, or set back.
fn releases_in_hosts(mpm: Mpm) {
    let site = site();
    site.write("outside/public/page.html", "outside");
    let host = |name: &str, directives: &str| {
        format!("<VirtualHost 127.0.0.1:${{PORT}}>\nServerName {name}.test\n{directives}</VirtualHost>\n")
    };
    let elsewhere = "DocumentRoot \"${ROOT}/elsewhere/public\"\n";
    site.symlink("elsewhere", "outside");
    let text = format!(
        "{RELEASES}{}{}{}{}",
        host("inherits", elsewhere),
        host("replaces", &format!("{elsewhere}RealdocReleases \"${{ROOT}}/outside\"\n")),
        host("off", &format!("{elsewhere}RealdocReleases Off\n")),
        host("lower-case", &format!("{elsewhere}realdocreleases off\n")),
    );
    let httpd = Httpd::start(&site, mpm, &Config::new(&text));
    httpd.expect_error("[realdoc:error]");
    for (name, status) in [("inherits", 503), ("replaces", 200), ("off", 200), ("lower-case", 200)] {
        let response = ask(httpd.port(), "GET", &format!("{name}.test"), "/page.html");
        assert_eq!(response.status(), status, "{name}: {response:?}");
    }
}

on_each_mpm!(repaired, repaired_later, prefork, event);
on_each_mpm!(not_there_yet, link_that_is_not_there_yet, prefork, event);
on_each_mpm!(inside_a_release, link_inside_a_release, prefork, event);
on_each_mpm!(real_path_wins, stated_for_the_real_path, prefork, event);
on_each_mpm!(main_server_and_hosts, between_servers, event);
on_each_mpm!(inheritance, releases_in_hosts, worker);

#[test]
fn bad_releases() {
    let site = site();
    let refuses = |directive: &str, words: &[&str]| {
        let refusal = Httpd::config_error(&site, Mpm::Event, &config(&format!("{DOCROOT}{directive}")));
        for (status, output) in
            [(refusal.test_status, &refusal.test_output), (refusal.start_status, &refusal.start_output)]
        {
            assert_eq!(status, Some(1), "{directive}: {output}");
            for word in ["RealdocReleases"].iter().chain(words) {
                assert!(output.contains(word), "{directive}: no {word:?} in {output}");
            }
        }
    };
    for (arguments, value) in [
        ("releases/*", "releases/*"),
        ("./releases", "./releases"),
        ("/srv/app/[z", "/srv/app/[z"),
        ("/srv/../etc", "/srv/../etc"),
        ("/srv/app/..", "/srv/app/.."),
        ("/", "/"),
        ("/srv/A srv/B", "srv/B"),
        ("/srv/A \"\"", ""),
        ("\"\" /srv/A", ""),
        ("\"\"", ""),
        ("", ""),
        ("/srv/A Off", "Off"),
        ("On", "On"),
    ] {
        refuses(&format!("RealdocReleases {arguments}"), &[&format!("'{value}'"), "absolute paths"]);
    }
    for section in ["Directory \"/\"", "Location \"/\"", "Files \"*\""] {
        let (word, _) = section.split_once(' ').expect("two words");
        refuses(
            &format!("<{section}>\nRealdocReleases /srv/releases/*\n</{word}>"),
            &["'/srv/releases/*'", "server config", "virtual host"],
        );
    }
}
