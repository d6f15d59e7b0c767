//! What one request costs, counted and not timed: instructions (callgrind) and system calls (strace).
//!
//! Owns: running a server under either tool, and the arithmetic that leaves one request of a whole run. Must not:
//! judge a number, or time anything: what is counted is the same on a busy machine.

use std::env;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::config::Config;
use crate::httpd::Httpd;
use crate::module::Module;
use crate::mpm::Mpm;
use crate::raw::{Raw, ask};
use crate::readiness;
use crate::site::Site;

/// How often each page is asked for in the two runs whose difference is the cost of a request without that of starting
/// and stopping.
const ROUNDS: [usize; 2] = [1, 5];

/// Names of files below the docroot, of all lengths up to a bound; see [`Subject::instructions`].
#[must_use]
pub fn pages() -> Vec<String> {
    (1..=240).map(|length| format!("/{}.html", "p".repeat(length))).collect()
}

/// The number of hosts that share what is counted.
const HOSTS: usize = 8;

/// The names of hosts whose docroots and names have lengths of their own: see [`Subject::hosts`].
#[must_use]
pub fn hosts() -> Vec<String> {
    (0..HOSTS).map(|host| format!("host{host}.{}test", "t".repeat(8 * (host % 4)))).collect()
}

/// The directories of [`hosts`] below the site, in their order.
pub fn host_directories() -> impl Iterator<Item = String> {
    (1..=HOSTS).map(|length| "h".repeat(length))
}

/// Adds [`hosts`] to a configuration. The docroot of each is at `docroot` in its directory.
#[must_use]
pub fn with_hosts(config: Config, docroot: &str) -> Config {
    let host = |(name, directory): (String, String)| {
        format!(
            "<VirtualHost *:${{PORT}}>\nServerName {name}\nDocumentRoot \"${{ROOT}}/{directory}/{docroot}\"\n</VirtualHost>\n"
        )
    };
    config.text(&hosts().into_iter().zip(host_directories()).map(host).collect::<String>())
}

/// How many of [`pages`] a page with subrequests includes.
const PARTS: usize = 40;

/// Two pages with subrequests that differ only in how often they include these parts.
pub const INCLUDING: [(&str, usize); 2] = [("/few.shtml", 1), ("/many.shtml", 4)];

/// Such a page.
#[must_use]
pub fn including(times: usize) -> String {
    let include = |page: &String| format!("<!--#include virtual=\"{page}\" -->\n");
    pages()[..PARTS].iter().map(include).collect::<String>().repeat(times)
}

/// How often a page with subrequests is asked for.
const PAGES: usize = 40;

/// How many requests are looked at one by one.
const TRACED: usize = 300;

const IDLE_WITHIN: Duration = Duration::from_secs(20);

const TRACE_COMPLETE_WITHIN: Duration = Duration::from_secs(20);

/// No file: what is asked of callgrind is in what it prints.
const CALLGRIND: [&str; 3] = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];

/// A server to count on: its files, its configuration and the module that it loads, if any.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// Its files.
    pub site: &'s Site,
    /// Its configuration.
    pub config: &'s Config,
    /// Its module.
    pub module: Option<&'s Module>,
    /// The names of its hosts, which are asked in turn. Hosts that differ in the lengths of their docroots average over where
    /// in memory the strings of a configuration begin, which is another place in each build.
    pub hosts: &'s [String],
}

/// The system calls of requests that were looked at one by one.
#[derive(Clone, Debug)]
pub struct Calls {
    /// The system calls of each request, sorted.
    per_request: Vec<usize>,
}

impl Calls {
    /// The system calls of most requests.
    ///
    /// # Panics
    /// If there are none, which [`Subject::calls`] does not return.
    #[must_use]
    pub fn usual(&self) -> usize {
        self.per_request[self.per_request.len() / 2]
    }

