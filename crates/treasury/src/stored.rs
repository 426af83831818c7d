//! Sealed inputs and results as they are stored.

use sqlx::PgConnection;
use tale_primitives::{Amount, GeneratorId, UtcDay};

use crate::{
    Class, ClassPool, Contribution, Epoch, EpochResult, OpenReceivable, PerClass, Repayment, Reward,
    SealedInputs, Share, TreasuryError,
    epoch::{address, corrupt, find_epoch},
};

/// The inputs with which this day was sealed, if it is.
pub async fn load_inputs(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<Option<SealedInputs>, TreasuryError> {
    let Some(epoch) = find_epoch(conn, day).await? else { return Ok(None) };
    let unreadable = || corrupt("sealed_input", day);
    let contributions = sqlx::query_file!("../../sql/treasury/list_sealed_inputs.sql", day.date())
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Contribution {
                generator: GeneratorId::from_raw(row.generator_id),
                class: Class::parse(&row.class).ok_or_else(unreadable)?,
                origin: UtcDay::from_date(row.origin_day),
                owner: address(&row.owner, "sealed_input", day)?,
                points: row.points,
            })
        })
        .collect::<Result<_, TreasuryError>>()?;
    let receivables = sqlx::query_file!("../../sql/treasury/list_sealed_receivables.sql", day.date())
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(|row| {
            Ok(OpenReceivable {
                owner: address(&row.owner, "sealed_receivable", day)?,
                origin: UtcDay::from_date(row.origin_day),
                correction: row.correction,
                outstanding: amount(&row.outstanding, "sealed_receivable", day)?,
            })
        })
        .collect::<Result<_, TreasuryError>>()?;
    let sources = sqlx::query_file_scalar!("../../sql/treasury/list_settled_sources.sql", day.date())
        .fetch_all(conn)
        .await?;
    let inputs = SealedInputs::new(day, epoch.ruleset, contributions)?;
    Ok(Some(inputs.with_receivables(receivables).with_sources(sources)))
}

/// The result of this day, if it is computed; a stored one that no longer has its digest is an error.
pub async fn load_result(conn: &mut PgConnection, day: UtcDay) -> Result<Option<EpochResult>, TreasuryError> {
    let Some(epoch) = find_epoch(conn, day).await? else { return Ok(None) };
    let recorded = epoch.result_digest;
    let Some((result, recorded)) = load_unchecked_result(conn, epoch).await?.zip(recorded) else {
        return Ok(None);
    };
    let derived = result.digest()?;
    if derived == recorded {
        Ok(Some(result))
    } else {
        Err(TreasuryError::CorruptResult { epoch: day, recorded, derived })
    }
}

/// The result as it is stored, whatever its digest.
pub(crate) async fn load_unchecked_result(
    conn: &mut PgConnection,
    epoch: Epoch,
) -> Result<Option<EpochResult>, TreasuryError> {
    let Epoch {
        day,
        asset: Some(asset),
        token: Some(token),
        pool: Some(pool),
        paid: Some(paid),
        repaid,
        carried: Some(carried),
        ..
    } = epoch
    else {
        return Ok(None);
    };
    let mut classes: PerClass<ClassPool> = PerClass::default();
    if epoch.ruleset == 1 {
        classes.training = ClassPool { pool, paid, carried, ..ClassPool::default() };
    }
    for row in sqlx::query_file!("../../sql/treasury/list_epoch_classes.sql", day.date())
        .fetch_all(&mut *conn)
        .await?
    {
        let class = Class::parse(&row.class).ok_or_else(|| corrupt("epoch_class", day))?;
        let read = |text: &str| amount(text, "epoch_class", day);
        classes[class] = ClassPool {
            pool: read(&row.pool)?,
            cap: read(&row.cap)?,
            weight: read(&row.weight)?,
            capped: row.capped.try_into().map_err(|_| corrupt("epoch_class", day))?,
            paid: read(&row.paid)?,
            carried: read(&row.carried)?,
        };
    }
    Ok(Some(EpochResult {
        epoch: day,
        ruleset: epoch.ruleset,
        ruleset_digest: epoch.ruleset_digest,
        inputs_digest: epoch.inputs_digest,
        asset,
        token,
        pool,
        classes,
        paid,
        repaid,
        carried,
        rewards: load_rewards(conn, day).await?,
        repayments: load_repayments(conn, day).await?,
    }))
}

async fn load_rewards(conn: &mut PgConnection, day: UtcDay) -> Result<Vec<Reward>, TreasuryError> {
    let rows = sqlx::query_file!("../../sql/treasury/list_rewards.sql", day.date()).fetch_all(conn).await?;
    let read = |text: &str| amount(text, "reward", day);
    rows.into_iter()
        .map(|row| {
            Ok(Reward {
                owner: address(&row.owner, "reward", day)?,
                shares: PerClass {
                    compute: Share { points: row.compute_points, amount: read(&row.compute_amount)? },
                    training: Share { points: row.points, amount: read(&row.training_amount)? },
                    validation: Share {
                        points: row.validation_points,
                        amount: read(&row.validation_amount)?,
                    },
                },
                gross: read(&row.gross)?,
                repaid: read(&row.repaid)?,
                net: read(&row.amount)?,
            })
        })
        .collect()
}

async fn load_repayments(conn: &mut PgConnection, day: UtcDay) -> Result<Vec<Repayment>, TreasuryError> {
    let rows =
        sqlx::query_file!("../../sql/treasury/list_repayments.sql", day.date()).fetch_all(conn).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Repayment {
                correction: row.correction,
                owner: address(&row.owner, "repayment", day)?,
                origin: UtcDay::from_date(row.origin_day),
                amount: amount(&row.amount, "repayment", day)?,
            })
        })
        .collect()
}

pub(crate) fn amount(text: &str, table: &'static str, day: UtcDay) -> Result<Amount, TreasuryError> {
    text.parse().map_err(|_| corrupt(table, day))
}
