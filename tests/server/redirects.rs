//! Internal redirects under flips: the request that a redirect makes stays on the release of the first.
//!
//! Owns: index pages, error pages, rewrites, fallbacks and action handlers. Must not: test subrequests alone (see
//! `ssi`, `negotiation`).

use harness::raw::ask;
use harness::release::SSI_TOKENS;
use harness::{Config, FlipMode, Flipper, Httpd, Load, Mpm, Page, Release, Site, flipper, on_each_mpm};

/// Flips a site made by `fill`, and asks for `pages` meanwhile.
fn stress(mpm: Mpm, fill: impl Fn(&Release), config: &Config, pages: &[Page]) {
    let site = Site::with_releases(flipper::RELEASES, fill);
    let httpd = Httpd::start(&site, mpm, config);
    let flipper = Flipper::start(&site, FlipMode::Rename);
    Load::new(pages).run(&httpd.url(""), &flipper).assert_whole_and_fresh();
}

fn index_pages(mpm: Mpm) {
    let fill = |release: &Release| {
        release.ssi_page("public", "index.shtml");
        release.ssi_page("public", "dir/index.shtml");
    };
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current/public"
        DirectoryIndex absent.html index.shtml
        "#,
    )
    .modules(&["include", "dir"]);
    stress(mpm, fill, &config, &[Page::new("/", SSI_TOKENS), Page::new("/dir/", SSI_TOKENS)]);
}

fn error_page(mpm: Mpm) {
    let fill = |release: &Release| release.ssi_page("", "errors/404.shtml");
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current"
        ErrorDocument 404 /errors/404.shtml
        "#,
    )
    .modules(&["include"]);
    let pages = [Page::new("/absent", SSI_TOKENS), Page::new("/absent/too", SSI_TOKENS)].map(|page| page.status(404));
    stress(mpm, fill, &config, &pages);
}

fn rewrite_in_htaccess(mpm: Mpm) {
    // The rule of each release leads to a page that only this release has.
    let fill = |release: &Release| {
        let page = format!("page-{}.shtml", release.number());
        release.ssi_page("public", &page);
        release.write("public/.htaccess", &format!("RewriteEngine On\nRewriteRule ^pretty/ {page} [L]\n"));
        release.ssi_page("public", &format!("below/{page}"));
        release.write("public/below/.htaccess", &format!("RewriteEngine On\nRewriteRule ^pretty$ /below/{page} [L]\n"));
    };
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current/public"
        <Directory "${ROOT}">
            AllowOverride All
        </Directory>
        "#,
    )
    .modules(&["include", "rewrite"]);
    stress(mpm, fill, &config, &[Page::new("/pretty/path", SSI_TOKENS), Page::new("/below/pretty", SSI_TOKENS)]);
}

/// A rule that puts what a client asked for below its own directory names URL paths, and no files: a client that knows the
/// docroot's path gets nothing by it that the rule does not give.
fn rewrite_of_what_a_client_names(mpm: Mpm) {
    let site = Site::with_releases(1, |release| {
        release.write("public/private/page.html", "private");
        release.write("public/open/page.html", "open");
        release.write(
            "public/.htaccess",
            "RewriteEngine On\nRewriteRule ^at/(?!private/)(.*)$ $1 [END]\n\
             RewriteRule ^file$ %{DOCUMENT_ROOT}/open/page.html [END]\n",
        );
    });
    let docroot = site.root().join("current/public");
    let docroot = docroot.to_str().expect("a path in ASCII");
    for switch in ["Off", "On"] {
        let config = Config::new(&format!(
            "DocumentRoot \"${{ROOT}}/current/public\"\nRealdoc {switch}\n\
             <Directory \"${{ROOT}}\">\nAllowOverride All\n</Directory>\n"
        ))
        .modules(&["rewrite"]);
        let httpd = Httpd::start(&site, mpm, &config);
        let get = |path: &str| ask(httpd.port(), "GET", "localhost", path).status();
        let expected = [("/file", 200), ("/at/open/page.html", 200), ("/at/private/page.html", 404)];
        assert_eq!(expected.map(|(path, _)| (path, get(path))), expected, "Realdoc {switch}");
        for page in ["/private/page.html", "//private/page.html", "/%70rivate/page.html"] {
            assert_eq!(get(&format!("/at{docroot}{page}")), 404, "Realdoc {switch}: {page}");
        }
    }
}

