//! Who holds how much of a work, and since when.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use tale_primitives::{Address, UtcDay};

use crate::{MonetizationError, RecordHolding, WorkId, rows};

/// Changes that one call may record.
const HOLDINGS_MAX: usize = 100_000;

/// What somebody holds of a work from some instant on, until the next change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHolding {
    /// The work.
    pub work: WorkId,
    /// The holder.
    pub holder: Address,
    /// From when on.
    pub valid_from: DateTime<Utc>,
    /// How many units; nothing for none any more.
    pub units: u128,
}

/// Records changes of holdings, all or none, and tells how many were new.
///
/// A change is known by its work, holder and instant: recording it again changes nothing, other units at the same
/// instant are [`MonetizationError::HoldingDiffers`]. What a past epoch has divided stays as it is.
pub async fn record_holdings(
    conn: &mut PgConnection,
    holdings: &[NewHolding],
) -> Result<u64, MonetizationError> {
    if holdings.len() > HOLDINGS_MAX {
        return Err(MonetizationError::TooManyHoldings { count: holdings.len(), most: HOLDINGS_MAX });
    }
    let mut given: BTreeMap<(&str, Address, DateTime<Utc>), u128> = BTreeMap::new();
    for holding in holdings {
        let key = (holding.work.as_str(), holding.holder, holding.valid_from);
        if given.insert(key, holding.units).is_some_and(|units| units != holding.units) {
            return Err(differs(holding));
        }
    }
    let works: Vec<String> = given.keys().map(|(work, ..)| (*work).to_owned()).collect();
    let holders: Vec<Vec<u8>> = given.keys().map(|(_, holder, _)| holder.as_bytes().to_vec()).collect();
    let instants: Vec<DateTime<Utc>> = given.keys().map(|(_, _, instant)| *instant).collect();
    let units: Vec<String> = given.values().map(u128::to_string).collect();

    let mut transaction = conn.begin().await?;
    let inserted =
        sqlx::query_file!("../../sql/monetization/insert_holdings.sql", &works, &holders, &instants, &units)
            .execute(&mut *transaction)
            .await?;
    let recorded =
        sqlx::query_file!("../../sql/monetization/list_same_holdings.sql", &works, &holders, &instants)
            .fetch_all(&mut *transaction)
            .await?;
    for row in recorded {
        let holder = rows::address(&row.holder, "holding", &row.work)?;
        let units: u128 = rows::parse(&row.units, "holding", &row.work)?;
        let key = (row.work.as_str(), holder, row.valid_from);
        if given.get(&key) != Some(&units) {
            let (work, valid_from) = (row.work.parse()?, row.valid_from);
            return Err(MonetizationError::HoldingDiffers { work, holder, valid_from });
        }
    }
    transaction.commit().await?;
    Ok(inserted.rows_affected())
}

fn differs(holding: &NewHolding) -> MonetizationError {
    let NewHolding { work, holder, valid_from, .. } = holding.clone();
    MonetizationError::HoldingDiffers { work, holder, valid_from }
}

/// Who held these works at the end of these days.
pub(crate) async fn holdings_on(
    conn: &mut PgConnection,
    wanted: &BTreeSet<(UtcDay, WorkId)>,
) -> Result<Vec<RecordHolding>, MonetizationError> {
    let days: Vec<_> = wanted.iter().map(|(day, _)| day.date()).collect();
    let works: Vec<String> = wanted.iter().map(|(_, work)| work.to_string()).collect();
    sqlx::query_file!("../../sql/monetization/list_record_holdings.sql", &days, &works)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| {
            Ok(RecordHolding {
                record_day: UtcDay::from_date(row.record_day),
                holder: rows::address(&row.holder, "holding", &row.work)?,
                units: rows::parse(&row.units, "holding", &row.work)?,
                work: row.work.parse()?,
            })
        })
        .collect()
}

/// Who held a work at the end of a day, by holder.
pub async fn holders_of(
    conn: &mut PgConnection,
    work: &WorkId,
    day: UtcDay,
) -> Result<Vec<RecordHolding>, MonetizationError> {
    let mut holdings = holdings_on(conn, &BTreeSet::from([(day, work.clone())])).await?;
    holdings.sort_unstable();
    Ok(holdings)
}
