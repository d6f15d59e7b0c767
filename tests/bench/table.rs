//! The table: a row a measure, a column a server.
//!
//! Owns: how numbers and their ratios to the first column are written. Must not: know what was measured.

use std::fmt;

use comfy_table::{CellAlignment, presets};

use crate::spread::Spread;

/// How a row is compared with its first column.
#[derive(Clone, Copy, Debug)]
pub enum Compared {
    /// By what there is more, with so many decimals.
    Difference(usize),
    /// By a factor, with so many decimals of the number itself.
    Ratio(usize),
}

/// The table.
#[derive(Debug)]
pub struct Table {
    inner: comfy_table::Table,
    columns: usize,
}

impl Table {
    /// A table of these columns.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(presets::ASCII_MARKDOWN).set_header([""].iter().chain(columns));
        for column in inner.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Self { inner, columns: columns.len() }
    }

    /// Adds a row of numbers; NaN is one that was not measured.
    pub fn row(&mut self, name: &str, numbers: &[f64], compared: Compared) {
        let cells: Vec<String> = numbers
            .iter()
            .enumerate()
            .map(|(column, number)| cell(*number, numbers[0], column == 0, compared))
            .collect();
        self.cells(name, &cells);
    }

    /// Adds a row of measurements that were made in rounds: the medians, and of the ratios to the first column in the same
    /// round the median with its uncertainty, and the quartiles. Each column has as many rounds.
    pub fn rounds(&mut self, name: &str, columns: &[Vec<f64>]) {
        let cells: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(column, rounds)| {
                let median = thousands(Spread::of(rounds).median, 0);
                if column == 0 {
                    let Spread { low, median: middle, high, .. } = Spread::of(rounds);
                    return format!("{median} (±{:.1} %)", (high - low) / middle * 50.0);
                }
                let ratios: Vec<f64> = rounds.iter().zip(&columns[0]).map(|(this, first)| this / first).collect();
                let spread = Spread::of(&ratios);
                let Spread { low, median: ratio, high, .. } = spread;
                format!("{median} (×{ratio:.3} ±{:.3}, {low:.3} to {high:.3})", spread.uncertainty())
            })
            .collect();
        self.cells(name, &cells);
    }

    fn cells(&mut self, name: &str, cells: &[String]) {
        assert_eq!(cells.len(), self.columns, "{name}: a cell a column");
        // As it comes: the run may be long, or be stopped.
        eprintln!("{name}: {}", cells.join(" | "));
        self.inner.add_row(std::iter::once(name).chain(cells.iter().map(String::as_str)));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

fn cell(number: f64, first: f64, is_first: bool, compared: Compared) -> String {
    if number.is_nan() {
        return "–".to_owned();
    }
    let (Compared::Difference(decimals) | Compared::Ratio(decimals)) = compared;
    let text = thousands(number, decimals);
    match compared {
        _ if is_first => text,
        Compared::Difference(_) => {
            let more = number - first;
            let sign = if more < 0.0 { '−' } else { '+' };
            format!("{text} ({sign}{})", thousands(more.abs(), decimals))
        }
        Compared::Ratio(_) => format!("{text} (×{:.3})", number / first),
    }
}

fn thousands(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let groups: Vec<&str> =
        whole.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).expect("digits")).collect();
    groups.join(",") + rest
}
