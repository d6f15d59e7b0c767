//! Passenger: it runs an application for each root that it finds above the docroot.
//!
//! Owns: that an application is followed whole. Must not: test other application servers (see `wsgi`).

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use harness::{Httpd, Mpm, Site, readiness};

use super::ThirdParty;

const PASSENGER: ThirdParty =
    ThirdParty { symbol: "passenger_module", file: "mod_passenger.so", package: "libapache2-mod-passenger" };

const APPLICATION: &str = "require_relative 'part'\n\
    run lambda { |env| [200, { 'Content-Type' => 'text/plain' }, [\"{release} #{PART}\"]] }\n";

#[test]
fn an_application() {
    let site = Site::with_releases(3, |release| {
        let number = release.number().to_string();
        release.write("config.ru", &APPLICATION.replace("{release}", &number));
        release.write("part.rb", &format!("PART = '{number}'\n"));
        release.write("public/page.html", &number);
    });
    site.age();
    let Some(config) = PASSENGER.loaded(
        "PassengerRoot /usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini\n\
         PassengerDefaultRuby /usr/bin/ruby\nPassengerInstanceRegistryDir \"${RUN}\"\nPassengerDisableSecurityUpdateCheck on\n\
         PassengerDisableAnonymousTelemetry on\nPassengerDisableLogPrefix on\nPassengerLogFile \"${RUN}/passenger.log\"\n\
         DocumentRoot \"${ROOT}/current/public\"\nPassengerMaxPoolSize 4\n",
    ) else {
        return;
    };
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    for release in [0, 1, 2, 1, 0] {
        site.flip(release);
        let shown: BTreeSet<String> = (0..5).map(|_| httpd.client().get("/app").expect("a response").body).collect();
        assert_eq!(shown, BTreeSet::from([format!("{release} {release}")]));
    }
    httpd.finish();
    // Passenger's own processes outlive httpd a little.
    assert!(readiness::becomes_true(ENDS_WITHIN, || !runs_from(&site)), "applications go on running");
}

const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// Whether there is a process of an application of this site.
fn runs_from(site: &Site) -> bool {
    let root = site.root().display().to_string();
    fs::read_dir("/proc").expect("/proc").flatten().any(|entry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|words| String::from_utf8_lossy(&words).contains(&root))
    })
}
