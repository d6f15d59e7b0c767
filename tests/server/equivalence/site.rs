//! One site of the comparison: its sections, its `.htaccess` files and the files of its releases.

use harness::Site;

/// A server that knows nothing but the link; `{site}` is its directory as it says it, `{real}` where that is, and
/// nothing outside of sections is granted.
pub(super) const SECTIONS: &str = r#"
    <IfModule mod_realdoc.c>
        RealdocReleases "{real}/releases/*"
        {mode}
    </IfModule>
    DocumentRoot "{site}/current/public"
    Alias /static "{site}/current/static"
    ScriptAlias /cgi-bin "{site}/current/cgi-bin"
    AliasMatch "^/pictures/(.*)$" "{site}/current/static/$1"
    Alias /elsewhere "{site}/elsewhere"
    Alias /hidden "{site}/current/hidden"
    <Directory "{site}">
        Header append X-Order site
    </Directory>
    <Directory "{site}/current">
        Header append X-Order link
    </Directory>
    <Directory "{site}/current/public">
        Options FollowSymLinks Includes
        AllowOverride All
        Require all granted
        DirectoryIndex index.html index.shtml
        Header append X-Order docroot
        <Files "README.md">
            Require all denied
        </Files>
        <FilesMatch "\.(bak|inc)$">
            Require all denied
        </FilesMatch>
        <If "%{QUERY_STRING} == 'no'">
            Require all denied
        </If>
    </Directory>
    <Directory "{site}/current/public/private">
        Require all denied
        Header append X-Order private
    </Directory>
    <Directory "{site}/current/public/private/open/">
        Require all granted
    </Directory>
    <Directory "{site}/current/public/list">
        Options +Indexes
    </Directory>
    <Directory "{site}/current/public/limited">
        <Limit POST OPTIONS>
            Require all denied
        </Limit>
    </Directory>
    <Directory "{site}/current/public/only-get">
        <LimitExcept GET>
            Require all denied
        </LimitExcept>
    </Directory>
    <Directory "{site}/current/public/far">
        Require ip 10.9.9.9
    </Directory>
    <Directory "{site}/current/public/uploads">
        AllowOverride None
        SetHandler none
        ForceType text/plain
    </Directory>
    <Directory "{site}/current/public/as-is">
        SetHandler send-as-is
    </Directory>
    <Directory "{site}/current/public/choice">
        Options +MultiViews
    </Directory>
    <Directory "{site}/current/public/no-links">
        Options -FollowSymLinks
    </Directory>
    <Directory "{site}/current/*/wild">
        Header append X-Order wild
    </Directory>
    <Directory "{site}/curren[t]/public/wild/[ab]?">
        Require all denied
    </Directory>
    <Directory "{site}/current/static">
        Require all granted
        Header append X-Order static
    </Directory>
    Alias /app "{site}/current/app"
    <Directory "{site}/current/app">
        AllowOverride FileInfo Indexes
        Require all granted
    </Directory>
    <Directory "{site}/current/cgi-bin">
        Require all granted
        SetEnv SECTION cgi-bin
    </Directory>
    <Directory "{site}/current2">
        Require all granted
        Header append X-Order wrong
    </Directory>
"#;

const HTACCESS: &str = r#"
RewriteEngine On
RewriteRule ^pretty/(.*)$ page.html [L]
RewriteRule ^moved$ /page.html [R=302,L]
RewriteRule ^gone$ - [G]
RewriteRule ^forbidden$ - [F]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule ^front/ front.shtml [L]
Redirect 301 /old /page.html
ErrorDocument 404 /errors/404.shtml
ErrorDocument 403 "Keep out"
Header append X-Order htaccess
<Files "only-here.html">
    Header set X-File only-here
</Files>
"#;

const SUB_HTACCESS: &str = r"
RewriteEngine On
RewriteRule ^up$ ../page.html [L]
RewriteRule ^here$ other.html [L]
DirectoryIndex other.html
Header append X-Order sub
";

