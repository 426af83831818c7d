//! Rates, rewards, weights and penalties, in integers: pure, and rounded against whoever could gain by splitting.

use ruint::aliases::U256;
use tale_primitives::Amount;

use super::{EarlyExit, FlexibleRate, StakingError, StakingRules};

const MILLION: u64 = 1_000_000;

/// How an early exit divides principal and rewards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlySettlement {
    /// What the owner gets.
    pub returned: Amount,
    /// The part of the principal that is lost.
    pub penalty: Amount,
    /// The part of the rewards that is lost.
    pub forfeited: Amount,
}

impl FlexibleRate {
    /// The annual rate, in millionths, while so much is staked in all; it never rises when the total does.
    pub fn rate_ppm(&self, total: Amount) -> Result<u32, StakingError> {
        let half = self.half_rate_at.to_u256();
        let product = half.checked_mul(U256::from(self.rate_ppm_max)).ok_or(StakingError::Overflow)?;
        let rate = product / half.saturating_add(total.to_u256());
        // No more than the maximum, since the divisor is no less than `half`.
        u32::try_from(rate).map_err(|_| StakingError::Overflow)
    }
}

/// What a principal earns in one day at an annual rate: rounded down, so that its parts earn no more than the whole.
pub fn daily_reward(principal: Amount, rate_ppm: u32, days_per_year: u32) -> Result<Amount, StakingError> {
    let year = U256::from(MILLION) * U256::from(days_per_year);
    let product = principal.to_u256().checked_mul(U256::from(rate_ppm)).ok_or(StakingError::Overflow)?;
    product.checked_div(year).map(Amount::from_u256).ok_or(StakingError::Overflow)
}

/// The voting weight of a lock: `amount·days div ve_days`.
pub fn ve_weight(rules: &StakingRules, amount: Amount, days: u32) -> Result<Amount, StakingError> {
    let product = amount.checked_mul(u64::from(days)).ok_or(StakingError::Overflow)?.to_u256();
    product.checked_div(U256::from(rules.ve_days)).map(Amount::from_u256).ok_or(StakingError::Overflow)
}

/// What leaving early gives and takes: `returned + penalty + forfeited = principal + rewards`, and what is taken is
/// rounded up, so that parts lose no less than the whole.
pub fn early_settlement(
    rules: &EarlyExit,
    principal: Amount,
    rewards: Amount,
) -> Result<EarlySettlement, StakingError> {
    let penalty = rounded_up(principal, rules.principal_penalty_ppm)?;
    let forfeited = rounded_up(rewards, rules.rewards_forfeited_ppm)?;
    let returned = principal
        .checked_sub(penalty)
        .zip(rewards.checked_sub(forfeited))
        .and_then(|(principal, rewards)| principal.checked_add(rewards))
        .ok_or(StakingError::Overflow)?;
    Ok(EarlySettlement { returned, penalty, forfeited })
}

fn rounded_up(amount: Amount, ppm: u32) -> Result<Amount, StakingError> {
    let product = amount.to_u256().checked_mul(U256::from(ppm)).ok_or(StakingError::Overflow)?;
    Ok(Amount::from_u256(product.div_ceil(U256::from(MILLION))))
}
