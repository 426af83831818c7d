use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_primitives::{Digest, GeneratorId, UtcDay};
use uuid::Uuid;

use crate::{
    Contribution, SealedInputs, TreasuryError,
    epoch::{digest_of_bytes, load_inputs},
};

/// Points that one source, such as a training round, gave to generators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContributions {
    /// What earned them, unique: the idempotency key.
    pub source: String,
    /// The UTC day on which they were earned.
    pub day: UtcDay,
    /// Signed fixed-point points; a generator may be named once.
    pub points: Vec<(GeneratorId, i64)>,
}

/// The answer to a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Whether an earlier call had recorded the source, so that this one changed nothing.
    pub already_recorded: bool,
    /// The epoch that counts the source, once one is sealed.
    pub settled_in: Option<UtcDay>,
}

/// Records the points of one source, to be counted by the first epoch sealed on or after its day.
///
/// Recording the same again changes nothing; other points under the same source are an error. Points that come
/// after their day was sealed are counted by the next epoch, which keeps the day they came from.
pub async fn record_contributions(
    conn: &mut PgConnection,
    contributions: &NewContributions,
) -> Result<Recorded, TreasuryError> {
    let NewContributions { source, day, points } = contributions;
    let length = source.chars().count();
    if !(1..=200).contains(&length) {
        return Err(TreasuryError::SourceLength(length));
    }
    let mut points = points.clone();
    points.sort_unstable();
    if let Some(pair) = points.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(TreasuryError::GeneratorTwice(pair[0].0));
    }
    let given = digest(*day, &points)?;

    let mut transaction = conn.begin().await?;
    let inserted = sqlx::query_file!(
        "../../sql/treasury/insert_contribution_batch.sql",
        source,
        day.date(),
        given.as_bytes().as_slice()
    )
    .execute(&mut *transaction)
    .await?;
    if inserted.rows_affected() == 1 {
        let generators: Vec<Uuid> = points.iter().map(|(generator, _)| generator.raw()).collect();
        let amounts: Vec<i64> = points.iter().map(|(_, points)| *points).collect();
        sqlx::query_file!("../../sql/treasury/insert_contributions.sql", source, &generators, &amounts)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        return Ok(Recorded { already_recorded: false, settled_in: None });
    }
    let row = sqlx::query_file!("../../sql/treasury/find_contribution_batch.sql", source)
        .fetch_one(&mut *transaction)
        .await?;
    let recorded = digest_of_bytes(&row.content_digest, "contribution_batch", source)?;
    if recorded != given {
        return Err(TreasuryError::ContributionsDiffer { source_name: source.clone(), recorded, given });
    }
    Ok(Recorded { already_recorded: true, settled_in: row.settled_day.map(UtcDay::from_date) })
}

/// The inputs of an epoch: of a sealed one those it was sealed with, else every contribution that no epoch has
/// counted and that was earned on its day or before, with the owners of today.
///
/// `ruleset` is the version to seal with; a sealed epoch keeps its own.
pub async fn gather_inputs(
    conn: &mut PgConnection,
    epoch: UtcDay,
    ruleset: u32,
) -> Result<SealedInputs, TreasuryError> {
    let rows = sqlx::query_file!("../../sql/treasury/list_unsettled_contributions.sql", epoch.date())
        .fetch_all(&mut *conn)
        .await?;
    // after the rows: whatever another has sealed and so taken from them is then seen here
    if let Some(sealed) = load_inputs(conn, epoch).await? {
        return Ok(sealed);
    }
    let mut sources = BTreeSet::new();
    let mut points_by_generator: BTreeMap<GeneratorId, i64> = BTreeMap::new();
    for row in rows {
        sources.insert(row.source);
        let Some((generator, points)) = row.generator_id.zip(row.points) else { continue };
        let sum = points_by_generator.entry(GeneratorId::from_raw(generator)).or_default();
        *sum = sum.checked_add(points).ok_or(TreasuryError::PointsOverflow { epoch })?;
    }
    let generators: Vec<GeneratorId> = points_by_generator.keys().copied().collect();
    let owners = tale_network::owners_of(conn, &generators).await?;
    let contributions = points_by_generator
        .into_iter()
        .zip(owners.into_values())
        .map(|((generator, points), owner)| Contribution { generator, owner, points })
        .collect();
    Ok(SealedInputs::new(epoch, ruleset, contributions)?.with_sources(sources.into_iter().collect()))
}

fn digest(day: UtcDay, points: &[(GeneratorId, i64)]) -> Result<Digest, TreasuryError> {
    #[derive(Serialize)]
    struct Canonical<'a> {
        day: UtcDay,
        points: &'a [(GeneratorId, i64)],
    }
    serde_json::to_vec(&Canonical { day, points }).map(Digest::of).map_err(TreasuryError::Canonical)
}
