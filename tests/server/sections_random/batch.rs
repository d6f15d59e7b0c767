//! Many cases in one pair of servers, one with the module and one without: all links flip, then all hosts are asked.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::thread;

use harness::raw::{Raw, RawResponse, get_request};
use harness::{Config, Httpd, Mpm, Site};

use super::host::{Case, Host, REQUESTS};
use super::oracle::{Outcome, State, judge};
use super::tree::{STEPS, Step, TARGETS, Tree};

/// What is in force for everything that no random section says something of.
const COMMON: &str = "
<Directory \"/\">
    AllowOverride None
    Require all denied
    Options FollowSymLinks Includes
</Directory>
DirectoryIndex index.html
DocumentRoot \"${ROOT}/plain\"
";

/// A difference that must not be.
#[derive(Clone, Debug)]
pub struct Failure {
    pub case: usize,
    pub host: usize,
    pub step: usize,
    pub request: &'static str,
    pub why: &'static str,
    pub with: RawResponse,
    pub without: RawResponse,
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Tally {
    pub failures: Vec<Failure>,
    pub outcomes: BTreeMap<Outcome, usize>,
    /// Answers without the module in which a section of this form and place was seen.
    pub applied: BTreeMap<String, usize>,
    pub statuses: BTreeMap<u16, usize>,
    /// Flips from one docroot that is there to another one at another depth.
    pub flips_to_other_depths: usize,
}

impl Tally {
    pub fn cases(&self) -> usize {
        self.outcomes.values().sum::<usize>() + self.failures.len()
    }

    pub fn add(&mut self, other: Self) {
        self.failures.extend(other.failures);
        self.flips_to_other_depths += other.flips_to_other_depths;
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        for (form, count) in other.applied {
            *self.applied.entry(form).or_default() += count;
        }
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }
}

/// A case at its place: the number of its directory.
struct Placed<'c> {
    case: &'c Case,
    number: usize,
}

impl Placed<'_> {
    fn directory(&self) -> String {
        format!("t{}", self.number)
    }

    /// The first part of a host's name. That of a computed docroot has only one host.
    fn host(&self, index: usize) -> String {
        format!("{}{}", ["v", "w"][index], self.number)
    }

    fn filled_in(&self, text: &str) -> String {
        text.replace("{B}", &format!("${{ROOT}}/{}", self.directory())).replace("{host}", &self.host(0))
    }

    fn main_sections(&self) -> String {
        self.case.hosts.iter().map(|host| self.filled_in(&host.render_sections(true))).collect()
    }

    fn hosts(&self) -> String {
        let host = |(index, host): (usize, &Host)| {
            format!(
                "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName {}.test\n{}{}</VirtualHost>\n",
                self.host(index),
                self.filled_in(&host.render_rest(&self.case.tree)),
                self.filled_in(&host.render_sections(false)),
            )
        };
        self.case.hosts.iter().enumerate().map(host).collect()
    }
}

fn placed(cases: &[Case]) -> impl Iterator<Item = Placed<'_>> {
    cases.iter().enumerate().map(|(number, case)| Placed { case, number })
}

/// The configuration of one case, to read.
pub fn configuration(case: &Case) -> String {
    let placed = Placed { case, number: 0 };
    let tree = &case.tree;
    let mut text = format!("{}{}", placed.main_sections(), placed.hosts());
    for (number, path, content) in &tree.htaccess {
        let place = number.map_or("{B}", |number| TARGETS[number].path);
        text += &format!("# {place}/{path}/.htaccess\n{content}");
    }
    for (link, target) in tree.layout.fixed {
        text += &format!("# link {link} -> {target}\n");
    }
    text += &format!("# {}: link {} ->", tree.layout.name, tree.layout.on_disk);
    for (step, target) in STEPS.iter().zip(&tree.targets) {
        let target = &TARGETS[*target];
        text += &format!(" {step:?} {:?} ({:?});", target.path, target.kind);
    }
    text + "\n"
}

fn config(cases: &[Case], mpm: Mpm) -> Config {
    let main: String = placed(cases).map(|placed| placed.main_sections()).collect();
    let hosts: String = placed(cases).map(|placed| placed.hosts()).collect();
    let config = Config::new(COMMON)
        .text(&main)
        .text(&hosts)
        .modules(&["alias", "asis", "authz_host", "autoindex", "dir", "env", "headers", "include", "rewrite"])
        .modules(&["vhost_alias"])
        .grants_nothing();
    // A CGI daemon makes the end of a server slow.
    if hosts.contains("ScriptAlias") { config.modules(&[mpm.cgi_module()]) } else { config }
}

/// The answers of one server, by case, host and request.
type Answers = Vec<Vec<Vec<RawResponse>>>;

