//! A site with hashed assets, a manifest and three releases.

use std::fs;
use std::path::PathBuf;

use harness::{Client, Config, Httpd, Mpm, Protocol, Site};

/// The releases, the oldest first. The link leads to the first one.
pub const NAMES: [&str; 4] = ["41", "42", "43", "44"];

/// The module's directives.
pub const ASSETS: &str = "RealdocReleases \"${ROOT}/releases/*\"\nRealdocAssets /build/";

/// Releases whose docroot is `public`. Each has `build/app.NAME.js`, which no other has, and `build/same.js`.
pub fn site() -> Site {
    let site = Site::new();
    for name in NAMES {
        site.write(&public(name, &format!("build/app.{name}.js")), &format!("export default '{name}'"));
        site.write(&public(name, "build/same.js"), name);
        site.write(&public(name, "index.html"), name);
    }
    site.symlink("current", "releases/41");
    retain(&site, &["41"]);
    site
}

/// The path of a file in the docroot of a release.
pub fn public(name: &str, path: &str) -> String {
    format!("releases/{name}/public/{path}")
}

/// Writes the manifest as a deploy tool does.
pub fn retain(site: &Site, names: &[&str]) {
    site.write("releases/.realdoc/new", &format!("{}\n", names.join("\n")));
    let at = |name: &str| site.root().join("releases/.realdoc").join(name);
    fs::rename(at("new"), at("retained")).expect("a manifest");
}

/// The manifest.
pub fn manifest(site: &Site) -> PathBuf {
    site.root().join("releases/.realdoc/retained")
}

/// Deploys the releases up to this one, one after another: their names are retained.
pub fn deploy(site: &Site, name: &str) {
    let end = NAMES.iter().position(|known| *known == name).expect("a release");
    for last in 0..=end {
        site.flip_link("current", format!("releases/{}", NAMES[last]));
        let names: Vec<&str> = NAMES[..=last].iter().rev().copied().collect();
        retain(site, &names);
    }
}

/// A configuration with the directives of a test.
pub fn config(directives: &str) -> Config {
    let types =
        "AddType text/javascript .js\nAddType text/css .css\nAddType image/svg+xml .svg\nAddType text/plain .txt\n";
    let log = "LogFormat \"%r %>s asset=%{REALDOC_ASSET_RELEASE}e release=%{REALDOC_RELEASE}e\" assets\n\
               CustomLog \"${RUN}/assets.log\" assets\n";
    let none = "<Directory \"${ROOT}\">\nAllowOverride None\n</Directory>\n";
    Config::new(&format!("DocumentRoot \"${{ROOT}}/current/public\"\n{none}{types}{log}{directives}"))
        .modules(&["headers"])
}

/// Starts httpd with `RealdocAssets /build/` and more.
pub fn start(site: &Site, mpm: Mpm, more: &str, modules: &[&str]) -> Httpd {
    Httpd::start(site, mpm, &config(&format!("{ASSETS}\n{more}")).modules(modules))
}

/// The status and the body of a path.
pub fn get(client: &Client, path: &str) -> (u16, String) {
    let response = client.get(path).unwrap_or_else(|error| panic!("{path}: {error:#}"));
    (response.status, response.body)
}

/// What an asset of a release answers.
pub fn script(name: &str) -> (u16, String) {
    (200, format!("export default '{name}'"))
}

/// The clients that an MPM can serve.
pub fn clients(httpd: &Httpd, mpm: Mpm) -> Vec<Client> {
    let mut clients = vec![httpd.client()];
    // mod_http2 does not support prefork.
    if mpm.is_threaded() {
        clients.push(Client::new(&httpd.url(""), Protocol::H2c));
    }
    clients
}

/// The directives for both protocols. Pages that are mapped into memory crash httpd 2.4.71 over HTTP/2, without this module
/// too.
pub const PROTOCOLS: &str = "<IfModule mod_http2.c>\nProtocols h2c http/1.1\n</IfModule>\nEnableMMAP Off";

/// The module for HTTP/2 where it is supported.
pub fn http2(mpm: Mpm) -> &'static [&'static str] {
    if mpm.is_threaded() { &["http2"] } else { &[] }
}
