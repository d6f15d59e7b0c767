//! `man`: what the definition of the command line says of itself.

use std::fs;
use std::path::Path;

use clap::CommandFactory;

use crate::cli::Cli;
use crate::error::{Context, Result};
use crate::report::Report;

/// Prints the manual page, or writes one for every command into a directory.
///
/// # Errors
/// They cannot be written.
pub fn manual(report: Report, directory: Option<&Path>) -> Result<()> {
    let page = page()?;
    let Some(directory) = directory else {
        return report.print(&page);
    };
    fs::create_dir_all(directory).context("create", directory)?;
    clap_mangen::generate_to(Cli::command(), directory).context("write in", directory)?;
    let path = directory.join("realdoc.1");
    fs::write(&path, page).context("write", &path)
}

/// The page of the whole tool, with the headings that `man-pages(7)` names.
fn page() -> Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).context("write", Path::new("the manual page"))?;
    let page = String::from_utf8_lossy(&page);
    Ok(page.replacen(".SH EXTRA\n", &format!("{FILES}.SH \"EXIT STATUS\"\n"), 1))
}

const FILES: &str = "\
.SH FILES
.TP
\\&./realdoc.toml, /etc/realdoc.toml
The configuration, unless \\-\\-config or REALDOC_CONFIG names another. \\fBrealdoc init\\fR writes one with comments.
.TP
\\fIRELEASES\\fR/.realdoc
What realdoc knows of a releases directory: history, journal, records, what has been fetched.
";
