//! The last step of an epoch, and the brake that keeps it from being taken.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_primitives::UtcDay;

use crate::{EpochState, Ruleset, TreasuryError, epoch::find_epoch};

/// A brake on a day and all after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Brake {
    /// The day.
    pub day: UtcDay,
    /// Why.
    pub reason: String,
    /// Who held it.
    pub actor: String,
    /// When.
    pub held_at: DateTime<Utc>,
}

/// Makes every published epoch final whose time for disputes has passed, and says which.
///
/// Days become final in their order: one that is held, or not published yet, keeps those after it waiting. It looks at
/// the state and needs nothing else, so that anything may call it at any time.
pub async fn finalise_epochs(conn: &mut PgConnection) -> Result<Vec<UtcDay>, TreasuryError> {
    let rulesets = Ruleset::versions().map(Ruleset::load).collect::<Result<Vec<_>, _>>()?;
    let versions: Vec<i32> = rulesets.iter().map(|ruleset| ruleset.version as i32).collect();
    let hours: Vec<i32> = rulesets.iter().map(|ruleset| ruleset.dispute_hours as i32).collect();
    let mut transaction = conn.begin().await?;
    sqlx::query_file!("../../sql/treasury/lock_epochs.sql").execute(&mut *transaction).await?;
    let mut days: Vec<UtcDay> =
        sqlx::query_file_scalar!("../../sql/treasury/finalise_epochs.sql", &versions, &hours)
            .fetch_all(&mut *transaction)
            .await?
            .into_iter()
            .map(UtcDay::from_date)
            .collect();
    transaction.commit().await?;
    days.sort_unstable();
    Ok(days)
}

/// Keeps a day, and every day after it, from being published and from becoming final; `true` where it was not held.
///
/// A day that nobody has sealed yet may be held too. One that is final may not: disputes come before.
pub async fn hold_epoch(
    conn: &mut PgConnection,
    day: UtcDay,
    reason: &str,
    actor: &str,
) -> Result<bool, TreasuryError> {
    check_reason(reason)?;
    let mut transaction = conn.begin().await?;
    // Publications and finalisations take their turn: none of them overlooks the hold.
    sqlx::query_file!("../../sql/treasury/lock_epochs.sql").execute(&mut *transaction).await?;
    if find_epoch(&mut transaction, day).await?.is_some_and(|epoch| epoch.state == EpochState::Final) {
        return Err(TreasuryError::IsFinal(day));
    }
    let held = sqlx::query_file!("../../sql/treasury/insert_brake.sql", day.date(), reason, actor)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(held.rows_affected() == 1)
}

/// Lets a day go on that was held.
pub async fn release_epoch(
    conn: &mut PgConnection,
    day: UtcDay,
    reason: &str,
    actor: &str,
) -> Result<(), TreasuryError> {
    check_reason(reason)?;
    let released = sqlx::query_file!("../../sql/treasury/release_brake.sql", day.date(), reason, actor)
        .execute(conn)
        .await?;
    if released.rows_affected() == 1 { Ok(()) } else { Err(TreasuryError::NotHeld(day)) }
}

/// The brakes that are on, by day.
pub async fn list_brakes(conn: &mut PgConnection) -> Result<Vec<Brake>, TreasuryError> {
    let rows = sqlx::query_file!("../../sql/treasury/list_brakes.sql").fetch_all(conn).await?;
    Ok(rows
        .into_iter()
        .map(|row| Brake {
            day: UtcDay::from_date(row.day),
            reason: row.reason,
            actor: row.actor,
            held_at: row.held_at,
        })
        .collect())
}

/// The last epoch whose root may be claimed against: published, with a root, and neither held nor after a day that is.
///
/// While a published root is in dispute this is the one before it.
pub async fn claimable_epoch(conn: &mut PgConnection) -> Result<Option<UtcDay>, TreasuryError> {
    let day = sqlx::query_file_scalar!("../../sql/treasury/find_claimable_epoch.sql").fetch_one(conn).await?;
    Ok(day.map(UtcDay::from_date))
}

/// A hold of this day or an earlier one is an error.
pub(crate) async fn refuse_held(conn: &mut PgConnection, day: UtcDay) -> Result<(), TreasuryError> {
    match list_brakes(conn).await?.into_iter().find(|brake| brake.day <= day) {
        Some(brake) => Err(TreasuryError::Held { epoch: day, held: brake.day, reason: brake.reason }),
        None => Ok(()),
    }
}

pub(crate) fn check_reason(reason: &str) -> Result<(), TreasuryError> {
    if (1..=500).contains(&reason.trim().chars().count()) && reason.chars().count() <= 500 {
        return Ok(());
    }
    Err(TreasuryError::UnusableText {
        what: "the reason",
        given: reason.chars().take(40).collect(),
        expected: "1 to 500 characters",
    })
}
