use sqlx::PgConnection;
use tale_primitives::{Digest, UtcDay};

use crate::{
    Ruleset, TreasuryError,
    epoch::{address, digest_of_bytes, find_epoch},
};

/// What the second computation of an epoch came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecondComputation {
    /// The canonical head of the result, as PostgreSQL wrote it.
    pub(crate) head: String,
    /// The digest of that.
    pub(crate) digest: Digest,
}

/// The digest of a computed epoch by its second computation, which [`crate::post_epoch`] makes before it posts.
pub async fn check_epoch(conn: &mut PgConnection, day: UtcDay) -> Result<Digest, TreasuryError> {
    compute_in_sql(conn, day).await.map(|second| second.digest)
}

/// Computes a computed epoch again, from its sealed inputs and in SQL, and compares every reward and the digest.
///
/// It shares no code with [`crate::compute`]: another language, another arithmetic, another algorithm. The first owner
/// whose reward differs is the error's.
pub(crate) async fn compute_in_sql(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<SecondComputation, TreasuryError> {
    let epoch = find_epoch(conn, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    let text = Ruleset::text(epoch.ruleset)?;
    sqlx::query_file!("../../sql/treasury/ready_computation.sql").fetch_one(&mut *conn).await?;
    let row =
        sqlx::query_file!("../../sql/treasury/recompute_epoch.sql", day.date(), text).fetch_one(conn).await?;
    if let Some(owner) = row.owner {
        return Err(TreasuryError::ComputationsDiffer {
            epoch: day,
            owner: address(&owner, "reward", day)?,
            stored: row.stored.unwrap_or_else(|| "nothing".to_owned()),
            derived: row.derived.unwrap_or_else(|| "nothing".to_owned()),
        });
    }
    let second = SecondComputation { head: row.head, digest: digest_of_bytes(&row.digest, "epoch", day)? };
    match epoch.result_digest {
        Some(recorded) if recorded != second.digest => {
            Err(TreasuryError::DigestsDiffer { epoch: day, recorded, derived: second.digest })
        }
        _ => Ok(second),
    }
}
