//! What `docs/php.md` says of connecting PHP, of its caches, and of what goes around the docroot.
//!
//! Owns: each claim of that page but those about the OPcache (see `opcache`), with the configuration that it shows. Must
//! not: test PHP under load (see `php`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use harness::document::texts;
use harness::fpm::Settings;
use harness::{Client, Config, Fpm, Httpd, Mpm, Site, installation, on_each_mpm, readiness};

use crate::examples::placed;
use crate::php::{MOD_PHP, php_of};

const GUIDE: &str = "docs/php.md";

/// OPcache leaves files alone that are younger than two seconds, and those of a test are.
pub const YOUNG_FILES_TOO: &str = "opcache.file_update_protection=0\n";

/// Shows the release of the script, of a file beside it that is included by its relative name, and of the docroot.
const SHOW: &str = "<?php echo basename(dirname(__DIR__)), ' ', require 'part.php', ' ',\n\
    basename(dirname($_SERVER['DOCUMENT_ROOT'])), ' ', $_SERVER['SCRIPT_FILENAME'];";

/// Releases `0` to `2` in `srv/app`, with the link `current` to the first of them.
fn site() -> Site {
    let site = Site::new();
    for release in 0..3 {
        site.write(&format!("srv/app/releases/{release}/public/index.php"), SHOW);
        site.write(&format!("srv/app/releases/{release}/public/part.php"), &format!("<?php return '{release}';"));
    }
    site.symlink("srv/app/current", "releases/0");
    site
}

fn flip(site: &Site, release: usize) {
    site.flip_link("srv/app/current", format!("releases/{release}"));
}

const DOCROOT: &str = "DocumentRoot \"${ROOT}/srv/app/current/public\"\n";

fn config(lines: &str) -> Config {
    Config::new(DOCROOT).text(lines).modules(&["proxy", "proxy_fcgi", "rewrite"])
}

/// php-fpm with one worker: whatever it is asked, it is warm.
fn fpm(site: &Site, ini: &str) -> Fpm {
    let settings = Settings { ini: format!("{YOUNG_FILES_TOO}{ini}"), ..Settings::default() };
    Fpm::start_with(site, 1, &settings).expect("php-fpm")
}

/// The block of the guide, as it stands but for the places.
fn block(site: &Site, heading: &str, number: usize) -> String {
    placed(site, &texts(GUIDE, heading, "apache")[number])
}

fn get(client: &Client) -> String {
    let response = client.get("/index.php").expect("a response");
    assert_eq!(response.status, 200, "{}", response.body);
    response.body
}

/// What pages show before and after flips to each of these releases.
fn shown(site: &Site, client: &Client, flips: &[usize]) -> Vec<String> {
    // The second is served from the caches.
    let mut shown = vec![get(client), get(client)];
    shown.extend(flips.iter().map(|release| {
        flip(site, *release);
        get(client)
    }));
    shown
}

/// What is shown where all is of one release.
fn whole(site: &Site, releases: &[usize]) -> Vec<String> {
    let directory = site.root().join("srv/app/releases").display().to_string();
    let page = |release: &usize| format!("{release} {release} {release} {directory}/{release}/public/index.php");
    releases.iter().map(page).collect()
}

/// Neither mod_php nor php-fpm needs a setting, and caches that last for ever do no harm.
fn caches_may_last(mpm: Mpm) {
    for ini in ["", "realpath_cache_ttl=86400\nopcache.validate_timestamps=0\nopcache.revalidate_path=0\n"] {
        let site = site();
        let (config, _fpm) = php_of(&site, mpm, 1, &format!("{YOUNG_FILES_TOO}{ini}"));
        let httpd = Httpd::start(&site, mpm, &config.text(DOCROOT));
        let shown = shown(&site, &httpd.client(), &[1, 0, 2, 1]);
        assert_eq!(shown, whole(&site, &[0, 0, 1, 0, 2, 1]), "{ini}");
    }
}

on_each_mpm!(php_guide_caches_may_last, caches_may_last, prefork, event);

/// What the guide shows is what the tests run.
#[test]
fn the_handlers_of_the_guide() {
    let site = site();
    let fpm = fpm(&site, "");
    let plain = |number: usize| block(&site, "Connecting PHP", number).replace("    ", "").trim().to_owned();
    assert_eq!([plain(0), plain(1)], [MOD_PHP, fpm.directives().trim()]);
}

/// The script stays behind, the docroot moves on, and start-up says so.
#[test]
fn a_path_of_its_own_goes_around_the_docroot() {
    let site = site();
    let _fpm = fpm(&site, "");
    let config = config(&block(&site, "A path of its own", 0));
    let said = Httpd::ask(&site, Mpm::Event, &config, &["-t"]);
    let link = format!("gives the FastCGI server a path through the link {}/srv/app/current,", site.root().display());
    assert!(said.contains("[realdoc:warn]") && said.contains(&link), "{said}");
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    let shown = shown(&site, &httpd.client(), &[1]);
    let script = site.root().join("srv/app/current/public/index.php").display().to_string();
    assert_eq!(shown[1..], [format!("0 0 0 {script}"), format!("0 1 1 {script}")], "an old script, new parts");
}

