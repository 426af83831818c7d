use tale_primitives::{Address, AllocationOverflow, Amount, UtcDay};

use crate::{
    Class, ClassPool, Contribution, EpochResult, OpenReceivable, PerClass, Repayment, Reward, Ruleset,
    SealedInputs, Share, TreasuryError, allocate_capped,
};

/// Computes an epoch: a pure function of its sealed inputs and the ruleset.
///
/// In each class, points are added up per owner, with their signs, so that harm done by one generator is paid for by
/// the others of its owner; what is then above zero is the owner's weight in the class's pool, of which nobody
/// receives more than the cap. What an owner earned then repays what it was paid too much, the oldest first.
pub fn compute(inputs: &SealedInputs, ruleset: &Ruleset) -> Result<EpochResult, TreasuryError> {
    let epoch = inputs.epoch();
    if inputs.ruleset() != ruleset.version {
        let (sealed, given) = (inputs.ruleset(), ruleset.version);
        return Err(TreasuryError::RulesetDiffers { epoch, sealed, given });
    }
    let mut rewards = points_by_owner(epoch, inputs.contributions())?;
    let pools = ruleset.class_pools()?;
    let classes = PerClass::of(|class| {
        let pool = pools[class];
        divide(&mut rewards, class, pool, ruleset.cap(class, pool)?)
    })?;

    let pool = ruleset.daily_pool()?;
    let overflow = || AllocationOverflow { pool };
    for reward in &mut rewards {
        let shares = reward.shares.iter().map(|(_, share)| share.amount);
        reward.gross = Amount::checked_sum(shares).ok_or_else(overflow)?;
        reward.net = reward.gross;
    }
    let repayments = repay(&mut rewards, inputs.receivables());
    let sum = |amounts: &mut dyn Iterator<Item = Amount>| Amount::checked_sum(amounts).ok_or_else(overflow);
    Ok(EpochResult {
        epoch,
        ruleset: ruleset.version,
        ruleset_digest: Ruleset::digest(ruleset.version)?,
        inputs_digest: inputs.digest()?,
        asset: ruleset.asset.clone(),
        token: ruleset.token,
        pool,
        paid: sum(&mut classes.iter().map(|(_, class)| class.paid))?,
        repaid: sum(&mut repayments.iter().map(|repayment| repayment.amount))?,
        carried: sum(&mut classes.iter().map(|(_, class)| class.carried))?,
        classes,
        rewards,
        repayments,
    })
}

/// One reward for each owner, by address, with its points and no amounts yet.
fn points_by_owner(epoch: UtcDay, contributions: &[Contribution]) -> Result<Vec<Reward>, TreasuryError> {
    let mut lines: Vec<(Address, Class, i64)> =
        contributions.iter().map(|one| (one.owner, one.class, one.points)).collect();
    lines.sort_unstable_by_key(|(owner, ..)| *owner);
    let mut rewards: Vec<Reward> = Vec::new();
    let mut sums: PerClass<i128> = PerClass::default();
    for (place, (owner, class, points)) in lines.iter().enumerate() {
        sums[*class] += i128::from(*points);
        // An owner's sum is what counts, whatever its parts come to on the way.
        if lines.get(place + 1).is_none_or(|(next, ..)| next != owner) {
            let shares = PerClass::of(|class| {
                let points =
                    i64::try_from(sums[class]).map_err(|_| TreasuryError::PointsOverflow { epoch })?;
                Ok::<_, TreasuryError>(Share { points, amount: Amount::ZERO })
            })?;
            let (gross, repaid, net) = Default::default();
            rewards.push(Reward { owner: *owner, shares, gross, repaid, net });
            sums = PerClass::default();
        }
    }
    Ok(rewards)
}

/// Divides the pool of one class.
fn divide(
    rewards: &mut [Reward],
    class: Class,
    pool: Amount,
    cap: Amount,
) -> Result<ClassPool, TreasuryError> {
    let weights: Vec<u64> =
        rewards.iter().map(|reward| u64::try_from(reward.shares[class].points).unwrap_or(0)).collect();
    let allocation = allocate_capped(pool, cap, &weights)?;
    for (reward, share) in rewards.iter_mut().zip(allocation.shares) {
        reward.shares[class].amount = share;
    }
    Ok(ClassPool {
        pool,
        cap,
        weight: allocation.weight,
        capped: allocation.capped,
        paid: pool.checked_sub(allocation.carried).unwrap_or_default(),
        carried: allocation.carried,
    })
}

/// Takes from each owner what it earned, up to what it owes; the receivables are by owner and origin.
fn repay(rewards: &mut [Reward], receivables: &[OpenReceivable]) -> Vec<Repayment> {
    let mut repayments = Vec::new();
    for OpenReceivable { owner, origin, correction, outstanding } in receivables {
        let Ok(place) = rewards.binary_search_by_key(owner, |reward| reward.owner) else { continue };
        let reward = &mut rewards[place];
        let amount = reward.net.min(*outstanding);
        if amount.is_zero() {
            continue;
        }
        // Neither leaves the range of the gross amount.
        reward.net = reward.net.checked_sub(amount).unwrap_or_default();
        reward.repaid = reward.repaid.checked_add(amount).unwrap_or(reward.gross);
        repayments.push(Repayment { correction: correction.clone(), owner: *owner, origin: *origin, amount });
    }
    repayments
}
