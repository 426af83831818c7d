//! Dividing an amount exactly.

use std::cmp::Reverse;

use ruint::aliases::U256;

use crate::{Address, Amount};

/// A product or sum beyond 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("dividing {pool} takes numbers beyond 256 bits")]
pub struct AllocationOverflow {
    /// The pool.
    pub pool: Amount,
}

/// A pool, divided to the last base unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// One share for each owner, in the order of the addresses' bytes; a share may be nothing.
    pub shares: Vec<(Address, Amount)>,
    /// What nobody had a weight for: the whole pool where all weights are zero, else nothing.
    pub carried: Amount,
}

/// Divides `pool` in proportion to `weights` by the largest remainder (Hamilton's method).
///
/// Weights of one owner are added first, so that splitting an owner's weight over several entries changes nothing.
/// With W the sum of the weights, an owner of weight w receives `pool·w div W`, and the units that remain go one
/// each to the owners with the largest `pool·w mod W`, the lower address first. Shares add up to the pool exactly,
/// none is further than one unit from its quota, and the order of `weights` decides nothing.
///
/// Sums and products are exact in 256 bits; what does not fit is an error.
pub fn allocate(pool: Amount, weights: &[(Address, u128)]) -> Result<Allocation, AllocationOverflow> {
    let overflow = || AllocationOverflow { pool };
    let owners = weights_by_owner(weights);
    let total = owners
        .iter()
        .try_fold(U256::ZERO, |sum, (_, weight)| sum.checked_add(*weight))
        .ok_or_else(overflow)?;
    if total.is_zero() {
        let shares = owners.into_iter().map(|(owner, _)| (owner, Amount::ZERO)).collect();
        return Ok(Allocation { shares, carried: pool });
    }

    let pool_units = pool.to_u256();
    let mut shares = Vec::with_capacity(owners.len());
    let mut remainders = Vec::with_capacity(owners.len());
    let mut left = pool_units;
    for (place, (owner, weight)) in owners.into_iter().enumerate() {
        let (base, remainder) = pool_units.checked_mul(weight).ok_or_else(overflow)?.div_rem(total);
        left -= base;
        shares.push((owner, base));
        remainders.push((Reverse(remainder), place));
    }
    // Owners are in the order of their addresses, so their place breaks ties as the address would.
    remainders.sort_unstable();
    for (_, place) in remainders {
        if left.is_zero() {
            break;
        }
        shares[place].1 += U256::ONE;
        left -= U256::ONE;
    }
    // The remainders add up to fewer than one unit for each owner; a release build checks it too.
    assert!(left.is_zero(), "an allocation left {left} base units");
    let shares = shares.into_iter().map(|(owner, units)| (owner, Amount::from_u256(units))).collect();
    Ok(Allocation { shares, carried: Amount::ZERO })
}

fn weights_by_owner(weights: &[(Address, u128)]) -> Vec<(Address, U256)> {
    let mut sorted = weights.to_vec();
    sorted.sort_unstable();
    let mut owners: Vec<(Address, U256)> = Vec::with_capacity(sorted.len());
    for (owner, weight) in sorted {
        match owners.last_mut() {
            // A slice has fewer than 2^64 weights, so the sum of its 128-bit weights fits.
            Some((last, sum)) if *last == owner => *sum += U256::from(weight),
            _ => owners.push((owner, U256::from(weight))),
        }
    }
    owners
}
