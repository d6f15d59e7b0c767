//! Staged releases by host name: who gets to see which, and that `realdoc` warms and judges a release by its preview.
//!
//! Owns: the recipe's lines for httpd and for `realdoc.toml`. Must not: test the commands of `realdoc` beside that.

use std::process::Command;

use harness::document::texts;
use harness::{Config, Httpd, Mpm, Repository, Site, Tool, on_each_mpm};

use super::{HOST, RECIPES};
use crate::examples::placed;

const HEADING: &str = "Staged releases by host name";

/// A page that shows the docroot of a request.
const SHOW: &str = "<!--#echo var=\"DOCUMENT_ROOT\" -->";

/// From where a request comes: the host itself, or another one.
const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.2";

/// The status and the body for a request of curl.
fn ask(httpd: &Httpd, from: &str, host: &str, path: &str, more: &[&str]) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--max-time",
        "10",
        "--write-out",
        "\n%{http_code}",
        "--interface",
        from,
    ]);
    command.args(["--noproxy", "*", "--header", &format!("Host: {host}"), &httpd.url(path)]).args(more);
    let output = command.output().expect("running curl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

fn previews(mpm: Mpm) {
    let tool = Tool::release().expect("the tool");
    let site = Site::new();
    let repository = Repository::new(&site);
    let tags = ["v1.2", "v1.3", "v1.4"];
    for (number, tag) in (1..).zip(tags) {
        repository.tag(number, |release| {
            release.write("public/show.shtml", SHOW);
            // The last one lacks the page that is asked for.
            release.write(if tag == "v1.4" { "public/other.html" } else { "public/index.html" }, tag);
        });
        repository.alias(number, tag);
    }
    let root = site.root().display();
    let releases = format!("{root}/srv/app/releases");
    let configuration = |commands: &str| {
        let text = format!(
            "[git]\nsource = \"./app\"\n[releases]\ndirectory = \"{releases}\"\n{commands}\n[instances]\n\
             shop = \"{root}/srv/app/current\"\n"
        );
        site.write("realdoc.toml", &text);
    };
    configuration("");
    site.directory("srv/app");
    let _ = tool.succeed(site.root(), &["init"]);
    let _ = tool.succeed(site.root(), &["deploy", "v1.2", "--all"]);
    let [old, new, broken] =
        [1, 2, 3].map(|number| format!("{}-{}", tags[number - 1], &repository.commit(number)[..12]));
    let preview = |release: &str| format!("preview-{release}.example.org");

    let password = Command::new("htpasswd")
        .args(["-bc", &format!("{root}/srv/app/previews.htpasswd"), "ada", "secret"])
        .output()
        .expect("running htpasswd");
    assert!(password.status.success(), "{}", String::from_utf8_lossy(&password.stderr));
    let before = "DocumentRoot \"${ROOT}\"\n<Directory \"/\">\nRequire all denied\nOptions FollowSymLinks Includes\n\
                  </Directory>\n<IfModule mod_dir.c>\nDirectoryIndex index.html\n</IfModule>\n";
    let lines = placed(&site, &texts(RECIPES, HEADING, "apache").concat());
    let modules =
        ["auth_basic", "authn_core", "authn_file", "authz_host", "authz_user", "dir", "include", "vhost_alias"];
    let config = Config::new(before).text(&lines).modules(&modules).grants_nothing();
    let said = Httpd::ask(&site, mpm, &config, &["-t"]);
    assert!(said.contains("Syntax OK") && !said.contains("[realdoc:"), "{said}");
    let httpd = Httpd::start(&site, mpm, &config);

    // A release has its preview as soon as it is staged, for those who may see it, and visitors see nothing of that.
    let _ = tool.succeed(site.root(), &["stage", "v1.3"]);
    let shown = |host: &str| ask(&httpd, HERE, host, "/show.shtml", &[]);
    let docroot = |release: &str| (200, format!("{releases}/{release}/public"));
    assert_eq!(shown(HOST), docroot(&old));
    assert_eq!(shown(&preview(&old)), docroot(&old));
    assert_eq!(shown(&preview(&new)), docroot(&new));
    assert_eq!(shown(&preview(&new).to_uppercase()), docroot(&new));
    let from_elsewhere = |more: &[&str]| ask(&httpd, ELSEWHERE, &preview(&new), "/", more);
    assert_eq!(from_elsewhere(&[]).0, 401);
    assert_eq!(from_elsewhere(&["--user", "ada:secret"]), (200, "v1.3".to_owned()));
    httpd.expect_error("AH01617");
    assert_eq!(from_elsewhere(&["--user", "ada:wrong"]).0, 401);

    // No other name leads anywhere.
    for hidden in [".new-v2", ".realdoc"] {
        site.write(&format!("srv/app/releases/{hidden}/public/index.html"), "hidden");
    }
    site.write("srv/app/public/index.html", "outside");
    site.write("srv/app/releases/plain.html", "outside");
    httpd.expect_error("AH01630");
    let status = |host: &str| ask(&httpd, HERE, host, "/index.html", &[]).0;
    for name in [".new-v2", ".realdoc"] {
        assert_eq!(status(&preview(name)), 403, "{name}");
    }
    for name in ["v9", "", "v1.3", &new[1..], "plain.html"] {
        assert_eq!(status(&preview(name)), 404, "{name}");
    }
    assert_eq!(status("preview.example.org"), 404);
    for name in ["..", "../releases", &format!("../releases/{new}")] {
        assert_eq!(status(&preview(name)), 400, "{name}");
    }

    // What the preview answers decides about the flip, and the site then has the paths of the preview.
    let warm = texts(RECIPES, HEADING, "toml").concat();
    let placed = warm.replace(".example.org/", &format!(".example.org:{}/", httpd.port()));
    assert_ne!(warm, placed);
    configuration(&placed);
    let said = tool.run(site.root(), &["deploy", "v1.4", "--all"]).expect("the tool");
    assert_eq!(said.code, Some(5), "{}{}", said.output, said.errors);
    assert!(said.errors.contains(&format!("the warm-up of {broken}")), "{}", said.errors);
    assert_eq!(shown(HOST), docroot(&old));
    let _ = tool.succeed(site.root(), &["deploy", "v1.3", "--all"]);
    assert_eq!(shown(HOST), docroot(&new));
}

on_each_mpm!(recipe_previews, previews, prefork, event);
