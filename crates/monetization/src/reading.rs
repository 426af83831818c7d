//! Divided days, as they are stored.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tale_ledger::{Asset, JournalId};
use tale_primitives::{Address, Amount, Digest, UtcDay};
use tale_storage::ObjectRef;

use crate::{
    Dividend, DividendLine, DividendResult, IncomeKind, MonetizationError, RecordHolding, RevenueEvent,
    RevenueFile, SealedRevenue, WorkId, dividends::totals, rows,
};

/// A day whose revenue was divided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DividendEpoch {
    /// The day.
    pub day: UtcDay,
    /// The version of the rules that divided it.
    pub ruleset: u32,
    /// The digest of its sealed inputs.
    pub inputs_digest: Digest,
    /// The digest of its result.
    pub result_digest: Digest,
    /// How many events it counts.
    pub events: u64,
    /// When its journals were posted.
    pub posted_at: DateTime<Utc>,
}

/// The journal of one asset of a divided day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DividendJournal {
    /// The asset.
    pub asset: Asset,
    /// The ledger's journal.
    pub journal_id: JournalId,
}

/// Why a holder has a dividend: the line and their part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedDividend {
    /// The epoch that paid it.
    pub epoch: UtcDay,
    /// The day on which it was earned; before the epoch for a correction.
    pub origin: UtcDay,
    /// By what.
    pub kind: IncomeKind,
    /// With which work.
    pub work: WorkId,
    /// In what.
    pub asset: Asset,
    /// How many events the line sums up.
    pub events: u64,
    /// What was paid.
    pub gross: Amount,
    /// The treasury's fee.
    pub fee: Amount,
    /// The network's share.
    pub network: Amount,
    /// What the holders had together.
    pub distributed: Amount,
    /// How many units this holder had on the record date.
    #[serde(with = "crate::revenue::units_as_text")]
    pub units: u128,
    /// How many units all had together.
    pub units_total: Amount,
    /// What this holder has of it.
    pub amount: Amount,
}

