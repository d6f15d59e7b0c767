//! `log`: who has flipped what, when, from where to where, and why.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::error::{Context, Error, Result};
use crate::report::time;
use crate::state::State;
use crate::state::history::{Entry, Flip, What};
use crate::state::instances::Instances;
use crate::tool::Tool;

/// Prints the history, the last entry first.
///
/// # Errors
/// [`Error::NotFound`] if nobody has that name, or it cannot be written.
pub fn run(tool: &Tool, name: Option<&str>, limit: usize) -> Result<()> {
    let state = State::look(&tool.config, true)?;
    for problem in &state.problems {
        tool.report.warn(problem);
    }
    let found = Instances::find(&tool.config, &state.store, &state.history);
    let is_meant = |flip: &Flip| match name {
        None => true,
        Some(name) => {
            let (group, rest) = flip.instance.split_once('/').unwrap_or(("", ""));
            flip.instance == name || group == name || rest == name
        }
    };
    let mut text = String::new();
    let mut count = 0;
    for entry in state.history.entries().iter().rev() {
        let flips: Vec<&Flip> = entry.flips().iter().filter(|flip| is_meant(flip)).collect();
        if name.is_some() && flips.is_empty() || count == limit {
            continue;
        }
        count += 1;
        if tool.report.is_json() {
            text += &serde_json::to_string(entry).context("write", Path::new("the log"))?;
            text.push('\n');
        } else {
            write_entry(&mut text, entry, &flips, &found);
        }
    }
    let is_known = |name: &str| found.list.iter().any(|instance| instance.name == name);
    match name.filter(|name| count == 0 && !is_known(name)) {
        Some(name) => Err(Error::NotFound(format!("the history knows no instance {name}"))),
        None => tool.report.print(&text),
    }
}

fn write_entry(text: &mut String, entry: &Entry, flips: &[&Flip], found: &Instances) {
    let Entry { id, at, by, why, what } = entry;
    let (action, mut parts) = match what {
        What::Activate { .. } => ("activate", Vec::new()),
        What::Rollback { .. } => ("rollback", Vec::new()),
        What::PutBack { .. } => ("put back", Vec::new()),
        What::Found { .. } => ("found", Vec::new()),
        What::MarkBad { release, reason: None } => ("mark-bad", vec![release.clone()]),
        What::MarkBad { release, reason: Some(reason) } => ("mark-bad", vec![format!("{release}: {reason}")]),
        What::MarkGood { release } => ("mark-bad --clear", vec![release.clone()]),
        What::Overwrite { release } => ("stage", vec![format!("into slot {release}")]),
        What::Forget { instance, .. } => ("instance remove", vec![instance.clone()]),
    };
    let mut ways: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for flip in flips {
        let (from, to) = (flip.from.as_deref().unwrap_or("no link"), flip.to.as_deref().unwrap_or("no link"));
        ways.entry((from, to)).or_default().push(&flip.instance);
    }
    parts.extend(ways.iter().map(|((from, to), names)| format!("{from} -> {to}: {}", found.describe(names))));
    let why = why.as_ref().map_or_else(String::new, |why| format!("  ({why})"));
    let _ = writeln!(text, "{}  {id}  {by}  {action}  {}{why}", time(*at), parts.join("; "));
}
