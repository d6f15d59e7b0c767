//! Requests per second of one event child with few and with many threads, while the docroot flips.
//!
//! Owns: the order of the runs. Must not: compare runs that were not made one after another.

use std::time::Instant;

use anyhow::{Result, ensure};
use harness::Httpd;
use harness::count::has_tool;

use crate::column::Column;
use crate::load::{Rounds, THREADS, flipper, rounds, run, site, start};
use crate::table::Table;

/// After so many rounds all servers are started anew, so that the luck of one process is not taken for a difference.
const ROUNDS_OF_A_START: usize = 3;

/// Adds the rows of speed.
pub fn measure(table: &mut Table, columns: &[Column]) -> Result<()> {
    measure_with(table, columns, &THREADS)
}

/// The same, for these numbers of threads.
pub fn measure_with(table: &mut Table, columns: &[Column], threads: &[usize]) -> Result<()> {
    if !has_tool("wrk")? {
        return Ok(());
    }
    let rounds = rounds()?;
    for &threads in threads {
        let mut speeds = Rounds::new(columns.len());
        let (mut flips, mut seconds) = (0, 0.0);
        for begin in (0..rounds).step_by(ROUNDS_OF_A_START) {
            let site = site();
            let servers: Vec<Httpd> =
                columns.iter().map(|column| start(&site, column, threads)).collect::<Result<_>>()?;
            let flipper = flipper(&site);
            for (server, column) in servers.iter().zip(columns) {
                run(server, column, threads)?;
            }
            let (since, before) = (Instant::now(), flipper.now().returned);
            for round in (begin..rounds).take(ROUNDS_OF_A_START) {
                eprintln!("round {} of {rounds} with {threads} threads", round + 1);
                let mut speed_of = vec![0.0; columns.len()];
                // Each server is the first as often, should the place matter.
                let runs = (0..columns.len()).map(|place| (place + round) % columns.len()).try_for_each(|column| {
                    speed_of[column] = run(&servers[column], &columns[column], threads)?.per_second;
                    Ok(())
                });
                speeds.add(runs.map(|()| speed_of));
            }
            flips += flipper.stop() - before;
            seconds += since.elapsed().as_secs_f64();
        }
        ensure!(flips > 0, "nothing flipped");
        let flips = flips as f64 / seconds;
        table.rounds(&format!("requests per second, {threads} threads, {flips:.0} flips/s"), &speeds.columns()?);
    }
    Ok(())
}
