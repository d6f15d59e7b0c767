//! What `RealdocAssets` costs: nothing elsewhere, and no look more for a file that the current release has.

use anyhow::Result;
use harness::count::{Subject, has_tool, pages};
use harness::{Config, Module, Site};

/// Longer than any run: each request but the first is inside the window.
const WINDOW: &str = "RealpathEvery 1h\nRealdocReleases \"${ROOT}/releases/*\"";

/// At most so many instructions more for a URL outside of the prefixes: none, but for what differs from run to run. A URL
/// whose first byte behind the slash is that of a prefix is compared with the prefixes.
const BUDGET: f64 = 3.0;

fn site() -> Site {
    let site = Site::new();
    for page in pages() {
        site.write(&format!("releases/42{page}"), &"x".repeat(1024));
        site.write(&format!("releases/42/build{page}"), &"x".repeat(1024));
    }
    site.symlink("current", "releases/42");
    site.write("releases/.realdoc/retained", "42\n41\n");
    site.age();
    site
}

fn compare<T>(site: &Site, assets: &str, count: impl Fn(Subject<'_>) -> Result<T>) -> (T, T) {
    let count = |directives: &str| {
        let config = Config::new(&format!("DocumentRoot \"${{ROOT}}/current\"\n{WINDOW}\n{directives}"));
        let module = Some(Module::release().expect("the module"));
        count(Subject { site, config: &config, module, hosts: &[] }).expect("a count")
    };
    (count(""), count(assets))
}

#[test]
fn instructions_outside_of_the_prefixes() {
    if !has_tool("valgrind").expect("valgrind") {
        return;
    }
    let site = site();
    let (without, with) = compare(&site, "RealdocAssets /build/", |subject| subject.instructions(&pages()));
    println!("{without:.1} instructions without RealdocAssets, {with:.1} with it: {:.1} more", with - without);
    assert!(with - without <= BUDGET, "{:.1} instructions more", with - without);
}

#[test]
fn system_calls_of_what_the_current_release_has() {
    if !has_tool("strace").expect("strace") {
        return;
    }
    let site = site();
    for path in [&pages()[10], &format!("/build{}", pages()[10])] {
        let (without, with) = compare(&site, "RealdocAssets /build/", |subject| subject.calls(path));
        println!("{path}: {} system calls without RealdocAssets, {} with it", without.usual(), with.usual());
        assert_eq!((with.usual(), with.unusual()), (without.usual(), without.unusual()), "{path}: {with}");
    }
}
