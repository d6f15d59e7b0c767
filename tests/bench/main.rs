//! The benchmark: what this module costs beside httpd alone and beside any other module of the same symbol.
//!
//! Owns: the order of the parts, and which of them run. Must not: measure anything itself, or judge a number.
//!
//! Arguments: the parts to run (`counted`, `together`, `speed`, `hosts`), all without any. Variables: `PEER` the file of another
//! module, `PEER_CONF` its directives, `BENCH_ROUNDS` how often each speed is measured.

mod column;
mod counted;
mod hosts;
mod load;
mod machine;
mod speed;
mod spread;
mod table;
mod together;

use std::env;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::table::Table;

type Part = fn(&mut Table) -> Result<()>;

const PARTS: [(&str, Part); 4] = [
    ("counted", counted::measure),
    ("together", together::measure),
    ("speed", speed::measure),
    ("hosts", hosts::measure),
];

fn main() -> Result<()> {
    let wanted: Vec<String> = env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(part, _)| part != name)) {
        bail!("there is no part {unknown:?}: {}", PARTS.map(|(name, _)| name).join(", "));
    }
    let begin = Instant::now();
    println!("{}\n", machine::description()?);
    let mut table = Table::new(&column::names()?);
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure(&mut table)?;
        }
    }
    println!("{table}\n");
    println!("In parentheses: more than httpd alone, or times httpd alone. Took {} s.", begin.elapsed().as_secs());
    Ok(())
}
