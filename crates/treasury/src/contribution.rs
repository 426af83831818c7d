use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_primitives::{Digest, GeneratorId, UtcDay};
use uuid::Uuid;

use crate::{Class, TreasuryError, epoch::digest_of_bytes};

/// Points that one source, such as a training round, gave to generators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContributions {
    /// What earned them, unique: the idempotency key.
    pub source: String,
    /// The UTC day on which they were earned.
    pub day: UtcDay,
    /// What they are paid for.
    pub class: Class,
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
    let NewContributions { source, day, class, points } = contributions;
    let length = source.chars().count();
    if !(1..=200).contains(&length) {
        return Err(TreasuryError::SourceLength(length));
    }
    let mut points = points.clone();
    points.sort_unstable();
    if let Some(pair) = points.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(TreasuryError::GeneratorTwice(pair[0].0));
    }
    let given = digest(*day, *class, &points)?;

    let mut transaction = conn.begin().await?;
    let inserted = sqlx::query_file!(
        "../../sql/treasury/insert_contribution_batch.sql",
        source,
        day.date(),
        class.as_str(),
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

/// Batches of training name no class: they are written as they were before there were classes.
fn digest(day: UtcDay, class: Class, points: &[(GeneratorId, i64)]) -> Result<Digest, TreasuryError> {
    #[derive(Serialize)]
    struct Canonical<'a> {
        day: UtcDay,
        #[serde(skip_serializing_if = "Option::is_none")]
        class: Option<Class>,
        points: &'a [(GeneratorId, i64)],
    }
    let class = Some(class).filter(|class| *class != Class::Training);
    serde_json::to_vec(&Canonical { day, class, points }).map(Digest::of).map_err(TreasuryError::Canonical)
}
