//! `__names`: what completion scripts offer.

use crate::cli::Names;
use crate::error::Result;
use crate::state::State;
use crate::state::instances::Instances;
use crate::tool::Tool;

/// Prints names, one a line.
///
/// # Errors
/// There is no releases directory, or it cannot be read.
pub fn print(tool: &Tool, names: Names) -> Result<()> {
    let state = State::look(&tool.config, true)?;
    let names: Vec<String> = match names {
        Names::Releases => state.store.releases()?.into_iter().map(|release| release.name).collect(),
        Names::Instances => {
            let found = Instances::find(&tool.config, &state.store, &state.history);
            let groups = found.list.iter().filter_map(|instance| instance.group.clone());
            let mut names: Vec<String> =
                groups.chain(found.list.iter().map(|instance| instance.name.clone())).collect();
            names.sort();
            names.dedup();
            names
        }
    };
    tool.report.print(&names.iter().map(|name| format!("{name}\n")).collect::<String>())
}
