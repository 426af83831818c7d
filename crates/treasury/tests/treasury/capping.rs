//! Shares under a cap.

use proptest::prelude::*;
use tale_primitives::Amount;
use tale_treasury::{CappedAllocation, allocate, allocate_capped};

fn divide(pool: u128, cap: u128, weights: &[u64]) -> CappedAllocation {
    allocate_capped(Amount::from(pool), Amount::from(cap), weights).unwrap()
}

fn units(allocation: &CappedAllocation) -> Vec<u128> {
    allocation.shares.iter().map(|share| share.to_string().parse().unwrap()).collect()
}

#[test]
fn what_the_cap_cuts_off_is_shared_by_the_others_up_to_their_caps() {
    // the first would have 60, and the second 30 of the 100: both are cut, the others share what is left
    let shared = divide(100, 25, &[60, 30, 6, 4]);
    assert_eq!((units(&shared), shared.capped), (vec![25, 25, 25, 25], 3));
    let shared = divide(100, 40, &[60, 30, 6, 4]);
    assert_eq!((units(&shared), shared.capped), (vec![40, 40, 12, 8], 2));
    let shared = divide(100, 45, &[60, 30, 6, 4]);
    assert_eq!((units(&shared), shared.capped), (vec![45, 41, 8, 6], 1));
}

#[test]
fn what_nobody_may_receive_is_carried_over() {
    let shared = divide(100, 25, &[1, 0, 7]);
    assert_eq!((units(&shared), shared.carried), (vec![25, 0, 25], Amount::from(50u64)));
    let shared = divide(100, 0, &[1]);
    assert_eq!((units(&shared), shared.carried), (vec![0], Amount::from(100u64)));
    let shared = divide(100, 100, &[0, 0]);
    assert_eq!((units(&shared), shared.carried, shared.capped), (vec![0, 0], Amount::from(100u64), 0));
    let shared = divide(0, 0, &[5]);
    assert_eq!((units(&shared), shared.carried), (vec![0], Amount::ZERO));
}

/// Water filling as one would do it by hand: fill everyone up, cut whoever is above the cap, and begin again.
fn by_hand(pool: u128, cap: u128, weights: &[u64]) -> Vec<u128> {
    let mut is_capped = vec![false; weights.len()];
    loop {
        let capped = is_capped.iter().filter(|capped| **capped).count() as u128;
        let left = pool - capped * cap;
        let of_others = |place: usize| if is_capped[place] { 0 } else { u128::from(weights[place]) };
        let total: u128 = (0..weights.len()).map(of_others).sum();
        let above: Vec<usize> =
            (0..weights.len()).filter(|place| left * of_others(*place) > cap * total).collect();
        if above.is_empty() {
            let others: Vec<_> =
                (0..weights.len()).map(|place| (owner_by_place(place), of_others(place))).collect();
            let shared = allocate(Amount::from(left), &others).unwrap();
            return (0..weights.len())
                .map(|place| match is_capped[place] {
                    true => cap,
                    false => shared.shares[place].1.to_string().parse().unwrap(),
                })
                .collect();
        }
        above.into_iter().for_each(|place| is_capped[place] = true);
    }
}

/// An address for a place, in the order of places.
fn owner_by_place(place: usize) -> tale_primitives::Address {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&(place as u64).to_be_bytes());
    tale_primitives::Address::from_bytes(bytes)
}

fn weights() -> impl Strategy<Value = Vec<u64>> {
    let weight = prop_oneof![Just(0), 1..6u64, 0..1000u64, Just(1u64 << 60)];
    prop::collection::vec(weight, 0..25)
}

