//! Requests per second of one event child with few and with many threads, while the docroot flips.
//!
//! Owns: the order of the runs. Must not: compare runs that were not made one after another.

use std::time::Instant;

use anyhow::Result;
use harness::Httpd;
use harness::count::has_tool;

use crate::column;
use crate::load::{THREADS, flipper, rounds, run, site, start};
use crate::table::Table;

/// Adds the rows of speed.
pub fn measure(table: &mut Table) -> Result<()> {
    if !has_tool("wrk")? {
        return Ok(());
    }
    let (rounds, columns) = (rounds()?, column::all()?);
    for threads in THREADS {
        let site = site();
        let servers: Vec<Httpd> = columns.iter().map(|column| start(&site, column, threads)).collect::<Result<_>>()?;
        let flipper = flipper(&site);
        for server in &servers {
            run(server, threads)?;
        }
        let (begin, flips) = (Instant::now(), flipper.now().returned);
        let mut speeds = vec![Vec::new(); servers.len()];
        for round in 0..rounds {
            eprintln!("round {} of {rounds} with {threads} threads", round + 1);
            // Each server is the first as often, should the place matter.
            for place in 0..servers.len() {
                let column = (place + round) % servers.len();
                speeds[column].push(run(&servers[column], threads)?.per_second);
            }
        }
        let flips = (flipper.stop() - flips) as f64 / begin.elapsed().as_secs_f64();
        table.rounds(&format!("requests per second, {threads} threads, {flips:.0} flips/s"), &speeds);
    }
    Ok(())
}
