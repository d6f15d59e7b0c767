//! The command line.
//!
//! Owns: its definition, from which `--help`, completions and manual pages come. Must not: do anything.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::config::Span;
use crate::error::EXIT_CODES;

/// Deploys a git tag as a shared release, and moves the docroot symlinks of one site or of all to it.
///
/// A release is a directory; each site's docroot is a symlink to one. realdoc exports a tag into a release, moves the
/// links atomically, all or none, goes back along what each site ran before, and removes releases that nobody needs.
#[derive(Debug, Parser)]
#[command(name = "realdoc", version, after_long_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration. Without: ./realdoc.toml, then /etc/realdoc.toml
    #[arg(long, global = true, value_name = "FILE", env = "REALDOC_CONFIG", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Print one JSON object a line instead of text; `status` prints one in all
    #[arg(long, global = true)]
    pub json: bool,

    /// Say more: each link, where many go the same way
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Say nothing but warnings and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented configuration, create the directories, adopt the links that there are
    Init {
        /// The repository: a URL, or a path
        #[arg(long, value_name = "URL")]
        source: Option<String>,
        /// The releases directory [default: releases, beside the configuration]
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        releases: Option<PathBuf>,
        /// A link, or a pattern of links; may be repeated [default: current=current, beside the configuration]
        #[arg(long = "instance", value_name = "NAME=LINK")]
        instances: Vec<String>,
        /// How to go about it.
        #[command(flatten)]
        change: Change,
    },

    /// Make a release of a tag, branch or commit; no link is touched
    Stage {
        /// The tag, branch or commit
        #[arg(value_name = "REF")]
        reference: String,
        /// How to make the release.
        #[command(flatten)]
        how: Staging,
        /// How to go about it.
        #[command(flatten)]
        change: Change,
    },

    /// Flip links to a release: all that are named, or none
    Activate {
        /// The release: its name, the tag or branch it was staged from, or the beginning of its commit
        release: String,
        /// Which links.
        #[command(flatten)]
        instances: Selection,
        /// How to flip.
        #[command(flatten)]
        flipping: Flipping,
        /// How to go about it.
        #[command(flatten)]
        change: Change,
    },

    /// Look at all that an activation would look at, and run the check; no link is touched
    Verify {
        /// The release
        release: String,
        /// Which links.
        #[command(flatten)]
        instances: Selection,
        /// How an activation would flip.
        #[command(flatten)]
        flipping: Flipping,
        /// Wait if another realdoc is at work in the releases directory
        #[arg(long)]
        wait: bool,
    },

    /// Stage, activate and prune
    Deploy {
        /// The tag, branch or commit
        #[arg(value_name = "REF")]
        reference: String,
        /// Which links.
        #[command(flatten)]
        instances: Selection,
        /// These links first; with --then-all, the others when the probe has had no objection
        #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with_all = ["to", "all"])]
        canary: Vec<String>,
        /// After the canaries, all links
        #[arg(long, requires = "canary")]
        then_all: bool,
        /// How to make the release.
        #[command(flatten)]
        how: Staging,
        /// How to flip.
        #[command(flatten)]
        flipping: Flipping,
        /// How to go about it.
        #[command(flatten)]
        change: Change,
    },

    /// Flip links back to what each ran before, never to a release marked bad; those that can go back go
    Rollback {
        /// Which links.
        #[command(flatten)]
        instances: Selection,
        /// Only links that lead to this release; without --to, all of them
        #[arg(long, value_name = "RELEASE")]
        from: Option<String>,
        /// Take back this activation, whose id `log` and --json tell: what it flipped and still leads there; safe to repeat
        #[arg(long, value_name = "ID", conflicts_with_all = ["to", "all", "from", "release"])]
        of: Option<String>,
        /// Go back to this release, which each of the instances must have run
        #[arg(long, value_name = "RELEASE")]
        release: Option<String>,
        /// How to flip.
        #[command(flatten)]
        flipping: Flipping,
        /// How to go about it.
        #[command(flatten)]
        change: Change,
    },

    /// Mark a release: no rollback and no activation may lead to it
    MarkBad {
        /// The release
        release: String,
        /// Why
        #[arg(long, value_name = "TEXT", conflicts_with = "clear")]
        reason: Option<String>,
        /// Take the mark back
        #[arg(long)]
        clear: bool,
        /// How to go about it.
        #[command(flatten)]
        change: Change,
    },

    /// Run the reload command, for example after it has failed
    Reload {
        /// How to go about it.
        #[command(flatten)]
        change: Change,
    },

    /// Add or remove a link
    Instance {
        /// Which of both.
        #[command(subcommand)]
        command: InstanceCommand,
    },

    /// Show where every link leads, what releases there are, and whether they fit into PHP's OPcache
    Status {
        /// Fail if a link is not where it should be, or a reload is owed
        #[arg(long)]
        check: bool,
    },

    /// Show who has flipped what, when, from where to where, and why; the last comes first
    Log {
        /// Of this instance or group only
        name: Option<String>,
        /// So many entries at most
        #[arg(long, value_name = "N", default_value_t = 30)]
        limit: usize,
    },

    /// Remove releases that nothing leads to, no rollback needs and no request can still be in
    Prune {
        /// How many releases to keep in all [default: as configured]
        #[arg(long, value_name = "N")]
        keep: Option<usize>,
        /// Remove releases too that realdoc did not stage
        #[arg(long)]
        adopted: bool,
        /// Wait so long for the requests that run in what may go
        #[arg(long, value_name = "TIME")]
        drain: Option<Span>,
        /// How to go about it.
        #[command(flatten)]
        change: Change,
    },

    /// Wait until no request runs in releases that no link leads to any more, for whoever removes them
    Drain {
        /// Releases; or any directories, by paths with a slash, which need no configuration
        #[arg(value_name = "RELEASE|PATH", required = true, value_hint = ValueHint::DirPath)]
        targets: Vec<PathBuf>,
        /// How long to wait at most [default: as configured, or 30s]
        #[arg(long, value_name = "TIME")]
        timeout: Option<Span>,
        /// A file in which httpd counts requests; may be repeated [default: as configured, or below /run]
        #[arg(long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// Wait if another realdoc is at work in the releases directory
        #[arg(long)]
        wait: bool,
    },

    /// Print names, for completion scripts.
    #[command(name = "__names", hide = true)]
    Names {
        /// Which.
        names: Names,
    },

    /// Print a completion script
    Completions {
        /// The shell
        shell: Shell,
    },

    /// Print a manual page, or write all of them
    Man {
        /// Which page
        #[arg(default_value = "realdoc")]
        page: Page,
        /// Write all pages below this directory, in man1 and man5
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "page")]
        directory: Option<PathBuf>,
    },
}

