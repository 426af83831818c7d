//! The marginal score: what one update changes, row by row, when everything else stays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Fixed, ValidationError};

/// Sums over rows of d, the loss of the aggregate *without* an update minus the loss *with* it.
///
/// A positive sum says that the update helps. All sums are integers, so that any order of rows gives
/// the same score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DifferenceSums {
    /// Number of rows.
    pub rows: u64,
    /// Σ d, in 2⁻²⁰ nats.
    pub sum: i64,
    /// Σ d², in 2⁻⁴⁰ nats²; a decimal string in JSON, whose readers may lose digits beyond 2⁵³.
    #[serde(with = "decimal_string")]
    pub sum_squares: u128,
}

/// What one validator measured about one update on its own rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarginalScore {
    /// Over all rows.
    pub total: DifferenceSums,
    /// Over the rows of each class that occurs, by class.
    pub classes: Vec<ClassSums>,
}

/// The differences of one class's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassSums {
    /// The class.
    pub class: u32,
    /// Over its rows.
    pub sums: DifferenceSums,
}

impl DifferenceSums {
    fn add(&mut self, difference: i64) {
        self.rows += 1;
        self.sum += difference;
        let magnitude = u128::from(difference.unsigned_abs());
        self.sum_squares += magnitude * magnitude;
    }

    /// Mean difference, in nats; 0 without rows.
    pub fn mean_nats(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.sum as f64 / self.rows as f64 / f64::from(1 << 20) }
    }

    /// Mean over standard error, limited to ±64; 0 where fewer than two rows tell nothing.
    ///
    /// Algebra leaves one exact integer under the root, Σd / √((nΣd² − (Σd)²)/(n − 1)), and IEEE 754
    /// defines the rounding of the rest, so every machine computes the same number.
    pub fn z(&self) -> Fixed {
        let rows = i128::from(self.rows);
        let squares = i128::try_from(self.sum_squares).unwrap_or(i128::MAX);
        let scatter = rows.saturating_mul(squares).saturating_sub(i128::from(self.sum).pow(2));
        match (rows, scatter) {
            (..=1, _) => Fixed::ZERO,
            // Every row moved by the same amount: no noise, so the sign decides.
            (_, ..=0) => Fixed::round(64.0 * self.sum.signum() as f64),
            _ => Fixed::round(self.sum as f64 / (scatter as f64 / (rows - 1) as f64).sqrt()),
        }
    }
}

impl MarginalScore {
    /// Scores an update from the losses of the same rows under both aggregates.
    ///
    /// `labels`, `without` and `with` run over the same rows, at least one.
    pub fn measure(labels: &[u32], without: &[Fixed], with: &[Fixed]) -> Result<Self, ValidationError> {
        if labels.is_empty() || without.len() != with.len() || labels.len() != with.len() {
            return Err(ValidationError::RowsDiffer { before: without.len(), after: with.len() });
        }
        let mut total = DifferenceSums::default();
        let mut classes: BTreeMap<u32, DifferenceSums> = BTreeMap::new();
        for ((&label, without), with) in labels.iter().zip(without).zip(with) {
            // Both lie within ±LIMIT, so neither this nor the sums of 2³⁰ rows can overflow.
            let difference = without.units() - with.units();
            total.add(difference);
            classes.entry(label).or_default().add(difference);
        }
        let classes = classes.into_iter().map(|(class, sums)| ClassSums { class, sums }).collect();
        Ok(Self { total, classes })
    }

    /// What it says about one class; nothing where the class did not occur.
    pub fn class(&self, class: u32) -> Option<&DifferenceSums> {
        self.classes.iter().find(|of| of.class == class).map(|of| &of.sums)
    }
}

mod decimal_string {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
