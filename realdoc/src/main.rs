//! The binary `realdoc`.
//!
//! Owns: which function a command is, and the exit code. Must not: do the work.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, io};

use clap::Parser;

use realdoc::activation::{self, PutBack};
use realdoc::cli::{Change, Cli, Command, Selection};
use realdoc::commands::init::{self, Answers};
use realdoc::commands::prune::{self, Rules};
use realdoc::commands::{activate, deploy, manual, mark_bad, rollback, stage, status};
use realdoc::config::{self, Config};
use realdoc::error::{Context, Result};
use realdoc::os::interrupt::Interrupt;
use realdoc::os::process;
use realdoc::report::Report;
use realdoc::state::State;
use realdoc::tool::Tool;

fn main() -> ExitCode {
    if let Some(error) = process::become_supervised(env::args_os()) {
        let _ = io::Write::write_all(&mut io::stderr(), format!("{error}\n").as_bytes());
        // As a shell reports a program that it cannot run.
        return ExitCode::from(127);
    }
    let cli = Cli::parse();
    let report = Report::new(cli.json);
    match run(cli, report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli, report: Report) -> Result<()> {
    let file = cli.config;
    let interrupt = Interrupt::install().context("handle signals in", Path::new("/proc/self"))?;
    let tool = || -> Result<Tool> {
        Ok(Tool { config: Config::load(&config::find(file.as_deref())?)?, report, interrupt: interrupt.clone() })
    };
    match cli.command {
        Command::Init { source, releases, instances, change } => {
            // The one that every other command would use; a new one here would hide it from them.
            let path = config::find(file.as_deref()).unwrap_or_else(|_| PathBuf::from(config::PLACES[0]));
            init::init(&path, &Answers { source, releases, instances }, report, interrupt, change)
        }
        Command::Stage { reference, fetch, change } => {
            let tool = tool()?;
            let (state, _) = begin(&tool, change)?;
            stage::stage(&tool, &state, &reference, !fetch.no_fetch).map(|_| ())
        }
        Command::Activate { release, instances, change } => {
            let tool = tool()?;
            let (mut state, _) = begin(&tool, change)?;
            activate::activate(&tool, &mut state, &release, &instances.to, instances.all)
        }
        Command::Deploy { reference, instances, fetch, change } => {
            let tool = tool()?;
            let (mut state, _) = begin(&tool, change)?;
            deploy::deploy(&tool, &mut state, &reference, &instances, &fetch)
        }
        Command::Rollback { instances, release, skip_check, change } => {
            let tool = tool()?;
            let (mut state, put_back) = begin(&tool, change)?;
            let Selection { to, all } = instances;
            rollback::rollback(&tool, &mut state, &put_back, &to, all, release.as_deref(), !skip_check)
        }
        Command::MarkBad { release, reason, clear, change } => {
            let tool = tool()?;
            let (mut state, _) = begin(&tool, change)?;
            mark_bad::mark(&tool, &mut state, &release, reason.as_deref(), clear)
        }
        Command::Status => status::print(&tool()?),
        Command::Prune { keep, adopted, change } => {
            let tool = tool()?;
            let (mut state, _) = begin(&tool, change)?;
            let keep = keep.unwrap_or(tool.config.releases.keep);
            prune::prune(&tool, &mut state, Rules { keep, adopted, explain: true })
        }
        Command::Completions { shell } => manual::completions(report, shell),
        Command::Man { directory } => manual::manual(report, directory.as_deref()),
    }
}

fn begin(tool: &Tool, change: Change) -> Result<(State, PutBack)> {
    activation::begin(tool, change.dry_run, change.wait)
}
