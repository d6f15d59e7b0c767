//! Tests of the binary: real git repositories, real links, real signals.
//!
//! Owns: nothing itself; each module has its part of the promises. Must not: wait for time; a test waits until the
//! tool says that it has come to a step.

mod activate;
mod assets;
#[cfg(any(feature = "fault-injection", debug_assertions))]
mod crash;
mod days;
mod drain;
mod dry_run;
mod fleet;
mod hold;
mod httpd;
mod limits;
mod lock;
mod night;
#[cfg_attr(not(any(feature = "fault-injection", debug_assertions)), expect(dead_code, reason = "pauses"))]
mod place;
mod prove;
mod prune;
mod recipes;
mod slots;
mod stage;
mod state;
mod together;
mod trouble;
