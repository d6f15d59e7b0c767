//! `rollback`: links back to where they led before.
//!
//! Owns: which target an instance goes back to. Must not: flip (`activate` does), or go by names and times; only the
//! history knows what an instance ran before.

use crate::activation::{self, Direction, Move, PutBack};
use crate::error::{Error, Result};
use crate::state::State;
use crate::state::link;
use crate::tool::Tool;

/// Flips the instances that are named back, each to what it ran before, or all to one release that they ran.
///
/// # Errors
/// As [`activation::flip`]; [`Error::NotFound`] if one of them has nothing to go back to.
pub fn rollback(
    tool: &Tool,
    state: &mut State,
    put_back: &PutBack,
    to: &[String],
    all: bool,
    release: Option<&str>,
    check: bool,
) -> Result<()> {
    let instances = state.instances(&tool.config, &tool.report)?.select(to, all)?;
    let release = release.map(|text| state.store.find(text)).transpose()?;
    let mut moves = Vec::new();
    let mut obstacles = Vec::new();
    for instance in instances {
        // Whoever finds a deploy half-done wants to be where it began, and not yet another step further back.
        if release.is_none() && put_back.contains(&instance.link) {
            let name = &instance.name;
            tool.report.note(format!("{name}: the interrupted activation is put back, and that was its rollback"));
            continue;
        }
        let target = if let Some(release) = &release {
            let was_there = state.history.way(&instance.link).iter().any(|visit| visit.target == release.name);
            if let Some(obstacle) = state.obstacle(&release.name) {
                return Err(Error::Refused(format!("{} {obstacle}", release.name)));
            }
            if !was_there {
                obstacles.push(format!("{} has never led to {}; use activate", instance.name, release.name));
                continue;
            }
            release.name.clone()
        } else {
            let now = link::look(&state.store, &instance.link)?.id();
            let (target, passed) = state.previous(&instance.link, now.as_deref());
            for passed in passed {
                let why = state.obstacle(&passed).unwrap_or_default();
                tool.report.note(format!("{}: not back to {passed}, which {why}", instance.name));
            }
            let Some(target) = target else {
                obstacles.push(format!("{} has nothing to go back to", instance.name));
                continue;
            };
            target
        };
        moves.push(Move { instance, to: target });
    }
    if !obstacles.is_empty() {
        return Err(Error::NotFound(obstacles.join("\n")));
    }
    activation::flip(tool, state, Direction::Rollback, moves, check)
}