/// The divided day, if it is one.
pub async fn find_dividend_epoch(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<Option<DividendEpoch>, MonetizationError> {
    sqlx::query_file_as!(EpochRow, "../../sql/monetization/find_dividend_epoch.sql", day.date())
        .fetch_optional(conn)
        .await?
        .map(DividendEpoch::try_from)
        .transpose()
}

/// Every divided day, in order.
pub async fn list_dividend_epochs(conn: &mut PgConnection) -> Result<Vec<DividendEpoch>, MonetizationError> {
    sqlx::query_file_as!(EpochRow, "../../sql/monetization/list_dividend_epochs.sql")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(DividendEpoch::try_from)
        .collect()
}

/// The files that a day was divided from, by path.
pub async fn list_revenue_files(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<Vec<RevenueFile>, MonetizationError> {
    sqlx::query_file!("../../sql/monetization/list_revenue_files.sql", day.date())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| {
            let table = "revenue_file";
            let object = ObjectRef {
                digest: rows::digest(&row.digest, table, &row.path)?,
                size_bytes: rows::count(row.size_bytes, table, &row.path)?,
            };
            Ok(RevenueFile {
                object,
                rows: rows::count(row.row_count, table, &row.path)?,
                last_day: row.last_day.map(UtcDay::from_date),
                path: row.path,
                version: row.version,
            })
        })
        .collect()
}

/// The journals of a day, by asset.
pub async fn list_dividend_journals(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<Vec<DividendJournal>, MonetizationError> {
    sqlx::query_file!("../../sql/monetization/list_dividend_journals.sql", day.date())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| {
            Ok(DividendJournal { asset: row.asset.parse()?, journal_id: JournalId::from_raw(row.journal_id) })
        })
        .collect()
}

/// The inputs from which a day was divided; stored ones that no longer have their digest are an error.
pub async fn load_revenue(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<Option<SealedRevenue>, MonetizationError> {
    let Some(epoch) = find_dividend_epoch(conn, day).await? else { return Ok(None) };
    let events = sqlx::query_file!("../../sql/monetization/list_revenue_events.sql", day.date())
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(|row| {
            Ok(RevenueEvent {
                occurred_at: row.occurred_at,
                kind: row.kind.parse()?,
                work: row.work.parse()?,
                gross: rows::parse(&row.gross, "revenue_event", &row.event_id)?,
                asset: row.asset.parse()?,
                payer: row.payer,
                id: row.event_id,
            })
        })
        .collect::<Result<_, MonetizationError>>()?;
    let holdings = sqlx::query_file!("../../sql/monetization/list_sealed_holdings.sql", day.date())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| {
            Ok(RecordHolding {
                record_day: UtcDay::from_date(row.record_day),
                holder: rows::address(&row.holder, "record_holding", &row.work)?,
                units: rows::parse(&row.units, "record_holding", &row.work)?,
                work: row.work.parse()?,
            })
        })
        .collect::<Result<_, MonetizationError>>()?;
    let inputs = SealedRevenue::new(day, epoch.ruleset, events, holdings)?;
    let derived = inputs.digest()?;
    if derived == epoch.inputs_digest {
        Ok(Some(inputs))
    } else {
        Err(MonetizationError::CorruptEpoch { day, what: "inputs", recorded: epoch.inputs_digest, derived })
    }
}

/// The result of a day; a stored one that no longer has its digest is an error.
pub async fn load_dividends(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<Option<DividendResult>, MonetizationError> {
    let Some(epoch) = find_dividend_epoch(conn, day).await? else { return Ok(None) };
    let mut lines: BTreeMap<_, DividendLine> = BTreeMap::new();
    for row in sqlx::query_file!("../../sql/monetization/list_dividend_lines.sql", day.date())
        .fetch_all(&mut *conn)
        .await?
    {
        let amount = |text: &str| rows::parse::<Amount>(text, "dividend_line", day);
        let line = DividendLine {
            origin: UtcDay::from_date(row.origin_day),
            kind: row.kind.parse()?,
            work: row.work.parse()?,
            asset: row.asset.parse()?,
            events: rows::count(row.event_count, "dividend_line", day)?,
            gross: amount(&row.gross)?,
            fee: amount(&row.fee)?,
            network: amount(&row.network)?,
            distributed: amount(&row.distributed)?,
            carried: amount(&row.carried)?,
            dividends: Vec::new(),
        };
        lines.insert((line.origin, line.kind, line.work.clone(), line.asset.clone()), line);
    }
    for row in
        sqlx::query_file!("../../sql/monetization/list_dividends.sql", day.date()).fetch_all(conn).await?
    {
        let key = (
            UtcDay::from_date(row.origin_day),
            row.kind.parse::<IncomeKind>()?,
            row.work.parse::<WorkId>()?,
            row.asset.parse::<Asset>()?,
        );
        let line = lines.get_mut(&key).ok_or_else(|| rows::corrupt("dividend", day))?;
        line.dividends.push(Dividend {
            holder: rows::address(&row.holder, "dividend", day)?,
            units: rows::parse(&row.units, "dividend", day)?,
            amount: rows::parse(&row.amount, "dividend", day)?,
        });
    }
    let mut lines: Vec<DividendLine> = lines.into_values().collect();
    for line in &mut lines {
        line.dividends.sort_unstable_by_key(|dividend| dividend.holder);
    }
    let result = DividendResult {
        epoch: day,
        ruleset: epoch.ruleset,
        inputs_digest: epoch.inputs_digest,
        totals: totals(&lines)?,
        lines,
    };
    let derived = result.digest()?;
    if derived == epoch.result_digest {
        Ok(Some(result))
    } else {
        Err(MonetizationError::CorruptEpoch { day, what: "result", recorded: epoch.result_digest, derived })
    }
}

/// Every dividend of a holder, or those of one epoch, by epoch and line.
pub async fn explain_dividends(
    conn: &mut PgConnection,
    holder: Address,
    epoch: Option<UtcDay>,
) -> Result<Vec<ExplainedDividend>, MonetizationError> {
    let day = epoch.map(UtcDay::date);
    sqlx::query_file!("../../sql/monetization/explain_dividends.sql", holder.as_bytes().as_slice(), day)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| {
            let amount = |text: &str| rows::parse::<Amount>(text, "dividend", row.day);
            Ok(ExplainedDividend {
                epoch: UtcDay::from_date(row.day),
                origin: UtcDay::from_date(row.origin_day),
                kind: row.kind.parse()?,
                work: row.work.parse()?,
                asset: row.asset.parse()?,
                events: rows::count(row.event_count, "dividend_line", row.day)?,
                gross: amount(&row.gross)?,
                fee: amount(&row.fee)?,
                network: amount(&row.network)?,
                distributed: amount(&row.distributed)?,
                units: rows::parse(&row.units, "dividend", row.day)?,
                units_total: amount(&row.units_total)?,
                amount: amount(&row.amount)?,
            })
        })
        .collect()
}

struct EpochRow {
    day: NaiveDate,
    ruleset: i32,
    inputs_digest: Vec<u8>,
    result_digest: Vec<u8>,
    event_count: i64,
    posted_at: DateTime<Utc>,
}

impl TryFrom<EpochRow> for DividendEpoch {
    type Error = MonetizationError;

    fn try_from(row: EpochRow) -> Result<Self, MonetizationError> {
        let table = "dividend_epoch";
        Ok(Self {
            day: UtcDay::from_date(row.day),
            ruleset: row.ruleset.try_into().map_err(|_| rows::corrupt(table, row.day))?,
            inputs_digest: rows::digest(&row.inputs_digest, table, row.day)?,
            result_digest: rows::digest(&row.result_digest, table, row.day)?,
            events: rows::count(row.event_count, table, row.day)?,
            posted_at: row.posted_at,
        })
    }
}
