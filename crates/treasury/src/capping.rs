use std::cmp::Reverse;

use ruint::aliases::U256;
use tale_primitives::{AllocationOverflow, Amount};

/// A pool, divided under a cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CappedAllocation {
    /// One share for each weight, in their order.
    pub shares: Vec<Amount>,
    /// The sum of the weights.
    pub weight: Amount,
    /// How many shares are the cap because their quota was above it.
    pub capped: u64,
    /// What nobody may receive: the whole pool where all weights are zero, else what is left when everyone has the
    /// cap.
    pub carried: Amount,
}

/// Divides `pool` in proportion to `weights`, and gives nobody more than `cap`.
///
/// Water fills the shares: whoever's quota is above the cap receives the cap, what that cuts off is divided among the
/// others, and so on until no quota is above it. Heavier weights reach the cap first, so with the weights in
/// descending order the capped are the first k, for the smallest k with `(pool − k·cap)·w ≤ cap·W`, where w is the
/// heaviest of the others and W their sum. Among them the rest is divided by the largest remainder, the earlier place
/// first where remainders are equal: each quota is at most the cap, a whole number, and so is the quota rounded up.
///
/// Owners of equal weight reach the cap together, so the order of `weights` decides nothing but who receives the
/// units of equal remainders. Callers give owners in the order of their addresses.
pub fn allocate_capped(
    pool: Amount,
    cap: Amount,
    weights: &[u64],
) -> Result<CappedAllocation, AllocationOverflow> {
    let overflow = || AllocationOverflow { pool };
    let (pool, cap) = (pool.to_u256(), cap.to_u256());
    let mut shares = vec![Amount::ZERO; weights.len()];
    let mut heaviest: Vec<usize> = (0..weights.len()).filter(|place| weights[*place] > 0).collect();
    heaviest.sort_unstable_by_key(|place| Reverse(weights[*place]));
    // A slice has fewer than 2^64 weights, so the sum of its 64-bit weights fits.
    let total: u128 = heaviest.iter().map(|place| u128::from(weights[*place])).sum();

    let mut left = pool;
    let mut weight_left = U256::from(total);
    let mut capped = 0;
    for place in &heaviest {
        let weight = U256::from(weights[*place]);
        let product = left.checked_mul(weight).ok_or_else(overflow)?;
        if product <= cap.checked_mul(weight_left).ok_or_else(overflow)? {
            break;
        }
        // A quota above the cap, so that more than the cap is left.
        left -= cap;
        weight_left -= weight;
        shares[*place] = Amount::from_u256(cap);
        capped += 1;
    }
    let others = &heaviest[capped..];
    let carried = if others.is_empty() { left } else { U256::ZERO };
    divide(left - carried, weight_left, weights, others, &mut shares).ok_or_else(overflow)?;
    Ok(CappedAllocation {
        shares,
        weight: Amount::from(total),
        capped: capped as u64,
        carried: Amount::from_u256(carried),
    })
}

/// Divides `pool` among the weights at `places`, whose sum is `total`, by the largest remainder; nothing where a
/// product does not fit.
fn divide(pool: U256, total: U256, weights: &[u64], places: &[usize], shares: &mut [Amount]) -> Option<()> {
    let mut remainders = Vec::with_capacity(places.len());
    let mut left = pool;
    for place in places {
        let (base, remainder) = pool.checked_mul(U256::from(weights[*place]))?.div_rem(total);
        left -= base;
        shares[*place] = Amount::from_u256(base);
        remainders.push((Reverse(remainder), *place));
    }
    let extra = usize::try_from(left).ok().filter(|extra| *extra == 0 || *extra < remainders.len());
    // The remainders add up to fewer units than there are owners; a release build checks it too.
    let Some(extra) = extra else { panic!("an allocation left {left} base units") };
    if extra > 0 {
        // Whoever is before this place gets a unit; their order among themselves does not matter.
        remainders.select_nth_unstable(extra - 1);
        for (_, place) in &remainders[..extra] {
            shares[*place] = Amount::from_u256(shares[*place].to_u256() + U256::ONE);
        }
    }
    Some(())
}