fn ask_all(httpd: &Httpd, cases: &[Case]) -> Answers {
    let ask_host = |placed: &Placed<'_>, index: usize| -> Vec<RawResponse> {
        let name = format!("{}.test", placed.host(index));
        let mut connection: Option<Raw> = None;
        let mut ask = |path: &str| loop {
            let (mut raw, is_new) = match connection.take() {
                Some(raw) => (raw, false),
                None => (Raw::connect(httpd.port()), true),
            };
            raw.try_send(get_request(&name, path).as_bytes());
            // httpd may hang up after an answer, with a word or without.
            let Some(response) = raw.receive_if_open() else {
                assert!(!is_new, "{name}{path}: no answer");
                continue;
            };
            if !response.head.contains("\nConnection: close") {
                connection = Some(raw);
            }
            return response;
        };
        REQUESTS.iter().map(|path| ask(path)).collect()
    };
    placed(cases).map(|placed| (0..placed.case.hosts.len()).map(|index| ask_host(&placed, index)).collect()).collect()
}

fn resolved(tree: &Tree, placed: &Placed<'_>, site: &Site) -> Option<PathBuf> {
    tree.resolve(&site.root().join(placed.directory()), &placed.host(0))
}

/// `SELF_TEST=1` leaves the module out on both sides: then nothing may differ.
pub fn is_self_test() -> bool {
    env::var_os("SELF_TEST").is_some()
}

/// The server under test.
fn start(site: &Site, mpm: Mpm, config: &Config) -> Httpd {
    if is_self_test() { Httpd::start_without_module(site, mpm, config) } else { Httpd::start(site, mpm, config) }
}

/// Runs these cases through all steps.
pub fn run(cases: &[Case], mpm: Mpm) -> Tally {
    let site = Site::new();
    site.write("plain/page.html", "plain\n");
    for placed in placed(cases) {
        placed.case.tree.write(&site, &placed.directory(), &placed.host(0));
    }
    site.age();
    let config = config(cases, mpm);
    let (with, without) = (start(&site, mpm, &config), Httpd::start_without_module(&site, mpm, &config));
    for httpd in [&with, &without] {
        for module in ["core", "authz_core", "autoindex", "include", "realdoc", "cgi", "cgid", "asis", "rewrite"] {
            httpd.expect_error(&format!("[{module}:error]"));
        }
        httpd.expect_error("[core:alert]");
    }

    let mut tally = Tally::default();
    // What each host answered without the module where its docroot was there and admitted.
    let mut earlier: Vec<Vec<Vec<Vec<RawResponse>>>> =
        cases.iter().map(|case| vec![vec![Vec::new(); REQUESTS.len()]; case.hosts.len()]).collect();
    let mut depths: Vec<Option<usize>> = vec![None; cases.len()];
    for (step, kind) in STEPS.iter().enumerate() {
        if *kind != Step::Start {
            for placed in placed(cases) {
                placed.case.tree.flip(&site, &placed.directory(), &placed.host(0), step);
            }
        }
        if *kind == Step::FlipAndRestart {
            with.graceful_restart();
        }
        let (answers_with, answers_without) = thread::scope(|scope| {
            let with = scope.spawn(|| ask_all(&with, cases));
            let without = ask_all(&without, cases);
            (with.join().expect("answers"), without)
        });
        for placed in placed(cases) {
            let number = placed.number;
            let tree = &placed.case.tree;
            let real = resolved(tree, &placed, &site);
            let depth = real.as_ref().map(|real| real.components().count());
            if depth.is_some() && depths[number].is_some() && depth != depths[number] {
                tally.flips_to_other_depths += 1;
            }
            depths[number] = depth.or(depths[number]);
            let base = site.root().join(placed.directory());
            for (index, host) in placed.case.hosts.iter().enumerate() {
                let target = &TARGETS[tree.targets[step]];
                let state = State::of(host, &base, real.as_deref(), target, tree);
                for (request, path) in REQUESTS.iter().enumerate() {
                    let with = answers_with[number][index][request].clone();
                    let without = answers_without[number][index][request].clone();
                    let earlier = &mut earlier[number][index][request];
                    if state.is_good() {
                        count_sections(&mut tally, host, &without);
                    }
                    *tally.statuses.entry(without.status()).or_default() += 1;
                    match judge(host, tree, state, path, &with, &without, earlier) {
                        Ok(outcome) => *tally.outcomes.entry(outcome).or_default() += 1,
                        Err(why) => tally.failures.push(Failure {
                            case: number,
                            host: index,
                            step,
                            request: path,
                            why,
                            with,
                            without: without.clone(),
                        }),
                    }
                    if state.is_good() && !earlier.contains(&without) {
                        earlier.push(without);
                    }
                }
            }
        }
    }
    let log = with.error_log();
    assert!(!log.contains("panicked"), "a panic:\n{log}");
    tally
}

fn count_sections(tally: &mut Tally, host: &Host, answer: &RawResponse) {
    let names = super::oracle::trace(answer);
    for section in &host.sections {
        if names.iter().any(|name| name.split('-').next() == Some(&section.name)) {
            let key = format!("{:?} {:?}", section.form, section.position);
            *tally.applied.entry(key).or_default() += 1;
            if answer.status() == 403 && section.directives.iter().any(|line| line == "Require all denied") {
                *tally.applied.entry(format!("{:?} denied", section.form)).or_default() += 1;
            }
        }
    }
}
