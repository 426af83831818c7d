//! From a round's updates to the next model: weights, clipping, and the weighted mean.

use crate::Parameters;

/// Values of the accumulator that are summed at a time: 64 KiB stay in the cache while updates stream by.
const BLOCK: usize = 16 * 1024;

/// How far one participant may reach. The defaults are the demo's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AggregationSettings {
    /// A participant counts at most this many times the median number of examples.
    pub examples_cap_over_median: f64,
    /// An update longer than this many times the median length is shortened to it.
    pub norm_cap_over_median: f64,
}

impl AggregationSettings {
    /// Plain averaging, weighted by examples: what a network without validation does.
    pub const PLAIN: Self =
        Self { examples_cap_over_median: f64::INFINITY, norm_cap_over_median: f64::INFINITY };
}

impl Default for AggregationSettings {
    fn default() -> Self {
        Self { examples_cap_over_median: 2.0, norm_cap_over_median: 2.0 }
    }
}

/// The updates of one round and what each of them counts.
///
/// Update `k` moves the model by `weights[k] × clip[k] × update[k]`. The order of the updates is the
/// caller's and must be the same everywhere (by generator, never by arrival), because `f32` sums depend on it.
#[derive(Debug, Clone)]
pub struct RoundAggregate<'a> {
    base: &'a Parameters,
    updates: Vec<&'a Parameters>,
    weights: Vec<f64>,
    clip: Vec<f64>,
}

impl<'a> RoundAggregate<'a> {
    /// Weighs `updates`, each with the number of examples behind it.
    pub fn new(
        base: &'a Parameters,
        updates: &[(&'a Parameters, u64)],
        settings: &AggregationSettings,
    ) -> Self {
        let examples: Vec<u64> = updates.iter().map(|&(_, examples)| examples).collect();
        let norms: Vec<f64> = updates.iter().map(|(update, _)| update.norm()).collect();
        Self {
            base,
            updates: updates.iter().map(|&(update, _)| update).collect(),
            weights: capped_weights(&examples, settings.examples_cap_over_median),
            clip: clip_factors(&norms, settings.norm_cap_over_median),
        }
    }

    /// What each update is multiplied with: its share of the examples times its clipping.
    pub fn effective_weights(&self) -> Vec<f64> {
        self.weights.iter().zip(&self.clip).map(|(weight, clip)| weight * clip).collect()
    }

    /// The next model from all updates; the base where there are none.
    pub fn model(&self) -> Parameters {
        self.model_along(1.0)
    }

    /// The point at `share` of the way from the base, 0, to the next model, 1.
    pub fn model_along(&self, share: f64) -> Parameters {
        let terms = self.updates.iter().copied().zip(self.effective_weights());
        let terms: Vec<_> = terms.map(|(update, weight)| (update, share * weight)).collect();
        aggregate(self.base, &terms)
    }

    /// The next model as if update `left_out` had not been sent: the others share its weight.
    pub fn model_without(&self, left_out: usize) -> Parameters {
        let kept: f64 = (0..self.weights.len()).filter(|&k| k != left_out).map(|k| self.weights[k]).sum();
        let weights = self.effective_weights();
        let terms: Vec<_> = (0..self.updates.len())
            .filter(|&k| k != left_out && kept > 0.0)
            .map(|k| (self.updates[k], weights[k] / kept))
            .collect();
        aggregate(self.base, &terms)
    }
}

/// `base + Σ weight × update` in `f32`, term by term in the given order (FedAvg, arXiv 1602.05629).
///
/// Works through blocks that stay in the cache, four updates a sweep: memory-bound, and the same bytes
/// however many threads the process has.
pub fn aggregate(base: &Parameters, terms: &[(&Parameters, f64)]) -> Parameters {
    let mut sum = base.as_slice().to_vec();
    for (block, accumulator) in sum.chunks_mut(BLOCK).enumerate() {
        let start = block * BLOCK;
        let end = start + accumulator.len();
        let mut sweeps = terms.chunks_exact(4);
        for sweep in &mut sweeps {
            let [a, b, c, d] = [0, 1, 2, 3].map(|k| &sweep[k].0.as_slice()[start..end]);
            let [wa, wb, wc, wd] = [0, 1, 2, 3].map(|k| sweep[k].1 as f32);
            for (i, value) in accumulator.iter_mut().enumerate() {
                *value += (wa * a[i] + wb * b[i]) + (wc * c[i] + wd * d[i]);
            }
        }
        for (update, weight) in sweeps.remainder() {
            for (value, change) in accumulator.iter_mut().zip(&update.as_slice()[start..end]) {
                *value += *weight as f32 * change;
            }
        }
    }
    Parameters::from_vec(sum)
}

/// Shares of the examples that sum to 1, each counted at most `cap_over_median` times the median.
///
/// All zero where nobody has an example.
pub fn capped_weights(examples: &[u64], cap_over_median: f64) -> Vec<f64> {
    let counts: Vec<f64> = examples.iter().map(|&count| count as f64).collect();
    let cap = cap_over_median * median(&counts);
    // A median of 0 says that most have nothing; then the cap would take everything from the rest.
    let capped: Vec<f64> =
        counts.iter().map(|&count| if cap > 0.0 { count.min(cap) } else { count }).collect();
    let total: f64 = capped.iter().sum();
    capped.iter().map(|count| if total > 0.0 { count / total } else { 0.0 }).collect()
}

/// Factors in 0..=1 that shorten each norm to at most `cap_over_median` times the median norm.
pub fn clip_factors(norms: &[f64], cap_over_median: f64) -> Vec<f64> {
    let cap = cap_over_median * median(norms);
    norms.iter().map(|&norm| if norm > cap { cap / norm } else { 1.0 }).collect()
}

/// The middle value, or the mean of the two middle ones; 0 of nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}
