//! The middle of many measurements, and how far they lie apart.
//!
//! Owns: median and quartiles. Must not: throw a measurement away.

/// Median and quartiles.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// A quarter of the measurements are below.
    pub low: f64,
    /// Half are.
    pub median: f64,
    /// Three quarters are.
    pub high: f64,
}

impl Spread {
    /// Of measurements in any order.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn of(measurements: &[f64]) -> Self {
        let mut sorted = measurements.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |quarter: usize| {
            // Between two measurements in proportion.
            let (whole, rest) = ((sorted.len() - 1) * quarter / 4, (sorted.len() - 1) * quarter % 4);
            let next = sorted[(whole + 1).min(sorted.len() - 1)];
            sorted[whole] + (next - sorted[whole]) * rest as f64 / 4.0
        };
        Self { low: at(1), median: at(2), high: at(3) }
    }
}
