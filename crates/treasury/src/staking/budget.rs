use sqlx::PgConnection;
use tale_ledger::{Entry, NewJournal, Posted, post_journal};
use tale_primitives::Amount;

use super::StakingRules;
use crate::TreasuryError;

/// Moves a part of the rules' source into the budget that rewards are paid from; once for each key.
///
/// Rewards never exceed what was moved: the ledger keeps the budget's account from being overdrawn.
pub async fn fund_staking(
    conn: &mut PgConnection,
    key: &str,
    amount: Amount,
) -> Result<Posted, TreasuryError> {
    let rules = StakingRules::load(StakingRules::CURRENT_VERSION)?;
    let journal = NewJournal {
        key: format!("staking/{}/budget/{key}", rules.asset),
        epoch: None,
        description: "a budget for staking rewards".to_owned(),
        entries: vec![
            Entry::debit(rules.budget_source.clone(), amount),
            Entry::credit(rules.accounts()?.budget, amount),
        ],
    };
    Ok(post_journal(conn, &journal).await?)
}