/// A manual page.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Page {
    /// The tool: realdoc(1)
    #[value(name = "realdoc")]
    Tool,
    /// The configuration: realdoc.toml(5)
    #[value(name = "realdoc.toml")]
    Configuration,
}

/// What completion scripts ask for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Names {
    /// The releases.
    Releases,
    /// The instances and groups.
    Instances,
}

/// What to do with an instance.
#[derive(Debug, Subcommand)]
pub enum InstanceCommand {
    /// Write a link into the configuration; or make a link that one of its groups has
    Add {
        /// The name: NAME, or GROUP/NAME
        name: String,
        /// The path of the link
        #[arg(value_hint = ValueHint::AnyPath)]
        link: PathBuf,
        /// How to go about it.
        #[command(flatten)]
        change: Change,
    },
    /// Forget a link that was one of a group and is not there any more
    Remove {
        /// The instance
        name: String,
        /// How to go about it.
        #[command(flatten)]
        change: Change,
    },
}

/// Which links.
#[derive(Args, Clone, Debug)]
pub struct Selection {
    /// An instance or a group; may be repeated. Needed unless there is only one instance
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    pub to: Vec<String>,
    /// All instances
    #[arg(long)]
    pub all: bool,
    /// With --to GROUP/NAME: make the link if it is not there
    #[arg(long, requires = "to")]
    pub create: bool,
}

impl Selection {
    /// The links in the order in which they are to be flipped: the canaries, and then all, or all at once.
    #[must_use]
    pub fn rounds(self, canary: Vec<String>, then_all: bool) -> Vec<Self> {
        if canary.is_empty() {
            return vec![self];
        }
        let first = Self { to: canary, all: false, create: self.create };
        let rest = Self { to: Vec::new(), all: true, create: false };
        if then_all { vec![first, rest] } else { vec![first] }
    }
}

/// Options of commands that flip links.
#[derive(Args, Clone, Debug, Default)]
pub struct Flipping {
    /// Do not run the check command
    #[arg(long)]
    pub skip_check: bool,
    /// Why, for `realdoc log`
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// After the flip, wait so long for the requests that run in what the links led to
    #[arg(long, value_name = "TIME")]
    pub drain: Option<Span>,
}

/// Options of commands that make a release.
#[derive(Args, Clone, Debug)]
pub struct Staging {
    /// Look the reference up in what was fetched before
    #[arg(long)]
    pub no_fetch: bool,
    /// Make another release, though the commit is staged
    #[arg(long)]
    pub rebuild: bool,
    /// Not from git: a copy of this directory, called REF
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "from_tar")]
    pub from_dir: Option<PathBuf>,
    /// Not from git: what is in this tar archive (- for standard input), called REF
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub from_tar: Option<PathBuf>,
}

/// Options of commands that change something.
#[derive(Args, Clone, Copy, Debug)]
pub struct Change {
    /// Change nothing, say what would be done
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Wait if another realdoc is at work in the releases directory
    #[arg(long)]
    pub wait: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
