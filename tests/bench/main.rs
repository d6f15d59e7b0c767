//! The benchmark: what this module costs beside httpd alone and beside any other module of the same symbol.
//!
//! Owns: the order of the parts, and which of them run. Must not: measure anything itself, or judge a number.
//!
//! Arguments: the parts to run (`counted`, `together`, `speed`, `hosts`, `inuse`), all without any. Variables: `PEER` the file of another
//! module, `PEER_CONF` its directives, `BENCH_ROUNDS` how often each speed is measured.

mod column;
mod counted;
mod hosts;
mod in_use;
mod load;
mod machine;
mod speed;
mod spread;
mod table;
mod together;

use std::env;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::column::Column;
use crate::table::Table;

type Part = fn(&mut Table, &[Column]) -> Result<()>;

/// The servers that a part compares.
type Columns = fn() -> Result<Vec<Column>>;

const PARTS: [(&str, Columns, Part); 5] = [
    ("counted", column::all, counted::measure),
    ("together", column::all, together::measure),
    ("speed", column::all, speed::measure),
    ("hosts", column::all, hosts::measure),
    ("inuse", column::in_use, in_use::measure),
];

fn main() -> Result<()> {
    let wanted: Vec<String> = env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(part, ..)| part != name)) {
        bail!("there is no part {unknown:?}: {}", PARTS.map(|(name, ..)| name).join(", "));
    }
    let begin = Instant::now();
    println!("{}\n", machine::description()?);
    // Parts that compare the same servers share a table.
    let mut tables: Vec<(Vec<&str>, Table)> = Vec::new();
    for (name, columns, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            let columns = columns()?;
            let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
            if tables.last().is_none_or(|(last, _)| *last != names) {
                tables.push((names.clone(), Table::new(&names)));
            }
            let (_, table) = tables.last_mut().expect("a table");
            measure(table, &columns)?;
        }
    }
    for (names, table) in tables {
        println!("{table}\n\nIn parentheses: more than {0}, or times {0}.\n", names[0]);
    }
    println!("Took {} s.", begin.elapsed().as_secs());
    Ok(())
}
