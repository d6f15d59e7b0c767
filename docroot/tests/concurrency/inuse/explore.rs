//! Every order of the threads of a scenario.
//!
//! Owns: the orders. Must not: know what a thread does.

use std::rc::Rc;

use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::memory::{pause, resumed, takes_wait};
use super::{Run, Scenario, release};
use crate::orders::Orders;
use crate::scheduler::{keep, thread_of};

/// What came of all orders.
#[derive(Debug, Default)]
pub struct Outcome {
    pub schedules: u64,
    /// How often a file was served from the release.
    pub served: u64,
    /// How many requests needed no lookup.
    pub entered: u64,
    /// The first order in which a request was served from the release that was removed.
    pub lost: Option<Vec<usize>>,
}

/// What a thread does.
type Body = Box<dyn FnOnce(&Run, &Yielder<(), ()>)>;

/// Runs a scenario once, in the order that `choose` says, as in [`crate::scheduler`].
fn run(scenario: &Scenario, mut choose: impl FnMut(usize, Option<usize>) -> usize) -> Rc<Run> {
    let run = Rc::new(Run::new(scenario));
    let body = |body: Body| {
        let run = Rc::clone(&run);
        thread_of(move |yielder| {
            resumed(Some(yielder));
            body(&run, yielder);
        })
    };
    let of_set_up = scenario.clone();
    let mut set_up = body(Box::new(move |run, yielder| run.set_up(&of_set_up, yielder)));
    while let CoroutineResult::Yield(()) = set_up.resume(()) {}
    keep(set_up.into_stack());
    let mut threads: Vec<Coroutine<(), (), ()>> = Vec::new();
    for (thread, &how) in scenario.requests.iter().enumerate() {
        let claims = scenario.claims_late && thread == 0;
        threads.push(body(Box::new(move |run, yielder| {
            if claims {
                pause();
                run.claimed.set(Some(run.world.now()));
            }
            run.request(how, yielder);
        })));
    }
    if scenario.reuses {
        threads.push(body(Box::new(|run, _| {
            let ticket = run.slot.look().enter(&release("/9"), &run.other, 0);
            pause();
            run.slot.leave(ticket);
        })));
    }
    let of_tool = scenario.clone();
    threads.push(body(Box::new(move |run, _| run.tool(&of_tool))));
    // Which threads wait until another has done something.
    let mut wait = vec![false; threads.len()];
    let mut last = None;
    while !threads.is_empty() {
        let step = run.world.step.get() + 1;
        assert!(step < 10_000, "a scenario that does not end");
        run.world.step.set(step);
        if wait.iter().all(|&waits| waits) {
            wait.fill(false);
        }
        let ready: Vec<usize> = (0..threads.len()).filter(|&thread| !wait[thread]).collect();
        let place = last.and_then(|last| ready.iter().position(|&thread| thread == last));
        let next = ready[choose(ready.len(), place)];
        match threads[next].resume(()) {
            CoroutineResult::Yield(()) if takes_wait() => {
                wait[next] = true;
                last = None;
            }
            CoroutineResult::Yield(()) => {
                wait.fill(false);
                last = Some(next);
            }
            CoroutineResult::Return(()) => {
                keep(threads.remove(next).into_stack());
                wait.remove(next);
                wait.fill(false);
                last = None;
            }
        }
    }
    resumed(None);
    run
}

/// Runs a scenario in every order in which a thread that could go on is interrupted so often at most; ends at the first
/// in which a request lost its release.
pub fn explore(name: &str, scenario: &Scenario) -> Outcome {
    let extra = std::env::var("INTERRUPTIONS").ok().and_then(|most| most.parse().ok());
    let limit = extra.unwrap_or(scenario.interruptions);
    let mut outcome = Outcome::default();
    let mut orders = Orders::new(Some(limit));
    loop {
        let mut order = orders.begin();
        let run = run(scenario, |threads, last| order.choose(threads, last));
        outcome.schedules += 1;
        let [served, lost] = run.served.get();
        outcome.served += served;
        outcome.entered += run.entered.get();
        if lost > 0 {
            outcome.lost = Some(order.into_taken());
            break;
        }
        assert!(run.is_removed.get());
        if !orders.advance() {
            break;
        }
    }
    println!(
        "{name}: {} schedules of {limit} interruptions at most, {} files served, {} requests without a lookup",
        outcome.schedules, outcome.served, outcome.entered
    );
    outcome
}
