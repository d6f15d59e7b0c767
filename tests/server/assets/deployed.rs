//! The deploy tool and httpd together: what `realdoc` retains is what is served.

use harness::{Client, Config, Httpd, Mpm, Repository, Site, Tool, on_each_mpm};

/// Which of the three versions have their script served.
fn served(client: &Client) -> Vec<usize> {
    let is_served = |number: &usize| {
        let response = client.get(&format!("/build/app.{number}.js")).expect("a response");
        assert!(response.status == 404 || response.body == number.to_string(), "{}", response.body);
        response.status == 200
    };
    (1..=3).filter(is_served).collect()
}

fn deployed(mpm: Mpm) {
    let tool = Tool::release().expect("the tool");
    let site = Site::new();
    let repository = Repository::new(&site);
    for number in 1..=3 {
        repository.tag(number, |release| release.write(&format!("public/build/app.{number}.js"), &number.to_string()));
    }
    let root = site.root().display();
    let text = format!(
        "[git]\nsource = \"./app\"\n[releases]\ndirectory = \"{root}/releases\"\nkeep = 0\nprune_after = \"0s\"\n\
         [assets]\nkeep_for = \"1h\"\n[instances]\nshop = \"{root}/current\"\n"
    );
    site.write("realdoc.toml", &text);
    let run = |arguments: &[&str]| drop(tool.succeed(site.root(), arguments));
    run(&["init"]);
    run(&["deploy", "v1", "--all"]);
    let directives = "DocumentRoot \"${ROOT}/current/public\"\nAddType text/javascript .js\n\
                      RealdocReleases \"${ROOT}/releases/*\"\nRealdocAssets /build/";
    let httpd = Httpd::start(&site, mpm, &Config::new(directives));
    let client = httpd.client();
    assert_eq!(served(&client), [1]);
    run(&["deploy", "v2"]);
    assert_eq!(served(&client), [1, 2]);
    run(&["deploy", "v3"]);
    assert_eq!(served(&client), [1, 2, 3], "a prune keeps what is retained");
    run(&["rollback"]);
    assert_eq!(served(&client), [1, 2, 3], "pages of the release that was live are still open");
    let bad = format!("v3-{}", &repository.commit(3)[..12]);
    run(&["mark-bad", &bad]);
    assert_eq!(served(&client), [1, 2], "at once");
    run(&["prune"]);
    assert!(!site.root().join("releases").join(&bad).exists(), "what is bad goes");
    assert_eq!(served(&client), [1, 2]);
}

on_each_mpm!(assets_that_the_tool_retains, deployed, prefork, event);
