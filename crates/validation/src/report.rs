//! What a validator reveals.

use serde::{Deserialize, Serialize};
use tale_primitives::{Digest, GeneratorId};

use crate::{GateFailure, MarginalScore};

/// One validator's findings on one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorReport {
    /// Who measured.
    pub validator: GeneratorId,
    /// Digest of the round's base model.
    pub base: Digest,
    /// Digest of the held-out rows that were drawn for this validator.
    pub rows: Digest,
    /// One finding per update.
    pub findings: Vec<Finding>,
}

/// What a validator found about one update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Who sent the update.
    pub generator: GeneratorId,
    /// Digest of the update.
    pub update: Digest,
    /// What came of it.
    pub assessment: Assessment,
}

/// Gated or scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Assessment {
    /// Stopped at a gate.
    Gated {
        /// Which, and why.
        failure: GateFailure,
    },
    /// Measured on held-out rows.
    Scored {
        /// What the update counts in the aggregate, in billionths, so that a score can be put per unit of weight.
        weight_ppb: u64,
        /// The measurement.
        score: MarginalScore,
    },
}

/// A share as billionths, as [`Assessment::Scored`] carries it.
pub fn weight_ppb(share: f64) -> u64 {
    (share * 1e9).round_ties_even() as u64
}
