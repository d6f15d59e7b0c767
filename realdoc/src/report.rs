//! What the tool says: to people, and to machines with `--json`.
//!
//! Owns: the events, their words and where they are written. Must not: decide anything, or fail to tell an event; a
//! reader that went away is no reason to stop half-way through an activation.
//!
//! To people: results on standard output, the way there on standard error, with progress bars if that is a terminal.
//! To machines: one JSON object a line on standard output, and nothing else there.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{HumanBytes, ProgressBar, ProgressFinish, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::{Context, Error, Result};

/// Something worth saying.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// A step begins.
    Step {
        /// Its name: `fetch`, `export`, `build`, `check`, `sync`, `reload`, ...
        step: &'static str,
        /// It in words.
        message: String,
    },
    /// Something to know.
    Note {
        /// It in words.
        message: String,
    },
    /// Something to look after.
    Warning {
        /// It in words.
        message: String,
    },
    /// A release is staged, was already, or would be.
    Staged {
        /// The release.
        release: &'a str,
        /// Its commit.
        commit: &'a str,
        /// Its directory.
        path: &'a Path,
        /// Whether it had been staged before.
        already: bool,
        /// Whether nothing was done.
        dry_run: bool,
    },
    /// What became of one link.
    Flip {
        /// The instance.
        instance: &'a str,
        /// Its link.
        link: &'a Path,
        /// Where it led.
        from: Option<&'a str>,
        /// Where it was to lead.
        to: Option<&'a str>,
        /// What happened.
        outcome: Outcome,
        /// What went wrong.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A release was removed, or would be.
    Pruned {
        /// The release.
        release: &'a str,
        /// How much room it took.
        bytes: u64,
        /// Whether nothing was done.
        dry_run: bool,
    },
    /// A release was not removed.
    Kept {
        /// The release.
        release: &'a str,
        /// Why.
        reason: String,
    },
    /// A release is in use, and waited for.
    Draining {
        /// The release.
        release: &'a str,
        /// How many requests run in it.
        requests: Option<u64>,
        /// It in words.
        reason: String,
        /// How long it has been waited for.
        seconds: f64,
    },
    /// What has become of the links, in numbers. Each activation has one, whether or not the command fails afterwards; a
    /// rollback that is asked for is an activation, and one after a failed probe is part of it.
    Sum {
        /// How many were flipped and lead there still, or would be flipped.
        flipped: usize,
        /// How many led there before.
        already: usize,
        /// How many were flipped and do not lead there any more, because the probe failed.
        taken_back: usize,
        /// How many were not reached or could not be flipped.
        failed: usize,
        /// How long all of it took.
        seconds: f64,
        /// Whether a link leads elsewhere now than before.
        changed: bool,
        /// The activation, for `rollback --of`; none if nothing was flipped.
        id: Option<String>,
        /// Whether nothing was done.
        dry_run: bool,
    },
    /// The tool stops.
    Error {
        /// The name of the exit code.
        exit: &'static str,
        /// The exit code.
        code: u8,
        /// It in words.
        message: String,
    },
}

/// What happened to one link of an activation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It leads to the release now.
    Flipped,
    /// It led there before.
    Already,
    /// It would be flipped.
    WouldFlip,
    /// It could not be flipped.
    Failed,
    /// It had been flipped and leads where it did before.
    PutBack,
    /// It had been flipped and could not be put back.
    Stuck,
    /// It was not touched.
    Untouched,
}

/// Where events go.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    json: bool,
    terminal: bool,
    verbosity: Verbosity,
}

/// How much to say to people.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// Results, and the way there; links that go the same way together.
    #[default]
    Normal,
    /// Each link.
    Verbose,
}

impl Report {
    /// As the command line wants it.
    #[must_use]
    pub fn new(json: bool, verbosity: Verbosity) -> Self {
        Self { json, terminal: std::io::stderr().is_terminal(), verbosity }
    }

    /// Whether to say what becomes of each of many links that go the same way.
    #[must_use]
    pub fn wants_each(&self) -> bool {
        self.json || self.verbosity == Verbosity::Verbose
    }