#[test]
fn a_path_from_the_docroot_does_not() {
    let site = site();
    let _fpm = fpm(&site, "");
    let config = config(&block(&site, "A path from the docroot", 0));
    let said = Httpd::ask(&site, Mpm::Event, &config, &["-t"]);
    assert!(!said.contains("[realdoc:"), "{said}");
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    assert_eq!(shown(&site, &httpd.client(), &[1, 2]), whole(&site, &[0, 0, 1, 2]));
}

/// The settings that are usually advised, without the module.
#[test]
fn what_does_not_help_without_the_module() {
    let site = site();
    let config = {
        let fpm = fpm(&site, "");
        config(&fpm.directives())
    };
    let httpd = Httpd::start_without_module(&site, Mpm::Event, &config);
    for (ini, follows) in [
        ("", false),
        ("opcache.revalidate_path=1\n", false),
        ("realpath_cache_ttl=0\nopcache.revalidate_path=1\n", false),
        ("opcache.enable=0\n", false),
        ("realpath_cache_size=0\nopcache.revalidate_path=1\n", true),
    ] {
        flip(&site, 0);
        let _fpm = fpm(&site, ini);
        let shown = shown(&site, &httpd.client(), &[1]);
        let scripts: Vec<&str> = shown.iter().filter_map(|shown| shown.split(' ').next()).collect();
        assert_eq!(scripts, ["0", "0", if follows { "1" } else { "0" }], "{ini:?}: {shown:?}");
    }
}

/// A path with the link in it that PHP is configured with.
#[test]
fn paths_of_php_ini_go_through_the_link() {
    let site = site();
    for release in 0..3 {
        site.write(&format!("srv/app/releases/{release}/first.php"), &format!("<?php echo 'first {release}, ';"));
    }
    let root = site.root().display();
    let _fpm = fpm(&site, &format!("auto_prepend_file={root}/srv/app/current/first.php\n"));
    let config = config(&block(&site, "Connecting PHP", 1));
    let httpd = Httpd::start(&site, Mpm::Event, &config);
    let shown = shown(&site, &httpd.client(), &[1]);
    assert_eq!(shown[1], format!("first 0, {}", whole(&site, &[0])[0]));
    assert_eq!(shown[2], format!("first 0, {}", whole(&site, &[1])[0]));
}

/// php-fpm sees the releases at another path.
fn translated(site: &Site, settings: &Settings, number: usize, seen_at: &str) {
    let _fpm = Fpm::start_with(site, 1, settings).expect("php-fpm");
    let lines = block(site, "php-fpm in a chroot or a container", number).replace("\"/app$", &format!("\"{seen_at}$"));
    let httpd = Httpd::start(site, Mpm::Event, &config(&lines));
    let page = |release: &usize| format!("{release} {release} {release} {seen_at}/releases/{release}/public/index.php");
    let expected: Vec<String> = [0, 0, 1, 2].iter().map(page).collect();
    assert_eq!(shown(site, &httpd.client(), &[1, 2]), expected);
}

#[test]
fn in_a_chroot() {
    let site = site();
    let chroot = Some(site.root().join("srv/app"));
    translated(&site, &Settings { ini: YOUNG_FILES_TOO.to_owned(), chroot, ..Settings::default() }, 0, "");
}

/// A container has a tree of its own; to php-fpm it is the same whether that is mounted or copied.
#[test]
fn in_a_container() {
    let site = site();
    for release in 0..3 {
        for file in ["index.php", "part.php"] {
            let path = format!("releases/{release}/public/{file}");
            let text = fs::read_to_string(site.root().join("srv/app").join(&path)).expect("a file");
            site.write(&format!("app/{path}"), &text);
            site.write(&format!("srv/app/{path}"), "<?php echo 'not here';");
        }
    }
    let seen_at = site.root().join("app").display().to_string();
    translated(&site, &Settings { ini: YOUNG_FILES_TOO.to_owned(), ..Settings::default() }, 1, &seen_at);
}

/// A page that shows the release of two of its files, and does not go on to the second until it is told to.
fn slow_site() -> Site {
    const SLOW: &str = "<?php $root = $_SERVER['DOCUMENT_ROOT']; $state = $_GET['state']; echo require \"$root/part.php\";\n\
        touch(\"$state/begun\"); while (!file_exists(\"$state/go\")) { clearstatcache(); usleep(2000); }\n\
        echo ' ', require \"$root/other.php\";";
    let site = site();
    for release in 0..3 {
        let write = |file: &str, text: &str| site.write(&format!("srv/app/releases/{release}/public/{file}"), text);
        write("slow.php", SLOW);
        write("other.php", &format!("<?php return '{release}';"));
    }
    site.directory("state");
    fs::set_permissions(site.root().join("state"), fs::Permissions::from_mode(0o777)).expect("permissions");
    site
}

