//! Fixed-point numbers: what validators add up and what thresholds compare.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Units of one: 2²⁰.
const ONE: f64 = (1u64 << 20) as f64;

/// A number in units of 2⁻²⁰, exact under addition and comparison.
///
/// Losses (in nats), z-scores and a participant's memory are kept in it: sums of such numbers do not
/// depend on their order, and they pass through JSON and databases unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fixed(i64);

impl Fixed {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest magnitude that a rounded number takes, 64: a loss of 64 nats is a probability of 10⁻²⁸.
    pub const LIMIT: Self = Self(64 << 20);

    /// The nearest fixed-point number, ties to even, limited to ±[`Fixed::LIMIT`].
    ///
    /// NaN becomes the upper limit: an unmeasurable loss is the worst loss.
    pub fn round(value: f64) -> Self {
        if value.is_nan() {
            return Self::LIMIT;
        }
        let limit = Self::LIMIT.0 as f64;
        Self((value * ONE).round_ties_even().clamp(-limit, limit) as i64)
    }

    /// The number of 2⁻²⁰ units.
    pub const fn units(self) -> i64 {
        self.0
    }

    /// The number with so many units.
    pub const fn from_units(units: i64) -> Self {
        Self(units)
    }

    /// The number as a float, for display.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / ONE
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_f64().fmt(f)
    }
}
