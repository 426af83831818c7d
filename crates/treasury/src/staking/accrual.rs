use chrono::Days;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_ledger::{Entry, JournalId, NewJournal, balance, post_journal};
use tale_primitives::{Amount, UtcDay};

use super::{StakingError, StakingRules};
use crate::{TreasuryError, token_start::today};

/// What a call accrued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accrued {
    /// The days that this call accrued, in their order.
    pub days: Vec<StakingDay>,
    /// How many locks ended with them.
    pub matured: u64,
}

/// The rewards of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StakingDay {
    /// The day.
    pub day: UtcDay,
    /// What was staked throughout it, in base units.
    pub total_locked: Amount,
    /// The flexible rate that followed, in millionths a year.
    pub flexible_rate_ppm: u32,
    /// What the positions earned.
    pub due: Amount,
    /// The part of it that the budget covered.
    pub paid: Amount,
    /// The day's journal; nothing where nothing was paid.
    pub journal_id: Option<JournalId>,
}

/// Accrues every day up to and including `through` that has not accrued yet, one after another.
///
/// A day counts for the positions that were open throughout it. All of them are paid by one statement and one
/// journal, out of the budget and never more than it has; locks whose last day it was mature. Accruing again changes
/// nothing.
pub async fn accrue_staking(conn: &mut PgConnection, through: UtcDay) -> Result<Accrued, TreasuryError> {
    let mut transaction = conn.begin().await?;
    let today = today(&mut transaction).await?;
    if through >= today {
        return Err(StakingError::DayNotOver { day: through, today }.into());
    }
    lock_staking(&mut transaction).await?;
    let accrued = accrue_locked(&mut transaction, through).await?;
    transaction.commit().await?;
    Ok(accrued)
}

/// The same, for a caller that holds the lock.
pub(super) async fn accrue_locked(
    conn: &mut PgConnection,
    through: UtcDay,
) -> Result<Accrued, TreasuryError> {
    let rules = StakingRules::load(StakingRules::CURRENT_VERSION)?;
    let mut accrued = Accrued { days: vec![], matured: 0 };
    let mut next = first_open_day(conn).await?;
    while let Some(day) = next.filter(|day| *day <= through) {
        accrued.days.push(accrue_day(conn, &rules, day).await?);
        let matured = sqlx::query_file!("../../sql/treasury/mature_staking_positions.sql", day.date());
        accrued.matured += matured.execute(&mut *conn).await?.rows_affected();
        next = day.next();
    }
    Ok(accrued)
}

async fn accrue_day(
    conn: &mut PgConnection,
    rules: &StakingRules,
    day: UtcDay,
) -> Result<StakingDay, TreasuryError> {
    let unreadable = || TreasuryError::CorruptRow { table: "staking_day", row: day.to_string() };
    let amount = |text: &str| text.parse::<Amount>().map_err(|_| unreadable());
    let total = sqlx::query_file_scalar!("../../sql/treasury/sum_staked.sql", day.date())
        .fetch_one(&mut *conn)
        .await?;
    let total_locked = amount(&total)?;
    let flexible_rate_ppm = rules.flexible.rate_ppm(total_locked)?;
    let budget = balance(conn, &rules.accounts()?.budget).await?.amount();
    let sums = sqlx::query_file!(
        "../../sql/treasury/accrue_staking_day.sql",
        day.date(),
        flexible_rate_ppm as i32,
        rules.days_per_year as i32,
        budget.to_string()
    )
    .fetch_one(&mut *conn)
    .await?;
    let (due, paid) = (amount(&sums.due)?, amount(&sums.paid)?);
    let journal_id = match paid.is_zero() {
        true => None,
        false => Some(post_journal(conn, &journal(rules, day, paid)?).await?.journal_id),
    };
    sqlx::query_file!(
        "../../sql/treasury/insert_staking_day.sql",
        day.date(),
        total_locked.to_string(),
        flexible_rate_ppm as i32,
        due.to_string(),
        paid.to_string(),
        journal_id.map(JournalId::raw)
    )
    .execute(conn)
    .await?;
    Ok(StakingDay { day, total_locked, flexible_rate_ppm, due, paid, journal_id })
}

fn journal(rules: &StakingRules, day: UtcDay, paid: Amount) -> Result<NewJournal, TreasuryError> {
    let accounts = rules.accounts()?;
    Ok(NewJournal {
        key: format!("staking/{}/accrual/{day}", rules.asset),
        epoch: Some(day),
        description: format!("staking rewards of {day}"),
        entries: vec![Entry::debit(accounts.budget, paid), Entry::credit(accounts.accrued, paid)],
    })
}

/// The day after the last that accrued; before the first one, the day after the first stake was opened.
async fn first_open_day(conn: &mut PgConnection) -> Result<Option<UtcDay>, TreasuryError> {
    let last = match last_accrued(conn).await? {
        Some(last) => Some(last),
        None => sqlx::query_file_scalar!("../../sql/treasury/find_first_staking_day.sql")
            .fetch_one(conn)
            .await?
            .map(UtcDay::from_date),
    };
    Ok(last.and_then(UtcDay::next))
}

/// The last day that accrued.
pub(super) async fn last_accrued(conn: &mut PgConnection) -> Result<Option<UtcDay>, TreasuryError> {
    let last =
        sqlx::query_file_scalar!("../../sql/treasury/find_last_staking_day.sql").fetch_one(conn).await?;
    Ok(last.map(UtcDay::from_date))
}

/// Stakes, exits and accruals take turns until the end of their transactions.
pub(super) async fn lock_staking(conn: &mut PgConnection) -> Result<(), TreasuryError> {
    sqlx::query_file!("../../sql/treasury/lock_staking.sql").execute(conn).await?;
    Ok(())
}

/// Rewards of a day were divided among those who were there: nobody comes or leaves afterwards.
pub(super) async fn refuse_accrued(conn: &mut PgConnection, day: UtcDay) -> Result<(), TreasuryError> {
    match last_accrued(conn).await? {
        Some(accrued) if day <= accrued => Err(StakingError::DayAccrued { day, accrued }.into()),
        _ => Ok(()),
    }
}

/// The day before, or nothing at the beginning of the calendar.
pub(super) fn day_before(day: UtcDay) -> Option<UtcDay> {
    day.date().checked_sub_days(Days::new(1)).map(UtcDay::from_date)
}
