//! Which row goes to which participant: a Dirichlet draw for each class.
//!
//! The usual model of non-IID clients (Hsu, Qi and Brown 2019, arXiv:1909.06335, in the per-class form of
//! Yurochkin et al. 2019): for every class the shares of the participants are drawn from a symmetric
//! Dirichlet distribution; a small `alpha` gives each class to few participants.

use rand::{Rng, RngExt, seq::SliceRandom};
use rand_distr::{Distribution, Gamma};
use tale_primitives::Seed;

use crate::split::rows_by_class;

/// The participant of each row. Every participant has at least one row, given that there are as many rows.
pub(crate) fn assign_participants(
    labels: &[u32],
    classes: u32,
    participants: usize,
    gamma: Gamma<f64>,
    alpha: f64,
    seed: Seed,
) -> Vec<usize> {
    let mut owners = vec![0; labels.len()];
    let mut counts = vec![0; participants];
    for (class, mut rows) in rows_by_class(labels, classes).into_iter().enumerate() {
        let mut rng = seed.child("partition").child(&class.to_string()).rng();
        rows.shuffle(&mut rng);
        let mut cumulative = 0.0;
        let mut start = 0;
        for (participant, share) in dirichlet(gamma, alpha, participants, &mut rng).into_iter().enumerate() {
            cumulative += share;
            let end = if participant + 1 == participants {
                rows.len()
            } else {
                ((cumulative * rows.len() as f64).round() as usize).clamp(start, rows.len())
            };
            for &row in &rows[start..end] {
                owners[row] = participant;
            }
            counts[participant] += end - start;
            start = end;
        }
    }
    feed_the_empty(&mut owners, &mut counts);
    owners
}

/// One draw of shares that sum to 1.
///
/// Works with logarithms: for a small `alpha` most gamma variates are below the smallest float, and
/// ln Γ(α) = ln Γ(α+1) + ln(U)/α (Marsaglia and Tsang 2000, §6) is not.
fn dirichlet(gamma: Gamma<f64>, alpha: f64, participants: usize, rng: &mut impl Rng) -> Vec<f64> {
    let logs: Vec<f64> = (0..participants)
        .map(|_| gamma.sample(rng).ln() + (1.0 - rng.random::<f64>()).ln() / alpha)
        .collect();
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Gives each participant without rows the last row of the one who has most.
fn feed_the_empty(owners: &mut [usize], counts: &mut [usize]) {
    for participant in 0..counts.len() {
        if counts[participant] > 0 {
            continue;
        }
        let richest = (0..counts.len()).max_by_key(|&other| (counts[other], std::cmp::Reverse(other)));
        let last = richest.and_then(|richest| owners.iter().rposition(|owner| *owner == richest));
        if let (Some(richest), Some(row)) = (richest, last) {
            owners[row] = participant;
            counts[richest] -= 1;
            counts[participant] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assign(labels: &[u32], participants: usize, alpha: f64, number: u64) -> Vec<usize> {
        let gamma = Gamma::new(alpha + 1.0, 1.0).expect("a valid shape");
        assign_participants(labels, 5, participants, gamma, alpha, Seed::new(number))
    }

    proptest! {
        #[test]
        fn every_participant_gets_a_row_whatever_the_concentration(
            labels in prop::collection::vec(0u32..5, 40..200),
            participants in 1usize..40,
            exponent in -3i32..6,
            number: u64,
        ) {
            let alpha = 10f64.powi(exponent);
            let owners = assign(&labels, participants, alpha, number);
            prop_assert_eq!(&owners, &assign(&labels, participants, alpha, number));
            for participant in 0..participants {
                prop_assert!(owners.contains(&participant), "participant {}", participant);
            }
            prop_assert!(owners.iter().all(|owner| *owner < participants));
        }
    }

    #[test]
    fn a_small_alpha_concentrates_classes_and_a_large_one_spreads_them() {
        let labels: Vec<u32> = (0..5000).map(|row| row % 5).collect();
        let largest_share = |alpha| {
            let owners = assign(&labels, 10, alpha, 3);
            let of_class: Vec<usize> = (0..5000).step_by(5).map(|row| owners[row]).collect();
            (0..10).map(|p| of_class.iter().filter(|owner| **owner == p).count()).max().expect("a count")
        };
        assert!(largest_share(0.05) > 500, "{}", largest_share(0.05));
        assert!(largest_share(10_000.0) < 120, "{}", largest_share(10_000.0));
    }
}