    /// How many requests had another number than most.
    #[must_use]
    pub fn unusual(&self) -> usize {
        self.per_request.iter().filter(|calls| **calls != self.usual()).count()
    }

    /// How many requests were looked at.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.per_request.len()
    }

    /// The system calls of a request on average.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.per_request.iter().sum::<usize>() as f64 / self.per_request.len() as f64
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = (self.per_request.first(), self.per_request.last());
        write!(formatter, "{} in most of {} requests, {range:?} in all", self.usual(), self.requests())
    }
}

impl Subject<'_> {
    /// Instructions of a request for a plain file, on a kept-alive connection, on average of these files. They should be
    /// of many lengths, one after another: whether the memory of a request just fits into httpd's blocks of 8 KiB depends
    /// on a few bytes, and a block more or less is a third of what is to be counted; and where in memory a string begins
    /// makes one function of the C library or another cheaper by some instructions, of which there are a hundred calls.
    ///
    /// # Errors
    /// If the server does not start under callgrind or does not answer.
    pub fn instructions(&self, paths: &[String]) -> Result<f64> {
        let run = |rounds| {
            self.collected(|httpd| {
                let mut connection = Raw::connect(httpd.port());
                for round in 0..rounds {
                    for (at, path) in paths.iter().enumerate() {
                        connection.send_get(&self.host(at, round), path);
                        let status = connection.receive().status();
                        ensure!(status == 200, "GET {path}: status {status}");
                        // Whether the next request is there before httpd waits for it takes other ways through httpd.
                        wait_until_asleep(httpd)?;
                    }
                }
                Ok(())
            })
        };
        let [short, long] = ROUNDS;
        Ok((run(long)? as f64 - run(short)? as f64) / ((long - short) * paths.len()) as f64)
    }

    /// Instructions of a subrequest: of the two pages of [`INCLUDING`], which the site must have.
    ///
    /// # Errors
    /// As for [`Subject::instructions`].
    pub fn instructions_of_subrequest(&self) -> Result<f64> {
        let run = |path: &str| {
            self.collected(|httpd| {
                // Such a page has no Content-Length: it ends with its connection.
                for page in 0..PAGES {
                    let status = ask(httpd.port(), "GET", &self.host(page, 0), path).status();
                    ensure!(status == 200, "GET {path}: status {status}");
                }
                Ok(())
            })
        };
        let [(few, few_times), (many, many_times)] = INCLUDING;
        Ok((run(many)? as f64 - run(few)? as f64) / (PAGES * PARTS * (many_times - few_times)) as f64)
    }

    /// Which host is asked. Names of several lengths, because what follows the header begins elsewhere then.
    fn host(&self, at: usize, round: usize) -> String {
        let default = || format!("localhost{}", "t".repeat(8 * (round % 4)));
        self.hosts.get((at + round) % self.hosts.len().max(1)).cloned().unwrap_or_else(default)
    }

    /// Instructions from the start of a server to its end, with no request.
    ///
    /// # Errors
    /// As for [`Subject::instructions`].
    pub fn instructions_of_start(&self) -> Result<u64> {
        self.collected(|_| Ok(()))
    }

    /// Instructions of a whole run.
    fn collected(&self, requests: impl FnOnce(&Httpd) -> Result<()>) -> Result<u64> {
        // The harness logs process ids, and a digit more of one is twenty instructions more.
        let config = self.config.clone().text("LogFormat - child").under(&CALLGRIND);
        let httpd = Httpd::start_with(self.site, Mpm::Prefork, &config, self.module)?;
        requests(&httpd)?;
        wait_until_idle(&httpd)?;
        let output = httpd.run_file("output");
        httpd.finish();
        let output = fs::read_to_string(output)?;
        let line =
            output.lines().find_map(|line| line.split_once("Collected : ")).context("no count of callgrind's")?;
        Ok(line.1.trim().parse()?)
    }

    /// The system calls of requests for a plain file, on a kept-alive connection.
    ///
    /// # Errors
    /// If the server does not start under strace or does not answer.
    pub fn calls(&self, path: &str) -> Result<Calls> {
        let trace = self.site.root().join("trace");
        let trace_name = trace.to_str().context("a path in UTF-8")?;
        // A tracer in the background (-D), so that httpd is the process that the harness has started.
        let config = self.config.clone().under(&["strace", "-D", "-f", "-o", trace_name]);
        let httpd = Httpd::start_with(self.site, Mpm::Prefork, &config, self.module)?;
        let mut connection = Raw::connect(httpd.port());
        // The first opens what stays open, and the last ends the one before.
        for _ in 0..TRACED + 2 {
            connection.send_get("localhost", path);
            let status = connection.receive().status();
            ensure!(status == 200, "GET {path}: status {status}");
        }
        // A single process ends only between two connections.
        drop(connection);
        wait_until_idle(&httpd)?;
        let calls = readiness::poll(TRACE_COMPLETE_WITHIN, || read_trace(&trace)).context("no complete trace")?;
        httpd.finish();
        fs::remove_file(&trace)?;
        Ok(calls)
    }
}

