use sqlx::PgConnection;
use tale_ledger::balance;
use tale_primitives::{Address, Amount, UtcDay};

use super::{WithdrawalError, WithdrawalRules};
use crate::{ClaimLeaf, TreasuryError, token_start::today};

/// What each account may claim from a distributor: the sum of its withdrawals to the chain that were paid up to and
/// including this day, in TALE, by account. Nothing else is ever paid on the chain.
///
/// Sums never fall, and those of a day that is over never change. Together they are what the ledger has set aside in
/// `pool:claimable`, or it is [`WithdrawalError::PayableDiffers`].
pub async fn payable_claims(conn: &mut PgConnection, day: UtcDay) -> Result<Vec<ClaimLeaf>, TreasuryError> {
    let rules = WithdrawalRules::load(WithdrawalRules::CURRENT_VERSION)?;
    let today = today(conn).await?;
    if day >= today {
        return Err(WithdrawalError::DayNotOver { day, today }.into());
    }
    let corrupt = || TreasuryError::CorruptRow { table: "withdrawal", row: format!("days up to {day}") };
    let mut leaves = Vec::new();
    let (mut claims, mut later) = (Amount::ZERO, Amount::ZERO);
    let rows = sqlx::query_file!("../../sql/treasury/list_payable_claims.sql", day.date());
    for row in rows.fetch_all(&mut *conn).await? {
        let amount = |text: &str| text.parse::<Amount>().map_err(|_| corrupt());
        let account = row.account.as_slice().try_into().map(Address::from_bytes).map_err(|_| corrupt())?;
        let cumulative = amount(&row.cumulative)?;
        claims = claims.checked_add(cumulative).ok_or(WithdrawalError::Overflow)?;
        later = later.checked_add(amount(&row.later)?).ok_or(WithdrawalError::Overflow)?;
        if !cumulative.is_zero() {
            leaves.push(ClaimLeaf { account, token: rules.token, cumulative });
        }
    }
    // Claims that were paid on the chain debit the account; what was ever set aside are its credits.
    let claims = claims.checked_add(later).ok_or(WithdrawalError::Overflow)?;
    let owed = balance(conn, &rules.accounts().claimable()?).await?.credits;
    if claims == owed { Ok(leaves) } else { Err(WithdrawalError::PayableDiffers { claims, owed }.into()) }
}
