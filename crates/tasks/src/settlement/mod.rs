//! Kinds that close a settlement epoch; each step is idempotent, so that any of them may run again.
//!
//! A step rehearses its change in a transaction that it rolls back, to learn what its outputs will be, unless a look at the
//! epoch tells as much, and hands the change itself to the acknowledgement as an effect.

mod accrue;
mod compute;
mod finalise;
mod post;
mod publish;
mod seal;
mod vest;
mod withdraw;

pub use accrue::Accrue;
pub use compute::Compute;
pub use finalise::Finalise;
pub use post::Post;
pub use publish::Publish;
pub use seal::Seal;
pub use vest::Vest;
pub use withdraw::Withdraw;

use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::{PgPool, Postgres, Transaction};
use tale_primitives::UtcDay;
use tale_treasury::{EpochState, find_epoch};
use tale_worker::TaskError;

use crate::refusal::treasury as refuse;

/// The arguments of the kinds that take one step of one day.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The day to settle, `YYYY-MM-DD`.
    #[schemars(with = "String")]
    epoch: UtcDay,
}

/// Whether a day has yet to come to this state. A look is all that the outputs of a step need that takes long and answers
/// nothing else: rehearsing it would take as long again.
async fn is_before(database: &PgPool, day: UtcDay, state: EpochState) -> Result<bool, TaskError> {
    let mut connection = database.acquire().await.map_err(TaskError::retry)?;
    let epoch = find_epoch(&mut connection, day).await.map_err(refuse)?;
    Ok(epoch.is_none_or(|epoch| epoch.state < state))
}

/// A transaction that ends in a rollback, unless somebody commits it.
async fn rehearsal(database: &PgPool) -> Result<Transaction<'static, Postgres>, TaskError> {
    database.begin().await.map_err(TaskError::retry)
}
