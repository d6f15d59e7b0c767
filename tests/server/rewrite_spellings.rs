//! Denials by rules of mod_rewrite that name the link in some way or other.
//!
//! Owns: spellings of names in rules, one by one. Must not: repeat what `rewrite_names` has, or mix them (see
//! `rewrite_random`).

use harness::raw::ask;
use harness::{Config, Httpd, Mpm, Site, on_each_mpm};

/// A rule that denies `secret.txt`, and where the rule stands.
struct Case {
    /// In the virtual host.
    host: String,
    /// In the `.htaccess` file of the directory above the link.
    file: String,
}

const OVERRIDE: &str = "<Directory \"{B}\">\nAllowOverride All\n</Directory>\n";

/// Rules in sections above the link, at the link and below it.
fn sections(rules: &str) -> Vec<Case> {
    let section = |path: &str| {
        let host = format!("<Directory \"{{B}}{path}\">\nRewriteEngine On\n{rules}\n</Directory>\n");
        Case { host, file: String::new() }
    };
    ["", "/current", "/current/public"].map(section).into()
}

/// Rules in a section above the link.
fn above(rules: &str) -> Vec<Case> {
    sections(rules).into_iter().take(1).collect()
}

/// Rules in an `.htaccess` file above the link.
fn file(host: &str, rules: &str) -> Vec<Case> {
    vec![Case { host: format!("{host}{OVERRIDE}"), file: format!("RewriteEngine On\n{rules}\n") }]
}

fn write(site: &Site, cases: &[Case]) -> String {
    let mut hosts = String::new();
    for (number, case) in cases.iter().enumerate() {
        let base = format!("t{number}");
        for release in ["1", "2"] {
            for page in ["page.html", "secret.txt"] {
                site.write(&format!("{base}/releases/{release}/public/{page}"), &format!("{release} {page}\n"));
            }
        }
        if !case.file.is_empty() {
            site.write(&format!("{base}/.htaccess"), &case.file);
        }
        site.symlink(&format!("{base}/current"), "releases/1");
        hosts += &format!(
            "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName h{number}.test\nDocumentRoot \"${{ROOT}}/{base}/current/public\"\n{}\
             </VirtualHost>\n",
            case.host.replace("{B}", &format!("${{ROOT}}/{base}"))
        );
    }
    hosts
}

/// All cases deny `secret.txt` alone without the module, and also with the module.
fn assert_denied(mpm: Mpm, cases: &[Case], serves_page: bool) {
    let site = Site::new();
    let hosts = write(&site, cases);
    let config = Config::new(
        "<Directory \"/\">\nAllowOverride None\nRequire all granted\nOptions FollowSymLinks\n</Directory>\n",
    )
    .text("DocumentRoot \"${ROOT}\"")
    .text("Define WHERE current/public")
    .text(&hosts)
    .modules(&["alias", "dir", "env", "rewrite", "setenvif"])
    .grants_nothing();
    let name = |number: usize| format!("h{number}.test");
    let described = |number: usize| format!("{}\n{}", cases[number].host, cases[number].file);
    let alone = Httpd::start_without_module(&site, mpm, &config);
    for number in 0..cases.len() {
        let status = |path: &str| ask(alone.port(), "GET", &name(number), path).status();
        assert_eq!([status("/secret.txt"), status("/page.html")], [403, 200], "alone: {}", described(number));
    }
    drop(alone);
    let httpd = Httpd::start(&site, mpm, &config);
    httpd.expect_error("[realdoc:error]");
    for release in ["1", "2"] {
        for number in 0..cases.len() {
            site.flip_link(&format!("t{number}/current"), format!("releases/{release}"));
            let response = ask(httpd.port(), "GET", &name(number), "/secret.txt");
            assert_eq!(response.status(), 403, "{release}: {}\n{response:?}", described(number));
            if serves_page {
                let response = ask(httpd.port(), "GET", &name(number), "/page.html");
                assert_eq!(response.status(), 200, "{release}: {}\n{response:?}", described(number));
            }
        }
    }
}

