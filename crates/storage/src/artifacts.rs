//! Artifacts: the objects that tasks handed on, published by the acknowledgement that won.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tale_primitives::{AttemptId, Digest, RunId, TaskId};

use crate::{ObjectRef, StorageError};

/// An artifact that an attempt made and that its acknowledgement will publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewArtifact {
    /// Its name, unique within the task: 1 to 200 characters.
    pub name: String,
    /// Its media type (RFC 6838), such as `application/vnd.apache.parquet`.
    pub media_type: String,
    /// Its bytes, which must be in the store already.
    pub object: ObjectRef,
}

/// A published artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// Its number in the database.
    pub id: i64,
    /// The run that it belongs to.
    pub run: RunId,
    /// The task that made it.
    pub task: TaskId,
    /// The attempt whose acknowledgement won.
    pub attempt: AttemptId,
    /// Its name, unique within the task.
    pub name: String,
    /// How to read its bytes.
    pub media_type: String,
    /// Its bytes.
    pub object: ObjectRef,
    /// When it was published.
    pub created_at: DateTime<Utc>,
}

/// Publishes what an attempt made; to be called in the transaction of its winning acknowledgement alone.
///
/// An attempt that lost rolls back with its acknowledgement, so readers never see its artifacts.
pub async fn publish_artifacts(
    conn: &mut PgConnection,
    run: RunId,
    task: TaskId,
    attempt: AttemptId,
    artifacts: &[NewArtifact],
) -> Result<(), StorageError> {
    if artifacts.is_empty() {
        return Ok(());
    }
    let (mut names, mut media_types, mut digests, mut sizes) = (vec![], vec![], vec![], vec![]);
    for NewArtifact { name, media_type, object } in artifacts {
        names.push(name.clone());
        media_types.push(media_type.clone());
        digests.push(object.digest.as_bytes().to_vec());
        sizes.push(stored_size(object.size_bytes)?);
    }
    sqlx::query_file!(
        "../../sql/storage/insert_artifacts.sql",
        run.raw(),
        task.raw(),
        attempt.raw(),
        &names,
        &media_types,
        &digests,
        &sizes
    )
    .execute(conn)
    .await
    .map_err(|error| refusal(error, task))?;
    Ok(())
}

/// The artifacts of a run, by task and name.
pub async fn list_artifacts(conn: &mut PgConnection, run: RunId) -> Result<Vec<Artifact>, StorageError> {
    let rows = sqlx::query_file!("../../sql/storage/list_artifacts.sql", run.raw()).fetch_all(conn).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Artifact {
                id: row.id,
                run: RunId::from_raw(row.run_id),
                task: TaskId::from_raw(row.task_id),
                attempt: AttemptId::from_raw(row.attempt_id),
                name: row.name,
                media_type: row.media_type,
                object: stored_object(&row.digest, row.size_bytes)?,
                created_at: row.created_at,
            })
        })
        .collect()
}

fn refusal(error: sqlx::Error, task: TaskId) -> StorageError {
    match error.as_database_error().and_then(|refused| refused.constraint()) {
        Some("artifact_task_name_key") => StorageError::ArtifactExists { task },
        Some(constraint @ ("artifact_name_length" | "artifact_media_type_form")) => {
            StorageError::InvalidArtifact { task, constraint: constraint.to_owned() }
        }
        _ => StorageError::Database(error),
    }
}

/// A size as the database holds it.
pub(crate) fn stored_size(size_bytes: u64) -> Result<i64, StorageError> {
    i64::try_from(size_bytes)
        .map_err(|_| StorageError::UnreadableRow { what: "size", value: size_bytes.to_string() })
}

/// An object as two columns of a row give it.
pub(crate) fn stored_object(digest: &[u8], size_bytes: i64) -> Result<ObjectRef, StorageError> {
    let digest = <[u8; 32]>::try_from(digest).map_err(|_| StorageError::UnreadableRow {
        what: "digest",
        value: format!("{} bytes", digest.len()),
    })?;
    let size_bytes = u64::try_from(size_bytes)
        .map_err(|_| StorageError::UnreadableRow { what: "size", value: size_bytes.to_string() })?;
    Ok(ObjectRef { digest: Digest::from_bytes(digest), size_bytes })
}
