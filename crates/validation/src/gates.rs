//! Gates: what keeps an update from being scored at all.

use std::fmt;

use serde::{Deserialize, Serialize};
use tale_primitives::{Digest, GeneratorId};

use crate::robust::median;

/// What the bytes of an update hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UpdateContent {
    /// Not an update of this model: not safetensors, or other tensors.
    Unreadable,
    /// At least one value is NaN or infinite.
    NotFinite,
    /// Numbers throughout.
    Finite {
        /// Euclidean length of the update.
        norm: f64,
    },
}

/// An update as the gates see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Who sent it.
    pub generator: GeneratorId,
    /// Place in the order of commitments, the first lowest; equal for simultaneous ones.
    pub commitment: u32,
    /// Digest of the model that it changes.
    pub base: Digest,
    /// What it holds.
    pub content: UpdateContent,
}

/// Where the gates stand. The defaults are the demo's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRules {
    /// An update shorter than this part of the round's median length is no work.
    pub norm_min_over_median_ppm: u64,
    /// An update longer than this many times the round's median length is an attack or an accident.
    pub norm_max_over_median_ppm: u64,
    /// Two updates whose cosine is above this are one update.
    pub copy_cosine_ppm: u64,
}

impl Default for GateRules {
    fn default() -> Self {
        Self {
            norm_min_over_median_ppm: 10_000,
            norm_max_over_median_ppm: 10_000_000,
            copy_cosine_ppm: 980_000,
        }
    }
}

/// Why an update is out before it is scored. Ratios are in millionths, so that they compare exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gate", rename_all = "snake_case")]
pub enum GateFailure {
    /// Not an update of this model.
    Unreadable,
    /// NaN or infinity in it.
    NotFinite,
    /// Made from another model than the round's.
    WrongBase {
        /// Digest of the model that it was made from.
        found: Digest,
    },
    /// Far shorter than the others.
    TooShort {
        /// Its length over the median length.
        over_median_ppm: u64,
    },
    /// Far longer than the others.
    TooLong {
        /// Its length over the median length.
        over_median_ppm: u64,
    },
    /// Nearly the same as an update that was committed earlier.
    Copy {
        /// Who committed it first.
        of: GeneratorId,
        /// The cosine of both.
        cosine_ppm: u64,
    },
}

impl fmt::Display for GateFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = |ppm: u64| ppm as f64 / 1e6;
        match self {
            Self::Unreadable => write!(f, "not an update of this model"),
            Self::NotFinite => write!(f, "contains NaN or infinity"),
            Self::WrongBase { found } => write!(f, "made from model {}, not this round's", found.short()),
            Self::TooShort { over_median_ppm } => {
                write!(f, "{:.3} times the median length: hardly trained", ratio(*over_median_ppm))
            }
            Self::TooLong { over_median_ppm } => {
                write!(f, "{:.1} times the median length", ratio(*over_median_ppm))
            }
            Self::Copy { of, cosine_ppm } => {
                write!(f, "copy of the earlier update of {of} (cosine {:.4})", ratio(*cosine_ppm))
            }
        }
    }
}

/// Puts every candidate through the gates; the answers are in the candidates' order.
///
/// `cosine(i, j)` is that of the updates at those places; it is asked for readable, finite ones only.
/// Norms and cosines are sums of products in a fixed order, which IEEE 754 makes the same everywhere,
/// so all validators come to the same answers.
pub fn gate(
    rules: &GateRules,
    base: Digest,
    candidates: &[Candidate],
    cosine: impl Fn(usize, usize) -> f64,
) -> Vec<Option<GateFailure>> {
    let norms: Vec<f64> = candidates
        .iter()
        .filter_map(|candidate| match candidate.content {
            UpdateContent::Finite { norm } if candidate.base == base => Some(norm),
            _ => None,
        })
        .collect();
    let median_norm = median(&norms);
    let alone = |candidate: &Candidate| match candidate.content {
        UpdateContent::Unreadable => Some(GateFailure::Unreadable),
        UpdateContent::NotFinite => Some(GateFailure::NotFinite),
        _ if candidate.base != base => Some(GateFailure::WrongBase { found: candidate.base }),
        UpdateContent::Finite { norm } => outside_band(rules, norm, median_norm),
    };
    let alone: Vec<_> = candidates.iter().map(alone).collect();
    let copy_of_earlier = |this: usize| {
        let earlier = (0..candidates.len()).filter(|&other| {
            alone[other].is_none() && candidates[other].commitment < candidates[this].commitment
        });
        let closest = earlier
            .map(|other| (ppm(cosine(this, other)), candidates[other].generator))
            .filter(|&(cosine_ppm, _)| cosine_ppm > rules.copy_cosine_ppm)
            .max()?;
        Some(GateFailure::Copy { of: closest.1, cosine_ppm: closest.0 })
    };
    (0..candidates.len()).map(|this| alone[this].or_else(|| copy_of_earlier(this))).collect()
}

fn outside_band(rules: &GateRules, norm: f64, median_norm: f64) -> Option<GateFailure> {
    // A median of nothing leaves no band: then only an update of no length fails.
    let over_median_ppm = if median_norm > 0.0 { ppm(norm / median_norm) } else { 1_000_000 };
    if norm <= 0.0 || over_median_ppm < rules.norm_min_over_median_ppm {
        Some(GateFailure::TooShort { over_median_ppm: if norm > 0.0 { over_median_ppm } else { 0 } })
    } else if over_median_ppm > rules.norm_max_over_median_ppm {
        Some(GateFailure::TooLong { over_median_ppm })
    } else {
        None
    }
}

/// Millionths, rounded: what thresholds are compared with. Below zero, and not a number, is 0.
fn ppm(ratio: f64) -> u64 {
    (ratio * 1e6).round_ties_even() as u64
}