/// Rules whose decisions are compared: other requests are served.
fn compared(mpm: Mpm) {
    let all = [
        file("", "RewriteRule ^current/public/secret - [F]"),
        file("", "RewriteCond %{REQUEST_FILENAME} current/public/secret\nRewriteRule ^ - [F]"),
        file("", "RewriteRule \\\n^current/public/secret\\.txt$ - [F]"),
        file("", "RewriteRule ^${WHERE}/secret - [F]"),
        file("", "<Files \"secret.txt\">\nRewriteEngine On\nRewriteRule ^/.*/current/public/secret - [F]\n</Files>"),
        file("", "<Limit GET>\nRewriteRule ^current/public/secret - [F]\n</Limit>"),
        sections("RewriteCond %{REQUEST_FILENAME} ={B}/current/public/secret.txt\nRewriteRule ^ - [F]"),
        sections("RewriteCond %{request_filename} current/public/secret\nRewriteRule ^ - [F]"),
        sections("RewriteCond %{SCRIPT_FILENAME} CURRENT/public/secret [NC]\nRewriteRule ^ - [F]"),
        sections("RewriteCond \"%{REQUEST_FILENAME}\" \"current/public/secret\"\nRewriteRule ^ - [F]"),
        sections("<Files \"secret.txt\">\nRewriteEngine On\nRewriteRule ^/.*/current/public/secret - [F]\n</Files>"),
        sections("<Limit GET>\nRewriteCond %{REQUEST_FILENAME} public/secret\nRewriteRule ^ - [F]\n</Limit>"),
        sections("<If \"true\">\nRewriteEngine On\nRewriteRule ^/.*/current/public/secret - [F]\n</If>"),
        above("RewriteRule ^current/public/secret - [F]"),
        above("RewriteRule ^${WHERE}/secret - [F]"),
        above("RewriteRule ^current/public/(not\\ here|secret) - [F]"),
        vec![Case {
            host: "<Location \"/\">\nRewriteEngine On\nRewriteRule \"^{R}/t[0-9]+/current/public/secret\" - [F]\n</Location>\n"
                .into(),
            file: String::new(),
        }],
    ];
    let mut cases: Vec<Case> = all.into_iter().flatten().collect();
    for case in &mut cases {
        // A `<Location>` takes its own text off the name.
        case.host = case.host.replace("{R}", "[^:]*");
    }
    assert_denied(mpm, &cases, true);
}
on_each_mpm!(compared, compared);

/// Rules that cannot be compared: whatever their patterns match is denied.
fn not_compared(mpm: Mpm) {
    let all = [
        above("RewriteRule !^current/public/page - [F]\nRewriteRule ^current/public/secret - [F]"),
        file("", "RewriteCond $1 ^current/public/secret\nRewriteRule ^(.*)$ - [F]"),
        above("RewriteCond $1 ^current/public/secret\nRewriteRule ^(.*)$ - [F]"),
        sections("RewriteCond expr \"%{REQUEST_FILENAME} =~ m#current/public/secret#\"\nRewriteRule ^ - [F]"),
        sections("RewriteCond %{LA-F:REQUEST_FILENAME} current/public/secret\nRewriteRule ^ - [F]"),
        sections(
            "RewriteRule ^ - [E=NAME:%{REQUEST_FILENAME}]\nRewriteCond %{ENV:NAME} current/public/secret\nRewriteRule ^ - [F]",
        ),
        sections(
            "RewriteRule ^ - [E=ONE:%{REQUEST_FILENAME}]\nRewriteRule ^ - [E=two:%{ENV:one}]\n\
             RewriteCond %{ENV:Two} current/public/secret\nRewriteRule ^ - [F]",
        ),
        sections("RewriteCond %{HTTP_HOST}:%{REQUEST_FILENAME} current/public/secret\nRewriteRule ^ - [F]"),
        sections(
            "RewriteCond %{REQUEST_FILENAME} >{B}/current/public/r\nRewriteCond %{REQUEST_URI} !page\nRewriteRule ^ - [F]",
        ),
        sections(
            "SetEnvIfExpr \"%{REQUEST_FILENAME} =~ m#current/public/secret#\" IT=1\nRewriteCond %{ENV:IT} 1\n\
             RewriteRule ^ - [F]",
        ),
    ];
    let cases: Vec<Case> = all.into_iter().flatten().collect();
    assert_denied(mpm, &cases, false);
}
on_each_mpm!(not_compared, not_compared);

