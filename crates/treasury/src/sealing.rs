use std::collections::BTreeMap;

use chrono::NaiveDate;
use sqlx::{Connection, PgConnection};
use tale_primitives::{GeneratorId, UtcDay};
use uuid::Uuid;

use crate::{
    Class, Contribution, EpochState, OpenReceivable, Ruleset, SealedInputs, Transition, TreasuryError,
    epoch::{address, corrupt, find_epoch},
    stored::{amount, load_inputs},
    transition::refuse_earlier,
};

/// PostgreSQL's `numeric_value_out_of_range`.
const OUT_OF_RANGE: &str = "22003";

/// The inputs of an epoch: of a sealed one those it was sealed with, else every contribution that no epoch has
/// counted and that was earned on its day or before, with the owners of today, and every over-payment of an earlier
/// day that is not repaid.
///
/// `ruleset` is the version to seal with; a sealed epoch keeps its own. Ruleset 1 pays for training alone and knows
/// no repayment.
pub async fn gather_inputs(
    conn: &mut PgConnection,
    epoch: UtcDay,
    ruleset: u32,
) -> Result<SealedInputs, TreasuryError> {
    let classes: &[Class] = if ruleset == 1 { &[Class::Training] } else { &Class::ALL };
    let classes: Vec<String> = classes.iter().map(Class::to_string).collect();
    let sources =
        sqlx::query_file_scalar!("../../sql/treasury/list_unsettled_batches.sql", epoch.date(), &classes)
            .fetch_all(&mut *conn)
            .await?;
    let mut contributions = gather_contributions(conn, epoch, &classes).await?;
    let receivables = match ruleset {
        1 => Vec::new(),
        _ => open_receivables(conn, epoch).await?,
    };
    // after the rows: whatever another has sealed and so taken from them is then seen here
    if let Some(sealed) = load_inputs(conn, epoch).await? {
        return Ok(sealed);
    }
    if ruleset == 1 {
        contributions = forget_origins(epoch, contributions)?;
    }
    let inputs = SealedInputs::new(epoch, ruleset, contributions)?;
    Ok(inputs.with_receivables(receivables).with_sources(sources))
}

async fn gather_contributions(
    conn: &mut PgConnection,
    epoch: UtcDay,
    classes: &[String],
) -> Result<Vec<Contribution>, TreasuryError> {
    let rows =
        sqlx::query_file!("../../sql/treasury/list_unsettled_contributions.sql", epoch.date(), classes)
            .fetch_all(&mut *conn)
            .await
            .map_err(|error| match &error {
                sqlx::Error::Database(refused) if refused.code().as_deref() == Some(OUT_OF_RANGE) => {
                    TreasuryError::PointsOverflow { epoch }
                }
                _ => error.into(),
            })?;
    let mut generators: Vec<GeneratorId> =
        rows.iter().map(|row| GeneratorId::from_raw(row.generator_id)).collect();
    generators.sort_unstable();
    generators.dedup();
    let owners = tale_network::owners_of(conn, &generators).await?;
    rows.into_iter()
        .map(|row| {
            let generator = GeneratorId::from_raw(row.generator_id);
            Ok(Contribution {
                generator,
                class: Class::parse(&row.class).ok_or_else(|| corrupt("contribution_batch", epoch))?,
                origin: UtcDay::from_date(row.origin_day),
                owner: owners.get(&generator).copied().ok_or_else(|| corrupt("contribution", generator))?,
                points: row.points,
            })
        })
        .collect()
}

/// The over-payments of days before this one that no epoch has repaid.
pub(crate) async fn open_receivables(
    conn: &mut PgConnection,
    epoch: UtcDay,
) -> Result<Vec<OpenReceivable>, TreasuryError> {
    let rows = sqlx::query_file!("../../sql/treasury/list_open_receivables.sql", epoch.date())
        .fetch_all(conn)
        .await?;
    let mut receivables = rows
        .into_iter()
        .map(|row| {
            Ok(OpenReceivable {
                owner: address(&row.owner, "receivable", &row.correction)?,
                origin: UtcDay::from_date(row.origin_day),
                outstanding: amount(&row.outstanding, "receivable", epoch)?,
                correction: row.correction,
            })
        })
        .collect::<Result<Vec<_>, TreasuryError>>()?;
    receivables.sort_unstable();
    Ok(receivables)
}

