use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::Address;

use super::WithdrawalError;
use crate::TreasuryError;

/// An account whose withdrawals an operator denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// The account.
    pub account: Address,
    /// Why.
    pub reason: String,
    /// Since when.
    pub denied_at: DateTime<Utc>,
    /// Until when; nothing while it holds.
    pub lifted_at: Option<DateTime<Utc>>,
}

/// Denies the withdrawals of an account: nothing more is requested, and what has matured waits. Says whether that
/// changed anything; an account that is denied already keeps its first reason.
pub async fn deny_account(
    conn: &mut PgConnection,
    account: Address,
    reason: &str,
) -> Result<bool, TreasuryError> {
    let length = reason.chars().count();
    if !(1..=500).contains(&length) {
        return Err(WithdrawalError::ReasonLength(length).into());
    }
    let inserted = sqlx::query_file!(
        "../../sql/treasury/insert_withdrawal_denial.sql",
        account.as_bytes().as_slice(),
        reason
    )
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Allows the withdrawals of an account again. Says whether that changed anything.
pub async fn allow_account(conn: &mut PgConnection, account: Address) -> Result<bool, TreasuryError> {
    let lifted =
        sqlx::query_file!("../../sql/treasury/lift_withdrawal_denial.sql", account.as_bytes().as_slice())
            .execute(conn)
            .await?;
    Ok(lifted.rows_affected() == 1)
}

/// Every denial, also those that were lifted, in the order in which they were made.
pub async fn list_denials(conn: &mut PgConnection) -> Result<Vec<Denial>, TreasuryError> {
    sqlx::query_file!("../../sql/treasury/list_withdrawal_denials.sql")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| {
            let corrupt =
                || TreasuryError::CorruptRow { table: "withdrawal_denial", row: row.id.to_string() };
            let account =
                row.account.as_slice().try_into().map(Address::from_bytes).map_err(|_| corrupt())?;
            Ok(Denial { account, reason: row.reason, denied_at: row.denied_at, lifted_at: row.lifted_at })
        })
        .collect()
}

pub(super) async fn refuse_denied(conn: &mut PgConnection, account: Address) -> Result<(), TreasuryError> {
    let found =
        sqlx::query_file_scalar!("../../sql/treasury/find_denial_reason.sql", account.as_bytes().as_slice())
            .fetch_optional(conn)
            .await?;
    match found {
        Some(reason) => Err(WithdrawalError::Denied { account, reason }.into()),
        None => Ok(()),
    }
}
