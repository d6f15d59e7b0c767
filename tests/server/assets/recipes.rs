//! The recipes for assets in `docs/recipes.md`.

use std::process::Command;

use harness::document::texts;
use harness::{Client, Config, Httpd, Mpm, Site};

use crate::examples::placed;

const RECIPES: &str = "docs/recipes.md";
const HOST: &str = "app.example";

/// Two releases with an asset of this name, in which `NAME` stands for the release.
fn site(names: [&str; 2], asset: &str) -> Site {
    let site = Site::new();
    for name in names {
        let write = |path: &str, text: &str| site.write(&format!("srv/app/releases/{name}/public/{path}"), text);
        write(&asset.replace("NAME", name), name);
        write("index.php", "page");
        write("index.html", "page");
    }
    site.symlink("srv/app/current", format!("releases/{}", names[0]));
    site.write("srv/app/releases/.realdoc/retained", &format!("{}\n", names[0]));
    site
}

fn start(site: &Site, heading: &str, more: &str) -> Httpd {
    let before = format!(
        "DocumentRoot \"${{ROOT}}\"\nAddType text/javascript .js\nAddType text/css .css\n{more}\n<Directory \"/\">\n\
         Require all denied\nOptions FollowSymLinks\nAllowOverride None\n</Directory>\n"
    );
    let lines = placed(site, &texts(RECIPES, heading, "apache").concat()).replace(":3000/", ":${PORT_2}/");
    let config = Config::new(&before).text(&lines).grants_nothing().more_ports(1);
    let config = config.modules(&["dir", "headers", "proxy", "proxy_http", "rewrite"]);
    let said = Httpd::ask(site, Mpm::Event, &config, &["-t"]);
    assert!(said.contains("Syntax OK") && !said.contains("[realdoc:"), "{said}");
    Httpd::start(site, Mpm::Event, &config)
}

fn get(client: &Client, path: &str) -> (u16, String) {
    let response = client.get_from(HOST, path).expect("a response");
    (response.status, response.body)
}

/// Flips to the second release, whose manifest names both.
fn flip(site: &Site) {
    site.flip_link("srv/app/current", "releases/43");
    site.write("srv/app/releases/.realdoc/retained", "43\n42\n");
}

#[test]
fn vite_with_laravel() {
    let site = site(["42", "43"], "build/assets/app-NAME.js");
    let httpd = start(&site, "Assets: Vite with Laravel", "");
    let client = httpd.client();
    assert_eq!(get(&client, "/build/assets/app-42.js"), (200, "42".to_owned()));
    flip(&site);
    for name in ["42", "43"] {
        let response = client.get_from(HOST, &format!("/build/assets/app-{name}.js")).expect("a response");
        assert_eq!((response.status, response.body.as_str()), (200, name));
        assert!(response.header("cache-control").contains("immutable"), "{:?}", response.headers);
    }
    let missing = client.get_from(HOST, "/build/assets/app-0.js").expect("a response");
    assert_eq!((missing.status, missing.header("cache-control")), (404, ""));
    assert_eq!(get(&client, "/blog/7"), (200, "page".to_owned()));
}

#[test]
fn rails_with_propshaft() {
    let site = site(["42", "43"], "assets/application-NAME.js");
    site.write("backend/page", "from the application");
    let backend = "<VirtualHost *:${PORT_2}>\nDocumentRoot \"${ROOT}/backend\"\n<Directory \"${ROOT}/backend\">\n\
                   Require all granted\n</Directory>\nRealdoc Off\n</VirtualHost>";
    let httpd = start(&site, "Assets: Rails with Propshaft", backend);
    let client = httpd.client();
    flip(&site);
    for name in ["42", "43"] {
        assert_eq!(get(&client, &format!("/assets/application-{name}.js")), (200, name.to_owned()));
    }
    assert_eq!(get(&client, "/page"), (200, "from the application".to_owned()));
    assert_eq!(get(&client, "/assets/none.js").0, 404);
}

#[test]
fn plain_site() {
    let site = site(["42", "43"], "js/app.NAME.js");
    let httpd = start(&site, "Assets: plain site", "");
    let client = httpd.client();
    flip(&site);
    for name in ["42", "43"] {
        assert_eq!(get(&client, &format!("/js/app.{name}.js")), (200, name.to_owned()));
    }
    assert_eq!(get(&client, "/index.html"), (200, "page".to_owned()));
}

/// The commands of a task: what stands between the quotes of its lines that begin so.
fn commands(heading: &str, kind: &str, begin: &str, end: &str) -> Vec<String> {
    let text = texts(RECIPES, heading, kind).concat();
    let inside = |line: &str| Some(line.trim().strip_prefix(begin)?.strip_suffix(end)?.to_owned());
    text.lines().filter_map(inside).collect()
}

/// What a task writes, and that httpd takes it.
fn manifest(names: [&str; 2], command: &str) {
    let site = site(names, "build/app.NAME.js");
    let root = site.root().join("srv/app");
    // As a tool has it: the new release is live, and nothing is retained yet.
    std::fs::remove_dir_all(root.join("releases/.realdoc")).expect("no manifest");
    site.flip_link("srv/app/current", format!("releases/{}", names[1]));
    let root = root.display().to_string();
    let command = command.replace("#{releases_path}", &format!("{root}/releases")).replace("{{deploy_path}}", &root);
    let output = Command::new("sh").arg("-ec").arg(&command).output().expect("running sh");
    assert!(output.status.success(), "{command}{}", String::from_utf8_lossy(&output.stderr));
    let written = std::fs::read_to_string(format!("{root}/releases/.realdoc/retained")).expect("a manifest");
    assert_eq!(written, format!("{}\n{}\n", names[1], names[0]));
    let httpd = start(&site, "Assets: Vite with Laravel", "");
    assert_eq!(get(&httpd.client(), &format!("/build/app.{}.js", names[0])), (200, names[0].to_owned()));
}

#[test]
fn manifests_by_other_tools() {
    let capistrano = commands("Assets: a manifest by Capistrano", "ruby", "execute \"", "\"");
    assert_eq!(capistrano.len(), 2);
    manifest(["20261121224000", "20261121224030"], &capistrano.join("\n"));
    let deployer = |begin| commands("Assets: a manifest by Deployer", "php", begin, "');").concat();
    manifest(["9", "10"], &format!("cd {}\n{}", deployer("cd('"), deployer("run('")));
}

#[test]
fn one_release_before_without_the_directive() {
    let site = site(["42", "43"], "build/app.NAME.js");
    site.write("srv/app/releases/42/public/build/page.php", "<?php");
    let heading = "Assets: one release before, without the directive";
    let httpd = start(&site, heading, "");
    httpd.expect_error("AH01630");
    let commands = placed(&site, &texts(RECIPES, heading, "sh").concat());
    let output = Command::new("sh").arg("-ec").arg(&commands).output().expect("running sh");
    assert!(output.status.success(), "{commands}{}", String::from_utf8_lossy(&output.stderr));
    let client = httpd.client();
    for name in ["42", "43"] {
        assert_eq!(get(&client, &format!("/build/app.{name}.js")), (200, name.to_owned()));
    }
    assert_eq!(get(&client, "/build/page.php").0, 404);
    assert_eq!(get(&client, "/build/none.js").0, 404);
}
