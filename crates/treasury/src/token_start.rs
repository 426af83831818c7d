use sqlx::{Connection, PgConnection};
use tale_primitives::UtcDay;

use crate::TreasuryError;

/// The answer to setting the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenStart {
    /// The day of the token's generation, from which vesting and the withdrawal rules count.
    pub day: UtcDay,
    /// Whether this call set it.
    pub changed: bool,
}

/// The day of the token's generation, once it is set.
pub async fn token_start(conn: &mut PgConnection) -> Result<Option<UtcDay>, TreasuryError> {
    let day =
        sqlx::query_file_scalar!("../../sql/treasury/find_token_start.sql").fetch_optional(conn).await?;
    Ok(day.map(UtcDay::from_date))
}

/// Sets the day of the token's generation, once and for good: setting it again changes nothing, and another day is
/// [`TreasuryError::TokenStarted`].
pub async fn set_token_start(conn: &mut PgConnection, day: UtcDay) -> Result<TokenStart, TreasuryError> {
    let mut transaction = conn.begin().await?;
    let inserted = sqlx::query_file!("../../sql/treasury/insert_token_start.sql", day.date())
        .execute(&mut *transaction)
        .await?;
    let changed = inserted.rows_affected() == 1;
    match token_start(&mut transaction).await? {
        Some(set) if set != day => Err(TreasuryError::TokenStarted { set, given: day }),
        _ => {
            transaction.commit().await?;
            Ok(TokenStart { day, changed })
        }
    }
}

/// The same, so that nobody else vests until the transaction ends.
pub(crate) async fn lock_token_start(conn: &mut PgConnection) -> Result<Option<UtcDay>, TreasuryError> {
    let day =
        sqlx::query_file_scalar!("../../sql/treasury/lock_token_start.sql").fetch_optional(conn).await?;
    Ok(day.map(UtcDay::from_date))
}

/// The UTC day that the database's clock shows.
pub async fn today(conn: &mut PgConnection) -> Result<UtcDay, TreasuryError> {
    let today = sqlx::query_file_scalar!("../../sql/treasury/read_today.sql").fetch_one(conn).await?;
    Ok(UtcDay::from_date(today))
}

/// Money moves on days that have come, by the database's clock: a mistyped year must not release the next one's.
pub(crate) async fn refuse_future(conn: &mut PgConnection, day: UtcDay) -> Result<(), TreasuryError> {
    let today = today(conn).await?;
    if day <= today { Ok(()) } else { Err(TreasuryError::FutureDay { day, today }) }
}
