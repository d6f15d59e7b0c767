//! mod_perl: `$r->document_root(...)` gives the server another docroot for the length of a request.
//!
//! Owns: that the docroot is the one that was set, wherever in the request that was. Must not: run Perl for anything
//! else.

use harness::{Client, Config, Httpd, Mpm, Response, Site};

use super::ThirdParty;

const PERL: ThirdParty = ThirdParty { symbol: "perl_module", file: "mod_perl.so", package: "libapache2-mod-perl2" };

/// The handlers that may set a docroot before a URL is mapped.
const HANDLERS: [&str; 2] = ["PerlPostReadRequestHandler", "PerlTransHandler"];

/// `X-Docroot` says which docroot the request gets, below the site's directory.
fn config(site: &Site, handler: &str, more: &str) -> Option<Config> {
    let root = site.root().display();
    site.write(
        "docroot.pl",
        &format!(
            "package Docroot;\nuse Apache2::RequestRec ();\nuse Apache2::RequestUtil ();\nuse APR::Table ();\n\
             use Apache2::Const -compile => qw(DECLINED);\n\
             sub handler {{ my $r = shift; my $d = $r->headers_in->get('X-Docroot');\n\
             $r->document_root(\"{root}/$d\") if defined $d;\nreturn Apache2::Const::DECLINED; }}\n1;\n"
        ),
    );
    let config = PERL.loaded(&format!(
        "{more}\nDocumentRoot \"${{ROOT}}/a/current\"\nAlias /static \"${{ROOT}}/b/current/static\"\nDirectoryIndex index.shtml\n\
         ErrorDocument 404 /missing.shtml\nPerlRequire \"${{ROOT}}/docroot.pl\"\n{handler} Docroot\n"
    ))?;
    Some(config.modules(&["alias", "dir", "include"]))
}

const SHOW: &str = "[<!--#echo var=\"REQUEST_URI\" -->][<!--#include virtual=\"/part.html\" -->]";

fn site() -> Site {
    let site = Site::new();
    for docroot in ["a", "b"] {
        for release in ["one", "two"] {
            let write = |path: &str, text: &str| site.write(&format!("{docroot}/releases/{release}/{path}"), text);
            write("part.html", &format!("{docroot}-{release}"));
            write(&format!("only-{docroot}.html"), release);
            write("index.shtml", SHOW);
            write("missing.shtml", SHOW);
            write("static/file.html", &format!("static {docroot}-{release}"));
        }
        site.symlink(&format!("{docroot}/current"), "releases/one");
    }
    site.write("plain/part.html", "plain");
    site.write("plain/index.shtml", SHOW);
    site.write("plain/missing.shtml", SHOW);
    site
}

fn ask(client: &Client, docroot: Option<&str>, path: &str) -> Response {
    let fields: Vec<_> = docroot.map(|docroot| ("X-Docroot", docroot)).into_iter().collect();
    client.request(path, &fields).expect("a response")
}

const PATHS: [&str; 6] = ["/only-a.html", "/only-b.html", "/", "/part.html", "/absent", "/static/file.html"];

const DOCROOTS: [Option<&str>; 6] =
    [Some("b/current"), None, Some("plain"), Some("a/current"), Some("a/releases/one"), None];

/// mod_perl itself refuses to set a docroot where there are threads, so this is about prefork.
#[test]
fn document_root() {
    for handler in HANDLERS {
        for settings in ["RealpathEvery 0", "UseReadlink On"] {
            let site = site();
            let Some(config) = config(&site, handler, settings) else { return };
            let alone = self::config(&site, handler, "").expect("the module");
            let with = Httpd::start(&site, Mpm::Prefork, &config);
            let without = Httpd::start_without_module(&site, Mpm::Prefork, &alone);
            let clients = [&with, &without].map(Httpd::client);
            for release in ["one", "two"] {
                for docroot in DOCROOTS {
                    for path in PATHS {
                        let answers = clients.each_ref().map(|client| ask(client, docroot, path));
                        let [with, without] = answers.map(|response| (response.status, response.body));
                        assert_eq!(with, without, "{handler}, {settings}, release {release}: {path} of {docroot:?}");
                    }
                }
                for docroot in ["a", "b"] {
                    site.flip_link(&format!("{docroot}/current"), "releases/two");
                }
            }
        }
    }
}
