//! Configurations that are refused, and with what words.
//!
//! Owns: every bad value and every wrong place of a directive. Must not: test what valid values do.

use harness::{Config, Httpd, Mpm, Site};

fn site() -> Site {
    Site::with_releases(1, |release| release.plain_page("page.html"))
}

fn config(directives: &str) -> Config {
    Config::new(&format!("DocumentRoot \"${{ROOT}}/current\"\n{directives}"))
}

/// Asserts that httpd refuses the directives with a message of all these words, at `-t` and at its start.
fn refuses(site: &Site, directives: &str, words: &[&str]) {
    let refusal = Httpd::config_error(site, Mpm::Event, &config(directives));
    for (how, status, output) in
        [("-t", refusal.test_status, &refusal.test_output), ("start", refusal.start_status, &refusal.start_output)]
    {
        assert_eq!(status, Some(1), "{directives:?} at {how}: {output}");
        for word in words {
            assert!(output.contains(word), "{directives:?} at {how}: no {word:?} in {output}");
        }
    }
}

#[test]
fn bad_times() {
    let site = site();
    for value in ["-1", "+1", "2x", "two", "1.5", "ms", "0x10", "99999999999999999999", "31536001", "366000h"] {
        refuses(
            &site,
            &format!("RealpathEvery {value}"),
            &["RealpathEvery", &format!("'{value}'"), "seconds", "500ms"],
        );
    }
    refuses(&site, "RealpathEvery \"2 s\"", &["RealpathEvery", "'2 s'", "seconds"]);
}

#[test]
fn bad_readlink_values() {
    let site = site();
    for value in ["srv/app", "./srv", "../srv", "Maybe", "1"] {
        refuses(&site, &format!("UseReadlink {value}"), &["UseReadlink", &format!("'{value}'"), "absolute path", "On"]);
    }
}

#[test]
fn bad_switches() {
    let site = site();
    for value in ["Maybe", "1", "yes", "/srv"] {
        refuses(&site, &format!("Realdoc {value}"), &["Realdoc", &format!("'{value}'"), "On or Off"]);
    }
}

#[test]
fn a_wrong_number_of_arguments() {
    let site = site();
    // httpd's own message, with the directive's help. An empty argument is none to httpd.
    for (directive, valid) in
        [("RealpathEvery", "seconds"), ("UseReadlink", "absolute path"), ("Realdoc", "On (the default)")]
    {
        for arguments in ["", " \"\"", " 1 2"] {
            let words = [directive, "takes one argument", valid, "server config"];
            refuses(&site, &format!("{directive}{arguments}"), &words);
        }
    }
}

#[test]
fn the_wrong_place() {
    let site = site();
    for (directive, value) in [("RealpathEvery", "2"), ("UseReadlink", "On"), ("Realdoc", "Off")] {
        for (open, close) in [
            ("<Directory \"/\">", "</Directory>"),
            ("<Location \"/\">", "</Location>"),
            ("<Files \"*\">", "</Files>"),
            ("<If \"true\">", "</If>"),
        ] {
            refuses(
                &site,
                &format!("{open}\n{directive} {value}\n{close}"),
                &[directive, &format!("'{value}'"), "server config", "virtual host"],
            );
        }
    }
}

#[test]
fn a_bad_value_in_a_virtual_host_is_found() {
    refuses(
        &site(),
        "<VirtualHost *:${PORT}>\nServerName one.test\nRealpathEvery never\n</VirtualHost>",
        &["RealpathEvery", "'never'", "seconds"],
    );
}

#[test]
fn in_htaccess() {
    for (directive, value) in [("RealpathEvery", "2"), ("UseReadlink", "On"), ("Realdoc", "Off")] {
        let site = site();
        site.write("releases/0/.htaccess", &format!("{directive} {value}\n"));
        let allow = "<Directory \"${ROOT}\">\nAllowOverride All\n</Directory>";
        let httpd = Httpd::start(&site, Mpm::Event, &config(allow));
        let response = httpd.client().get("/page.html").expect("a response");
        assert_eq!(response.status, 500);
        httpd.expect_error(".htaccess");
        httpd.wait_for_log(directive);
        let log = httpd.error_log();
        let alert = log.lines().find(|line| line.contains(".htaccess")).expect("a line of .htaccess");
        for word in [directive, "virtual host"] {
            assert!(alert.contains(word), "no {word:?} in {alert}");
        }
    }
}
