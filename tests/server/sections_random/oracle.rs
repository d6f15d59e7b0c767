//! What an answer with the module may be, given that without it.
//!
//! Owns: the few differences that are meant to be, each with its reason. Must not: ask anybody.

use std::path::Path;

use harness::raw::RawResponse;

use super::host::{Arm, Form, Host};
use super::tree::{Target, TargetKind, Tree};

/// How an answer was found to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// As without the module at this moment.
    Same,
    /// As without the module at an earlier moment: the docroot cannot be resolved now.
    LastGood,
    /// Nothing was served where nothing may be.
    Refused,
    /// A rewrite rule in a section was not run, and what it would have led to was not served.
    RuleRefused,
    /// Different by what is said of real paths.
    RealPath,
}

/// What the link's state is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The docroot is there and in a release, or no directive says where these are.
    Good,
    /// The docroot is there, and a link on the way is one that `RealdocReleases` may refuse.
    Either,
    /// The docroot is not there, and nothing says where it may be.
    Broken,
    /// The docroot is not there or in no release, and `RealdocReleases` guards it.
    Guarded,
}

impl State {
    pub fn of(host: &Host, base: &Path, real: Option<&Path>, target: &Target, tree: &Tree) -> Self {
        let is_guarded = !host.releases.is_empty();
        let Some(real) = real else { return if is_guarded { Self::Guarded } else { Self::Broken } };
        if !is_guarded {
            return Self::Good;
        }
        if !host.admits(base, real) {
            return Self::Guarded;
        }
        // A link to a link outside of the releases; in readlink mode the text of the first link is what is judged.
        if matches!(target.kind, TargetKind::Hop(_)) || (host.is_readlink && !tree.layout.fixed.is_empty()) {
            return Self::Either;
        }
        Self::Good
    }

    pub fn is_good(self) -> bool {
        matches!(self, Self::Good | Self::Either)
    }
}

/// The sections and `.htaccess` files that were merged for an answer, in their order.
pub fn trace(answer: &RawResponse) -> Vec<&str> {
    answer.head.lines().filter_map(|line| line.strip_prefix("X-Trace: ")).flat_map(|names| names.split(", ")).collect()
}

fn is_refusal(answer: &RawResponse) -> bool {
    matches!(answer.status(), 403 | 404 | 503)
}

/// Whether one is like the other, but for a header that says how the body travels.
fn is_same(with: &RawResponse, without: &RawResponse) -> bool {
    // A CGI script's length is there or not as its last bytes come early or late.
    let comparable = |answer: &RawResponse| -> Vec<String> {
        let is_accident = |line: &str| line.starts_with("Content-Length:") || line.starts_with("Transfer-Encoding:");
        answer.head.lines().filter(|line| !is_accident(line)).map(str::to_owned).collect()
    };
    with == without || (with.body == without.body && comparable(with) == comparable(without))
}