/// Ruleset 1 kept one line for each generator.
fn forget_origins(
    epoch: UtcDay,
    contributions: Vec<Contribution>,
) -> Result<Vec<Contribution>, TreasuryError> {
    let mut lines: BTreeMap<GeneratorId, Contribution> = BTreeMap::new();
    for one in contributions {
        let line = lines.entry(one.generator).or_insert(Contribution { origin: epoch, points: 0, ..one });
        line.points = line.points.checked_add(one.points).ok_or(TreasuryError::PointsOverflow { epoch })?;
    }
    Ok(lines.into_values().collect())
}

/// Fixes the inputs of an epoch, and counts the recorded batches that they name as settled by it.
///
/// Days are sealed in their order, and each when those before it are computed, because what is left to be repaid
/// follows from them. Sealing again with the same inputs changes nothing; with others it is
/// [`TreasuryError::InputsDiffer`].
pub async fn seal_epoch(conn: &mut PgConnection, inputs: &SealedInputs) -> Result<Transition, TreasuryError> {
    let day = inputs.epoch();
    let given = inputs.digest()?;
    let mut transaction = conn.begin().await?;
    sqlx::query_file!("../../sql/treasury/lock_epochs.sql").execute(&mut *transaction).await?;
    if let Some(epoch) = find_epoch(&mut transaction, day).await? {
        return if epoch.inputs_digest == given {
            Ok(Transition { epoch, changed: false })
        } else {
            Err(TreasuryError::InputsDiffer { epoch: day, sealed: epoch.inputs_digest, given })
        };
    }
    let later = sqlx::query_file_scalar!("../../sql/treasury/find_later_epoch.sql", day.date())
        .fetch_one(&mut *transaction)
        .await?;
    if let Some(later) = later {
        return Err(TreasuryError::LaterEpochSealed { epoch: day, later: UtcDay::from_date(later) });
    }
    refuse_earlier(&mut transaction, day, &[EpochState::Sealed]).await?;
    let open = open_receivables(&mut transaction, day).await?;
    if inputs.receivables().iter().any(|given| open.binary_search(given).is_err()) {
        return Err(TreasuryError::ReceivablesMoved { epoch: day });
    }

    let ruleset = Ruleset::load(inputs.ruleset())?.version;
    let ruleset_digest = Ruleset::digest(ruleset)?;
    sqlx::query_file!(
        "../../sql/treasury/insert_epoch.sql",
        day.date(),
        ruleset as i32,
        ruleset_digest.as_bytes().as_slice(),
        given.as_bytes().as_slice()
    )
    .execute(&mut *transaction)
    .await?;
    insert_contributions(&mut transaction, inputs).await?;
    insert_receivables(&mut transaction, inputs).await?;
    let settled =
        sqlx::query_file!("../../sql/treasury/settle_contribution_batches.sql", day.date(), inputs.sources())
            .execute(&mut *transaction)
            .await?;
    if settled.rows_affected() != inputs.sources().len() as u64 {
        return Err(TreasuryError::ContributionsMoved { epoch: day });
    }
    let epoch = find_epoch(&mut transaction, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    transaction.commit().await?;
    Ok(Transition { epoch, changed: true })
}

async fn insert_contributions(conn: &mut PgConnection, inputs: &SealedInputs) -> Result<(), TreasuryError> {
    let contributions = inputs.contributions();
    let classes: Vec<String> = contributions.iter().map(|one| one.class.to_string()).collect();
    let generators: Vec<Uuid> = contributions.iter().map(|one| one.generator.raw()).collect();
    let origins: Vec<NaiveDate> = contributions.iter().map(|one| one.origin.date()).collect();
    let owners: Vec<Vec<u8>> = contributions.iter().map(|one| one.owner.as_bytes().to_vec()).collect();
    let points: Vec<i64> = contributions.iter().map(|one| one.points).collect();
    sqlx::query_file!(
        "../../sql/treasury/insert_sealed_inputs.sql",
        inputs.epoch().date(),
        &classes,
        &generators,
        &origins,
        &owners,
        &points
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_receivables(conn: &mut PgConnection, inputs: &SealedInputs) -> Result<(), TreasuryError> {
    let receivables = inputs.receivables();
    let corrections: Vec<String> = receivables.iter().map(|one| one.correction.clone()).collect();
    let owners: Vec<Vec<u8>> = receivables.iter().map(|one| one.owner.as_bytes().to_vec()).collect();
    let origins: Vec<NaiveDate> = receivables.iter().map(|one| one.origin.date()).collect();
    let outstanding: Vec<String> = receivables.iter().map(|one| one.outstanding.to_string()).collect();
    sqlx::query_file!(
        "../../sql/treasury/insert_sealed_receivables.sql",
        inputs.epoch().date(),
        &corrections,
        &owners,
        &origins,
        &outstanding
    )
    .execute(conn)
    .await?;
    Ok(())
}
