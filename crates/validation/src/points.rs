//! Contribution points: who moved the model, and by how much.

use serde::{Deserialize, Serialize};
use tale_primitives::GeneratorId;

use crate::{Fixed, ValidationError};

/// How many gradients the integral is taken from.
pub const PATH_NODES: usize = 5;

/// Where along the step from the old to the new model the loss gradient is taken, and with what weight: the
/// Gauss–Legendre nodes of 0..1, exact for polynomials up to the ninth degree.
///
/// Two nodes are enough for late rounds; on the first, long step they miss a fifth of the loss drop (README).
pub const PATH: [PathNode; PATH_NODES] = [
    PathNode { share: 0.046_910_077_030_668_004, weight: 0.118_463_442_528_094_54 },
    PathNode { share: 0.230_765_344_947_158_45, weight: 0.239_314_335_249_683_24 },
    PathNode { share: 0.5, weight: 0.284_444_444_444_444_44 },
    PathNode { share: 0.769_234_655_052_841_5, weight: 0.239_314_335_249_683_24 },
    PathNode { share: 0.953_089_922_969_332, weight: 0.118_463_442_528_094_54 },
];

/// One place on the path from the old to the new model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathNode {
    /// The share of the step that is taken there.
    pub share: f64,
    /// What the gradient there counts.
    pub weight: f64,
}

/// Points of one nat of held-out loss: a point is a nano-nat.
pub const POINTS_PER_NAT: i64 = 1_000_000_000;

/// What one participant adds to a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The participant.
    pub generator: GeneratorId,
    /// Its share of the fall of the held-out loss, in nano-nats; negative where it raised the loss.
    pub points: i64,
}

/// The slope of the loss along one accepted update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// Who sent the update.
    pub generator: GeneratorId,
    /// What the update was multiplied with in the aggregate.
    pub weight: f64,
    /// ⟨gradient, update⟩ at each node of the [`PATH`].
    pub dots: [f64; PATH_NODES],
}

/// The points of one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundPoints {
    /// One entry per accepted update, in the order of generators.
    pub contributions: Vec<Contribution>,
    /// The fall of the mean held-out loss, measured, in nano-nats.
    pub loss_drop: i64,
    /// `loss_drop` − Σ points: the quadrature's error and the rounding, owed to nobody.
    pub residual: i64,
}

/// Held-out losses of the same rows before and after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossChange {
    /// Number of rows, at least one.
    pub rows: u64,
    /// Σ loss under the old model, in 2⁻²⁰ nats.
    pub before: i64,
    /// Σ loss under the new model, in 2⁻²⁰ nats.
    pub after: i64,
}

impl LossChange {
    /// Adds up the losses of the same rows under both models.
    pub fn measure(before: &[Fixed], after: &[Fixed]) -> Result<Self, ValidationError> {
        if before.is_empty() || before.len() != after.len() {
            return Err(ValidationError::RowsDiffer { before: before.len(), after: after.len() });
        }
        let sum = |losses: &[Fixed]| losses.iter().map(|loss| loss.units()).sum();
        Ok(Self { rows: before.len() as u64, before: sum(before), after: sum(after) })
    }

    /// Mean loss before, in nats.
    pub fn before_nats(&self) -> f64 {
        self.before as f64 / self.rows as f64 / f64::from(1 << 20)
    }

    /// Mean loss after, in nats.
    pub fn after_nats(&self) -> f64 {
        self.after as f64 / self.rows as f64 / f64::from(1 << 20)
    }

    /// The fall of the mean loss in nano-nats, to the nearest.
    fn drop_points(&self) -> i64 {
        let numerator = (i128::from(self.before) - i128::from(self.after)) * i128::from(POINTS_PER_NAT);
        let denominator = i128::from(self.rows.max(1)) << 20;
        i64::try_from((2 * numerator + denominator).div_euclid(2 * denominator)).unwrap_or(i64::MAX)
    }
}

/// Aumann–Shapley points along the straight path from the old model to the new one:
/// c = −w ∫₀¹ ⟨∇L(θ + sΔ), update⟩ ds, with the integral taken at the nodes of the [`PATH`].
///
/// Each participant's points depend on the path and on its own update alone, never on who else is
/// listed or in what order. A zero update earns exactly nothing. `Σ points + residual = loss_drop` exactly.
pub fn aumann_shapley(slopes: &[Slope], change: &LossChange) -> RoundPoints {
    let mut contributions: Vec<Contribution> = slopes
        .iter()
        .map(|slope| {
            let integral: f64 = PATH.iter().zip(slope.dots).map(|(node, dot)| node.weight * dot).sum();
            let nats = -slope.weight * integral;
            // The cast saturates, and makes NaN nothing: an unmeasurable contribution earns nothing.
            let points = (nats * POINTS_PER_NAT as f64).round_ties_even() as i64;
            Contribution { generator: slope.generator, points }
        })
        .collect();
    contributions.sort_by_key(|contribution| (contribution.generator, contribution.points));
    let loss_drop = change.drop_points();
    let total = contributions.iter().fold(0i64, |sum, c| sum.saturating_add(c.points));
    RoundPoints { contributions, loss_drop, residual: loss_drop.saturating_sub(total) }
}
