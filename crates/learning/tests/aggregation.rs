//! Aggregation: exact against a plain sum, bounded per participant, and what attackers make of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::{collection::vec, prelude::*, sample::Index};
use rand::Rng;
use tale_learning::*;
use tale_primitives::Seed;
use tale_storage::ImageShape;

/// Enough parameters for several blocks.
fn spec() -> ModelSpec {
    ModelSpec {
        family: ModelFamily::Mlp,
        shape: ImageShape { height: 20, width: 20, channels: 1 },
        classes: 3,
    }
}

fn random(seed: u64) -> Parameters {
    let mut rng = Seed::new(seed).rng();
    let values = (0..spec().parameter_count()).map(|_| rng.next_u32() as f32 / u32::MAX as f32 - 0.5);
    Parameters::new(&spec(), values.collect()).unwrap()
}

fn nearly_equal(a: &Parameters, b: &Parameters) -> bool {
    a.as_slice().iter().zip(b.as_slice()).all(|(a, b)| (a - b).abs() < 1e-5)
}

#[test]
fn the_weighted_mean_is_that_of_the_definition() {
    let base = random(0);
    let updates: Vec<Parameters> = (1..8).map(random).collect();
    for count in 0..updates.len() {
        let terms: Vec<(&Parameters, f64)> =
            updates[..count].iter().zip([0.1, 0.2, 0.3, 0.05, 0.15, 0.12, 0.08]).collect();
        let mut expected: Vec<f64> = base.as_slice().iter().map(|&value| value.into()).collect();
        for (update, weight) in &terms {
            for (sum, &value) in expected.iter_mut().zip(update.as_slice()) {
                *sum += weight * f64::from(value);
            }
        }
        let expected =
            Parameters::new(&spec(), expected.iter().map(|&value| value as f32).collect()).unwrap();
        assert!(nearly_equal(&aggregate(&base, &terms), &expected));
    }
}

#[test]
fn the_model_without_an_update_is_the_model_of_the_others() {
    let base = random(0);
    let updates: Vec<Parameters> = (1..6).map(random).collect();
    let all: Vec<(&Parameters, u64)> = updates.iter().zip([10, 20, 30, 40, 50]).collect();
    let plain = AggregationSettings::PLAIN;
    let round = RoundAggregate::new(&base, &all, &plain);
    for left_out in 0..all.len() {
        let mut others = all.clone();
        others.remove(left_out);
        let expected = RoundAggregate::new(&base, &others, &plain).model();
        assert!(nearly_equal(&round.model_without(left_out), &expected));
    }
    assert_eq!(round.model_along(0.0), base);
    assert_eq!(round.model_along(1.0), round.model());
    let nobody = RoundAggregate::new(&base, &[], &plain);
    assert_eq!(nobody.model(), base);
    let alone = RoundAggregate::new(&base, &all[..1], &plain);
    assert_eq!(alone.model_without(0), base);
}

#[test]
fn a_long_update_is_shortened_to_twice_the_median() {
    let base = random(0);
    let updates = [random(1), random(2), random(3), random(4).scaled(100.0)];
    let all: Vec<(&Parameters, u64)> = updates.iter().map(|update| (update, 10)).collect();
    let weights = RoundAggregate::new(&base, &all, &AggregationSettings::default()).effective_weights();
    let norms: Vec<f64> = updates.iter().map(Parameters::norm).collect();
    let mut sorted = norms.clone();
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[1] + sorted[2]) / 2.0;
    assert_eq!(&weights[..3], &[0.25; 3]);
    assert!((weights[3] * norms[3] - 0.25 * 2.0 * median).abs() < 1e-9);
}

#[test]
fn a_poisoner_points_the_other_way_and_a_free_rider_the_same() {
    let honest = random(1);
    let poison = attack::poison(&honest);
    assert!((poison.cosine(&honest) + 1.0).abs() < 1e-6);
    assert!((poison.norm() / honest.norm() - 5.0).abs() < 1e-3);
    let copy = attack::free_ride(&honest, Seed::new(1));
    assert!(copy.cosine(&honest) > 0.998 && copy != honest);
    let distance = copy.minus(&honest).norm() / honest.norm();
    assert!((distance - 0.05).abs() < 1e-3, "{distance}");
    assert_eq!(copy, attack::free_ride(&honest, Seed::new(1)));
}

#[test]
fn where_nobody_has_examples_nobody_weighs() {
    assert_eq!(capped_weights(&[0, 0], 2.0), [0.0, 0.0]);
    assert_eq!(capped_weights(&[0, 0, 5], 2.0), [0.0, 0.0, 1.0]);
    assert_eq!(capped_weights(&[], 2.0), [0.0; 0]);
}

proptest! {
    #[test]
    fn weights_sum_to_one_and_nobody_exceeds_twice_the_median(examples in vec(1u64..100_000, 1..20)) {
        let weights = capped_weights(&examples, 2.0);
        prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let mut sorted = weights.clone();
        sorted.sort_by(f64::total_cmp);
        let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
        prop_assert!(weights.iter().all(|&weight| weight <= 2.0 * median * (1.0 + 1e-9)));
    }

    #[test]
    fn more_examples_never_weigh_less(examples in vec(1u64..100_000, 2..20), a: Index, b: Index) {
        let weights = capped_weights(&examples, 2.0);
        let (a, b) = (a.index(examples.len()), b.index(examples.len()));
        if examples[a] <= examples[b] {
            prop_assert!(weights[a] <= weights[b]);
        }
    }

    #[test]
    fn clipping_never_lengthens(norms in vec(0.0f64..1e6, 0..20)) {
        let factors = clip_factors(&norms, 2.0);
        prop_assert!(factors.iter().all(|factor| (0.0..=1.0).contains(factor)));
    }
}
