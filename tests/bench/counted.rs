//! What is counted: instructions and system calls. The same on a busy machine.
//!
//! Owns: the pages that are asked for. Must not: know how one counts; that is the harness.

use anyhow::Result;
use harness::count::{INCLUDING, Subject, has_tool, host_directories, hosts, including, pages, with_hosts};
use harness::{Config, Site};

use crate::column::{self, Column};
use crate::table::{Compared, Table};

const PAGE: &str = "/page.html";

/// A run takes many times longer under callgrind than on its own. So that no look is counted where there is to be none,
/// the window must be longer than that.
const LONG_WINDOW: &str = "RealpathEvery 1h\n";

fn site() -> Site {
    let site = Site::with_releases(1, |release| {
        release.write("htdocs/page.html", &"x".repeat(1024));
        for page in pages() {
            release.write(&format!("htdocs{page}"), &"x".repeat(1024));
        }
    });
    for directory in host_directories() {
        for page in pages() {
            site.write(&format!("{directory}/releases/0/htdocs{page}"), &"x".repeat(1024));
        }
        for (page, times) in INCLUDING {
            site.write(&format!("{directory}/releases/0/htdocs{page}"), &including(times));
        }
        site.symlink(&format!("{directory}/current"), "releases/0");
    }
    site.age();
    site
}

/// Adds the rows of what is counted.
pub fn measure(table: &mut Table, columns: &[Column]) -> Result<()> {
    let site = site();
    let configs = |config: fn(&Column, &str, &str) -> Config| -> Vec<Config> {
        let of_column = |column: &Column| {
            let config = config(column, "current/htdocs", "releases/0/htdocs").modules(&["include"]);
            if column.name == column::WINDOW { config.text(LONG_WINDOW) } else { config }
        };
        columns.iter().map(of_column).collect()
    };
    let with_sections = configs(Column::with_sections);
    let of_hosts = configs(|column, link, real| with_hosts(column.config(link, real), column.docroot(link, real)));
    let configs = configs(Column::config);
    let hosts = hosts();
    let each = |what: &str, configs: &[Config], hosts: &[String], count: &dyn Fn(&Subject<'_>) -> Result<f64>| {
        let count = |(Column { name, module, .. }, config): (&Column, &Config)| {
            eprintln!("counting {what}: {name}");
            count(&Subject { site: &site, config, module: *module, hosts })
        };
        columns.iter().zip(configs).map(count).collect::<Result<Vec<f64>>>()
    };
    if has_tool("valgrind")? {
        let pages = pages();
        let counts = each("instructions per request", &of_hosts, &hosts, &|subject| subject.instructions(&pages))?;
        table.row("instructions per request", &counts, Compared::Difference(0));
        let what = "the same with two sections";
        let counts = each(what, &with_sections, &[], &|subject| subject.instructions(&pages))?;
        table.row(what, &counts, Compared::Difference(0));
        let counts =
            each("instructions per subrequest", &of_hosts, &hosts, &|subject| subject.instructions_of_subrequest())?;
        table.row("instructions per subrequest", &counts, Compared::Difference(0));
    }
    if has_tool("strace")? {
        let mut means = Vec::new();
        let mut most = Vec::new();
        for (Column { name, module, .. }, config) in columns.iter().zip(&configs) {
            eprintln!("counting system calls per request: {name}");
            let calls = Subject { site: &site, config, module: *module, hosts: &[] }.calls(PAGE)?;
            most.push(calls.usual() as f64);
            means.push(calls.mean());
        }
        table.row("system calls of most requests", &most, Compared::Difference(0));
        table.row("system calls, mean", &means, Compared::Difference(2));
    }
    Ok(())
}
