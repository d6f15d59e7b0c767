//! Many host names for one server, each in a request of its own.
//!
//! Owns: the connections that they are sent over. Must not: choose the names, or judge an answer.

use std::thread;

use crate::raw::{Raw, RawResponse, get_request};

const CONNECTIONS: usize = 4;

/// How many requests are sent before the first of their responses is read.
const PIPELINED: usize = 50;

/// Asks for `path` once from each of `count` hosts, over a few connections at a time, and hands each response to `check`.
///
/// # Panics
/// If there is none, or if `check` does.
pub fn ask_each(
    port: u16,
    path: &str,
    count: usize,
    host: impl Fn(usize) -> String + Sync,
    check: impl Fn(&RawResponse) + Sync,
) {
    let (host, check) = (&host, &check);
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut raw = Raw::connect(port);
                let own: Vec<usize> = (0..count).filter(|number| number % CONNECTIONS == connection).collect();
                for batch in own.chunks(PIPELINED) {
                    raw.send(batch.iter().map(|number| get_request(&host(*number), path)).collect::<String>());
                    for _ in batch {
                        check(&raw.receive());
                    }
                }
            });
        }
    });
}