/// What follows the file in the URL is no part of its name.
fn behind_the_file(mpm: Mpm) {
    let site = Site::new();
    let rules = "RewriteCond %{REQUEST_FILENAME} current/public/secret\\.txt$\nRewriteRule ^ - [F]\nAcceptPathInfo On";
    let hosts = write(&site, &sections(rules));
    let config = Config::new("<Directory \"/\">\nRequire all granted\nOptions FollowSymLinks\n</Directory>\n")
        .text("DocumentRoot \"${ROOT}\"")
        .text(&hosts)
        .modules(&["rewrite"])
        .grants_nothing();
    let httpd = Httpd::start(&site, mpm, &config);
    httpd.expect_error("[realdoc:error]");
    for number in 0..3 {
        let host = format!("h{number}.test");
        assert_eq!(ask(httpd.port(), "GET", &host, "/secret.txt/more").status(), 403);
        assert_eq!(ask(httpd.port(), "GET", &host, "/page.html/more").status(), 200);
    }
}
on_each_mpm!(behind, behind_the_file);

/// Rules that ask for the file in ways that every application does go on to work, in sections at the link and above it.
fn front_controllers(mpm: Mpm) {
    let rules = [
        "RewriteCond %{REQUEST_FILENAME} !-f\nRewriteCond %{REQUEST_FILENAME} !-d\nRewriteRule ^ /page.html [L]",
        "RewriteCond %{REQUEST_FILENAME} -s [OR]\nRewriteCond %{REQUEST_FILENAME} -l [OR]\nRewriteCond %{REQUEST_FILENAME} -d\n\
         RewriteRule ^.*$ - [NC,L]\nRewriteRule ^.*$ /page.html [L]",
        "RewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} !-f\nRewriteRule . /page.html [L]",
        "RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization},E=ROOT:%{DOCUMENT_ROOT}]\n\
         RewriteCond %{REQUEST_URI}::$1 ^(/.+)/(.*)::\\2$\nRewriteRule ^(x*) - [E=BASE:%1]\n\
         RewriteCond %{ENV:ROOT}/cache/%{HTTP_HOST}.html -f\nRewriteRule ^ /cache/%{HTTP_HOST}.html [L]\n\
         RewriteCond expr \"! -f %{REQUEST_FILENAME}\"\nRewriteRule ^ %{ENV:BASE}/page.html [L]",
        "RewriteCond %{REQUEST_FILENAME} !-f\nRewriteCond %{REQUEST_FILENAME} !\\.(css|js)$\nRewriteRule ^(.*)$ /page.html [L,QSA]",
        "RewriteRule ^x$ y\nRewriteRule ^((.*/)?)none$ gone\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule . /page.html [L]",
        "RewriteRule ^(.*/|)old$ %{DOCUMENT_ROOT}/page.html [L]\nRewriteCond %{REQUEST_FILENAME} !-f\n\
         RewriteRule . %{DOCUMENT_ROOT}/page.html [L]",
    ];
    let site = Site::new();
    let cases: Vec<Case> = rules.iter().flat_map(|rules| sections(rules)).collect();
    let hosts = write(&site, &cases);
    let config = Config::new("<Directory \"/\">\nRequire all granted\nOptions FollowSymLinks\n</Directory>\n")
        .text("DocumentRoot \"${ROOT}\"")
        .text(&hosts)
        .modules(&["dir", "rewrite"])
        .grants_nothing();
    let httpd = Httpd::start(&site, mpm, &config);
    for (number, case) in cases.iter().enumerate() {
        for (path, body) in
            [("/page.html", "1 page.html\n"), ("/secret.txt", "1 secret.txt\n"), ("/none", "1 page.html\n")]
        {
            let response = ask(httpd.port(), "GET", &format!("h{number}.test"), path);
            assert_eq!((response.status(), &response.body[..]), (200, body), "{path}: {}", case.host);
        }
    }
}
on_each_mpm!(front_controllers, front_controllers);
