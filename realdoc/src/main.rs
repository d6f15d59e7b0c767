//! The binary `realdoc`.
//!
//! Owns: which function a command is, and the exit code. Must not: do the work.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{env, io};

use clap::Parser;

use realdoc::cli::{Cli, Command, InstanceCommand};
use realdoc::commands::init::{self, Answers};
use realdoc::commands::rollback::{self, Wanted};
use realdoc::commands::{
    activate, completions, deploy, drain, failure, instance, log, manual, mark_bad, names, prune, reload, stage,
    status, verify,
};
use realdoc::config::{self, Config};
use realdoc::error::{Context, Error, Result};
use realdoc::fs::access;
use realdoc::os::interrupt::Interrupt;
use realdoc::os::process;
use realdoc::report::{Report, Verbosity};
use realdoc::tool::Tool;

fn main() -> ExitCode {
    if let Some(error) = process::become_supervised(env::args_os()) {
        let _ = io::Write::write_all(&mut io::stderr(), format!("{error}\n").as_bytes());
        // As a shell reports a program that it cannot run.
        return ExitCode::from(127);
    }
    let started = Instant::now();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // What `--help` and `--version` print is no error, and for people.
        Err(error) if error.use_stderr() && env::args_os().any(|argument| argument == "--json") => {
            let error = Error::Usage(error.to_string().trim_start_matches("error: ").trim_end().to_owned());
            Report::new(true, Verbosity::Normal).error(&error);
            return ExitCode::from(error.exit_code());
        }
        Err(error) => error.exit(),
    };
    let verbosity = match (cli.quiet, cli.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let report = Report::new(cli.json, verbosity);
    match run(cli, report, started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli, report: Report, started: Instant) -> Result<()> {
    let file = cli.config;
    let interrupt = Interrupt::install().context("handle signals in", Path::new("/proc/self"))?;
    let tool = || -> Result<Tool> {
        let config = Config::load(&config::find(file.as_deref())?)?;
        access::set_umask(&config);
        Ok(Tool { config, report, interrupt: interrupt.clone(), started })
    };
    match cli.command {
        Command::Init { source, releases, instances, change } => {
            // The one that every other command would use; a new one here would hide it from them.
            let path = match config::find(file.as_deref()) {
                Err(Error::NotFound(_)) => PathBuf::from(config::PLACES[0]),
                path => path?,
            };
            init::init(&path, &Answers { source, releases, instances }, report, interrupt, change)
        }
        Command::Stage { reference, how, change } => {
            let tool = tool()?;
            failure::tell(&tool, change, stage::run(&tool, &reference, &how, change))
        }
        Command::Activate { release, instances, flipping, change } => {
            let tool = tool()?;
            failure::tell(&tool, change, activate::run(&tool, &release, &instances, &flipping, change))
        }
        Command::Verify { release, instances, flipping, wait } => {
            verify::run(&tool()?, &release, &instances, &flipping, wait)
        }
        Command::Deploy { reference, instances, canary, then_all, how, flipping, change } => {
            let tool = tool()?;
            let rounds = instances.rounds(canary, then_all);
            failure::tell(&tool, change, deploy::run(&tool, &reference, &rounds, &how, &flipping, change))
        }
        Command::Rollback { instances, from, of, release, flipping, change } => {
            let tool = tool()?;
            let wanted = Wanted { instances, from, of, release, flipping };
            failure::tell(&tool, change, rollback::rollback(&tool, &wanted, change))
        }
        Command::MarkBad { release, reason, clear, change } => {
            mark_bad::run(&tool()?, &release, reason.as_deref(), clear, change)
        }
        Command::Reload { change } => {
            let tool = tool()?;
            failure::tell(&tool, change, reload::run(&tool, change))
        }
        Command::Instance { command: InstanceCommand::Add { name, link, change } } => {
            instance::add(&tool()?, &config::find(file.as_deref())?, &name, &link, change)
        }
        Command::Instance { command: InstanceCommand::Remove { name, change } } => {
            instance::remove(&tool()?, &name, change)
        }
        Command::Status { check } => status::print(&tool()?, check),
        Command::Log { name, limit } => log::run(&tool()?, name.as_deref(), limit),
        Command::Prune { keep, adopted, drain, change } => prune::run(&tool()?, keep, adopted, drain, change),
        Command::Drain { targets, timeout, files, wait } => {
            let wanted = drain::Wanted { targets, timeout, files, wait };
            let tool = match tool() {
                // Another tool's releases.
                Err(Error::NotFound(_)) if file.is_none() && wanted.are_paths() => None,
                tool => Some(tool?),
            };
            drain::run(tool.as_ref(), report, &interrupt, &wanted)
        }
        Command::Names { names } => names::print(&tool()?, names),
        Command::Completions { shell } => completions::print(report, shell),
        Command::Man { page, directory } => manual::manual(report, page, directory.as_deref()),
    }
}
