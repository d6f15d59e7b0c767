//! Server-side includes under flips: every subrequest of a page stays on the page's release.
//!
//! Owns: SSI, in a docroot that is the link and in one below it. Must not: test what else a page can be made of.

use harness::release::SSI_TOKENS;
use harness::{Config, FlipMode, Flipper, Httpd, Load, Mpm, Page, Site, flipper, on_each_mpm, page};

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

/// How many parts a small page has.
const SMALL_PARTS: usize = 6;

/// For requests that are many: a page with a few parts, half of which have the release in their name, and one without.
pub fn small_pages() -> Vec<Page> {
    vec![Page::new("/page.shtml", SMALL_PARTS + 1), Page::new("/plain.html", 1)]
}

/// A flipped site with these pages, whose docroot is `current`.
pub fn small_site() -> Site {
    Site::with_releases(flipper::RELEASES, |release| {
        let (number, token) = (release.number(), release.token());
        let names =
            (0..SMALL_PARTS).map(|part| if part % 2 == 0 { format!("{number}-{part}") } else { part.to_string() });
        let mut page = token.clone();
        for name in names {
            release.write(&format!("parts/{name}.html"), &token);
            page.push_str(&format!("<!--#include virtual=\"/parts/{name}.html\" -->\n"));
        }
        release.write("page.shtml", &(page + page::END));
        release.plain_page("plain.html");
    })
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
