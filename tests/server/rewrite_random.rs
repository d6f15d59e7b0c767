//! Random rules of mod_rewrite: what they deny without the module stays denied, and what they answer is the same or denied.
//!
//! Owns: mixing variables, operators, flags and places. Must not: judge single spellings (see `rewrite_spellings`).
//!
//! `SEED=7 CASES=2000 cargo test -p realdoc-tests --test server rewrite_random::random::event -- --nocapture` tries seed 7
//! and as many after it as give so many hosts.

use std::collections::BTreeMap;
use std::env;

use harness::raw::{RawResponse, ask};
use harness::{Config, Httpd, Mpm, Site, on_each_mpm};

use crate::sections_random::rng::Rng;

/// Hosts in one pair of servers.
const HOSTS: usize = 120;

const REQUESTS: [&str; 8] = [
    "/secret.txt",
    "/page.html",
    "/",
    "/none",
    "/sub/page.html?q=current",
    "/secret.txt/public/page.html",
    "/current/public/secret.txt",
    "/sub",
];

/// Texts that conditions test.
const TEXTS: [&str; 26] = [
    "%{REQUEST_FILENAME}",
    "%{request_filename}",
    "%{SCRIPT_FILENAME}",
    "%{REQUEST_FILENAME}.html",
    "%{REQUEST_FILENAME}",
    "x%{REQUEST_FILENAME}",
    "%{DOCUMENT_ROOT}",
    "%{DOCUMENT_ROOT}/page.html",
    "%{DOCUMENT_ROOT}%{REQUEST_URI}",
    "%{DOCUMENT_ROOT}.off",
    "%{CONTEXT_DOCUMENT_ROOT}",
    "%{LA-U:REQUEST_FILENAME}",
    "%{LA-F:REQUEST_FILENAME}",
    "%{LA-U:REMOTE_USER}",
    "%{ENV:NAME}",
    "%{ENV:OTHER}",
    "%{ENV:REDIRECT_NAME}",
    "%{REQUEST_URI}",
    "%{THE_REQUEST}",
    "%{QUERY_STRING}",
    "%{PATH_INFO}",
    "%{HTTP_HOST}%{REQUEST_FILENAME}",
    "$1",
    "%1",
    "$0:%{REQUEST_URI}",
    "\\%{REQUEST_FILENAME}",
];

/// Patterns of conditions.
const TESTS: [&str; 21] = [
    "current/public/secret",
    "current",
    "!current",
    "releases",
    "/current/public/(.*)$",
    "^(.*)/current/(.*)$",
    "^(.*)$",
    "^(.+/)[^/]*\\.txt$",
    "\\.txt$",
    "secret\\.txt$",
    "={B}/current/public/secret.txt",
    "!={B}/current/public/page.html",
    "<{B}/current/public/s",
    ">={B}/current/public/s",
    "-f",
    "!-f",
    "-d",
    "-l",
    "-s",
    "-F",
    "-U",
];

const EXPRESSIONS: [&str; 7] = [
    "%{REQUEST_FILENAME} =~ m#current/public/secret#",
    "-f %{REQUEST_FILENAME}",
    "! -d '%{DOCUMENT_ROOT}%{REQUEST_URI}'",
    "%{REQUEST_URI} =~ /secret/",
    "%{DOCUMENT_ROOT} =~ /current/",
    "env('NAME') =~ /current/",
    "tolower(%{REQUEST_FILENAME}) -strmatch '*/current/*txt'",
];

const PATTERNS: [&str; 20] = [
    "^",
    "^(.*)$",
    "(.*)",
    "^current/public/secret",
    "^(current/.*)$",
    "current",
    "!current",
    "^(.*)secret(.*)$",
    "^secret",
    "\\.txt$",
    "!\\.html$",
    "^([^/]*)/(.*)$",
    "^releases/",
    "^/.*/current/public/secret",
    "^(.*/)?none$",
    "^(.*)page\\.html$",
    "${WHERE}/secret",
    "public/secret\\.txt/public",
    "\"^(current|releases/[0-9]+)/public/(.*)$\"",
    "moved",
];

const SUBSTITUTIONS: [&str; 16] = [
    "-",
    "-",
    "-",
    "-",
    "-",
    "$1secret.txt",
    "secret.txt",
    "$1",
    "/page.html",
    "/page.html?q=$1",
    "%{REQUEST_FILENAME}",
    "%{DOCUMENT_ROOT}/secret.txt",
    "/sub/%{REQUEST_FILENAME}",
    "moved$1",
    "$2",
    "%1page.html",
];