/// Gets the slow page, on release 0; when it has begun, does `meanwhile`, which may tell it to go on.
fn under_way(site: &Site, httpd: &Httpd, meanwhile: impl FnOnce(&dyn Fn())) -> (u16, String) {
    let state = site.root().join("state");
    std::thread::scope(|scope| {
        let request =
            scope.spawn(|| httpd.client().get(&format!("/slow.php?state={}", state.display())).expect("a response"));
        let begun = || state.join("begun").exists();
        assert!(readiness::becomes_true(Duration::from_secs(10), begun), "the script does not begin");
        meanwhile(&|| site.write("state/go", ""));
        let response = request.join().expect("a request");
        (response.status, response.body)
    })
}

/// Whatever PHP is told to forget, a page that is under way while the link moves has parts of both releases.
#[test]
fn no_setting_helps_a_request_that_is_under_way() {
    let ini = "realpath_cache_size=0\nopcache.revalidate_path=1\n";
    for (with_module, shown) in [(false, "0 1"), (true, "0 0")] {
        let site = slow_site();
        let config = config(&fpm(&site, "").directives());
        let _fpm = fpm(&site, ini);
        let start = if with_module { Httpd::start } else { Httpd::start_without_module };
        let httpd = start(&site, Mpm::Event, &config);
        let (status, body) = under_way(&site, &httpd, |go| {
            flip(&site, 1);
            go();
        });
        assert_eq!((status, body.as_str()), (200, shown), "with the module: {with_module}");
    }
}

#[test]
fn a_reload_waits_for_requests_if_it_is_told_to() {
    // The harness sets what the guide shows.
    assert!(texts(GUIDE, "Reloading php-fpm", "ini")[0].contains("process_control_timeout = 20s"));
    for (global, status) in [("", 200), ("process_control_timeout = 0", 503)] {
        let site = slow_site();
        let settings = Settings { global: global.to_owned(), ..Settings::default() };
        let fpm = Fpm::start_with(&site, 1, &settings).expect("php-fpm");
        let httpd = Httpd::start(&site, Mpm::Event, &config(&fpm.directives()));
        for error in ["AH01067", "AH01075"] {
            httpd.expect_error(error);
        }
        let mut next = Vec::new();
        let (found, body) = under_way(&site, &httpd, |go| {
            flip(&site, 1);
            fpm.begin_reload();
            if status == 200 {
                // One that comes meanwhile has to wait, as there is one worker.
                next = std::thread::scope(|scope| {
                    let next = scope.spawn(|| get(&httpd.client()));
                    go();
                    vec![next.join().expect("a request")]
                });
            }
        });
        assert_eq!(found, status, "{body}");
        if status == 200 {
            assert_eq!((body.as_str(), next), ("0 0", whole(&site, &[1])));
        }
        fpm.wait_for_start(2);
    }
}

/// A site whose pages find a class by an autoloader, unless it is there already; and the lines of the guide.
fn preloading_site() -> (Site, String) {
    let site = site();
    for release in 0..2 {
        let write = |path: &str, text: &str| site.write(&format!("srv/app/releases/{release}/{path}"), text);
        write("src/Release.php", &format!("<?php class Release {{ const NUMBER = {release}; }}"));
        write("preload.php", "<?php require __DIR__ . '/src/Release.php';");
        write(
            "public/index.php",
            "<?php spl_autoload_register(fn ($class) => require __DIR__ . \"/../src/$class.php\");\n\
             echo basename(dirname(__DIR__)), ' ', Release::NUMBER;",
        );
    }
    let lines = placed(&site, &texts(GUIDE, "Preloading", "ini")[0]);
    let lines = lines.lines().filter(|line| installation::is_root() || !line.contains("preload_user"));
    let ini = lines.fold(YOUNG_FILES_TOO.to_owned(), |ini, line| ini + line + "\n");
    (site, ini)
}

fn preloading(mpm: Mpm) {
    let (site, ini) = preloading_site();
    let (config, fpm) = php_of(&site, mpm, 1, &ini);
    let httpd = Httpd::start(&site, mpm, &config.text(DOCROOT));
    assert_eq!(shown(&site, &httpd.client(), &[1])[1..], ["0 0", "1 0"], "new scripts, old classes");
    match &fpm {
        Some(fpm) => fpm.reload(),
        None => httpd.graceful_restart(),
    }
    assert_eq!(shown(&site, &httpd.client(), &[0]), ["1 1", "1 1", "0 1"]);
}

on_each_mpm!(php_guide_preloading, preloading, prefork, event);
