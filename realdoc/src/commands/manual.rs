//! `man` and `completions`: what the definition of the command line says of itself.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::{Context, Result};
use crate::report::Report;

/// Prints the completion script of a shell.
///
/// # Errors
/// It cannot be written.
pub fn completions(report: Report, shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "realdoc", &mut script);
    report.print(&String::from_utf8_lossy(&script))
}

/// Prints the manual page, or writes one for every command into a directory.
///
/// # Errors
/// They cannot be written.
pub fn manual(report: Report, directory: Option<&Path>) -> Result<()> {
    let Some(directory) = directory else {
        let mut page = Vec::new();
        let man = clap_mangen::Man::new(Cli::command());
        man.render(&mut page).context("write", Path::new("the manual page"))?;
        return report.print(&String::from_utf8_lossy(&page));
    };
    fs::create_dir_all(directory).context("create", directory)?;
    clap_mangen::generate_to(Cli::command(), directory).context("write in", directory)
}
