//! Large fan-outs: lists that are read piece by piece, and tasks that are inserted part by part.

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use serde_json::Value;
use sqlx::{Connection, PgConnection, types::Json};
use tale_primitives::RunId;

use crate::{Lease, QueueError, cache::note_part_keys};

/// A list in the outputs of a step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredList {
    /// The run.
    pub run: RunId,
    /// The step's name.
    pub step: String,
    /// The keys that lead to the list in the outputs of the step's one task; nothing where the outputs of the tasks of
    /// its fan-out are the list.
    pub keys: Option<Vec<String>>,
}

/// Tasks of a fan-out whose indexes follow one another.
#[derive(Debug, Clone, Copy)]
pub struct Part<'t> {
    /// The first index.
    pub first: u32,
    /// How many tasks there are.
    pub count: u32,
    /// Their arguments.
    pub arguments: PartArguments<'t>,
    /// The keys of their limit, one for each where the step has one.
    pub limit_keys: Option<&'t [String]>,
    /// By what their results are known, one for each where the step says so.
    pub cache_keys: Option<&'t [String]>,
    /// Whether the fan-out is complete with them.
    pub is_last: bool,
}

/// The arguments of a part's tasks.
#[derive(Debug, Clone, Copy)]
pub enum PartArguments<'t> {
    /// One for each task.
    Each(&'t [Value]),
    /// The same for every task of the fan-out: stored once, with the step.
    Shared(&'t Value),
}

/// Inserts the next part of a fan-out; call it outside of a transaction, so that its tasks can start.
///
/// The last part acknowledges the expansion. False says that the lease was lost and nothing was done.
pub async fn expand_part(
    connection: &mut PgConnection,
    lease: Lease,
    part: Part<'_>,
) -> Result<bool, QueueError> {
    let Some(keys) = part.cache_keys else { return insert_part(connection, lease, part).await };
    let mut transaction = connection.begin().await?;
    let is_held = insert_part(&mut transaction, lease, part).await?;
    if is_held {
        note_part_keys(&mut transaction, lease.task, part.first, keys).await?;
    }
    transaction.commit().await?;
    Ok(is_held)
}

async fn insert_part(
    connection: &mut PgConnection,
    lease: Lease,
    part: Part<'_>,
) -> Result<bool, QueueError> {
    let (each, shared) = match part.arguments {
        PartArguments::Each(arguments) => (Some(arguments.iter().map(Json).collect::<Vec<_>>()), None),
        PartArguments::Shared(arguments) => (None, Some(arguments)),
    };
    Ok(sqlx::query_file_scalar!(
        "../../sql/queue/expand_part.sql",
        lease.task.raw(),
        lease.attempt.raw(),
        part.first as i32,
        part.count as i32,
        each.as_deref() as Option<&[Json<&Value>]>,
        part.limit_keys,
        shared,
        part.is_last
    )
    .fetch_one(connection)
    .await?)
}

/// How many tasks of a fan-out have been inserted: the next part begins with this index.
pub async fn parts_inserted(connection: &mut PgConnection, run: RunId, step: u16) -> Result<u32, QueueError> {
    let inserted = sqlx::query_file_scalar!("../../sql/queue/parts_inserted.sql", run.raw(), step as i16)
        .fetch_one(connection)
        .await?;
    Ok(inserted as u32)
}

/// How many items a list has; nothing where no list is there.
pub async fn stored_length(
    connection: &mut PgConnection,
    list: &StoredList,
) -> Result<Option<usize>, QueueError> {
    let length = match &list.keys {
        Some(keys) => {
            sqlx::query_file_scalar!("../../sql/queue/size_of_outputs.sql", list.run.raw(), list.step, keys)
                .fetch_optional(connection)
                .await?
        }
        None => {
            sqlx::query_file_scalar!("../../sql/queue/size_of_fan_out.sql", list.run.raw(), list.step)
                .fetch_optional(connection)
                .await?
        }
    };
    Ok(length.flatten().map(|length| length as usize))
}

/// The items of a list from this place on, in order, as the database sends them; null for the outputs of a failed task.
///
/// Read it on a connection that does nothing else meanwhile.
pub fn stream_items<'c>(
    connection: &'c mut PgConnection,
    list: &'c StoredList,
    from: u32,
) -> BoxStream<'c, Result<Value, QueueError>> {
    let run = list.run.raw();
    match &list.keys {
        Some(keys) => sqlx::query_file_scalar!(
            "../../sql/queue/stream_outputs.sql",
            run,
            list.step,
            keys,
            i64::from(from)
        )
        .fetch(connection)
        .map_err(QueueError::from)
        .boxed(),
        None => sqlx::query_file_scalar!("../../sql/queue/stream_fan_out.sql", run, list.step, from as i32)
            .fetch(connection)
            .map_ok(|outputs| outputs.unwrap_or(Value::Null))
            .map_err(QueueError::from)
            .boxed(),
    }
}
