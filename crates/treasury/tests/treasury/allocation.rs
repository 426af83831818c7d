use std::collections::BTreeMap;

use proptest::prelude::*;
use ruint::aliases::U256;
use tale_primitives::{Address, Amount};
use tale_treasury::{AllocationOverflow, allocate};

use crate::owner;

/// Weights of a few owners, who may stand several times and may weigh nothing.
fn weights() -> impl Strategy<Value = Vec<(Address, u128)>> {
    let weight = prop_oneof![Just(0), 1..4u128, any::<u64>().prop_map(u128::from), 0..=u128::MAX >> 8];
    prop::collection::vec(((0..12u32).prop_map(owner), weight), 0..20)
}

/// Up to 2¹¹⁰ base units: some 1.3 × 10¹⁵ tokens.
fn pools() -> impl Strategy<Value = Amount> {
    prop_oneof![(0..40u128), 0..=1u128 << 110].prop_map(Amount::from)
}

fn sums(weights: &[(Address, u128)]) -> BTreeMap<Address, U256> {
    let mut sums = BTreeMap::new();
    for (owner, weight) in weights {
        *sums.entry(*owner).or_insert(U256::ZERO) += U256::from(*weight);
    }
    sums
}

proptest! {
    #[test]
    fn the_shares_and_the_carry_over_add_up_to_the_pool(pool in pools(), weights in weights()) {
        let allocation = allocate(pool, &weights).unwrap();
        let paid = Amount::checked_sum(allocation.shares.iter().map(|(_, share)| *share)).unwrap();
        prop_assert_eq!(paid.checked_add(allocation.carried), Some(pool));
        let nobody_weighs = weights.iter().all(|(_, weight)| *weight == 0);
        prop_assert_eq!(allocation.carried, if nobody_weighs { pool } else { Amount::ZERO });
    }

    #[test]
    fn every_share_is_the_quota_rounded_down_or_up(pool in pools(), weights in weights()) {
        let sums = sums(&weights);
        let total: U256 = sums.values().fold(U256::ZERO, |total, weight| total + *weight);
        prop_assume!(!total.is_zero());
        let allocation = allocate(pool, &weights).unwrap();
        prop_assert!(allocation.shares.iter().map(|(owner, _)| owner).eq(sums.keys()));
        for (owner, share) in allocation.shares {
            let (floor, remainder) = (pool.to_u256() * sums[&owner]).div_rem(total);
            let ceiling = floor + U256::from(!remainder.is_zero());
            prop_assert!(share.to_u256() == floor || share.to_u256() == ceiling);
        }
    }

    #[test]
    fn the_order_of_the_weights_decides_nothing(
        pool in pools(),
        (weights, shuffled) in weights().prop_flat_map(|w| (Just(w.clone()), Just(w).prop_shuffle())),
    ) {
        prop_assert_eq!(allocate(pool, &weights).unwrap(), allocate(pool, &shuffled).unwrap());
    }

    #[test]
    fn an_owner_split_over_k_accounts_wins_at_most_k_units(
        pool in pools(),
        others in weights(),
        parts in prop::collection::vec(1..=u128::from(u64::MAX), 1..6),
    ) {
        let whole = Address::derive("whole");
        let mut together = others.clone();
        together.extend(parts.iter().map(|part| (whole, *part)));
        let share = |weights: &[(Address, u128)], wanted: &dyn Fn(&Address) -> bool| {
            let shares = allocate(pool, weights).unwrap().shares;
            Amount::checked_sum(shares.into_iter().filter(|(o, _)| wanted(o)).map(|(_, share)| share)).unwrap()
        };
        let honest = share(&together, &|owner| *owner == whole);

        let names: Vec<Address> = (0..parts.len()).map(|n| Address::derive(&format!("part {n}"))).collect();
        let mut apart = others;
        apart.extend(names.iter().copied().zip(parts.iter().copied()));
        let split = share(&apart, &|owner| names.contains(owner));
        prop_assert!(split <= honest.checked_add(Amount::from(parts.len() as u64)).unwrap());
    }
}

#[test]
fn the_largest_remainder_wins_and_the_lower_address_breaks_a_tie() {
    let [a, b, c] = [1, 2, 3].map(|n| Address::from_bytes([n; 20]));
    let shares = |pool: u64, weights: [(Address, u128); 3]| {
        allocate(Amount::from(pool), &weights)
            .unwrap()
            .shares
            .into_iter()
            .map(|(_, s)| s.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(shares(10, [(c, 1), (b, 1), (a, 1)]), ["4", "3", "3"]);
    assert_eq!(shares(11, [(a, 1), (b, 1), (c, 1)]), ["4", "4", "3"]);
    assert_eq!(shares(10, [(a, 5), (b, 3), (c, 1)]), ["6", "3", "1"]);
    assert_eq!(shares(0, [(a, 1), (b, 1), (c, 0)]), ["0", "0", "0"]);
}

#[test]
fn what_does_not_fit_in_256_bits_is_an_error_and_never_wraps() {
    let refused = allocate(Amount::MAX, &[(owner(1), 2)]);
    assert_eq!(refused, Err(AllocationOverflow { pool: Amount::MAX }));
    let everything = allocate(Amount::MAX, &[(owner(1), 1)]).unwrap();
    assert_eq!(everything.shares, [(owner(1), Amount::MAX)]);
}
