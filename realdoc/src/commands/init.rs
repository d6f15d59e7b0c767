//! The first step: a configuration, the directories, and what is there already.
//!
//! Owns: the commented configuration, and the words that explain the next step. Must not: overwrite a configuration,
//! or move, replace or create anything where a link is to be.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::activation;
use crate::cli::Change;
use crate::config::Config;
use crate::error::{Context, Error, Result};
use crate::fs::{access, durable};
use crate::os::interrupt::Interrupt;
use crate::report::Report;
use crate::state::State;
use crate::state::link::{self, Place, Target};
use crate::state::releases::Store;
use crate::tool::Tool;

/// What the new configuration is to say.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// `[git] source`
    pub source: Option<String>,
    /// `[releases] directory`
    pub releases: Option<PathBuf>,
    /// `[instances]`, each `NAME=LINK`.
    pub instances: Vec<String>,
}

const EXAMPLE_SOURCE: &str = "https://example.org/app.git";

/// Writes the configuration if there is none, makes the directories, and takes note of the links that there are.
///
/// # Errors
/// A configuration that exists and shall be another, or what the file system says.
pub fn init(path: &Path, answers: &Answers, report: Report, interrupt: Interrupt, change: Change) -> Result<()> {
    let Change { dry_run, wait } = change;
    let path = std::path::absolute(path).context("find", path)?;
    let is_new = !path.exists();
    if is_new {
        let text = configuration(&path, answers)?;
        Config::parse(&text).map_err(Error::Config)?;
        if dry_run && report.is_json() {
            report.note(text);
            return Ok(());
        }
        if dry_run {
            return report.print(&text);
        }
        durable::write(&path, text.as_bytes())?;
        report.note(format!("wrote {}", path.display()));
    } else if answers.source.is_some() || answers.releases.is_some() || !answers.instances.is_empty() {
        return Err(Error::Usage(format!("{} exists; edit it instead, or name another by --config", path.display())));
    }
    let config = Config::load(&path)?;
    access::set_umask(&config);
    let mut directories = vec![config.releases.directory.as_path().to_owned()];
    if !config.shared.paths.is_empty() {
        directories.push(config.shared_directory());
    }
    for directory in directories.iter().filter(|directory| !directory.exists()) {
        if dry_run {
            report.note(format!("would create {}", directory.display()));
        } else {
            fs::create_dir_all(directory).context("create", directory)?;
            report.note(format!("created {}", directory.display()));
        }
    }
    if dry_run && !config.releases.directory.as_path().exists() {
        return Ok(());
    }
    let tool = Tool { config, report, interrupt, started: Instant::now() };
    let (mut state, _) = activation::begin(&tool, dry_run, wait)?;
    if let Some(real) = state.store.alias() {
        tool.report.warn(real);
    }
    let is_empty = state.instances(&tool.config, &tool.report)?.list.is_empty();
    let obstacles = adopt(&tool, &mut state)?;
    explain(&tool, &path, is_empty, obstacles);
    Ok(())
}

/// Records where the links lead, and says what stands in the way. Returns whether something does.
fn adopt(tool: &Tool, state: &mut State) -> Result<bool> {
    let instances = state.instances(&tool.config, &tool.report)?;
    let mut obstacles = false;
    for instance in &instances.list {
        let (name, link) = (&instance.name, instance.link.display());
        let place = link::look(&state.store, &instance.link)?;
        if !instance.link.parent().is_some_and(Path::is_dir) {
            obstacles = true;
            tool.report.warn(format!("the directory of {link} ({name}) does not exist; create it"));
        }
        match place {
            Place::Empty => tool.report.note(format!("{name}: {link} is made by the first activation")),
            Place::Taken(what) => {
                obstacles = true;
                tool.report.warn(how_to_move(&tool.config, &state.store, name, &instance.link, what));
            }
            Place::Link(found) => match found.target {
                Target::Release { name: release, .. } => {
                    tool.report.note(format!("{name}: {link} leads to {release}, and is adopted"));
                }
                Target::Elsewhere(path) => tool.report.note(format!(
                    "{name}: {link} leads to {}, and is adopted; it stays until the first activation, and the first \
                     rollback goes back there",
                    path.display()
                )),
                Target::Gone { name: release } => {
                    let lost = link::lost(&state.store, &release);
                    tool.report.warn(format!("{name}: {link} leads to {release}: {lost}"));
                }
                Target::Nowhere(reason) => {
                    tool.report.warn(format!("{name}: {link} leads nowhere: {reason}"));
                }
            },
        }
    }
    for missed in &instances.missed {
        tool.report.warn(missed.to_string());
    }
    for ignored in instances.ignored {
        tool.report.note(format!("no instance: {} {}", ignored.path.display(), ignored.reason));
    }
    Ok(obstacles)
}

