//! What published rounds did, and what each participant is owed for it.

use chrono::NaiveDate;
use sqlx::PgConnection;
use tale_primitives::{Digest, GeneratorId, UtcDay};

use crate::{
    Contribution, LossChange, RoundPoints, ValidationError,
    evidence::{number, stored_digest},
};

/// The effect of a published round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundOutcome {
    /// The training that the round belongs to.
    pub lineage: String,
    /// Number of the round, from 1.
    pub round: u32,
    /// The day in whose settlement the round counts.
    pub epoch: UtcDay,
    /// Digest of the model after the round.
    pub result: Digest,
    /// What it did to the held-out loss.
    pub change: LossChange,
    /// Who is owed what.
    pub points: RoundPoints,
}

/// Records the contributions of a published round.
///
/// Recording the same again changes nothing, on whatever day: the first day counts. Other contributions
/// for a recorded round are [`ValidationError::ContributionsDiffer`].
pub async fn record_contributions(
    conn: &mut PgConnection,
    outcome: &RoundOutcome,
) -> Result<(), ValidationError> {
    let RoundOutcome { lineage, round, points, .. } = outcome;
    let inserted = sqlx::query_file!(
        "../../sql/validation/insert_outcome.sql",
        lineage,
        number(*round),
        outcome.epoch.date(),
        outcome.result.as_bytes().as_slice(),
        outcome.change.rows.cast_signed(),
        outcome.change.before,
        outcome.change.after,
        points.loss_drop,
        points.residual
    )
    .execute(&mut *conn)
    .await?;
    if inserted.rows_affected() == 0 {
        let recorded = find_outcome(conn, lineage, *round).await?;
        let same =
            recorded.is_some_and(|recorded| RoundOutcome { epoch: outcome.epoch, ..recorded } == *outcome);
        let (lineage, round) = (lineage.clone(), *round);
        return if same { Ok(()) } else { Err(ValidationError::ContributionsDiffer { lineage, round }) };
    }
    let generators: Vec<_> = points.contributions.iter().map(|one| one.generator.raw()).collect();
    let shares: Vec<i64> = points.contributions.iter().map(|one| one.points).collect();
    sqlx::query_file!(
        "../../sql/validation/insert_contributions.sql",
        lineage,
        number(*round),
        &generators,
        &shares
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The outcome of a round, once it is published.
pub async fn find_outcome(
    conn: &mut PgConnection,
    lineage: &str,
    round: u32,
) -> Result<Option<RoundOutcome>, ValidationError> {
    let stored = number(round);
    let Some(row) = sqlx::query_file!("../../sql/validation/find_outcome.sql", lineage, stored)
        .fetch_optional(&mut *conn)
        .await?
    else {
        return Ok(None);
    };
    let contributions =
        sqlx::query_file!("../../sql/validation/list_round_contributions.sql", lineage, stored)
            .fetch_all(conn)
            .await?
            .into_iter()
            .map(|row| Contribution { generator: GeneratorId::from_raw(row.generator), points: row.points });
    let epoch: NaiveDate = row.epoch;
    Ok(Some(RoundOutcome {
        lineage: lineage.to_owned(),
        round,
        epoch: UtcDay::from_date(epoch),
        result: stored_digest(row.result_digest)?,
        change: LossChange { rows: row.rows.cast_unsigned(), before: row.loss_before, after: row.loss_after },
        points: RoundPoints {
            contributions: contributions.collect(),
            loss_drop: row.loss_drop,
            residual: row.residual,
        },
    }))
}

/// The points of every generator over all rounds of a day, by generator: what a settlement divides by.
pub async fn contributions_of(
    conn: &mut PgConnection,
    epoch: UtcDay,
) -> Result<Vec<Contribution>, ValidationError> {
    let rows = sqlx::query_file!("../../sql/validation/sum_contributions.sql", epoch.date())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| Contribution { generator: GeneratorId::from_raw(row.generator), points: row.points });
    Ok(rows.collect())
}
