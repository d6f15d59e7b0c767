//! What the directives do once they are accepted: inheritance, units, switching off.
//!
//! Owns: directives in the main server and in virtual hosts. Must not: test refusals (see `refused`) or where links
//! lead (see `layouts`).

use std::fmt::Write as _;
use std::time::Duration;

use harness::{Client, Config, Httpd, Mpm, Site, on_each_mpm, readiness};

use crate::layouts::SHOW;

/// A site with a link, `<name>/current -> A -> release-0`, for each virtual host, so that they share nothing.
fn site(hosts: &[(&str, &str)]) -> Site {
    let site = Site::new();
    for (name, _) in hosts {
        for release in 0..2 {
            site.write(&format!("{name}/release-{release}/show.shtml"), SHOW);
        }
        site.symlink(&format!("{name}/A"), "release-0");
        site.symlink(&format!("{name}/current"), "A");
    }
    site
}

/// One virtual host each, with its directives.
fn config(main: &str, hosts: &[(&str, &str)]) -> Config {
    let mut text = format!("{main}\n");
    for (name, directives) in hosts {
        write!(
            text,
            "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName {name}.test\n\
             DocumentRoot \"${{ROOT}}/{name}/current\"\n{directives}\n</VirtualHost>\n"
        )
        .expect("a String takes all");
    }
    Config::new(&text).modules(&["include"])
}

/// The last component of a host's `DOCUMENT_ROOT`.
fn shown(client: &Client, host: &str) -> String {
    let response = client.get_from(&format!("{host}.test"), "/show.shtml").expect("a response");
    assert_eq!(response.status, 200, "{host}: {}", response.body);
    let docroot = response.body.split(']').next().expect("a docroot");
    docroot.rsplit('/').next().expect("a component").to_owned()
}

/// Flips the release of a host, not the link that its docroot is.
fn flip(site: &Site, host: &str) {
    site.flip_link(&format!("{host}/A"), "release-1");
}

fn hosts_inherit_and_set_back(mpm: Mpm) {
    let hosts = [
        ("inherits", ""),
        ("looks-always", "RealpathEvery 0"),
        ("reads-one-link", "UseReadlink On"),
        ("off", "Realdoc Off"),
    ];
    let site = site(&hosts);
    let httpd = Httpd::start(&site, mpm, &config("RealpathEvery 1h", &hosts));
    // One connection, and so one child.
    let client = httpd.client();
    assert_eq!(hosts.map(|(host, _)| shown(&client, host)), ["release-0", "release-0", "A", "current"]);
    for (host, _) in hosts {
        flip(&site, host);
    }
    assert_eq!(hosts.map(|(host, _)| shown(&client, host)), ["release-0", "release-1", "A", "current"]);
}

fn hosts_set_back_what_the_server_turned(mpm: Mpm) {
    let hosts = [
        ("inherits", ""),
        ("on", "Realdoc On"),
        ("on-and-real", "Realdoc On\nUseReadlink Off"),
        ("on-lower-case", "realdoc on\nusereadlink off"),
    ];
    let site = site(&hosts);
    let httpd = Httpd::start(&site, mpm, &config("Realdoc Off\nUseReadlink On", &hosts));
    let client = httpd.client();
    assert_eq!(hosts.map(|(host, _)| shown(&client, host)), ["current", "A", "release-0", "release-0"]);
}

fn a_time_may_have_a_unit(mpm: Mpm) {
    let hosts = [
        ("plain", "RealpathEvery 100"),
        ("seconds", "RealpathEvery 100s"),
        ("minutes", "RealpathEvery 1mi"),
        ("hours", "RealpathEvery 1h"),
        ("milliseconds", "RealpathEvery 100ms"),
        ("zero", "RealpathEvery 0ms"),
    ];
    let site = site(&hosts);
    let httpd = Httpd::start(&site, mpm, &config("", &hosts));
    let client = httpd.client();
    for (host, _) in hosts {
        assert_eq!(shown(&client, host), "release-0");
    }
    for (host, _) in hosts {
        flip(&site, host);
    }
    let follows = readiness::becomes_true(Duration::from_secs(2), || shown(&client, "milliseconds") == "release-1");
    assert!(follows, "100 ms are not over after 2 s");
    let shown = hosts.map(|(host, _)| shown(&client, host));
    assert_eq!(shown[..4], ["release-0"; 4], "the long windows are not over");
    assert_eq!(shown[4..], ["release-1"; 2]);
}

fn switched_off_is_as_without(mpm: Mpm) {
    let hosts = [("off", "Realdoc Off")];
    let site = site(&hosts);
    let get = |httpd: Httpd| {
        let response = httpd.client().get("/show.shtml").expect("a response");
        (response.status, response.body)
    };
    let off = get(Httpd::start(&site, mpm, &config("", &hosts)));
    let without = get(Httpd::start_without_module(&site, mpm, &config("", &[("off", "")])));
    assert_eq!(off, without);
}

on_each_mpm!(inheritance, hosts_inherit_and_set_back);
on_each_mpm!(setting_back, hosts_set_back_what_the_server_turned);
on_each_mpm!(units, a_time_may_have_a_unit);
on_each_mpm!(realdoc_off, switched_off_is_as_without);