/// Why an answer is right, or what is wrong with it.
pub fn judge(
    host: &Host,
    tree: &Tree,
    state: State,
    path: &str,
    with: &RawResponse,
    without: &RawResponse,
    earlier: &[RawResponse],
) -> Result<Outcome, &'static str> {
    let is_earlier = || earlier.iter().any(|answer| is_same(with, answer));
    match state {
        State::Good | State::Either if is_same(with, without) => Ok(Outcome::Same),
        State::Either if is_refusal(with) => Ok(Outcome::Refused),
        State::Either if is_earlier() => Ok(Outcome::LastGood),
        State::Good | State::Either => match host.arm {
            Arm::Equal if path.ends_with('/') && is_matched_anew(host, with, without) => {
                Err("an expression is matched anew for an index page")
            }
            Arm::Equal => Err(difference(with, without)),
            Arm::Rewrite if is_refusal(with) => Ok(Outcome::RuleRefused),
            Arm::Rewrite => Err(difference(with, without)),
            Arm::Real => with_real_paths(path, with, without),
        },
        // The process that answers may know an earlier docroot, or be too young for one.
        State::Broken if is_same(with, without) => Ok(Outcome::Same),
        State::Broken if is_earlier() => Ok(Outcome::LastGood),
        State::Guarded if is_earlier() => Ok(Outcome::LastGood),
        State::Broken | State::Guarded if is_refusal(with) => Ok(Outcome::Refused),
        // Rules that lead to each other while nothing is there.
        State::Broken | State::Guarded if host.arm == Arm::Rewrite && with.status() == 500 => Ok(Outcome::RuleRefused),
        // In these arms an earlier answer was not the one without the module either.
        State::Broken | State::Guarded
            if host.arm != Arm::Equal && earlier.iter().any(|answer| may_stand_for(with, answer)) =>
        {
            Ok(Outcome::LastGood)
        }
        // mod_vhost_alias computes no docroot for what an Alias maps, so that there is none whose link it could be.
        State::Guarded if tree.layout.is_computed && is_same(with, without) && is_aliased(path) => Ok(Outcome::Same),
        // The first of two links leads above the releases, which it may, and it is the second one that leads astray.
        State::Guarded if tree.layout.second.is_some() && is_same(with, without) && is_aliased(path) => {
            Ok(Outcome::Same)
        }
        // An Alias straight to the real path has the sections of a link that led there, also while that is broken.
        State::Broken if path.starts_with("/archive") => Ok(Outcome::RealPath),
        State::Broken => Err("neither as now nor as before, with a docroot that is not there"),
        State::Guarded => Err("served where RealdocReleases refuses"),
    }
}

fn is_aliased(path: &str) -> bool {
    ["/alias", "/matched", "/cgi"].iter().any(|prefix| path.starts_with(prefix))
}

/// Whether an answer can be one with the module to what was answered so without.
fn may_stand_for(with: &RawResponse, without: &RawResponse) -> bool {
    with.status() >= 400 || (with.status() == without.status() && with.body == without.body)
}

fn is_matched_anew(host: &Host, with: &RawResponse, without: &RawResponse) -> bool {
    let others = |answer| -> Vec<String> {
        let is_regex = |name: &str| {
            host.sections
                .iter()
                .any(|section| section.form == Form::Regex && name.split('-').next() == Some(&section.name))
        };
        let names = trace(answer).into_iter().filter(|name| !is_regex(name) && !["if", "files"].contains(name));
        names.map(str::to_owned).collect()
    };
    with.status() == without.status() && with.body == without.body && others(with) == others(without)
}

/// Two faults have names of their own, because they are small: httpd keeps the last walk of a request, and does not
/// match expressions anew for an index page of the same directory, nor ask for access anew where an error page has
/// the configuration of the page that is denied.
fn difference(with: &RawResponse, without: &RawResponse) -> &'static str {
    if with.status() == without.status()
        && with.body.contains("error was encountered while trying to use an ErrorDocument")
    {
        return "an error page is denied that httpd lets pass";
    }
    match (with.status(), without.status()) {
        (200, 403) => "served what is denied",
        (403, 200) => "denied what is served",
        (with, without) if with != without => "another status",
        _ if trace(with) != trace(without) => "other sections",
        _ if with.body != without.body => "another body",
        _ => "other headers",
    }
}

/// A section for a real path applies with the module alone, and denies or traces.
fn with_real_paths(path: &str, with: &RawResponse, without: &RawResponse) -> Result<Outcome, &'static str> {
    // An alias straight to a real path has the link's sections with the module.
    if path.starts_with("/archive/") {
        return Ok(Outcome::RealPath);
    }
    if matches!(without.status(), 401 | 403) && with.status() < 400 {
        return Err("served what is denied");
    }
    if with.status() == 403 {
        return Ok(Outcome::RealPath);
    }
    // Of what a directory consists, or a page that includes others, depends on what is denied of it.
    if path.ends_with('/') || path.ends_with(".shtml") {
        return Ok(Outcome::RealPath);
    }
    let of_configured = |answer| -> Vec<String> {
        let names = trace(answer).into_iter().filter(|name| !["r0", "r1", "real"].contains(name));
        names.map(str::to_owned).collect()
    };
    if with.status() != without.status() {
        return Err("another status");
    }
    if of_configured(with) != of_configured(without) {
        return Err("other sections");
    }
    if with.body != without.body {
        return Err("another body");
    }
    Ok(Outcome::RealPath)
}
