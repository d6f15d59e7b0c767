//! The probe: whether what is served after a flip is well.
//!
//! Owns: taking the activation back if it is not. Must not: touch what another activation has flipped.

use std::ffi::OsStr;
use std::thread;
use std::time::{Duration, Instant};

use crate::activation::{self, Flipped};
use crate::cli::Flipping;
use crate::commands::rollback;
use crate::error::{Ending, Error, Result};
use crate::os::limit::Limit;
use crate::os::process;
use crate::state::State;
use crate::state::history::{Entry, What};
use crate::tool::Tool;

/// Between two runs of the probe.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the probe for as long as the configuration says, and takes the activation back if it fails: `flipped` has then what
/// could not be taken back. The lock is let go meanwhile.
///
/// # Errors
/// [`Error::ProbeFailed`]; [`Error::Interrupted`], and the links stay flipped.
pub fn probe(tool: &Tool, state: &mut State, release: &str, flipped: &mut Flipped) -> Result<()> {
    let Some(line) = &tool.config.commands.probe else {
        return Ok(());
    };
    let id = flipped.id.clone().unwrap_or_default();
    tool.report.step("probe", format!("probing {release}: {line}"));
    state.unlock();
    let ended = run(tool, state, line, release, &flipped.flipped, &id).inspect_err(|_| {
        tool.report.note("the probe has come to no end; the links stay flipped");
    })?;
    let (release, command) = (release.to_owned(), line.clone());
    if let Err(ending) = &ended {
        tool.report.warn(format!("the probe failed: `{command}` {ending}; going back"));
    }
    activation::relock(tool, state)?;
    let Err(ending) = ended else {
        return Ok(());
    };
    let reason = Some(format!("the probe failed: `{command}` {ending}"));
    let mark = What::MarkBad { release: release.clone(), reason: reason.clone() };
    if let Err(error) = state.history.append(&state.store, Entry::now(mark)) {
        tool.report.warn(format!("{release} is not marked bad: {error}"));
    }
    state.try_to_retain(&tool.report);
    let flipping = Flipping { skip_check: true, why: reason, drain: None };
    let back = rollback::take_back(tool, state, &id, &flipping)?;
    // Whoever was flipped by somebody else meanwhile does not lead there, either.
    let stays = |instance: &String| back.left.iter().any(|left| left.instance == *instance);
    let before = flipped.flipped.len();
    flipped.flipped.retain(stays);
    flipped.taken_back = before - flipped.flipped.len();
    let mut left: Vec<String> = back.left.iter().map(|left| left.error.to_string()).collect();
    left.extend(back.error.map(|error| error.to_string()));
    let left = left.iter().fold(String::new(), |text, left| text + "; " + left);
    Err(Error::ProbeFailed { release, command, ending, left })
}

fn run(
    tool: &Tool,
    state: &State,
    line: &str,
    release: &str,
    instances: &[String],
    id: &str,
) -> Result<Result<(), Ending>> {
    let directory = state.store.path_of(release);
    let instances = instances.join(" ");
    let variables: [(&str, &OsStr); 4] = [
        ("REALDOC_RELEASE", release.as_ref()),
        ("REALDOC_RELEASE_DIR", directory.as_ref()),
        ("REALDOC_INSTANCES", instances.as_ref()),
        ("REALDOC_ACTIVATION", id.as_ref()),
    ];
    let limit = Limit { time: tool.config.timeouts.probe.0, key: "probe" };
    let start = Instant::now();
    loop {
        let ended = process::shell(line, &directory, &variables, &tool.interrupt, limit)?;
        let rest = tool.config.commands.probe_for.0.saturating_sub(start.elapsed());
        if ended.is_err() || rest.is_zero() {
            return Ok(ended);
        }
        let end = Instant::now() + PAUSE.min(rest);
        while Instant::now() < end {
            tool.interrupt.check()?;
            thread::sleep(Duration::from_millis(50));
        }
    }
}
