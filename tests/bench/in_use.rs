//! What the count of requests costs: this module with `RealdocInUse` on, beside itself with it off.
//!
//! Owns: which measures show that. Must not: measure anything itself.

use anyhow::Result;

use crate::column::Column;
use crate::table::Table;
use crate::{hosts, speed, together};

/// More threads than any counter has shards, so that they meet in its cache lines.
const THREADS: [usize; 1] = [64];

/// Adds the rows of many threads and of many hosts.
pub fn measure(table: &mut Table, columns: &[Column]) -> Result<()> {
    together::measure_with(table, columns, &THREADS)?;
    speed::measure_with(table, columns, &THREADS)?;
    hosts::measure(table, columns)
}
