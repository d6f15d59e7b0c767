//! `instance add` and `instance remove`.
//!
//! Owns: the line of an instance in the configuration. Must not: change another line of it, or a link that is there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::activation::{self, Direction, Move};
use crate::cli::{Change, Flipping};
use crate::config::Config;
use crate::error::{Context, Error, Result};
use crate::fs::durable;
use crate::state::State;
use crate::state::history::{Entry, What};
use crate::state::instances::Instance;
use crate::state::selection::member_of;
use crate::tool::Tool;

/// Adds a link: as a line of the configuration, or, if one of the groups has it, by making it.
///
/// # Errors
/// [`Error::Usage`] if there is one of that name, [`Error::Refused`] if there is no release for the link to lead to.
pub fn add(tool: &Tool, file: &Path, name: &str, link: &Path, change: Change) -> Result<()> {
    let link = std::path::absolute(link).context("find", link)?;
    let (mut state, _) = activation::begin(tool, change.dry_run, change.wait)?;
    let found = state.instances(&tool.config, &tool.report)?;
    if let Some(known) = found.list.iter().find(|known| known.name == name || known.link == link) {
        return Err(Error::Usage(format!("there is {} already: {}", known.name, known.link.display())));
    }
    match member_of(&tool.config, name) {
        Some(instance) if instance.link == link => make(tool, &mut state, instance),
        Some(instance) => {
            Err(Error::Usage(format!("the group has {name} at {}, not at {}", instance.link.display(), link.display())))
        }
        None => write(tool, file, name, &link, change.dry_run),
    }
}

/// Makes the link of a group lead where most of the others do.
fn make(tool: &Tool, state: &mut State, instance: Instance) -> Result<()> {
    let Some(to) = common_release(tool, state)? else {
        return Err(Error::Refused(format!(
            "there is no release that {} could lead to; `realdoc deploy TAG --to {} --create` makes both",
            instance.name, instance.name
        )));
    };
    let moves = vec![Move { instance, to }];
    let flipped = activation::flip(tool, state, Direction::Activate, moves, &Flipping::default())?;
    flipped.say_sum(tool, state, 0);
    flipped.error.map_or(Ok(()), Err)
}

/// The release that most links lead to; if none does, the one that was staged last.
fn common_release(tool: &Tool, state: &mut State) -> Result<Option<String>> {
    let mut releases = state.store.releases()?;
    releases.retain(|release| state.history.is_bad(&release.name).is_none());
    let instances = state.instances(&tool.config, &tool.report)?.list;
    let ids: Vec<_> = instances
        .iter()
        .filter_map(|instance| crate::state::link::look(&state.store, &instance.link).ok()?.id())
        .collect();
    releases.sort_by_key(|release| (ids.iter().filter(|id| **id == release.name).count(), release.since()));
    Ok(releases.pop().map(|release| release.name))
}

fn write(tool: &Tool, file: &Path, name: &str, link: &Path, dry_run: bool) -> Result<()> {
    let text = fs::read_to_string(file).context("read", file)?;
    let key = if name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        name.to_owned()
    } else {
        toml::Value::String(name.to_owned()).to_string()
    };
    let line = format!("{key} = {}\n", toml::Value::String(link.to_string_lossy().into_owned()));
    let new = with_line(&text, &line);
    Config::parse(&new).map_err(|message| Error::Usage(message.trim_end().to_owned()))?;
    if dry_run {
        tool.report.note(format!("would write into {}: {}", file.display(), line.trim_end()));
        return Ok(());
    }
    // A link to the file stays one.
    let real: PathBuf = file.canonicalize().context("find", file)?;
    durable::replace(&real, new.as_bytes())?;
    tool.report.note(format!("wrote into {}: {}", file.display(), line.trim_end()));
    tool.report.note(format!("next: `realdoc activate RELEASE --to {name}` makes the link"));
    Ok(())
}

/// The configuration with one line more, behind the heading of the instances.
fn with_line(text: &str, line: &str) -> String {
    let mut new = String::new();
    let mut is_in = false;
    for old in text.split_inclusive('\n') {
        new.push_str(old);
        if old.trim() == "[instances]" {
            is_in = true;
            if !old.ends_with('\n') {
                new.push('\n');
            }
            new.push_str(line);
        }
    }
    if is_in { new } else { format!("{}\n\n[instances]\n{line}", text.trim_end()) }
}

/// Forgets a link that was one of a group.
///
/// # Errors
/// [`Error::NotFound`] if there is no such instance, [`Error::Refused`] if it is one at present.
pub fn remove(tool: &Tool, name: &str, change: Change) -> Result<()> {
    let (mut state, _) = activation::begin(tool, change.dry_run, change.wait)?;
    let found = state.instances(&tool.config, &tool.report)?;
    if let Some(missed) = found.missed.into_iter().find(|missed| missed.instance.name == name) {
        if change.dry_run {
            tool.report.note(format!("would forget {name}"));
            return Ok(());
        }
        let Instance { name, link, .. } = missed.instance;
        tool.report.note(format!("{name} is forgotten"));
        return state.history.append(&state.store, Entry::now(What::Forget { instance: name, link }));
    }
    match found.list.iter().find(|instance| instance.name == name) {
        None => Err(Error::NotFound(format!("there is no instance {name} to forget"))),
        Some(Instance { link, group: Some(_), .. }) => Err(Error::Refused(format!(
            "{name} is one of the group as long as its link leads to a release; remove {} first",
            link.display()
        ))),
        Some(_) => Err(Error::Refused(format!("{name} is in the configuration; remove its line there"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_added_and_the_others_stay() {
        let added = |text: &str| with_line(text, "a = \"/a\"\n");
        assert_eq!(added("# x\n[instances]\nb = \"/b\"\n"), "# x\n[instances]\na = \"/a\"\nb = \"/b\"\n");
        assert_eq!(added("[instances]"), "[instances]\na = \"/a\"\n");
        assert_eq!(added("x = 1\n"), "x = 1\n\n[instances]\na = \"/a\"\n");
    }
}
