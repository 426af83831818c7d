use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_ledger::{Entry, JournalId, NewJournal, post_journal};
use tale_primitives::{Amount, Name, UtcDay};

use super::{MonthlyParts, Release, VestingError, VestingPool, VestingRules};
use crate::{
    TreasuryError,
    token_start::{lock_token_start, refuse_future, token_start},
};

/// What a call released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vested {
    /// The first day; nothing while it is not set, and then nothing is released.
    pub start: Option<UtcDay>,
    /// What this call posted, by pool and number.
    pub posted: Vec<PostedRelease>,
}

/// A release that is in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PostedRelease {
    /// The release.
    #[serde(flatten)]
    pub release: Release,
    /// Its journal.
    pub journal_id: JournalId,
}

/// How far the vesting has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VestingStatus {
    /// The first day.
    pub start: UtcDay,
    /// The day that it is compared with.
    pub day: UtcDay,
    /// Each pool, in the order of the table.
    pub pools: Vec<PoolStatus>,
}

/// How far one pool has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolStatus {
    /// The pool.
    pub pool: Name,
    /// Who releases its monthly parts.
    pub monthly_parts: MonthlyParts,
    /// Everything that it ever releases.
    pub allocation: Amount,
    /// What is due by the day, whoever releases it.
    pub due: Amount,
    /// What vesting has posted.
    pub posted: Amount,
    /// How many due parts vesting has still to post.
    pub waiting: u32,
    /// The next part after the day, unless there is none.
    pub next: Option<Release>,
}

/// Posts every release that is due by `day` and is not in the ledger yet, so that a night catches up with all that
/// were missed. Each is one journal under the key of its pool and number: posting again changes nothing.
///
/// Where the first day is not set, nothing is due.
pub async fn post_due_releases(conn: &mut PgConnection, day: UtcDay) -> Result<Vested, TreasuryError> {
    let rules = VestingRules::load(VestingRules::CURRENT_VERSION)?;
    let mut transaction = conn.begin().await?;
    refuse_future(&mut transaction, day).await?;
    let Some(start) = lock_token_start(&mut transaction).await? else {
        return Ok(Vested { start: None, posted: vec![] });
    };
    let recorded = recorded(&mut transaction).await?;
    let mut posted = Vec::new();
    for pool in &rules.pools {
        for release in rules.schedule(pool, start)?.into_iter().filter(|release| release.part.day <= day) {
            if !is_posted_by_vesting(pool, &release) || is_recorded(&recorded, &release)? {
                continue;
            }
            let journal = journal(&rules, pool, &release);
            let journal_id = post_journal(&mut transaction, &journal).await?.journal_id;
            record(&mut transaction, &rules, &release, journal_id).await?;
            posted.push(PostedRelease { release, journal_id });
        }
    }
    transaction.commit().await?;
    Ok(Vested { start: Some(start), posted })
}

/// How far each pool has come by `day`; nothing where the first day is not set.
pub async fn vesting_status(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<Option<VestingStatus>, TreasuryError> {
    let rules = VestingRules::load(VestingRules::CURRENT_VERSION)?;
    let Some(start) = token_start(conn).await? else { return Ok(None) };
    let recorded = recorded(conn).await?;
    let mut pools = Vec::with_capacity(rules.pools.len());
    for pool in &rules.pools {
        let schedule = rules.schedule(pool, start)?;
        let (due, later) = schedule.split_at(schedule.partition_point(|release| release.part.day <= day));
        let mut posted = Amount::ZERO;
        let mut waiting = 0;
        for release in &schedule {
            if is_recorded(&recorded, release)? {
                // Parts of one schedule: their sum is no more than the allocation.
                posted = posted.checked_add(release.part.amount).unwrap_or(Amount::MAX);
            } else if release.part.day <= day && is_posted_by_vesting(pool, release) {
                waiting += 1;
            }
        }
        pools.push(PoolStatus {
            pool: pool.name.clone(),
            monthly_parts: pool.monthly_parts,
            allocation: rules.terms(pool).allocation,
            due: due.last().map_or(Amount::ZERO, |release| release.part.cumulative),
            posted,
            waiting,
            next: later.first().cloned(),
        });
    }
    Ok(Some(VestingStatus { start, day, pools }))
}

/// The Generator pool's monthly parts are what settlement puts aside as xTALE in one journal before its first epoch.
/// Posting them here too would release them twice.
fn is_posted_by_vesting(pool: &VestingPool, release: &Release) -> bool {
    match pool.monthly_parts {
        MonthlyParts::PostedByVesting => true,
        MonthlyParts::EmittedBySettlement => release.part.number == 0,
    }
}

fn journal(rules: &VestingRules, pool: &VestingPool, release: &Release) -> NewJournal {
    let Release { part, .. } = release;
    let what = match part.number {
        0 => "unlocked at the start".to_owned(),
        number => format!("month {number} of {}", pool.months),
    };
    NewJournal {
        key: format!("vesting/{}/{}/{}", rules.asset, pool.name, part.number),
        epoch: Some(part.day),
        description: format!("vesting of {}: {what}", pool.name),
        entries: vec![
            Entry::debit(rules.issuance(pool), part.amount),
            Entry::credit(pool.account.clone(), part.amount),
        ],
    }
}

/// Day and amount of the releases that are recorded, by pool and number.
type Recorded = BTreeMap<(String, u32), (UtcDay, Amount)>;

async fn recorded(conn: &mut PgConnection) -> Result<Recorded, TreasuryError> {
    sqlx::query_file!("../../sql/treasury/list_vesting_releases.sql")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| {
            let corrupt = || TreasuryError::CorruptRow { table: "vesting_release", row: row.pool.clone() };
            let number = u32::try_from(row.number).map_err(|_| corrupt())?;
            let amount = row.amount.parse().map_err(|_| corrupt())?;
            Ok(((row.pool.clone(), number), (UtcDay::from_date(row.due_day), amount)))
        })
        .collect()
}

/// Whether a release is recorded; one that is recorded as something else means that the table was changed.
fn is_recorded(recorded: &Recorded, release: &Release) -> Result<bool, TreasuryError> {
    let Release { pool, part } = release;
    match recorded.get(&(pool.to_string(), part.number)) {
        None => Ok(false),
        Some(found) if *found == (part.day, part.amount) => Ok(true),
        Some(_) => Err(VestingError::OtherRelease { pool: pool.to_string(), number: part.number }.into()),
    }
}

async fn record(
    conn: &mut PgConnection,
    rules: &VestingRules,
    release: &Release,
    journal_id: JournalId,
) -> Result<(), TreasuryError> {
    let Release { pool, part } = release;
    sqlx::query_file!(
        "../../sql/treasury/insert_vesting_release.sql",
        pool.as_str(),
        part.number as i32,
        rules.version as i32,
        part.day.date(),
        part.amount.to_string(),
        journal_id.raw()
    )
    .execute(conn)
    .await?;
    Ok(())
}