/// Below an `Alias`: relative rules, whose URL httpd puts together from the context.
const APP_HTACCESS: &str = r"
RewriteEngine On
RewriteRule ^rewritten$ page.html [L]
RewriteRule ^moved$ /app/page.html [R=302,L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteRule ^front/ index.html [L]
DirectoryIndex index.html
";

/// `{auth}` is the directory of the password file.
const AUTH_HTACCESS: &str = r#"
AuthType Basic
AuthName "some realm"
AuthUserFile "{auth}/passwords"
Require valid-user
"#;

/// Writes both releases of one site below `name`; the link leads to the first.
pub(super) fn fill(site: &Site, name: &str) {
    for release in ["first", "second"] {
        let write = |path: &str, text: &str| site.write(&format!("{name}/releases/{release}/{path}"), text);
        let public = |path: &str, text: &str| write(&format!("public/{path}"), text);
        for page in [
            "index.html",
            "page.html",
            "README.md",
            "backup.bak",
            "only-here.html",
            "errors/plain.html",
            "dir/index.shtml",
            "sub/other.html",
            "sub/deep/page.html",
            "sub/deep/backup.inc",
            "empty/unlisted",
            "private/page.html",
            "private/deep/page.html",
            "private/open/page.html",
            "list/one.html",
            "list/two.html",
            "limited/page.html",
            "only-get/page.html",
            "far/page.html",
            "uploads/page.html",
            "uploads/page.shtml",
            "choice/page.html",
            "wild/page.html",
            "wild/a1/page.html",
            "wild/c1/page.html",
            "denied-below/page.html",
            "auth/page.html",
        ] {
            public(page, &format!("{name} {release} {page} <!--#echo var=\"DOCUMENT_URI\" -->\n"));
        }
        public(".htaccess", HTACCESS);
        public("sub/.htaccess", SUB_HTACCESS);
        public("denied-below/.htaccess", "Require all denied\n");
        public("uploads/.htaccess", "Require all denied\n");
        public("auth/.htaccess", &AUTH_HTACCESS.replace("{auth}", &site.root().display().to_string()));
        public("as-is/answer", "Status: 299 As It Is\nContent-Type: text/x-as-is\n\nas it is\n");
        public("errors/404.shtml", "none <!--#echo var=\"REDIRECT_URL\" --> <!--#include virtual=\"plain.html\" -->\n");
        public(
            "front.shtml",
            "front <!--#include virtual=\"/page.html\" --><!--#include virtual=\"/private/page.html\" -->\n",
        );
        public(
            "parts.shtml",
            "<!--#include virtual=\"/static/file.txt\" --><!--#include file=\"sub/other.html\" -->\
             <!--#include virtual=\"/denied-below/page.html\" --><!--#fsize file=\"page.html\" -->\n",
        );
        site.symlink(&format!("{name}/releases/{release}/public/follow"), "../shared");
        site.symlink(&format!("{name}/releases/{release}/public/no-links/link"), "../../shared");
        write("shared/page.html", "beside the docroot\n");
        write("static/file.txt", &format!("{name} {release} static\n"));
        write("static/.htaccess", "Require all denied\n");
        write("app/.htaccess", APP_HTACCESS);
        write("app/index.html", &format!("{name} {release} front\n"));
        write("app/page.html", &format!("{name} {release} page\n"));
        write("hidden/file.txt", "not granted\n");
        site.write_script(
            &format!("{name}/releases/{release}/cgi-bin/script"),
            &format!(
                "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n{name} {release}\\n'\n\
                 echo \"$SECTION $SCRIPT_NAME $PATH_INFO $QUERY_STRING\"\n"
            ),
        );
    }
    site.write(&format!("{name}/elsewhere/file.txt"), "not granted either\n");
    site.symlink(&format!("{name}/current"), "releases/first");
}
