//! The binary `realdoc`.
//!
//! Owns: which function a command is, and the exit code. Must not: do the work.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, io};

use clap::Parser;

use realdoc::cli::{Cli, Command, InstanceCommand};
use realdoc::commands::init::{self, Answers};
use realdoc::commands::rollback::{self, Wanted};
use realdoc::commands::{activate, deploy, instance, manual, mark_bad, prune, reload, stage, status};
use realdoc::config::{self, Config};
use realdoc::error::{Context, Error, Result};
use realdoc::fs::access;
use realdoc::os::interrupt::Interrupt;
use realdoc::os::process;
use realdoc::report::Report;
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
        let config = Config::load(&config::find(file.as_deref())?)?;
        access::set_umask(&config);
        Ok(Tool { config, report, interrupt: interrupt.clone() })
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
        Command::Stage { reference, how, change } => stage::run(&tool()?, &reference, how, change),
        Command::Activate { release, instances, check, change } => {
            activate::run(&tool()?, &release, &instances, !check.skip_check, change)
        }
        Command::Deploy { reference, instances, how, check, change } => {
            deploy::run(&tool()?, &reference, &instances, how, !check.skip_check, change)
        }
        Command::Rollback { instances, from, release, check, change } => {
            let wanted = Wanted { instances, from, release, skip_check: check.skip_check };
            rollback::rollback(&tool()?, &wanted, change)
        }
        Command::MarkBad { release, reason, clear, change } => {
            mark_bad::run(&tool()?, &release, reason.as_deref(), clear, change)
        }
        Command::Reload { change } => reload::run(&tool()?, change),
        Command::Instance { command: InstanceCommand::Add { name, link, change } } => {
            instance::add(&tool()?, &config::find(file.as_deref())?, &name, &link, change)
        }
        Command::Instance { command: InstanceCommand::Remove { name, change } } => {
            instance::remove(&tool()?, &name, change)
        }
        Command::Status => status::print(&tool()?),
        Command::Prune { keep, adopted, change } => prune::run(&tool()?, keep, adopted, change),
        Command::Completions { shell } => manual::completions(report, shell),
        Command::Man { directory } => manual::manual(report, directory.as_deref()),
    }
}
