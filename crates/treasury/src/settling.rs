use sqlx::PgConnection;
use tale_primitives::UtcDay;

use crate::{
    Epoch, EpochState, Ruleset, TreasuryError, compute, find_epoch, gather_inputs, post_epoch, publish_epoch,
    record_result, seal_epoch,
};

/// A day that was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The epoch after the last step.
    pub epoch: Epoch,
    /// Whether this call took any step; false where they had all been taken.
    pub changed: bool,
}

/// Takes every step of a day up to its publication, under the current ruleset.
///
/// Each step commits by itself, unless the caller's connection is in a transaction: then all of it is the caller's to
/// commit, or to roll back after a look.
pub async fn settle_epoch(conn: &mut PgConnection, day: UtcDay) -> Result<Settled, TreasuryError> {
    // A published day has every step behind it: its inputs need not be read again to find that out.
    let published = find_epoch(conn, day).await?.filter(|epoch| epoch.state >= EpochState::Published);
    if let Some(epoch) = published {
        return Ok(Settled { epoch, changed: false });
    }
    let inputs = gather_inputs(conn, day, Ruleset::CURRENT_VERSION).await?;
    let sealed = seal_epoch(conn, &inputs).await?;
    let result = compute(&inputs, &Ruleset::load(inputs.ruleset())?)?;
    let computed = record_result(conn, &result).await?;
    let posted = post_epoch(conn, day).await?;
    let published = publish_epoch(conn, day, None).await?;
    let changed = sealed.changed || computed.changed || posted.changed || published.changed;
    Ok(Settled { epoch: published.epoch, changed })
}