/// Waits until a single process waits for a connection. It ends itself in its signal handler, by functions that take
/// locks: should it just hold one, it never ends.
fn wait_until_idle(httpd: &Httpd) -> Result<()> {
    let mut asleep = 0;
    let idle = readiness::becomes_true(IDLE_WITHIN, || {
        asleep = if is_asleep(httpd).unwrap_or(false) { asleep + 1 } else { 0 };
        // It may sleep for a moment for other reasons.
        asleep == 3
    });
    ensure!(idle, "httpd is never idle");
    Ok(())
}

/// Waits until a single process that has answered sleeps: until it waits for the next request.
fn wait_until_asleep(httpd: &Httpd) -> Result<()> {
    let asleep = || is_asleep(httpd).map(|asleep| asleep.then_some(())).transpose();
    readiness::poll_closely(IDLE_WITHIN, asleep).context("httpd never waits for a request")?
}

/// Whether a single process sleeps.
fn is_asleep(httpd: &Httpd) -> Result<bool> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", httpd.pid()))?;
    // The state follows the name, which is in parentheses and may hold anything.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    ensure!(state != Some('Z'), "httpd has ended");
    Ok(state == Some('S'))
}

/// Splits a trace where a request is read; nothing if it does not hold all of them yet.
fn read_trace(trace: &Path) -> Option<Calls> {
    let trace = fs::read_to_string(trace).ok()?;
    let lines: Vec<&str> = trace.lines().collect();
    let begins: Vec<usize> = (0..lines.len()).filter(|&line| lines[line].contains("\"GET /")).collect();
    if begins.len() < TRACED + 2 {
        return None;
    }
    let calls = |pair: &[usize]| lines[pair[0]..pair[1]].iter().filter(|line| !waits(line)).count();
    let mut per_request: Vec<usize> = begins[1..].windows(2).map(calls).collect();
    per_request.sort_unstable();
    Some(Calls { per_request })
}

/// Whether a call only waits for the client: how often httpd does depends on who is faster.
fn waits(call: &str) -> bool {
    call.contains(" poll(") || call.contains(" EAGAIN ")
}

/// Whether a tool is there. One that is missing is an error in continuous integration (the variable `CI` is set), and
/// elsewhere a line that says what is not counted.
///
/// # Errors
/// In continuous integration, if the tool is missing.
pub fn has_tool(tool: &str) -> Result<bool> {
    let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    // Not every tool calls that a success.
    if found.is_ok() {
        return Ok(true);
    }
    if env::var_os("CI").is_some() {
        bail!("{tool} is missing, and CI is set: install {tool}");
    }
    eprintln!("SKIPPED: {tool} is not installed, nothing is counted with it");
    Ok(false)
}
