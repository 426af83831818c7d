//! Kinds that close a settlement epoch; each step is idempotent, so that any of them may run again.
//!
//! A step rehearses its change in a transaction that it rolls back, to learn what its outputs will be, and hands the
//! change itself to the acknowledgement as an effect.

mod compute;
mod post;
mod publish;
mod seal;

pub use compute::Compute;
pub use post::Post;
pub use publish::Publish;
pub use seal::Seal;

use sqlx::{PgPool, Postgres, Transaction};
use tale_treasury::TreasuryError;
use tale_worker::TaskError;

fn refuse(error: TreasuryError) -> TaskError {
    match error {
        TreasuryError::Database(_) => TaskError::retry(error),
        _ => TaskError::fail(error),
    }
}

/// A transaction that ends in a rollback, unless somebody commits it.
async fn rehearsal(database: &PgPool) -> Result<Transaction<'static, Postgres>, TaskError> {
    database.begin().await.map_err(TaskError::retry)
}
