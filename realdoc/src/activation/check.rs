//! The check command: whether a release may go live.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use super::plan::Step;
use crate::error::{Error, Result};
use crate::os::limit::Limit;
use crate::os::process;
use crate::state::releases::Store;
use crate::tool::Tool;

/// Runs the check command in every release that a link of the plan goes to.
pub(super) fn check(tool: &Tool, store: &Store, plan: &[Step]) -> Result<()> {
    let Some(line) = &tool.config.commands.check else {
        return Ok(());
    };
    let names: BTreeSet<&str> = plan.iter().filter_map(|step| step.flip.to.as_deref()).collect();
    for name in names {
        let instances: Vec<&str> = plan
            .iter()
            .filter(|step| step.flip.to.as_deref() == Some(name))
            .map(|step| step.flip.instance.as_str())
            .collect();
        // Joined to an absolute path, that is the path: a tree outside the releases is checked too.
        let directory = store.path_of(name);
        tool.report.step("check", format!("checking {name}: {line}"));
        let instances = instances.join(" ");
        let variables: [(&str, &OsStr); 3] = [
            ("REALDOC_RELEASE", name.as_ref()),
            ("REALDOC_RELEASE_DIR", directory.as_ref()),
            ("REALDOC_INSTANCES", instances.as_ref()),
        ];
        let limit = Limit { time: tool.config.timeouts.check.0, key: "check" };
        process::shell(line, &directory, &variables, &tool.interrupt, limit)?.map_err(|ending| Error::CheckFailed {
            release: name.to_owned(),
            command: line.clone(),
            ending,
        })?;
    }
    Ok(())
}
