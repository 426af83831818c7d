use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::UtcDay;

use crate::{AccountKey, Balance, JournalId, LedgerError, chain_head, reading::BalanceRow};

/// A moment in the ledger's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Right after this journal; 0 is before the first.
    Journal(JournalId),
    /// Right after the last journal that settles this day; where none does, the last settled day before it.
    Epoch(UtcDay),
    /// Right after the last journal that had taken its place by then.
    Time(DateTime<Utc>),
}

/// What an account held at some moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastBalance {
    /// The last journal that counts.
    pub journal_id: JournalId,
    /// The balance right after it.
    #[serde(flatten)]
    pub balance: Balance,
}

/// What an account held at a moment. Journals are never posted backwards, so the answer never changes.
///
/// Costs what the account's own history costs, by index, whatever else the ledger holds.
pub async fn balance_at(
    conn: &mut PgConnection,
    account: &AccountKey,
    at: At,
) -> Result<PastBalance, LedgerError> {
    let journal_id = find_place(conn, at).await?;
    let row = sqlx::query_file_as!(
        BalanceRow,
        "../../sql/ledger/find_past_balance.sql",
        account.to_string(),
        journal_id.raw()
    )
    .fetch_optional(conn)
    .await?;
    let balance = match row {
        Some(row) => row.try_into()?,
        None => Balance::nothing(account.clone()),
    };
    Ok(PastBalance { journal_id, balance })
}

/// The last journal of a moment.
async fn find_place(conn: &mut PgConnection, at: At) -> Result<JournalId, LedgerError> {
    let id = match at {
        At::Journal(journal_id) => {
            let last = chain_head(conn).await?.journal_id;
            return if journal_id <= last && journal_id.raw() >= 0 {
                Ok(journal_id)
            } else {
                Err(LedgerError::NoJournal { journal_id, last })
            };
        }
        At::Epoch(day) => {
            sqlx::query_file_scalar!("../../sql/ledger/find_last_of_epoch.sql", day.date())
                .fetch_optional(conn)
                .await?
        }
        At::Time(time) => {
            sqlx::query_file_scalar!("../../sql/ledger/find_last_of_time.sql", time)
                .fetch_optional(conn)
                .await?
        }
    };
    Ok(JournalId::from_raw(id.unwrap_or_default()))
}
