//! The middle of many measurements, and how far they lie apart.
//!
//! Owns: median, quartiles, and how certain the median is. Must not: throw a measurement away.

/// Median and quartiles of so many measurements.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// A quarter of the measurements are below.
    pub low: f64,
    /// Half are.
    pub median: f64,
    /// Three quarters are.
    pub high: f64,
    count: usize,
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
        Self { low: at(1), median: at(2), high: at(3), count: sorted.len() }
    }

    /// How far the median may be from that of very many measurements: farther in one of twenty cases (the notch of a
    /// box plot, by McGill, Tukey and Larsen).
    #[must_use]
    pub fn uncertainty(self) -> f64 {
        1.57 * (self.high - self.low) / (self.count as f64).sqrt()
    }
}
