//! One event child under load (wrk), and what that cost it.
//!
//! Owns: the server, its files and the load, and rounds of it. Must not: choose what is compared with what.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harness::{FlipMode, Flipper, Httpd, Mpm, Site};

use crate::column::Column;

/// Threads of a child, and as many connections.
pub const THREADS: [usize; 3] = [1, 8, 64];
/// How often each server is measured, unless `BENCH_ROUNDS` says otherwise.
const ROUNDS: usize = 15;
const RELEASES: usize = 4;
const FLIP_EVERY: Duration = Duration::from_millis(10);
const RUN_SECONDS: u32 = 1;

/// How often each server is to be measured.
///
/// # Errors
/// If `BENCH_ROUNDS` is no number.
pub fn rounds() -> Result<usize> {
    match env::var("BENCH_ROUNDS") {
        Ok(rounds) => rounds.parse().context("BENCH_ROUNDS"),
        Err(_) => Ok(ROUNDS),
    }
}

/// A site with a page of 1 KiB in each of a few releases.
#[must_use]
pub fn site() -> Site {
    Site::with_releases(RELEASES, |release| release.write("htdocs/page.html", &"x".repeat(1024)))
}

/// Flips the link of the site from one release to the next all the while.
#[must_use]
pub fn flipper(site: &Site) -> Flipper {
    let targets: Vec<PathBuf> = (0..RELEASES).map(|number| site.release_directory(number)).collect();
    Flipper::rotate_every(FLIP_EVERY, site.link(), targets, FlipMode::Rename)
}

/// Starts the server of a column, with one child of so many threads.
///
/// # Errors
/// If it does not start.
pub fn start(site: &Site, column: &Column, threads: usize) -> Result<Httpd> {
    let config = column.config("current/htdocs", "releases/0/htdocs").children(1, threads);
    let httpd = Httpd::start_with(site, Mpm::Event, &config, column.module)?;
    column.expect_errors(&httpd);
    Ok(httpd)
}

/// The only child of a server.
///
/// # Errors
/// If there is another one.
pub fn child(httpd: &Httpd) -> Result<u32> {
    let [child] = httpd.all_children(1)[..] else { bail!("one child") };
    Ok(child)
}

/// What one run of the load found.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Requests per second.
    pub per_second: f64,
    /// Processor time of the child, in nanoseconds per request.
    pub cpu: f64,
}

/// Asks the server of a column for the page on so many connections for a second.
///
/// # Errors
/// What wrk says of responses that are none, or that do not come.
pub fn run(httpd: &Httpd, column: &Column, connections: usize) -> Result<Run> {
    let child = child(httpd)?;
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
    // What it calls socket errors is as a rule a connection that httpd has closed after so many requests.
    let is_good = !said.contains("Non-2xx");
    match (number("Requests/sec:", " s"), requests) {
        (Some(per_second), Some(requests)) if is_good && requests > 0.0 => Ok(Run { per_second, cpu: cpu / requests }),
        _ => bail!("{}: wrk says:\n{said}\nand the error log:\n{}", column.name, httpd.error_log()),
    }
}

/// Rounds, each with a number for each column, and how many of them were left out.
#[derive(Debug)]
pub struct Rounds {
    columns: Vec<Vec<f64>>,
    left_out: usize,
}

impl Rounds {
    /// No round of so many columns.
    #[must_use]
    pub fn new(columns: usize) -> Self {
        Self { columns: vec![Vec::new(); columns], left_out: 0 }
    }

    /// Adds a round. One in which a server has failed is told of and left out, as the other module may fail that is
    /// compared with this one.
    pub fn add(&mut self, round: Result<Vec<f64>>) {
        match round {
            Ok(numbers) => self.columns.iter_mut().zip(numbers).for_each(|(column, number)| column.push(number)),
            Err(error) => {
                eprintln!("a round is left out: {error:#}");
                self.left_out += 1;
            }
        }
    }

    /// The numbers of each column.
    ///
    /// # Errors
    /// If more than a tenth of the rounds was left out.
    pub fn columns(self) -> Result<Vec<Vec<f64>>> {
        let rounds = self.columns[0].len();
        ensure!(self.left_out * 10 <= rounds, "{} rounds were left out, and {rounds} not", self.left_out);
        Ok(self.columns)
    }
}

/// The threads of a process.
///
/// # Errors
/// If there is no such process.
pub fn threads(pid: u32) -> Result<Vec<u32>> {
    fs::read_dir(format!("/proc/{pid}/task"))?
        .map(|task| task?.file_name().to_str().and_then(|name| name.parse().ok()).context("the number of a thread"))
        .collect()
}

/// The processor time that the threads of a process have had, in nanoseconds.
fn cpu_time(pid: u32) -> Result<u64> {
    threads(pid)?.into_iter().try_fold(0, |total, thread| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat"))?;
        Ok(total + text.split(' ').next().unwrap_or_default().parse::<u64>()?)
    })
}
