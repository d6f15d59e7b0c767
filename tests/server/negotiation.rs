//! Pages that httpd makes with subrequests of its own accord: negotiated variants and directory listings.
//!
//! Owns: MultiViews and mod_autoindex under flips. Must not: test subrequests that a page asks for (see `ssi`).

use harness::release::SSI_TOKENS;
use harness::{Config, FlipMode, Flipper, Httpd, Load, Mpm, Page, Site, flipper, on_each_mpm};

fn negotiated_variants(mpm: Mpm) {
    // Even releases have one language and odd ones the other, so that a listing of another release is a failure.
    let site = Site::with_releases(flipper::RELEASES, |release| {
        let language = if release.number().is_multiple_of(2) { "en" } else { "de" };
        release.ssi_page("public", &format!("doc.{language}.shtml"));
        release.ssi_page("public", &format!("sub/doc.{language}.shtml"));
    });
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current/public"
        AddLanguage en .en
        AddLanguage de .de
        ForceLanguagePriority Prefer Fallback
        LanguagePriority en de
        <Directory "${ROOT}">
            Options +MultiViews
        </Directory>
        "#,
    )
    .modules(&["include", "negotiation"]);
    let httpd = Httpd::start(&site, mpm, &config);
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let pages = [Page::new("/doc", SSI_TOKENS), Page::new("/sub/doc", SSI_TOKENS)];
    Load::new(&pages).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

const ENTRIES: usize = 30;

fn listings(mpm: Mpm) {
    let site = Site::with_releases(flipper::RELEASES, |release| {
        release.ssi_page("", "list/HEADER.shtml");
        release.ssi_page("", "list/README.shtml");
        for entry in 0..ENTRIES {
            // The name itself is the token, so that the listing shows which release it is of.
            release.write(&format!("list/{}{entry}.txt", release.token()), "");
        }
    });
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current"
        AddType text/plain .txt
        <Directory "${ROOT}">
            Options +Indexes
            IndexOptions FancyIndexing NameWidth=*
            IndexIgnore parts *.shtml
            HeaderName HEADER.shtml
            ReadmeName README.shtml
        </Directory>
        "#,
    )
    .modules(&["include", "autoindex"]);
    let httpd = Httpd::start(&site, mpm, &config);
    let flipper = Flipper::start(&site, FlipMode::Rename);
    let pages = [Page::new("/list/", ENTRIES + 2 * SSI_TOKENS)];
    Load::new(&pages).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

/// A listing of the directory that the link itself is in: its entry is the release, where httpd needs to follow no link.
fn the_link_in_a_listing(mpm: Mpm) {
    let site = Site::with_releases(1, |release| release.write("public/page.html", ""));
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current/public"
        RealpathEvery 1h
        Alias /all "${ROOT}"
        <Directory "${ROOT}">
            Options Indexes
        </Directory>
        "#,
    )
    .modules(&["alias", "autoindex"]);
    let httpd = Httpd::start(&site, mpm, &config);
    for _ in 0..2 {
        let listing = httpd.client().get("/all/").expect("a response").body;
        assert!(listing.contains("releases/") && listing.contains("current/"), "{listing}");
    }
}

on_each_mpm!(multiviews, negotiated_variants);
on_each_mpm!(autoindex, listings);
on_each_mpm!(link_listed, the_link_in_a_listing);
