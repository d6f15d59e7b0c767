//! Requests per second of one event child with few and with many threads, while the docroot flips.
//!
//! Owns: the order of the runs. Must not: compare runs that were not made one after another.

use std::time::Instant;

use anyhow::{Result, ensure};
use harness::Httpd;
use harness::count::has_tool;

use crate::column;
use crate::load::{Rounds, THREADS, flipper, rounds, run, site, start};
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
        for (server, column) in servers.iter().zip(&columns) {
            run(server, column, threads)?;
        }
        let (begin, flips) = (Instant::now(), flipper.now().returned);
        let mut speeds = Rounds::new(columns.len());
        for round in 0..rounds {
            eprintln!("round {} of {rounds} with {threads} threads", round + 1);
            let mut speed_of = vec![0.0; columns.len()];
            // Each server is the first as often, should the place matter.
            let runs = (0..columns.len()).map(|place| (place + round) % columns.len()).try_for_each(|column| {
                speed_of[column] = run(&servers[column], &columns[column], threads)?.per_second;
                Ok(())
            });
            speeds.add(runs.map(|()| speed_of));
        }
        let flips = (flipper.stop() - flips) as f64 / begin.elapsed().as_secs_f64();
        ensure!(flips > 0.0, "nothing flipped");
        table.rounds(&format!("requests per second, {threads} threads, {flips:.0} flips/s"), &speeds.columns()?);
    }
    Ok(())
}