const FLAGS: [&str; 26] = [
    "F",
    "F",
    "F",
    "F",
    "F",
    "F",
    "F,NC",
    "forbidden",
    "C",
    "G",
    "L",
    "L",
    "END",
    "S=1",
    "C",
    "N=3",
    "R",
    "R=403",
    "PT",
    "QSA",
    "DPI",
    "E=NAME:%{REQUEST_FILENAME}",
    "E=NAME:$1",
    "E=OTHER:%{ENV:NAME}",
    "E=NAME:%{DOCUMENT_ROOT}",
    "env=OTHER:%1",
];

const OPTIONS: [&str; 8] = [
    "",
    "",
    "",
    "",
    "RewriteOptions Inherit\n",
    "RewriteOptions InheritDown\n",
    "RewriteOptions AllowNoSlash\n",
    "RewriteBase /\n",
];

/// The rules of a host, and where they stand.
#[derive(Clone, Default)]
struct Case {
    host: String,
    file: String,
}

fn rules(rng: &mut Rng) -> String {
    let mut text = format!("RewriteEngine On\n{}", rng.pick(&OPTIONS));
    // httpd reads beyond the end of its lists where the last rule is chained, or the last condition is an alternative.
    for later in (0..1 + rng.below(3)).rev() {
        let (mut looks_up, before) = (false, text.len());
        for more in (0..rng.below(3)).rev() {
            let line_end = if rng.percent(5) { "\\\n" } else { "" };
            if rng.percent(15) {
                text += &format!("RewriteCond expr {line_end}\"{}\"\n", rng.pick(&EXPRESSIONS));
            } else {
                let flags = rng.pick(&["", "", "", " [NC]", " [OR]", " [nocase,ornext]"]);
                let flags = if more == 0 && flags.to_lowercase().contains("or") { "" } else { flags };
                let (tested, test) = (rng.pick(&TEXTS), rng.pick(&TESTS));
                looks_up |= tested.contains("LA-") || matches!(test, "-F" | "-U");
                text += &format!("RewriteCond {tested} {line_end}\"{test}\"{flags}\n");
            }
        }
        let flag = rng.pick(&FLAGS);
        let flag = if later == 0 && flag == "C" { "L" } else { flag };
        let second =
            if rng.percent(20) { format!(",{}", rng.pick(&["NC", "L", "END", "NE", "S=1"])) } else { String::new() };
        let pattern = rng.pick(&PATTERNS);
        // httpd crashes where subrequests look up others without end.
        let no_subrequests = if looks_up { ",NS" } else { "" };
        text += &format!("RewriteRule {pattern} {} [{flag}{second}{no_subrequests}]\n", rng.pick(&SUBSTITUTIONS));
        // httpd takes what an expression captures from anywhere.
        if text[before..].contains("RewriteCond expr") {
            let without = text[before..].replace("%1", "$1");
            text.replace_range(before.., &without);
        }
    }
    let wrapper = rng.pick(&[
        "",
        "",
        "",
        "",
        "",
        "<Files \"secret.txt\">",
        "<If \"true\">",
        "<Limit GET>",
        "<FilesMatch \"txt|html\">",
    ]);
    match wrapper.split([' ', '<']).nth(1) {
        Some(name) => format!("{wrapper}\n{text}</{name}>\n"),
        None => text,
    }
}

fn case(rng: &mut Rng, number: usize) -> Case {
    let mut case = Case::default();
    for _ in 0..1 + rng.below(2) {
        let rules = rules(rng);
        let place = rng.below(10);
        let open = match place {
            0 | 1 => "<Directory \"{B}\">",
            2 | 3 => "<Directory \"{B}/current\">",
            4 => "<Directory \"{B}/current/public\">",
            5 => "<Directory \"{B}/curr*/public\">",
            6 => "<DirectoryMatch \"^{B}/current/\">",
            7 => "<Location \"/\">",
            8 => "<Directory \"{B}/current/public/sub\">",
            _ => "",
        };
        if open.is_empty() {
            case.host += "<Directory \"{B}\">\nAllowOverride All\n</Directory>\n";
            case.file = rules;
            continue;
        }
        // Files are none of a location's.
        if open.starts_with("<Location") && rules.starts_with("<Files") {
            continue;
        }
        let name = open.split([' ', '<']).nth(1).unwrap_or_default();
        case.host += &format!("{open}\n{rules}</{name}>\n");
    }
    let base = format!("${{ROOT}}/t{number}");
    case.host = case.host.replace("{B}", &base);
    case
}

