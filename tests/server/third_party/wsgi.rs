//! mod_wsgi in daemon mode: a process keeps what it has imported, so a new script may meet an old package.
//!
//! Owns: that fault, and that the lines in `docs/modules.md` mend it. Must not: test embedded mode, or other application
//! servers (see `passenger`).

use std::collections::BTreeSet;
use std::process::Command;

use harness::{Config, Httpd, Mpm, Site};

use super::ThirdParty;
use crate::modules::{assert_warnings, flip, lines};

const WSGI: ThirdParty = ThirdParty { symbol: "wsgi_module", file: "mod_wsgi.so", package: "libapache2-mod-wsgi-py3" };

/// Says which release the script is of, and of which the package that it imports.
const SCRIPT: &str = "import os, sys\n\
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))\n\
    import package\n\
    def application(environ, start_response):\n    \
        start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
        return [('{release} %s' % package.RELEASE).encode()]\n";

/// Says of which release it is, and of which a module that it imports when it is asked.
const PACKAGE: &str = "RELEASE = '{release}'\n\
    def application(environ, start_response):\n    \
        import late\n    \
        start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
        return [('%s %s' % (RELEASE, late.RELEASE)).encode()]\n";

const RELEASES: [&str; 3] = ["42", "43", "44"];

/// Releases whose files have the same time, as those of a checkout may have.
fn site() -> Site {
    let site = Site::new();
    for release in RELEASES {
        let write = |path: &str, text: &str| {
            site.write(&format!("srv/app/releases/{release}/{path}"), &text.replace("{release}", release));
        };
        write("app.wsgi", SCRIPT);
        write("package/__init__.py", PACKAGE);
        write("late.py", "RELEASE = '{release}'\n");
        write("public/page.html", "{release}");
    }
    site.age();
    site.symlink("srv/app/current", "releases/42");
    site
}

fn config(lines: &str) -> Option<Config> {
    let config = WSGI.loaded(&format!(
        "DocumentRoot \"${{ROOT}}/srv/app/current/public\"\nWSGISocketPrefix \"${{RUN}}/wsgi\"\n{lines}"
    ))?;
    Some(config.modules(&["alias"]))
}

/// What the application shows in so many requests, each on a connection of its own.
fn shown(httpd: &Httpd) -> BTreeSet<String> {
    (0..20).map(|_| httpd.client().get("/app").expect("a response").body).collect()
}

/// The script and what it imports are of this release, each time.
fn whole(release: &str) -> BTreeSet<String> {
    BTreeSet::from([format!("{release} {release}")])
}

const FLIPS: [&str; 6] = ["43", "44", "43", "42", "44", "42"];

#[test]
fn a_script_below_the_link_meets_the_old_package() {
    let site = site();
    let lines = "WSGIDaemonProcess app processes=2 threads=2\nWSGIProcessGroup app\n\
         WSGIScriptAlias /app \"${ROOT}/srv/app/current/app.wsgi\"";
    let Some(config) = config(lines) else { return };
    let said = ["runs", "/current,", "touch it after each flip", "WSGIApplicationGroup %{ENV:REALDOC_RELEASE}"];
    assert_warnings(&site, Mpm::Event, &config, &[&said]);
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    assert_eq!(shown(&httpd), whole("42"));
    flip(&site, "43");
    let mixed = shown(&httpd);
    assert!(mixed.contains("43 42"), "{mixed:?}");
}

#[test]
fn a_script_beside_the_link() {
    let site = site();
    let Some(config) = config(&lines(&site, "mod_wsgi", "apache")[0]) else { return };
    assert_warnings(&site, Mpm::Event, &config, &[]);
    site.write("srv/app/start.wsgi", &lines(&site, "mod_wsgi", "python").concat());
    let commands = lines(&site, "mod_wsgi", "sh").concat();
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    assert_eq!(shown(&httpd), whole("42"));
    for release in FLIPS {
        let commands = commands.replace("releases/43", &format!("releases/{release}"));
        let status = Command::new("bash").arg("-ec").arg(&commands).status().expect("running bash");
        assert!(status.success(), "{commands}");
        assert_eq!(shown(&httpd), whole(release));
    }
}

#[test]
fn an_interpreter_for_each_release() {
    let site = site();
    let Some(config) = config(&lines(&site, "mod_wsgi", "apache")[1]) else { return };
    assert_warnings(&site, Mpm::Event, &config, &[]);
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    assert_eq!(shown(&httpd), whole("42"));
    for release in FLIPS {
        flip(&site, release);
        assert_eq!(shown(&httpd), whole(release));
    }
}
