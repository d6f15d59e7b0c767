//! The check command: whether a release may go live.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use super::plan::Step;
use super::recover::relock;
use crate::error::{FailedCheck, Result};
use crate::os::limit::Limit;
use crate::os::process;
use crate::state::State;
use crate::tool::Tool;

/// Runs the check command in every release that a link of the plan goes to, and says in which it has failed. The lock is let
/// go meanwhile.
///
/// # Errors
/// [`Error::Interrupted`](crate::error::Error::Interrupted), or the command cannot be run.
pub(super) fn check(tool: &Tool, state: &mut State, plan: &[Step]) -> Result<BTreeMap<String, FailedCheck>> {
    let mut failed = BTreeMap::new();
    let Some(line) = &tool.config.commands.check else {
        return Ok(failed);
    };
    state.unlock();
    let names: BTreeSet<&str> = plan.iter().filter_map(|step| step.flip.to.as_deref()).collect();
    for name in names {
        let instances: Vec<&str> = plan
            .iter()
            .filter(|step| step.flip.to.as_deref() == Some(name))
            .map(|step| step.flip.instance.as_str())
            .collect();
        // Joined to an absolute path, that is the path: a tree outside the releases is checked too.
        let directory = state.store.path_of(name);
        tool.report.step("check", format!("checking {name}: {line}"));
        let instances = instances.join(" ");
        let variables: [(&str, &OsStr); 3] = [
            ("REALDOC_RELEASE", name.as_ref()),
            ("REALDOC_RELEASE_DIR", directory.as_ref()),
            ("REALDOC_INSTANCES", instances.as_ref()),
        ];
        let limit = Limit { time: tool.config.timeouts.check.0, key: "check" };
        if let Err(ending) = process::shell(line, &directory, &variables, &tool.interrupt, limit)? {
            let (release, command) = (name.to_owned(), line.clone());
            failed.insert(release.clone(), FailedCheck { release, command, ending });
        }
    }
    relock(tool, state)?;
    Ok(failed)
}