proptest! {
    #[test]
    fn shares_and_carry_over_are_the_pool_and_no_share_is_above_the_cap(
        pool in prop_oneof![0..50u128, 0..1u128 << 60], cap_ppm in 0..=1_000_000u128, weights in weights(),
    ) {
        let cap = pool * cap_ppm / 1_000_000;
        let shared = divide(pool, cap, &weights);
        let paid: u128 = units(&shared).iter().sum();
        prop_assert_eq!(Amount::from(paid).checked_add(shared.carried), Some(Amount::from(pool)));
        prop_assert!(units(&shared).iter().all(|share| *share <= cap));
        let earners = weights.iter().filter(|weight| **weight > 0).count() as u128;
        prop_assert_eq!(shared.carried.is_zero(), paid == pool);
        prop_assert!(shared.carried.is_zero() || paid == earners * cap, "something is carried, and not everyone has the cap");
    }

    #[test]
    fn it_is_the_water_filling_that_one_would_do_by_hand(
        pool in 0..1u128 << 50, cap_ppm in 1..=1_000_000u128, weights in weights(),
    ) {
        let cap = pool * cap_ppm / 1_000_000;
        if weights.iter().any(|weight| *weight > 0) {
            let filled = divide(pool, cap, &weights);
            if filled.carried.is_zero() {
                prop_assert_eq!(units(&filled), by_hand(pool, cap, &weights));
            }
        }
    }

    #[test]
    fn the_order_of_the_weights_decides_no_more_than_who_has_the_odd_units(
        pool in 0..1u128 << 60, cap_ppm in 0..=1_000_000u128,
        (given, shuffled) in weights().prop_flat_map(|w| (Just(w.clone()), Just(w).prop_shuffle())),
    ) {
        let cap = pool * cap_ppm / 1_000_000;
        let sorted = |weights: &[u64]| {
            let shared = divide(pool, cap, weights);
            let mut pairs: Vec<_> = weights.iter().copied().zip(units(&shared)).collect();
            pairs.sort_unstable();
            (pairs, shared.capped, shared.carried)
        };
        let ((given, capped, carried), shuffled) = (sorted(&given), sorted(&shuffled));
        prop_assert_eq!((capped, carried), (shuffled.1, shuffled.2));
        let sum = |pairs: &[(u64, u128)]| pairs.iter().map(|(_, units)| units).sum::<u128>();
        prop_assert_eq!(sum(&given), sum(&shuffled.0));
        for (one, other) in given.iter().zip(&shuffled.0) {
            // remainders of different weights may be equal, and then the earlier place has the unit
            prop_assert!(one.0 == other.0 && one.1.abs_diff(other.1) <= 1, "{one:?} and {other:?}");
        }
    }

    #[test]
    fn whoever_weighs_more_never_receives_less(pool in 0..1u128 << 60, cap_ppm in 0..=1_000_000u128, weights in weights()) {
        let shares = units(&divide(pool, pool * cap_ppm / 1_000_000, &weights));
        for (one, weight) in shares.iter().zip(&weights) {
            for (other, lighter) in shares.iter().zip(&weights) {
                prop_assert!(weight <= lighter || one >= other);
            }
        }
    }

    #[test]
    fn an_owner_split_over_k_addresses_wins_at_most_k_units_where_the_cap_does_not_bind(
        pool in 0..1u128 << 60, weights in prop::collection::vec(0..1000u64, 1..20), parts in 2..6u64,
    ) {
        let whole = units(&divide(pool, pool, &weights));
        let mut split = weights.clone();
        let first = split.remove(0);
        let before = split.len();
        split.extend((0..parts).map(|part| first / parts + u64::from(part < first % parts)));
        let split = units(&divide(pool, pool, &split));
        let won: u128 = split[before..].iter().sum();
        prop_assert!(won <= whole[0] + u128::from(parts), "{won} instead of {}", whole[0]);
    }
}

#[test]
fn a_share_of_one_unit_and_weights_of_any_size_are_exact() {
    let huge = Amount::from(1_000_000_000_000_000_000_000_000_000u128);
    let shared = allocate_capped(huge, huge, &[1, u64::MAX, 1]).unwrap();
    assert_eq!(Amount::checked_sum(shared.shares.iter().copied()), Some(huge));
    assert_eq!(shared.shares[2].checked_add(1u64.into()), Some(shared.shares[0]), "the odd unit");
    let beyond = allocate_capped(Amount::MAX, Amount::MAX, &[3, 4]);
    assert!(beyond.is_err(), "{beyond:?}");
}
