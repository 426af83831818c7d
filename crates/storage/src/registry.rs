//! The names of data sets.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::Name;

use crate::{
    DatasetManifest, ImageShape, ObjectRef, ObjectRole, StorageError, Store,
    artifacts::{stored_object, stored_size},
};

/// A registered data set, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetSummary {
    /// Its name.
    pub name: Name,
    /// The object that holds its manifest.
    pub manifest: ObjectRef,
    /// The shape of its images.
    pub shape: ImageShape,
    /// How many classes it has.
    pub classes: u32,
    /// How many images it has in all splits.
    pub rows: u64,
    /// When it was imported.
    pub created_at: DateTime<Utc>,
}

/// The manifest of the data set called `name`.
pub async fn find_dataset(
    store: &Store,
    conn: &mut PgConnection,
    name: &Name,
) -> Result<DatasetManifest, StorageError> {
    let object = find_manifest(conn, name)
        .await?
        .ok_or_else(|| StorageError::UnknownDataset { name: name.clone() })?;
    let bytes = store.get(&object).await?;
    store.note(ObjectRole::Read, &object, Some(name.as_str()));
    let unreadable = |found| StorageError::UnreadableManifest { name: name.clone(), found };
    let manifest: DatasetManifest =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if manifest.format != DatasetManifest::FORMAT {
        return Err(unreadable(format!("format {}", manifest.format)));
    }
    Ok(manifest)
}

/// All data sets, by name.
pub async fn list_datasets(conn: &mut PgConnection) -> Result<Vec<DatasetSummary>, StorageError> {
    let rows = sqlx::query_file!("../../sql/storage/list_datasets.sql").fetch_all(conn).await?;
    rows.into_iter()
        .map(|row| {
            Ok(DatasetSummary {
                name: row.name.parse().map_err(|_| unreadable("name", &row.name))?,
                manifest: stored_object(&row.manifest_digest, row.manifest_size)?,
                shape: ImageShape {
                    height: stored_number("height", row.height)?,
                    width: stored_number("width", row.width)?,
                    channels: stored_number("number of channels", row.channels)?,
                },
                classes: stored_number("number of classes", row.classes)?,
                rows: stored_number("number of rows", row.rows)?,
                created_at: row.created_at,
            })
        })
        .collect()
}

/// The manifest's object of the data set called `name`, if that name is taken.
pub(crate) async fn find_manifest(
    conn: &mut PgConnection,
    name: &Name,
) -> Result<Option<ObjectRef>, StorageError> {
    let row =
        sqlx::query_file!("../../sql/storage/find_dataset.sql", name.as_str()).fetch_optional(conn).await?;
    row.map(|row| stored_object(&row.manifest_digest, row.manifest_size)).transpose()
}

/// Gives a manifest its name; the same manifest again changes nothing, another one is refused.
pub(crate) async fn register_dataset(
    conn: &mut PgConnection,
    manifest: &DatasetManifest,
    object: &ObjectRef,
) -> Result<(), StorageError> {
    sqlx::query_file!(
        "../../sql/storage/insert_dataset.sql",
        manifest.name.as_str(),
        object.digest.as_bytes().as_slice(),
        stored_size(object.size_bytes)?,
        for_column("height", manifest.shape.height)?,
        for_column("width", manifest.shape.width)?,
        for_column("number of channels", manifest.shape.channels)?,
        for_column("number of classes", manifest.classes)?,
        stored_size(manifest.rows)?
    )
    .execute(&mut *conn)
    .await?;
    refuse_other(find_manifest(conn, &manifest.name).await?, manifest, object)
}

/// Refuses when the name already stands for another manifest.
pub(crate) fn refuse_other(
    taken: Option<ObjectRef>,
    manifest: &DatasetManifest,
    object: &ObjectRef,
) -> Result<(), StorageError> {
    match taken {
        Some(other) if other != *object => Err(StorageError::DatasetExists { name: manifest.name.clone() }),
        _ => Ok(()),
    }
}

fn unreadable(what: &'static str, value: impl ToString) -> StorageError {
    StorageError::UnreadableRow { what, value: value.to_string() }
}

fn stored_number<Raw: Copy + ToString, Number: TryFrom<Raw>>(
    what: &'static str,
    raw: Raw,
) -> Result<Number, StorageError> {
    Number::try_from(raw).map_err(|_| unreadable(what, raw))
}

fn for_column(what: &'static str, number: u32) -> Result<i32, StorageError> {
    stored_number(what, number)
}