fn write(site: &Site, cases: &[Case]) -> String {
    let mut hosts = String::new();
    for (number, case) in cases.iter().enumerate() {
        let base = format!("t{number}");
        for release in ["1", "2"] {
            for page in ["index.html", "page.html", "secret.txt", "sub/page.html", "sub/index.html"] {
                site.write(&format!("{base}/releases/{release}/public/{page}"), &format!("{release} {page}\n"));
            }
        }
        if !case.file.is_empty() {
            let root = site.root().join(&base);
            site.write(&format!("{base}/.htaccess"), &case.file.replace("{B}", &root.display().to_string()));
        }
        site.symlink(&format!("{base}/current"), "releases/1");
        hosts += &format!(
            "<VirtualHost 127.0.0.1:${{PORT}}>\nServerName h{number}.test\nDocumentRoot \"${{ROOT}}/{base}/current/public\"\n{}\
             </VirtualHost>\n",
            case.host
        );
    }
    hosts
}

/// What is compared: a redirect may name the real path.
fn seen(response: &RawResponse) -> (u16, &str) {
    let body = if response.status() == 200 { &response.body[..] } else { "" };
    (response.status(), body)
}

fn run(seed: usize, mpm: Mpm, outcomes: &mut BTreeMap<&'static str, usize>, faults: &mut Vec<String>) {
    let mut rng = Rng::new(seed as u64);
    let cases: Vec<Case> = (0..HOSTS).map(|number| case(&mut rng, number)).collect();
    let site = Site::new();
    let hosts = write(&site, &cases);
    let config = Config::new(
        "<Directory \"/\">\nAllowOverride None\nRequire all granted\nOptions FollowSymLinks\n</Directory>\n",
    )
    .text("DocumentRoot \"${ROOT}\"\nDirectoryIndex index.html\nDefine WHERE current/public\n")
    .text(&hosts)
    .modules(&["alias", "dir", "env", "rewrite"])
    .grants_nothing();
    let alone = Httpd::start_without_module(&site, mpm, &config);
    let httpd = Httpd::start(&site, mpm, &config);
    [&alone, &httpd].into_iter().for_each(|httpd| httpd.expect_error(""));
    for release in ["1", "2"] {
        for (number, case) in cases.iter().enumerate() {
            site.flip_link(&format!("t{number}/current"), format!("releases/{release}"));
            let host = format!("h{number}.test");
            for path in REQUESTS {
                let (without, with) = (ask(alone.port(), "GET", &host, path), ask(httpd.port(), "GET", &host, path));
                let outcome = match (seen(&without), seen(&with)) {
                    ((403, _), (403, _)) => "denied by both",
                    (one, other) if one == other => "same",
                    (_, (403, _)) => "denied with the module",
                    ((403, _), _) => "passed by",
                    _ => "other",
                };
                *outcomes.entry(outcome).or_default() += 1;
                if matches!(outcome, "passed by" | "other") {
                    faults.push(format!(
                        "SEED={seed}, host {number} on {}: {outcome}: {path}, release {release}\n{}--- .htaccess\n{}--- without\n{}{}\n--- with\n{}{}\n",
                        mpm.name(), case.host, case.file, without.head, without.body, with.head, with.body,
                    ));
                }
            }
        }
    }
}

fn random(mpm: Mpm) {
    let number = |variable: &str, default: usize| {
        env::var(variable).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
    };
    let first = number("SEED", 100 * (1 + mpm as usize));
    let (mut outcomes, mut faults) = (BTreeMap::new(), Vec::new());
    for batch in 0..number("CASES", HOSTS).div_ceil(HOSTS) {
        run(first + batch, mpm, &mut outcomes, &mut faults);
    }
    println!("{}: {outcomes:?} from seed {first} on", mpm.name());
    let shown = faults.iter().take(3).cloned().collect::<String>();
    assert!(faults.is_empty(), "{} of {outcomes:?}\n{shown}", faults.len());
    // A run that proves nothing is none.
    for outcome in ["denied by both", "same"] {
        assert!(outcomes.get(outcome).is_some_and(|count| *count >= 100), "{outcome}: {outcomes:?}");
    }
}
on_each_mpm!(random, random);
