//! `man`: what the definition of the command line says of itself, and the page of the configuration.

use std::fs;
use std::path::Path;

use clap::CommandFactory;

use crate::cli::{Cli, Page};
use crate::error::{Context, Result};
use crate::report::Report;

/// Prints a manual page, or writes the pages of all commands and of the configuration below a directory, each in the
/// directory of its section.
///
/// # Errors
/// They cannot be written.
pub fn manual(report: Report, page: Page, directory: Option<&Path>) -> Result<()> {
    let Some(directory) = directory else {
        return report.print(&match page {
            Page::Tool => tool()?,
            Page::Configuration => configuration(),
        });
    };
    let [commands, formats] = ["man1", "man5"].map(|section| directory.join(section));
    for section in [&commands, &formats] {
        fs::create_dir_all(section).context("create", section)?;
    }
    clap_mangen::generate_to(Cli::command(), &commands).context("write in", &commands)?;
    for (path, page) in [(commands.join("realdoc.1"), tool()?), (formats.join("realdoc.toml.5"), configuration())] {
        fs::write(&path, page).context("write", &path)?;
    }
    Ok(())
}

/// The page of the whole tool, with the headings that `man-pages(7)` names.
fn tool() -> Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).context("write", Path::new("the manual page"))?;
    let page = String::from_utf8_lossy(&page);
    Ok(page.replacen(".SH EXTRA\n", &format!("{FILES}.SH \"EXIT STATUS\"\n"), 1))
}

/// `realdoc.toml(5)`.
fn configuration() -> String {
    include_str!("manual/realdoc.toml.5").replace("@VERSION@", env!("CARGO_PKG_VERSION"))
}

const FILES: &str = "\
.SH FILES
.TP
\\&./realdoc.toml, /etc/realdoc.toml
The configuration, unless \\-\\-config or REALDOC_CONFIG names another; see
.BR realdoc.toml (5).
\\fBrealdoc init\\fR writes one with comments.
.TP
\\fIRELEASES\\fR/.realdoc
What realdoc knows of a releases directory: history, journal, records, what has been fetched.
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Config;

    /// What the configuration needs to have.
    const REQUIRED: [(&str, &str, &str); 2] =
        [("git", "source", "\"/srv/app.git\""), ("releases", "directory", "\"/srv/app/releases\"")];

    /// What a table of the configuration may have, or the whole configuration: the parser's answer to a wrong key.
    fn known(table: Option<&str>) -> Vec<String> {
        let lines = table.map_or_else(|| "[no-key]".to_owned(), |table| format!("[{table}]\nno-key = 1"));
        let message = Config::parse(&lines).unwrap_err();
        let Some((_, keys)) = message.split_once("there is no key `no-key`") else { return Vec::new() };
        keys.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// What a page of the manual has under the headings that are tables: each key and what is said of it.
    fn tables(page: &str) -> BTreeMap<String, Vec<(String, String)>> {
        let sections = page.split(".SH ").filter_map(|section| section.strip_prefix('[')?.split_once("]\n"));
        let entry = |line: &str| {
            let (key, said) = line.strip_prefix("\\fB")?.strip_suffix(')')?.split_once("\\fR (")?;
            Some((key.to_owned(), said.to_owned()))
        };
        sections
            .map(|(name, text)| {
                let heads = text.split(".TP\n").skip(1).filter_map(|entry| entry.lines().next());
                (name.to_owned(), heads.filter_map(entry).collect())
            })
            .collect()
    }

    #[test]
    fn the_manual_has_every_key_of_the_configuration_and_no_other() {
        let tables = tables(&configuration());
        let sorted = |mut keys: Vec<String>| {
            keys.sort();
            keys
        };
        assert_eq!(tables.keys().cloned().collect::<Vec<_>>(), sorted(known(None)));
        for (table, entries) in &tables {
            let keys = entries.iter().map(|(key, _)| key.clone()).collect();
            assert_eq!(sorted(keys), sorted(known(Some(table))), "[{table}]");
        }
        assert!(tables.values().map(Vec::len).sum::<usize>() > 20, "{tables:?}");
    }

    #[test]
    fn what_init_writes_shows_every_key() {
        let text = include_str!("init/realdoc.toml");
        for table in known(None) {
            let (_, rest) = text.split_once(&format!("\n[{table}]\n")).unwrap_or_else(|| panic!("no [{table}]"));
            let lines = rest.split("\n[").next().unwrap_or_default().lines();
            let keys: Vec<&str> =
                lines.filter_map(|line| Some(line.trim_start_matches("# ").split_once(" = ")?.0)).collect();
            for key in known(Some(&table)) {
                assert!(keys.contains(&&key[..]), "[{table}] {key}: {keys:?}");
            }
        }
    }

    /// A configuration with these keys.
    fn parsed(keys: &[(&str, &str, &str)]) -> Result<Config, String> {
        let mut tables = BTreeMap::<&str, String>::new();
        for (table, key, value) in keys {
            *tables.entry(table).or_default() += &format!("{key} = {value}\n");
        }
        Config::parse(&tables.iter().map(|(table, lines)| format!("[{table}]\n{lines}")).collect::<String>())
    }

    #[test]
    fn the_manual_tells_the_defaults_and_what_is_required() {
        let tables = tables(&configuration());
        let (mut required, mut written) = (Vec::new(), REQUIRED.to_vec());
        for (table, entries) in &tables {
            for (key, said) in entries {
                match said.split_once(", ").expect("a type and what it is by default").1 {
                    "required" => required.push((table.as_str(), key.as_str())),
                    "optional" => {}
                    default => {
                        let value = default.strip_prefix("default \\fB").and_then(|value| value.strip_suffix("\\fR"));
                        written.push((table, key, value.unwrap_or_else(|| panic!("[{table}] {key}: {default}"))));
                    }
                }
            }
        }
        assert_eq!(required, REQUIRED.map(|(table, key, _)| (table, key)));
        for missing in 0..REQUIRED.len() {
            assert!(parsed(&[REQUIRED[1 - missing]]).is_err());
        }
        // With every default written out it is the same configuration.
        let [least, all] = [&REQUIRED[..], &written].map(|keys| format!("{:?}", parsed(keys).unwrap()));
        assert_eq!(least, all);
        assert!(written.len() > 15, "{written:?}");
    }

    #[test]
    fn the_manual_names_commands_by_their_variables() {
        let sources = [
            include_str!("stage.rs"),
            include_str!("probe.rs"),
            include_str!("failure.rs"),
            include_str!("../activation/check.rs"),
            include_str!("../activation/prepare.rs"),
        ];
        let page = configuration();
        for name in sources.iter().flat_map(|text| text.split('"')).filter(|text| text.starts_with("REALDOC_")) {
            assert!(page.contains(name), "{name}");
        }
    }

    #[test]
    fn the_example_of_the_manual_is_a_configuration() {
        let page = configuration();
        let (_, example) = page.split_once(".SH EXAMPLES\n.nf\n").unwrap();
        let (example, _) = example.split_once(".fi\n").unwrap();
        let config = Config::parse(&example.replace("\\-", "-")).unwrap();
        assert_eq!(config.instances.len(), 2);
    }
}
