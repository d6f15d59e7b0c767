//! Requests per second of one event child with few and with many threads, while the docroot flips.
//!
//! Owns: the load (wrk) and the order of the runs. Must not: compare runs that were not made one after another.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::count::has_tool;
use harness::{FlipMode, Flipper, Httpd, Mpm, Site};

use crate::column::{self, Column};
use crate::table::Table;

/// Threads of the child, and as many connections.
const THREADS: [usize; 3] = [1, 8, 64];
const RELEASES: usize = 4;
const FLIP_EVERY: Duration = Duration::from_millis(10);
const RUN_SECONDS: u32 = 1;
/// How often each server is measured, unless `BENCH_ROUNDS` says otherwise.
const ROUNDS: usize = 15;

/// What one run of the load found.
struct Run {
    per_second: f64,
    /// Processor time of the child, in nanoseconds per request.
    cpu: f64,
}

/// Adds the rows of speed.
pub fn measure(table: &mut Table) -> Result<()> {
    if !has_tool("wrk")? {
        return Ok(());
    }
    let rounds = match env::var("BENCH_ROUNDS") {
        Ok(rounds) => rounds.parse().context("BENCH_ROUNDS")?,
        Err(_) => ROUNDS,
    };
    let columns = column::all()?;
    for threads in THREADS {
        let site = Site::with_releases(RELEASES, |release| release.write("htdocs/page.html", &"x".repeat(1024)));
        let servers: Vec<Httpd> = columns.iter().map(|column| start(&site, column, threads)).collect::<Result<_>>()?;
        let targets: Vec<PathBuf> = (0..RELEASES).map(|number| site.release_directory(number)).collect();
        let flipper = Flipper::rotate_every(FLIP_EVERY, site.link(), targets, FlipMode::Rename);
        for server in &servers {
            run(server, threads)?;
        }
        let (begin, flips) = (Instant::now(), flipper.now().returned);
        let mut speeds = vec![Vec::new(); servers.len()];
        let mut cpus = speeds.clone();
        for round in 0..rounds {
            eprintln!("round {} of {rounds} with {threads} threads", round + 1);
            // Each server is the first as often, should the place matter.
            for place in 0..servers.len() {
                let column = (place + round) % servers.len();
                let Run { per_second, cpu } = run(&servers[column], threads)?;
                speeds[column].push(per_second);
                cpus[column].push(cpu);
            }
        }
        let flips = (flipper.stop() - flips) as f64 / begin.elapsed().as_secs_f64();
        table.rounds(&format!("requests per second, {threads} threads, {flips:.0} flips/s"), &speeds);
        table.rounds(&format!("CPU ns per request, {threads} threads"), &cpus);
    }
    Ok(())
}

fn start(site: &Site, column: &Column, threads: usize) -> Result<Httpd> {
    let config = column.config("current/htdocs", "releases/0/htdocs").children(1, threads);
    let httpd = Httpd::start_with(site, Mpm::Event, &config, column.module)?;
    column.expect_errors(&httpd);
    Ok(httpd)
}

fn run(httpd: &Httpd, connections: usize) -> Result<Run> {
    let [child] = httpd.all_children(1)[..] else { bail!("one child") };
    let before = cpu_time(child)?;
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &connections.to_string()])
        .args(["--duration", &format!("{RUN_SECONDS}s"), &httpd.url("/page.html")])
        .output()
        .context("running wrk")?;
    let cpu = cpu_time(child)?.saturating_sub(before) as f64;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let number = |before: &str, after: &str| -> Option<f64> {
        said.lines().find_map(|line| line.trim().strip_prefix(before)?.split(after).next()?.trim().parse().ok())
    };
    let requests = said.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse::<f64>().ok());
    match (number("Requests/sec:", " s"), requests) {
        (Some(per_second), Some(requests)) if !said.contains("Non-2xx") => Ok(Run { per_second, cpu: cpu / requests }),
        _ => bail!("wrk says:\n{said}"),
    }
}

/// The processor time that the threads of a process have had, in nanoseconds.
fn cpu_time(pid: u32) -> Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat")).context("/proc/<pid>/task/<tid>/schedstat")?;
        total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(total)
}