fn rewrite_condition(mpm: Mpm) {
    // Every second release has the file, and only the page that belongs to its answer.
    let fill = |release: &Release| {
        if release.number().is_multiple_of(2) {
            release.write("public/x", "");
            release.ssi_page("public", "with.shtml");
        } else {
            release.ssi_page("public", "without.shtml");
        }
    };
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current/public"
        RewriteEngine On
        RewriteCond %{DOCUMENT_ROOT}/x -f
        RewriteRule ^/page$ /with.shtml [L]
        RewriteRule ^/page$ /without.shtml [L]
        RewriteCond %{DOCUMENT_ROOT}/x -f
        RewriteRule ^/file$ %{DOCUMENT_ROOT}/with.shtml [L]
        RewriteRule ^/file$ %{DOCUMENT_ROOT}/without.shtml [L]
        "#,
    )
    .modules(&["include", "rewrite"]);
    stress(mpm, fill, &config, &[Page::new("/page", SSI_TOKENS), Page::new("/file", SSI_TOKENS)]);
}

fn fallback(mpm: Mpm) {
    let fill = |release: &Release| {
        release.ssi_page("", "front.shtml");
        release.ssi_page("", "app/front.shtml");
    };
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current"
        FallbackResource /front.shtml
        <Location "/app/">
            FallbackResource /app/front.shtml
        </Location>
        "#,
    )
    .modules(&["include", "dir"]);
    stress(mpm, fill, &config, &[Page::new("/any/path", SSI_TOKENS), Page::new("/app/any", SSI_TOKENS)]);
}

/// The tokens of the script below: its own, the requested page's, and the one of a file that it finds by
/// `DOCUMENT_ROOT`.
const SCRIPT_TOKENS: usize = 3;

fn action_handlers(mpm: Mpm) {
    let fill = |release: &Release| {
        let token = release.token();
        release.ssi_page("public", "handler.shtml");
        release.write("public/doc.ssi-page", "");
        release.write("public/doc.cgi-page", &token);
        release.write(&format!("public/file-{}", release.number()), &token);
        release.write_script(
            "public/handler.cgi",
            &format!(
                "#!/bin/sh\nprintf 'Content-Type: text/html\\n\\n{token}'\n\
                 cat \"$PATH_TRANSLATED\" \"$DOCUMENT_ROOT/file-{}\"\nprintf '[end]'\n",
                release.number()
            ),
        );
    };
    let config = Config::new(
        r#"
        DocumentRoot "${ROOT}/current/public"
        AddHandler ssi-page .ssi-page
        AddHandler cgi-page .cgi-page
        AddHandler cgi-script .cgi
        Action ssi-page /handler.shtml
        Action cgi-page /handler.cgi
        <Directory "${ROOT}">
            Options +ExecCGI
            AcceptPathInfo On
        </Directory>
        "#,
    )
    .modules(&["include", "actions", mpm.cgi_module()]);
    let pages = [Page::new("/doc.ssi-page", SSI_TOKENS), Page::new("/doc.cgi-page", SCRIPT_TOKENS)];
    stress(mpm, fill, &config, &pages);
}

on_each_mpm!(directory_index, index_pages);
on_each_mpm!(error_document, error_page);
on_each_mpm!(htaccess_rewrite, rewrite_in_htaccess);
on_each_mpm!(client_names, rewrite_of_what_a_client_names, prefork, event);
on_each_mpm!(rewrite_cond, rewrite_condition);
on_each_mpm!(fallback_resource, fallback);
on_each_mpm!(action, action_handlers);
