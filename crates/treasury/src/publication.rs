use sqlx::{Connection, PgConnection};
use tale_primitives::{Amount, Digest, UtcDay};

use crate::{
    ClaimLeaf, ClaimsTree, Distributor, EpochState, Manifest, Transition, TreasuryError,
    claims::list_cumulative,
    epoch::lock_epoch,
    finality::refuse_held,
    stored::load_result,
    transition::{need, refuse_earlier},
};

/// Stores the root of the claims tree of a posted epoch: for each account and token, everything that it received up
/// to and including this day. The manifest is stored with it, and names the contract that pays out, if one does.
///
/// One cumulative root, so that whoever skipped thirty days needs one proof. Where nobody ever earned anything the
/// epoch is published without a root. Publishing again changes nothing, and a day that is held is not published.
pub async fn publish_epoch(
    conn: &mut PgConnection,
    day: UtcDay,
    distributor: Option<Distributor>,
) -> Result<Transition, TreasuryError> {
    let mut transaction = conn.begin().await?;
    let epoch = lock_epoch(&mut transaction, day).await?;
    if epoch.state >= EpochState::Published {
        return Ok(Transition { epoch, changed: false });
    }
    need(&epoch, EpochState::Posted)?;
    refuse_held(&mut transaction, day).await?;
    let unpublished = [EpochState::Sealed, EpochState::Computed, EpochState::Posted];
    refuse_earlier(&mut transaction, day, &unpublished).await?;

    // Rewards that were changed since they were posted are found by the digest.
    let result = load_result(&mut transaction, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    let leaves = list_cumulative(&mut transaction, day).await?;
    check_sum(&mut transaction, day, &leaves).await?;
    let leaf_count = leaves.len() as u64;
    let root = match leaves.is_empty() {
        true => None,
        false => Some(ClaimsTree::build(leaves)?.root()),
    };
    let manifest = Manifest::of(&mut transaction, &epoch, &result, (leaf_count, root), distributor).await?;
    let manifest = manifest.canonical_text()?;
    let manifest_digest = Digest::of(&manifest);
    sqlx::query_file!(
        "../../sql/treasury/set_epoch_published.sql",
        day.date(),
        leaf_count as i64,
        root.as_ref().map(|root| root.as_bytes().as_slice()),
        manifest,
        manifest_digest.as_bytes().as_slice()
    )
    .execute(&mut *transaction)
    .await?;
    let epoch = lock_epoch(&mut transaction, day).await?;
    transaction.commit().await?;
    Ok(Transition { epoch, changed: true })
}

/// The leaves promise what the epochs paid, and nothing else.
async fn check_sum(conn: &mut PgConnection, day: UtcDay, leaves: &[ClaimLeaf]) -> Result<(), TreasuryError> {
    let unreadable = || TreasuryError::CorruptRow { table: "epoch", row: format!("days up to {day}") };
    let posted: Amount = sqlx::query_file_scalar!("../../sql/treasury/sum_paid.sql", day.date())
        .fetch_one(conn)
        .await?
        .parse()
        .map_err(|_| unreadable())?;
    let claims = Amount::checked_sum(leaves.iter().map(|leaf| leaf.cumulative)).ok_or_else(unreadable)?;
    if claims == posted { Ok(()) } else { Err(TreasuryError::ClaimsDiffer { epoch: day, claims, posted }) }
}
