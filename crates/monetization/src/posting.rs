//! An epoch of dividends: sealed, divided and posted by one transaction.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{Connection, PgConnection};
use tale_ledger::{AccountKey, AccountOwner, Entry, LedgerError, NewJournal, post_journal};
use tale_primitives::{Address, Amount, UtcDay};

use crate::{
    AssetTotal, DividendEpoch, DividendResult, DividendRules, GatheredRevenue, MonetizationError,
    RevenueFile, SealedRevenue, divide, reading::find_dividend_epoch, revenue::digest_of_json,
};

/// Which posting of an epoch this is. An epoch is posted once, and a correction is an entry of a later one, so that it
/// has no other.
const REVISION: u32 = 0;

/// The answer to a posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DividendPosting {
    /// The epoch.
    pub epoch: DividendEpoch,
    /// What it divides.
    pub result: DividendResult,
    /// Whether this call posted it; false where an earlier one had.
    pub changed: bool,
}

/// Seals, divides and posts the revenue of a day that is over: one journal for each asset, under the key
/// `dividends/<epoch>/<revision>/<asset>`.
///
/// Doing it again with the same inputs changes nothing; with others it is [`MonetizationError::InputsDiffer`]. Days
/// are divided in their order, and days without revenue may be skipped.
pub async fn post_dividends(
    conn: &mut PgConnection,
    gathered: &GatheredRevenue,
) -> Result<DividendPosting, MonetizationError> {
    let inputs = &gathered.inputs;
    let day = inputs.epoch();
    let result = divide(inputs, &DividendRules::load(inputs.ruleset())?)?;
    let mut transaction = conn.begin().await?;
    sqlx::query_file!("../../sql/monetization/lock_dividend_epochs.sql").execute(&mut *transaction).await?;
    if let Some(epoch) = find_dividend_epoch(&mut transaction, day).await? {
        return repeat(epoch, result);
    }
    check_order(&mut transaction, day).await?;

    let result_digest = result.digest()?;
    sqlx::query_file!(
        "../../sql/monetization/insert_dividend_epoch.sql",
        day.date(),
        result.ruleset as i32,
        result.inputs_digest.as_bytes().as_slice(),
        result_digest.as_bytes().as_slice(),
        inputs.events().len() as i64
    )
    .execute(&mut *transaction)
    .await?;
    insert_files(&mut transaction, day, &gathered.files).await?;
    insert_inputs(&mut transaction, inputs).await?;
    insert_result(&mut transaction, &result).await?;
    for total in &result.totals {
        let posted = post_journal(&mut transaction, &journal(&result, total)?).await?;
        let id = posted.journal_id.raw();
        sqlx::query_file!(
            "../../sql/monetization/insert_dividend_journal.sql",
            day.date(),
            total.asset.as_str(),
            id
        )
        .execute(&mut *transaction)
        .await?;
    }
    let epoch =
        find_dividend_epoch(&mut transaction, day).await?.ok_or(MonetizationError::NotDivided(day))?;
    transaction.commit().await?;
    Ok(DividendPosting { epoch, result, changed: true })
}

/// The answer where the day is divided already.
fn repeat(epoch: DividendEpoch, result: DividendResult) -> Result<DividendPosting, MonetizationError> {
    let (sealed, given) = (epoch.inputs_digest, result.inputs_digest);
    if sealed != given {
        return Err(MonetizationError::InputsDiffer { epoch: epoch.day, sealed, given });
    }
    let (recorded, given) = (epoch.result_digest, result.digest()?);
    if recorded != given {
        return Err(MonetizationError::ResultDiffers { epoch: epoch.day, recorded, given });
    }
    Ok(DividendPosting { epoch, result, changed: false })
}

/// The day is over by the database's clock, and no later one is divided.
async fn check_order(conn: &mut PgConnection, day: UtcDay) -> Result<(), MonetizationError> {
    let is_over = sqlx::query_file_scalar!("../../sql/monetization/is_day_over.sql", day.date())
        .fetch_one(&mut *conn)
        .await?;
    if !is_over {
        return Err(MonetizationError::DayNotOver(day));
    }
    let later = sqlx::query_file_scalar!("../../sql/monetization/find_later_dividend_epoch.sql", day.date())
        .fetch_one(conn)
        .await?;
    match later {
        Some(later) => {
            Err(MonetizationError::LaterEpochDivided { epoch: day, later: UtcDay::from_date(later) })
        }
        None => Ok(()),
    }
}

