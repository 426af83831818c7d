//! The trace that a run belongs to.

use sqlx::PgConnection;
use tale_primitives::RunId;

use crate::QueueError;

/// Remembers the span that started a run, a W3C traceparent, in the transaction that starts it.
pub async fn set_trace_parent(
    connection: &mut PgConnection,
    run: RunId,
    trace_parent: &str,
) -> Result<(), QueueError> {
    sqlx::query_file!("../../sql/queue/set_trace_parent.sql", run.raw(), trace_parent)
        .execute(connection)
        .await?;
    Ok(())
}

/// The span that started a run; nothing where nobody traced, or the run is not there any more.
pub async fn trace_parent(connection: &mut PgConnection, run: RunId) -> Result<Option<String>, QueueError> {
    let found = sqlx::query_file_scalar!("../../sql/queue/find_trace_parent.sql", run.raw())
        .fetch_optional(connection)
        .await?;
    Ok(found.flatten())
}
