//! Kinds that close a settlement epoch; each step is idempotent, so that any of them may run again.
//!
//! A step rehearses its change in a transaction that it rolls back, to learn what its outputs will be, and hands the
//! change itself to the acknowledgement as an effect.

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

/// A transaction that ends in a rollback, unless somebody commits it.
async fn rehearsal(database: &PgPool) -> Result<Transaction<'static, Postgres>, TaskError> {
    database.begin().await.map_err(TaskError::retry)
}
