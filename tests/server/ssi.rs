//! Server-side includes under flips: every subrequest of a page stays on the page's release.
//!
//! Owns: SSI, in a docroot that is the link and in one below it. Must not: test what else a page can be made of.

use harness::release::SSI_TOKENS;
use harness::{Config, FlipMode, Flipper, Httpd, Load, Mpm, Page, Site, flipper, on_each_mpm};

/// A flipped site whose docroot is `current` or a directory below it, with an SSI page at the top and one below.
pub fn site(public: &str) -> Site {
    Site::with_releases(flipper::RELEASES, |release| {
        release.ssi_page(public, "page.shtml");
        release.ssi_page(public, "docs/page.shtml");
    })
}

/// Its pages.
pub fn pages() -> Vec<Page> {
    ["/page.shtml", "/docs/page.shtml"].iter().map(|path| Page::new(path, SSI_TOKENS)).collect()
}

/// Its configuration; `docroot` is relative to the site.
pub fn config(docroot: &str) -> Config {
    Config::new(&format!("DocumentRoot \"${{ROOT}}/{docroot}\"")).modules(&["include"])
}

fn at_the_link(mpm: Mpm) {
    let site = site("");
    let httpd = Httpd::start(&site, mpm, &config("current"));
    let flipper = Flipper::start(&site, FlipMode::Rename);
    Load::new(&pages()).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

fn below_the_link(mpm: Mpm) {
    let site = site("public");
    let httpd = Httpd::start(&site, mpm, &config("current/public"));
    let flipper = Flipper::start(&site, FlipMode::Rename);
    Load::new(&pages()).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

on_each_mpm!(ssi, at_the_link);
on_each_mpm!(ssi_below, below_the_link);
