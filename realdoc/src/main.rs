//! The binary `realdoc`.
//!
//! Owns: which function a command is, and the exit code. Must not: do the work.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use clap::{CommandFactory, Parser};

use realdoc::cli::{Change, Cli, Command, Fetch, Selection};
use realdoc::commands::init::{self, Answers};
use realdoc::commands::prune::{self, Rules};
use realdoc::commands::{activate, rollback, stage, status};
use realdoc::config::{self, Config};
use realdoc::error::{Context, Error, Result};
use realdoc::os::interrupt::Interrupt;
use realdoc::os::process;
use realdoc::report::Report;
use realdoc::session::Session;

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
    let load = || Config::load(&config::find(file.as_deref())?);
    let begin = |change: Change| Session::begin(load()?, report, interrupt.clone(), change.dry_run, change.wait);
    match cli.command {
        Command::Init { source, releases, instances, change } => {
            // The one that every other command would use; a new one here would hide it from them.
            let path = config::find(file.as_deref()).unwrap_or_else(|_| PathBuf::from(config::PLACES[0]));
            init::init(&path, &Answers { source, releases, instances }, report, interrupt, change)
        }
        Command::Stage { reference, fetch, change } => {
            stage::stage(&begin(change)?, &reference, !fetch.no_fetch).map(|_| ())
        }
        Command::Activate { release, instances, change } => {
            activate::activate(&mut begin(change)?, &release, &instances.to, instances.all)
        }
        Command::Deploy { reference, instances, fetch, change } => {
            deploy(&mut begin(change)?, &reference, &instances, &fetch)
        }
        Command::Rollback { instances, release, skip_check, change } => {
            let Selection { to, all } = instances;
            rollback::rollback(&mut begin(change)?, &to, all, release.as_deref(), !skip_check)
        }
        Command::MarkBad { release, reason, clear, change } => {
            rollback::mark(&mut begin(change)?, &release, reason.as_deref(), clear)
        }
        Command::Status => {
            let status = status::status(&Session::look(load()?, report, interrupt)?)?;
            if report.is_json() {
                let text = serde_json::to_string(&status).context("write", Path::new("the status"))?;
                report.print(&format!("{text}\n"))
            } else {
                report.print(&status.text())
            }
        }
        Command::Prune { keep, adopted, change } => {
            let mut session = begin(change)?;
            let keep = keep.unwrap_or(session.config.releases.keep);
            prune::prune(&mut session, Rules { keep, adopted, explain: true })
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "realdoc", &mut script);
            report.print(&String::from_utf8_lossy(&script))
        }
        Command::Man { directory } => manual(report, directory.as_deref()),
    }
}

fn deploy(session: &mut Session, reference: &str, instances: &Selection, fetch: &Fetch) -> Result<()> {
    let Selection { to, all } = instances;
    // A name that is none should not come out after ten minutes of building.
    session.instances()?.select(to, *all)?;
    let release = stage::stage(session, reference, !fetch.no_fetch)?;
    activate::activate_named(session, &release, to, *all)?;
    let rules = Rules { keep: session.config.releases.keep, adopted: false, explain: false };
    match prune::prune(session, rules) {
        Err(error @ Error::Interrupted(_)) => Err(error),
        // What was asked for is done.
        Err(error) => {
            session.report.warn(format!("old releases stay: {error}"));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn manual(report: Report, directory: Option<&Path>) -> Result<()> {
    let Some(directory) = directory else {
        let mut page = Vec::new();
        let man = clap_mangen::Man::new(Cli::command());
        man.render(&mut page).context("write", Path::new("the manual page"))?;
        return report.print(&String::from_utf8_lossy(&page));
    };
    fs::create_dir_all(directory).context("create", directory)?;
    clap_mangen::generate_to(Cli::command(), directory).context("write in", directory)
}
