//! The processor time of a request, of all servers at the same time.
//!
//! Owns: on which processors they and their load run, and how often they are started anew. Must not: count requests per
//! second, of which each server takes some from the others.
//!
//! What is measured one after another differs by several percent on a machine that others use too, and most of all on a
//! virtual one. Whatever slows the machine down for a moment slows these servers down alike: they take turns on one
//! processor, a few milliseconds each, so that their ratio is known to less than a percent. Where in memory a process has
//! its code and data makes some tenths of a percent, for as long as it lives: so that each round has servers of its own.

use std::thread;

use anyhow::{Context, Result, ensure};
use harness::Httpd;
use harness::count::has_tool;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::column::Column;
use crate::load::{Rounds, Run, THREADS, child, flipper, rounds, run, site, start, threads};
use crate::table::Table;

/// Adds the rows of processor time.
pub fn measure(table: &mut Table, columns: &[Column]) -> Result<()> {
    measure_with(table, columns, &THREADS)
}

/// The same, for these numbers of threads.
pub fn measure_with(table: &mut Table, columns: &[Column], threads: &[usize]) -> Result<()> {
    if !has_tool("wrk")? {
        return Ok(());
    }
    let (rounds, [of_servers, of_load]) = (rounds()?, processors()?);
    for &threads in threads {
        let mut times = Rounds::new(columns.len());
        for round in 0..rounds {
            eprintln!("round {} of {rounds} with {threads} threads, all at once", round + 1);
            let site = site();
            let servers: Vec<Httpd> =
                columns.iter().map(|column| start(&site, column, threads)).collect::<Result<_>>()?;
            let flipper = flipper(&site);
            // The first run makes them warm; and once they answer, they have started all their threads.
            let runs = run_all(&servers, columns, threads, of_load).and_then(|_| {
                for server in &servers {
                    pin(child(server)?, of_servers)?;
                }
                run_all(&servers, columns, threads, of_load)
            });
            times.add(runs.map(|runs| runs.iter().map(|run| run.cpu).collect()));
            ensure!(flipper.stop() > 0, "nothing flipped");
        }
        table.rounds(&format!("CPU ns per request, {threads} threads, all at once"), &times.columns()?);
    }
    Ok(())
}

/// The load on all servers, each by a program of its own.
fn run_all(servers: &[Httpd], columns: &[Column], connections: usize, processor: usize) -> Result<Vec<Run>> {
    thread::scope(|scope| {
        let mut all = Vec::new();
        for (server, column) in servers.iter().zip(columns) {
            all.push(scope.spawn(move || {
                // What this thread starts runs where it does.
                pin_thread(Pid::from_raw(0), processor)?;
                run(server, column, connections)
            }));
        }
        all.into_iter().map(|one| one.join().expect("no panic")).collect()
    })
}

/// Two processors that this process may use, if there are two.
fn processors() -> Result<[usize; 2]> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut all = (0..CpuSet::count()).filter(|&processor| allowed.is_set(processor).unwrap_or(false));
    let first = all.next().context("a processor")?;
    Ok([first, all.next().unwrap_or(first)])
}

/// Lets all threads of a process run on one processor only.
fn pin(process: u32, processor: usize) -> Result<()> {
    threads(process)?.into_iter().try_for_each(|thread| pin_thread(Pid::from_raw(thread.cast_signed()), processor))
}

fn pin_thread(thread: Pid, processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    Ok(sched_setaffinity(thread, &set)?)
}