async fn insert_files(
    conn: &mut PgConnection,
    day: UtcDay,
    files: &[RevenueFile],
) -> Result<(), MonetizationError> {
    let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    let versions: Vec<String> = files.iter().map(|file| file.version.clone()).collect();
    let digests: Vec<Vec<u8>> = files.iter().map(|file| file.object.digest.as_bytes().to_vec()).collect();
    let sizes: Vec<i64> = files.iter().map(|file| file.object.size_bytes as i64).collect();
    let rows: Vec<i64> = files.iter().map(|file| file.rows as i64).collect();
    let last_days: Vec<Option<NaiveDate>> =
        files.iter().map(|file| file.last_day.map(UtcDay::date)).collect();
    sqlx::query_file!(
        "../../sql/monetization/insert_revenue_files.sql",
        day.date(),
        &paths,
        &versions,
        &digests,
        &sizes,
        &rows,
        &last_days as &[Option<NaiveDate>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_inputs(conn: &mut PgConnection, inputs: &SealedRevenue) -> Result<(), MonetizationError> {
    const EVENTS_AT_ONCE: usize = 50_000;
    let day = inputs.epoch().date();
    for events in inputs.events().chunks(EVENTS_AT_ONCE) {
        let texts =
            |of: &dyn Fn(&crate::RevenueEvent) -> String| events.iter().map(of).collect::<Vec<String>>();
        let instants: Vec<DateTime<Utc>> = events.iter().map(|event| event.occurred_at).collect();
        let digests = events
            .iter()
            .map(|event| Ok(digest_of_json(event)?.as_bytes().to_vec()))
            .collect::<Result<Vec<Vec<u8>>, MonetizationError>>()?;
        sqlx::query_file!(
            "../../sql/monetization/insert_revenue_events.sql",
            day,
            &texts(&|event| event.id.clone()),
            &instants,
            &texts(&|event| event.kind.to_string()),
            &texts(&|event| event.work.to_string()),
            &texts(&|event| event.gross.to_string()),
            &texts(&|event| event.asset.to_string()),
            &texts(&|event| event.payer.clone()),
            &digests
        )
        .execute(&mut *conn)
        .await
        .map_err(|error| MonetizationError::of_events(error, inputs.epoch()))?;
    }
    let holdings = inputs.holdings();
    let record_days: Vec<NaiveDate> = holdings.iter().map(|holding| holding.record_day.date()).collect();
    let works: Vec<String> = holdings.iter().map(|holding| holding.work.to_string()).collect();
    let holders: Vec<Vec<u8>> = holdings.iter().map(|holding| holding.holder.as_bytes().to_vec()).collect();
    let units: Vec<String> = holdings.iter().map(|holding| holding.units.to_string()).collect();
    sqlx::query_file!(
        "../../sql/monetization/insert_record_holdings.sql",
        day,
        &record_days,
        &works,
        &holders,
        &units
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_result(conn: &mut PgConnection, result: &DividendResult) -> Result<(), MonetizationError> {
    let (day, lines) = (result.epoch.date(), &result.lines);
    let texts = |of: &dyn Fn(&crate::DividendLine) -> String| lines.iter().map(of).collect::<Vec<String>>();
    let origins: Vec<NaiveDate> = lines.iter().map(|line| line.origin.date()).collect();
    let counts: Vec<i64> = lines.iter().map(|line| line.events as i64).collect();
    sqlx::query_file!(
        "../../sql/monetization/insert_dividend_lines.sql",
        day,
        &origins,
        &texts(&|line| line.kind.to_string()),
        &texts(&|line| line.work.to_string()),
        &texts(&|line| line.asset.to_string()),
        &counts,
        &texts(&|line| line.gross.to_string()),
        &texts(&|line| line.fee.to_string()),
        &texts(&|line| line.network.to_string()),
        &texts(&|line| line.distributed.to_string()),
        &texts(&|line| line.carried.to_string())
    )
    .execute(&mut *conn)
    .await?;

    let all = || lines.iter().flat_map(|line| line.dividends.iter().map(move |dividend| (line, dividend)));
    let origins: Vec<NaiveDate> = all().map(|(line, _)| line.origin.date()).collect();
    let kinds: Vec<String> = all().map(|(line, _)| line.kind.to_string()).collect();
    let works: Vec<String> = all().map(|(line, _)| line.work.to_string()).collect();
    let assets: Vec<String> = all().map(|(line, _)| line.asset.to_string()).collect();
    let holders: Vec<Vec<u8>> = all().map(|(_, dividend)| dividend.holder.as_bytes().to_vec()).collect();
    let units: Vec<String> = all().map(|(_, dividend)| dividend.units.to_string()).collect();
    let amounts: Vec<String> = all().map(|(_, dividend)| dividend.amount.to_string()).collect();
    sqlx::query_file!(
        "../../sql/monetization/insert_dividends.sql",
        day,
        &origins,
        &kinds,
        &works,
        &assets,
        &holders,
        &units,
        &amounts
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What was paid comes in from outside; fees, the network's share, dividends and the carry-over are credited.
fn journal(result: &DividendResult, total: &AssetTotal) -> Result<NewJournal, MonetizationError> {
    let account = |owner| AccountKey::new(owner, total.asset.clone());
    let name = |text: &str| text.parse().map_err(|_| LedgerError::NotAnAccount(text.to_owned()));
    let mut holders: BTreeMap<Address, Amount> = BTreeMap::new();
    for line in result.lines.iter().filter(|line| line.asset == total.asset) {
        for dividend in &line.dividends {
            let sum = holders.entry(dividend.holder).or_default();
            let overflow = || MonetizationError::Overflow { asset: total.asset.clone() };
            *sum = sum.checked_add(dividend.amount).ok_or_else(overflow)?;
        }
    }
    let mut entries = vec![
        Entry::debit(account(AccountOwner::Issuance(name("revenue")?)), total.gross),
        Entry::credit(account(AccountOwner::Treasury(name("fees")?)), total.fees),
        Entry::credit(account(AccountOwner::Treasury(name("revenue-share")?)), total.network),
        Entry::credit(account(AccountOwner::Pool(name("dividends-carry-over")?)), total.carried),
    ];
    let to_holder = |(holder, amount)| Entry::credit(AccountKey::holder(holder, &total.asset), amount);
    entries.extend(holders.into_iter().map(to_holder));
    entries.retain(|entry| !entry.amount.is_zero());
    Ok(NewJournal {
        key: format!("dividends/{}/{REVISION}/{}", result.epoch, total.asset),
        epoch: Some(result.epoch),
        description: format!("dividends of {} in {}", result.epoch, total.asset),
        entries,
    })
}
