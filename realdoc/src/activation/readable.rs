//! Whether the web server gets at what is about to be served.

use std::collections::BTreeMap;

use super::plan::{Direction, Step};
use crate::error::{Error, Result};
use crate::fs::access::{Reader, Unreadable};
use crate::state::releases::Store;
use crate::tool::Tool;

/// Refuses an activation of a release that httpd cannot read; to a rollback it is said.
pub(super) fn check(tool: &Tool, store: &Store, direction: Direction, plan: &[Step]) -> Result<()> {
    let reader = match Reader::of(&tool.config) {
        Err(error) if direction == Direction::Rollback => {
            tool.report.warn(error.to_string());
            None
        }
        reader => reader?,
    };
    let Some(reader) = reader else {
        return Ok(());
    };
    let targets: BTreeMap<_, _> =
        plan.iter().filter_map(|step| Some((step.flip.to.as_deref()?, &step.change.new))).collect();
    for (to, docroot) in targets {
        let found = match reader.check(&tool.config, &store.path_of(to), docroot) {
            Err(error) if direction == Direction::Rollback => Unreadable { all: None, some: vec![error.to_string()] },
            found => found?,
        };
        match found.all {
            Some(all) if direction == Direction::Activate => {
                return Err(Error::Refused(format!("{to} would not be served: {all}; no link was flipped")));
            }
            all => all.into_iter().chain(found.some).for_each(|problem| tool.report.warn(format!("{to}: {problem}"))),
        }
    }
    Ok(())
}