    /// Whether a machine reads.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person looks on, so that a program may draw progress to standard error.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.terminal && !self.json && self.verbosity > Verbosity::Quiet
    }

    /// Says it.
    pub fn say(&self, event: &Event<'_>) {
        if self.json {
            if let Ok(line) = serde_json::to_string(event) {
                let _ = writeln!(std::io::stdout(), "{line}");
            }
            return;
        }
        if self.verbosity == Verbosity::Quiet && !matches!(event, Event::Warning { .. } | Event::Error { .. }) {
            return;
        }
        match event {
            Event::Sum { flipped, already, taken_back, failed, seconds, dry_run, .. } => {
                let some = |count: &usize, what| if *count > 0 { format!(", {count} {what}") } else { String::new() };
                let more = some(already, "already there") + &some(taken_back, "taken back");
                say_result(&if *dry_run {
                    format!("{flipped} would be flipped{more}")
                } else {
                    format!("{flipped} flipped{more}, {failed} failed, {seconds:.1} s")
                });
            }
            Event::Step { message, .. } => say_aside("", Style::new(), message),
            Event::Note { message } => say_aside("note: ", AnsiColor::Cyan.on_default(), message),
            Event::Warning { message } => say_aside("warning: ", AnsiColor::Yellow.on_default(), message),
            Event::Error { message, .. } => say_aside("error: ", AnsiColor::Red.on_default().bold(), message),
            Event::Staged { release, already, dry_run, .. } => say_result(&match (already, dry_run) {
                (true, _) => format!("{release} is already staged"),
                (false, true) => format!("would stage {release}"),
                (false, false) => format!("staged {release}"),
            }),
            Event::Flip { instance, link, from, to, outcome, error } => {
                say_result(&flip_line(instance, link, *from, *to, *outcome, error.as_deref()));
            }
            Event::Pruned { release, bytes, dry_run } => say_result(&format!(
                "{} {release} ({})",
                if *dry_run { "would remove" } else { "removed" },
                HumanBytes(*bytes)
            )),
            Event::Draining { release, reason, .. } => {
                say_aside("", Style::new(), &format!("waiting for {release}: {reason}"));
            }
            Event::Kept { release, reason } => say_aside("", Style::new(), &format!("kept {release}: {reason}")),
        }
    }

    /// A line that is a result, for people.
    pub fn result(&self, line: &str) {
        if !self.json && self.verbosity > Verbosity::Quiet {
            say_result(line);
        }
    }

    /// A step begins.
    pub fn step(&self, step: &'static str, message: impl Into<String>) {
        self.say(&Event::Step { step, message: message.into() });
    }

    /// Something to know.
    pub fn note(&self, message: impl Into<String>) {
        self.say(&Event::Note { message: message.into() });
    }

    /// Something to look after.
    pub fn warn(&self, message: impl Into<String>) {
        self.say(&Event::Warning { message: message.into() });
    }

    /// The tool stops.
    pub fn error(&self, error: &Error) {
        self.say(&Event::Error { exit: error.exit_name(), code: error.exit_code(), message: error.to_string() });
    }

    /// A bar for a step of `length` parts; invisible if nobody looks on.
    #[must_use]
    pub fn progress(&self, length: u64) -> ProgressBar {
        if !self.is_watched() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("  {wide_bar} {pos}/{len} {eta}");
        ProgressBar::new(length)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_finish(ProgressFinish::AndClear)
    }

    /// Something that turns as long as a step takes whose length nobody knows; invisible if nobody looks on.
    #[must_use]
    pub fn spinner(&self, message: String) -> ProgressBar {
        if !self.is_watched() {
            return ProgressBar::hidden();
        }
        let spinner = ProgressBar::new_spinner().with_message(message).with_finish(ProgressFinish::AndClear);
        spinner.enable_steady_tick(Duration::from_millis(100));
        spinner
    }

    /// A text that is the result of the command, which changes nothing: there is no half-way to stop at.
    ///
    /// # Errors
    /// It cannot be written, unless that is because the reader went away, who has had enough.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut out = anstream::stdout();
        match write!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            result => result.context("write to", Path::new("standard output")),
        }
    }
}

fn say_aside(label: &str, style: Style, message: &str) {
    let _ = writeln!(anstream::stderr(), "{style}{label}{style:#}{message}");
}

fn say_result(line: &str) {
    let _ = writeln!(anstream::stdout(), "{line}");
}

fn flip_line(
    instance: &str,
    link: &Path,
    from: Option<&str>,
    to: Option<&str>,
    outcome: Outcome,
    error: Option<&str>,
) -> String {
    let from = from.unwrap_or("no link");
    let to = to.unwrap_or("no link");
    let what = match outcome {
        Outcome::Flipped => format!("{from} -> {to}"),
        Outcome::WouldFlip => format!("would flip {from} -> {to}"),
        Outcome::Already => format!("already {to}"),
        Outcome::Failed => "could not be flipped".to_owned(),
        Outcome::PutBack => format!("put back to {from}"),
        Outcome::Stuck => format!("could not be put back to {from}, leads to {to}"),
        Outcome::Untouched => format!("untouched, still {from}"),
    };
    let because = error.map_or_else(String::new, |error| format!(": {error}"));
    format!("{instance} ({}): {what}{because}", link.display())
}

/// A time as people read it, in UTC like the logs of servers in several time zones.
#[must_use]
pub fn time(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long ago it was, in its largest unit.
#[must_use]
pub fn age(timestamp: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(timestamp).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
