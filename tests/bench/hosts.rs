//! Many virtual hosts, each with a docroot link of its own: start-up, memory, first requests.
//!
//! Owns: the configuration with very many hosts. Must not: measure speed under load.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use harness::count::{Subject, has_tool};
use harness::process::private_memory;
use harness::raw::Raw;
use harness::{Config, Httpd, Mpm, Site};

use crate::column::Column;
use crate::table::{Compared, Table};

const HOSTS: usize = 10_000;
/// Starts of each server.
const STARTS: usize = 9;
/// Two numbers of hosts whose difference is what one of them costs at start-up.
const COUNTED: [usize; 2] = [100, 600];

/// What was measured of one server. NaN is not measured.
#[derive(Clone)]
struct Measured {
    start: Vec<f64>,
    start_cpu: Vec<f64>,
    /// The start where each host says for itself where its releases are.
    start_own_releases: Vec<f64>,
    start_instructions: f64,
    parent: f64,
    child: f64,
    /// What the file of requests takes.
    file: f64,
    first: f64,
    later: f64,
}

/// Adds the rows of many hosts.
pub fn measure(table: &mut Table, columns: &[Column]) -> Result<()> {
    eprintln!("making {HOSTS} docroots");
    let site = site();
    let nothing = Measured {
        start: Vec::new(),
        start_cpu: Vec::new(),
        start_own_releases: Vec::new(),
        start_instructions: f64::NAN,
        parent: f64::NAN,
        child: f64::NAN,
        file: f64::NAN,
        first: f64::NAN,
        later: f64::NAN,
    };
    let mut measured = vec![nothing; columns.len()];
    for round in 0..STARTS {
        eprintln!("start {} of {STARTS} with {HOSTS} hosts", round + 1);
        for place in 0..columns.len() {
            let column = (place + round) % columns.len();
            start(&site, &columns[column], &mut measured[column], round == 0)?;
            start_with_own_releases(&site, &columns[column], &mut measured[column])?;
        }
    }
    if has_tool("valgrind")? {
        for (column, measured) in columns.iter().zip(&mut measured) {
            eprintln!("counting instructions at start-up: {}", column.name);
            let count = |hosts| {
                let config = config(column, hosts, false);
                Subject { site: &site, config: &config, module: column.module, hosts: &[] }.instructions_of_start()
            };
            let [few, many] = COUNTED;
            measured.start_instructions = (count(many)? as f64 - count(few)? as f64) / (many - few) as f64;
        }
    }
    let starts: Vec<Vec<f64>> = measured.iter().map(|measured| measured.start.clone()).collect();
    table.rounds(&format!("start with {HOSTS} hosts, ms"), &starts);
    let starts: Vec<Vec<f64>> = measured.iter().map(|measured| measured.start_own_releases.clone()).collect();
    table.rounds("the same, RealdocReleases in each, ms", &starts);
    let starts: Vec<Vec<f64>> = measured.iter().map(|measured| measured.start_cpu.clone()).collect();
    table.rounds("start, CPU ms of the parent", &starts);
    let mut row = |name: &str, value: fn(&Measured) -> f64, compared| {
        table.row(name, &measured.iter().map(value).collect::<Vec<f64>>(), compared);
    };
    row("instructions per host, start to end", |measured| measured.start_instructions, Compared::Ratio(0));
    row("parent, bytes per host", |measured| measured.parent, Compared::Difference(0));
    row("child after a request to each, bytes per host", |measured| measured.child, Compared::Difference(0));
    row("file of requests after that, bytes per host", |measured| measured.file, Compared::Difference(0));
    row("first request to a host, µs", |measured| measured.first, Compared::Difference(1));
    row("second request, µs", |measured| measured.later, Compared::Difference(1));
    Ok(())
}

fn site() -> Site {
    let site = Site::new();
    for host in 0..HOSTS {
        site.write(&format!("hosts/{host}/release/page.html"), "a page");
        site.symlink(&format!("hosts/{host}/current"), "release");
    }
    site
}

fn config(column: &Column, hosts: usize, own_releases: bool) -> Config {
    let docroot = if column.through_link { "current" } else { "release" };
    let mut text = String::new();
    for host in 0..hosts {
        let own = match column.module {
            Some(_) if own_releases => format!("RealdocReleases \"${{ROOT}}/hosts/{host}/rel*\"\n"),
            _ => String::new(),
        };
        writeln!(
            text,
            "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName {host}.test\nDocumentRoot \"${{ROOT}}/hosts/{host}/{docroot}\"\n\
             {own}</VirtualHost>"
        )
        .expect("a String takes all");
    }
    column.load(Config::new("").children(1, 1)).text(&text)
}

fn start(site: &Site, column: &Column, measured: &mut Measured, ask: bool) -> Result<()> {
    let config = config(column, HOSTS, false);
    let begin = Instant::now();
    let httpd = Httpd::start_with(site, Mpm::Prefork, &config, column.module)?;
    measured.start.push(begin.elapsed().as_secs_f64() * 1e3);
    measured.start_cpu.push(cpu_milliseconds(httpd.pid())?);
    column.expect_errors(&httpd);
    if ask {
        let [child] = httpd.all_children(1)[..] else { anyhow::bail!("one child") };
        measured.parent = memory(httpd.pid())? / HOSTS as f64;
        measured.first = ask_all(&httpd)?;
        measured.child = memory(child)? / HOSTS as f64;
        measured.later = ask_all(&httpd)?;
        let file = fs::metadata(httpd.run_file("realdoc.inuse"));
        measured.file = file.map_or(0.0, |file| (file.blocks() * 512) as f64 / HOSTS as f64);
    }
    httpd.finish();
    Ok(())
}

fn start_with_own_releases(site: &Site, column: &Column, measured: &mut Measured) -> Result<()> {
    let config = config(column, HOSTS, true);
    let begin = Instant::now();
    let httpd = Httpd::start_with(site, Mpm::Prefork, &config, column.module)?;
    measured.start_own_releases.push(begin.elapsed().as_secs_f64() * 1e3);
    column.expect_errors(&httpd);
    httpd.finish();
    Ok(())
}

/// One request to each host on one connection; microseconds per request.
fn ask_all(httpd: &Httpd) -> Result<f64> {
    let mut connection = Raw::connect(httpd.port());
    let begin = Instant::now();
    for host in 0..HOSTS {
        connection.send_get(&format!("{host}.test"), "/page.html");
        let status = connection.receive().status();
        ensure!(status == 200, "host {host}: status {status}");
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / HOSTS as f64)
}

fn memory(pid: u32) -> Result<f64> {
    Ok(private_memory(pid).context("a running server")? as f64)
}

fn cpu_milliseconds(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).context("/proc/<pid>/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse::<f64>()? / 1e6)
}
