//! Pipeline versions: immutable, by content.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use tale_primitives::Digest;

use crate::QueueError;

/// One content that a pipeline has or had.
#[derive(Debug, Clone)]
pub struct PipelineVersion {
    /// The version's number in the database.
    pub id: i64,
    /// The pipeline's name.
    pub name: String,
    /// SHA-256 of the canonical spec.
    pub digest: Digest,
    /// The canonical spec.
    pub spec: Value,
    /// When this content was first applied.
    pub applied_at: DateTime<Utc>,
}

/// What applying a pipeline did.
#[derive(Debug, Clone, Copy)]
pub struct Applied {
    /// The version that new runs use from now on.
    pub version_id: i64,
    /// Whether it is another one than before.
    pub changed: bool,
}

struct VersionRow {
    id: i64,
    name: String,
    digest: Vec<u8>,
    spec: Value,
    applied_at: DateTime<Utc>,
}

impl TryFrom<VersionRow> for PipelineVersion {
    type Error = QueueError;

    fn try_from(row: VersionRow) -> Result<Self, QueueError> {
        let digest = <[u8; 32]>::try_from(row.digest.as_slice()).map_err(|_| QueueError::Unreadable {
            what: "pipeline_version.digest",
            value: row.id.to_string(),
        })?;
        Ok(Self {
            id: row.id,
            name: row.name,
            digest: Digest::from_bytes(digest),
            spec: row.spec,
            applied_at: row.applied_at,
        })
    }
}

/// Makes `spec` the current version of the pipeline `name`; the same content again changes nothing.
pub async fn apply_pipeline(
    connection: &mut PgConnection,
    name: &str,
    digest: Digest,
    spec: &Value,
) -> Result<Applied, QueueError> {
    let row = sqlx::query_file!("../../sql/queue/apply_pipeline.sql", name, digest.as_bytes(), spec)
        .fetch_one(connection)
        .await?;
    Ok(Applied { version_id: row.version_id, changed: row.changed })
}

/// The current version of the pipeline `name`.
pub async fn find_pipeline(connection: &mut PgConnection, name: &str) -> Result<PipelineVersion, QueueError> {
    sqlx::query_file_as!(VersionRow, "../../sql/queue/find_pipeline.sql", name)
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| QueueError::UnknownPipeline(name.to_owned()))?
        .try_into()
}

/// The version with this number.
pub async fn find_version(connection: &mut PgConnection, id: i64) -> Result<PipelineVersion, QueueError> {
    sqlx::query_file_as!(VersionRow, "../../sql/queue/find_version.sql", id)
        .fetch_one(connection)
        .await?
        .try_into()
}

/// Every version that the pipeline `name` ever had, the newest first; empty where there is no such pipeline.
pub async fn list_versions(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Vec<PipelineVersion>, QueueError> {
    let rows = sqlx::query_file_as!(VersionRow, "../../sql/queue/list_versions.sql", name)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(PipelineVersion::try_from).collect()
}

/// The current version of every pipeline, by name.
pub async fn list_pipelines(connection: &mut PgConnection) -> Result<Vec<PipelineVersion>, QueueError> {
    let rows =
        sqlx::query_file_as!(VersionRow, "../../sql/queue/list_pipelines.sql").fetch_all(connection).await?;
    rows.into_iter().map(PipelineVersion::try_from).collect()
}
