//! Named steps at which a test can stop the tool, to kill it there.
//!
//! Owns: the pause. Must not: exist in a release build; without debug assertions and the feature `fault-injection` the
//! only function here is empty.

use crate::os::interrupt::Interrupt;

/// Stops here if `REALDOC_PAUSE_AT` names this step.
///
/// It writes the name into the FIFO `REALDOC_PAUSE_FIFO`, so that the test knows, and goes on after a signal or when
/// the file `$REALDOC_PAUSE_FIFO.go` exists.
#[cfg(any(feature = "fault-injection", debug_assertions))]
pub fn pause(step: &str, interrupt: &Interrupt) {
    use std::time::Duration;
    use std::{env, fs, thread};

    if env::var("REALDOC_PAUSE_AT").as_deref() != Ok(step) {
        return;
    }
    let Ok(fifo) = env::var("REALDOC_PAUSE_FIFO") else {
        return;
    };
    let _ = fs::write(&fifo, step);
    while interrupt.signal().is_none() && !fs::exists(format!("{fifo}.go")).unwrap_or(true) {
        thread::sleep(Duration::from_millis(2));
    }
}

/// Nothing: this build has no fault injection.
#[cfg(not(any(feature = "fault-injection", debug_assertions)))]
pub fn pause(_step: &str, _interrupt: &Interrupt) {}
