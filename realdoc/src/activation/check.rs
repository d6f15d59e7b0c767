//! The check command: whether a release may go live.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use super::plan::{Direction, Step};
use super::recover::relock;
use crate::error::{FailedCheck, Result};
use crate::os::limit::Limit;
use crate::os::process;
use crate::state::State;
use crate::state::releases::Store;
use crate::tool::Tool;

/// Runs the check command in every release that a link of the plan goes to, and, unless they go back, the one that warms;
/// says in which one has failed. The lock is let go meanwhile.
///
/// # Errors
/// [`Error::Interrupted`](crate::error::Error::Interrupted), or the command cannot be run.
pub(super) fn check(
    tool: &Tool,
    state: &mut State,
    direction: Direction,
    plan: &[Step],
) -> Result<BTreeMap<String, FailedCheck>> {
    let (commands, timeouts) = (&tool.config.commands, &tool.config.timeouts);
    let check = commands.check.as_ref().map(|line| {
        let limit = Limit { time: timeouts.check.0, key: "check" };
        Command { step: "check", what: "check", doing: "checking", line, limit }
    });
    let warm = commands.warm.as_ref().filter(|_| direction == Direction::Activate).map(|line| {
        let limit = Limit { time: timeouts.warm.0, key: "warm" };
        Command { step: "warm", what: "warm-up", doing: "warming", line, limit }
    });
    let mut failed = BTreeMap::new();
    if check.is_none() && warm.is_none() {
        return Ok(failed);
    }
    state.unlock();
    for command in check.iter().chain(&warm) {
        run(tool, &state.store, plan, command, &mut failed)?;
    }
    relock(tool, state)?;
    Ok(failed)
}

/// A command that is run in a release.
struct Command<'c> {
    step: &'static str,
    what: &'static str,
    doing: &'static str,
    line: &'c String,
    limit: Limit,
}

fn run(
    tool: &Tool,
    store: &Store,
    plan: &[Step],
    command: &Command<'_>,
    failed: &mut BTreeMap<String, FailedCheck>,
) -> Result<()> {
    let Command { step, what, doing, line, limit } = *command;
    let names: BTreeSet<&str> = plan.iter().filter_map(|step| step.flip.to.as_deref()).collect();
    for name in names {
        if failed.contains_key(name) {
            continue;
        }
        let instances: Vec<&str> = plan
            .iter()
            .filter(|step| step.flip.to.as_deref() == Some(name))
            .map(|step| step.flip.instance.as_str())
            .collect();
        // Joined to an absolute path, that is the path: a tree outside the releases is checked too.
        let directory = store.path_of(name);
        tool.report.step(step, format!("{doing} {name}: {line}"));
        let instances = instances.join(" ");
        let variables: [(&str, &OsStr); 3] = [
            ("REALDOC_RELEASE", name.as_ref()),
            ("REALDOC_RELEASE_DIR", directory.as_ref()),
            ("REALDOC_INSTANCES", instances.as_ref()),
        ];
        if let Err(ending) = process::shell(line, &directory, &variables, &tool.interrupt, limit)? {
            let (release, command) = (name.to_owned(), line.clone());
            failed.insert(release.clone(), FailedCheck { what, release, command, ending });
        }
    }
    Ok(())
}
