use serde::Serialize;
use sqlx::PgConnection;
use tale_ledger::{AccountKind, BalanceFilter, balance, balances};
use tale_primitives::{Amount, UtcDay};

use super::{StakingError, StakingRules, accrual::last_accrued};
use crate::TreasuryError;

/// The figures that the network publishes, as of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StakingStatus {
    /// How many positions are open.
    pub positions: u64,
    /// What is staked and not over, with and without a lock.
    pub total_locked: Amount,
    /// The part of it without a lock.
    pub flexible: Amount,
    /// What waits to be taken out, its lock being over.
    pub matured: Amount,
    /// What was released of the supply: all that the ledger has issued of the asset.
    pub circulating: Amount,
    /// The total locked, in millionths of the circulating supply.
    pub locked_ppm: u64,
    /// The voting weight of all locks together.
    pub total_ve: Amount,
    /// The average lock of what is staked with one, weighted by amount.
    pub average_lock_seconds: u64,
    /// The flexible rate that follows from the total, in millionths a year.
    pub flexible_rate_ppm: u32,
    /// What may still be paid as rewards.
    pub budget: Amount,
    /// What has accrued and is not paid out yet.
    pub accrued: Amount,
    /// The last day that accrued.
    pub last_accrued: Option<UtcDay>,
}

const MILLION: u64 = 1_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// Total locked, its part of the circulating supply, total voting weight, average lock, and the flexible rate.
pub async fn staking_status(conn: &mut PgConnection) -> Result<StakingStatus, TreasuryError> {
    let rules = StakingRules::load(StakingRules::CURRENT_VERSION)?;
    let unreadable = || TreasuryError::CorruptRow { table: "staking_position", row: "their sums".to_owned() };
    let amount = |text: &str| text.parse::<Amount>().map_err(|_| unreadable());
    let sums =
        sqlx::query_file!("../../sql/treasury/sum_staking_positions.sql").fetch_one(&mut *conn).await?;
    let (total_locked, locked) = (amount(&sums.total_locked)?, amount(&sums.locked)?);
    let locked_days = amount(&sums.locked_days)?;

    let issued = BalanceFilter { kind: Some(AccountKind::Issuance), asset: Some(rules.asset.clone()) };
    let issued = balances(conn, &issued).await?;
    let circulating = Amount::checked_sum(issued.into_iter().map(|balance| balance.amount()))
        .ok_or(StakingError::Overflow)?;
    let accounts = rules.accounts()?;
    Ok(StakingStatus {
        positions: sums.positions.try_into().map_err(|_| unreadable())?,
        total_locked,
        flexible: total_locked.checked_sub(locked).ok_or_else(unreadable)?,
        matured: amount(&sums.matured)?,
        circulating,
        locked_ppm: ratio(total_locked, MILLION, circulating)?,
        // Amounts times days are added before they are divided, so that nothing is rounded away twice.
        total_ve: super::ve_weight(&rules, locked_days, 1)?,
        average_lock_seconds: ratio(locked_days, SECONDS_PER_DAY, locked)?,
        flexible_rate_ppm: rules.flexible.rate_ppm(total_locked)?,
        budget: balance(conn, &accounts.budget).await?.amount(),
        accrued: balance(conn, &accounts.accrued).await?.amount(),
        last_accrued: last_accrued(conn).await?,
    })
}

/// `part·factor div whole`; nothing of nothing is nothing.
fn ratio(part: Amount, factor: u64, whole: Amount) -> Result<u64, StakingError> {
    let product = part.checked_mul(factor).ok_or(StakingError::Overflow)?.to_u256();
    let ratio = product.checked_div(whole.to_u256()).unwrap_or_default();
    u64::try_from(ratio).map_err(|_| StakingError::Overflow)
}
