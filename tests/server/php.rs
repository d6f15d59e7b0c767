//! PHP: mod_php on prefork, php-fpm on the threaded MPMs, with opcache and PHP's own path cache on.
//!
//! Owns: PHP pages under flips, and after one. Must not: test other dynamic content.

use harness::fpm::Settings;
use harness::release::PHP_TOKENS;
use harness::{
    Config, FlipMode, Flipper, Fpm, Httpd, Load, Mpm, Page, Site, flipper, fpm, installation,
    installation::Installation, on_each_mpm,
};

const WORKERS: usize = 4;

fn site() -> Site {
    Site::with_releases(flipper::RELEASES, |release| release.php_page("public", "index.php"))
}

fn page() -> Page {
    Page::new("/index.php", PHP_TOKENS)
}

/// How mod_php is told which files are its own.
pub const MOD_PHP: &str = "<FilesMatch \"\\.php$\">\nSetHandler application/x-httpd-php\n</FilesMatch>";

/// The configuration of the MPM's PHP, and the php-fpm if that is what it uses.
pub fn php(site: &Site, mpm: Mpm) -> (Config, Option<Fpm>) {
    let (config, fpm) = php_of(site, mpm, WORKERS, "");
    (config.text("DocumentRoot \"${ROOT}/current/public\"\nDirectoryIndex index.php").modules(&["dir"]), fpm)
}

/// The same without a docroot, with that many workers of php-fpm, and with these lines in PHP's `php.ini`.
pub fn php_of(site: &Site, mpm: Mpm, workers: usize, ini: &str) -> (Config, Option<Fpm>) {
    if mpm.is_threaded() {
        let settings = Settings { ini: ini.to_owned(), ..Settings::default() };
        let fpm = Fpm::start_with(site, workers, &settings).expect("php-fpm");
        (Config::new(&fpm.directives()).modules(&["proxy", "proxy_fcgi"]), Some(fpm))
    } else {
        let library = Installation::find().and_then(Installation::mod_php).expect("mod_php");
        let ini = fpm::ini_directory(site, ini);
        let config = Config::new(MOD_PHP)
            .library(installation::php_symbol(&library), &library)
            .environment("PHP_INI_SCAN_DIR", "")
            .text(&format!("PHPINIDir \"{}\"", ini.display()));
        (config, None)
    }
}

fn under_flips(mpm: Mpm) {
    let site = site();
    let (config, _fpm) = php(&site, mpm);
    let httpd = Httpd::start(&site, mpm, &config);
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let pages = [page(), Page::new("/", PHP_TOKENS)];
    Load::new(&pages).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

/// The releases that requests show right after a flip from release 0 to 1, all workers being warm.
fn shown_after_a_flip(httpd: &Httpd, site: &Site) -> Vec<harness::Verdict> {
    let client = httpd.client();
    let get = || {
        let response = client.get("/index.php").expect("a response");
        page().judge(response.status, &response.body)
    };
    for _ in 0..WORKERS * 10 {
        assert_eq!(get(), harness::Verdict::Whole(0), "the workers warm up on release 0");
    }
    site.flip(1);
    (0..WORKERS * 10).map(|_| get()).collect()
}

fn follows(mpm: Mpm) {
    let site = site();
    let (config, _fpm) = php(&site, mpm);
    let httpd = Httpd::start(&site, mpm, &config);
    let shown = shown_after_a_flip(&httpd, &site);
    assert!(shown.iter().all(|verdict| *verdict == harness::Verdict::Whole(1)), "{shown:?}");
}

on_each_mpm!(php, under_flips);
on_each_mpm!(php_follows_a_flip, follows);

#[test]
fn without_the_module_warm_workers_do_not_follow() {
    let site = site();
    let (config, _fpm) = php(&site, Mpm::Event);
    let httpd = Httpd::start_without_module(&site, Mpm::Event, &config);
    let shown = shown_after_a_flip(&httpd, &site);
    assert!(shown.iter().any(|verdict| *verdict != harness::Verdict::Whole(1)), "{shown:?}");
}