fn how_to_move(config: &Config, store: &Store, name: &str, link: &Path, what: &str) -> String {
    let subdirectory = config.releases.subdirectory.as_path();
    let tree = store.target_of(&format!("before-realdoc-{}", name.replace('/', "-")), subdirectory);
    let (link, tree) = (quote(link), quote(&tree));
    let mut text = format!("{link} ({name}) is {what}, no link. It is never replaced. To make a release of it:\n");
    if !subdirectory.as_os_str().is_empty() {
        let _ = writeln!(text, "    mkdir -p \"$(dirname {tree})\"");
    }
    let _ = write!(
        text,
        "    mv {link} {tree}\n    ln -s {tree} {link}\n    realdoc init\n\
         Between the first two, requests find nothing; and what users upload into it has to become a shared path."
    );
    text
}

/// A path for a shell.
fn quote(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ',');
    if text.chars().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn explain(tool: &Tool, path: &Path, is_empty: bool, obstacles: bool) {
    let next = if tool.config.git.source == EXAMPLE_SOURCE {
        format!("next: put your repository into {} ([git] source), then `realdoc init` again", path.display())
    } else if tool.config.instances.is_empty() {
        format!("next: name your links in {} ([instances]), then `realdoc init` again", path.display())
    } else if let (true, Some(group)) = (is_empty, tool.config.instances.keys().next()) {
        format!("next: `realdoc deploy TAG --to {group}/NAME --create` makes the first link of the group")
    } else if obstacles {
        "next: see the warnings, then `realdoc init` again".to_owned()
    } else {
        "next: `realdoc deploy TAG --all`, or first `realdoc stage TAG` and look at the release".to_owned()
    };
    tool.report.note(next);
}

/// The commented configuration.
fn configuration(path: &Path, answers: &Answers) -> Result<String> {
    let here = path.parent().unwrap_or(Path::new("/"));
    let here = here.canonicalize().context("find", here)?;
    let releases = match &answers.releases {
        Some(path) => std::path::absolute(path).context("find", path)?,
        None => here.join("releases"),
    };
    // A path on the command line is relative to where it is typed, one in the file to the file.
    let source = match &answers.source {
        Some(source) if source.starts_with('.') => {
            env::current_dir().context("find", Path::new("."))?.join(source).to_string_lossy().into_owned()
        }
        Some(source) => source.clone(),
        None => EXAMPLE_SOURCE.to_owned(),
    };
    let mut instances = String::new();
    for instance in &answers.instances {
        let Some((name, link)) = instance.split_once('=') else {
            return Err(Error::Usage(format!("--instance {instance}: NAME=LINK is wanted")));
        };
        let link = std::path::absolute(link).context("find", Path::new(link))?;
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) && !name.is_empty();
        let name = if plain { name.to_owned() } else { text(name) };
        let _ = writeln!(instances, "{name} = {}", text(&link.to_string_lossy()));
    }
    if instances.is_empty() {
        let _ = writeln!(instances, "current = {}", text(&here.join("current").to_string_lossy()));
    }
    Ok(include_str!("init/realdoc.toml")
        .replace("@SOURCE@", &text(&source))
        .replace("@RELEASES@", &text(&releases.to_string_lossy()))
        .replace("@INSTANCES@\n", &instances))
}

/// A string as TOML writes it.
fn text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_configuration_can_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("realdoc.toml");
        let answers = Answers {
            source: Some("git@example.org:\"odd\".git".to_owned()),
            releases: Some("/srv/app/releases".into()),
            instances: vec!["shop=/var/www/shop".to_owned(), "sites=/srv/*/current".to_owned()],
        };
        let config = Config::parse(&configuration(&path, &answers).unwrap()).unwrap();
        assert_eq!(config.git.source, "git@example.org:\"odd\".git");
        assert_eq!(config.instances.len(), 2);
        let text = configuration(&path, &Answers::default()).unwrap();
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.releases.directory.as_path(), dir.path().canonicalize().unwrap().join("releases"));
        // Every comment that looks like a key is one.
        let mut uncommented = String::new();
        for line in text.lines() {
            let is_key = |key: &str| key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let setting =
                line.strip_prefix("# ").filter(|line| line.split_once(" = ").is_some_and(|(key, _)| is_key(key)));
            let line = setting.unwrap_or(line);
            uncommented.push_str(line);
            uncommented.push('\n');
        }
        let config = Config::parse(&uncommented).unwrap();
        assert!(!config.shared.paths.is_empty() && config.commands.reload.is_some());
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(quote("/a/b-c".as_ref()), "/a/b-c");
        assert_eq!(quote("/a b/it's".as_ref()), r"'/a b/it'\''s'");
    }
}
