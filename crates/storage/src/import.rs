//! A Parquet file of images becomes a data set.

use std::path::PathBuf;

use sqlx::PgConnection;
use tale_primitives::{Name, Seed};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{
    DatasetManifest, DatasetProblem, ImageShape, ImportSource, ObjectRef, StorageError, Store,
    blocking::blocking,
    image_file::{ImageFile, Origin},
    registry::{find_manifest, refuse_other, register_dataset},
    routing::{temporary_directory, write_splits},
    scan::{Scanned, scan},
    split::{SHARES, assign_splits},
    split_writer::WrittenSplit,
    upload::digest_reader,
};

/// What to import, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRequest {
    /// The Parquet file.
    pub path: PathBuf,
    /// The data set's name.
    pub name: Name,
    /// The column of raw pixels: binary of any kind, or lists of `uint8`.
    pub image_column: String,
    /// The column of labels: integers from 0 to 65,535.
    pub label_column: String,
    /// The shape of the images, where they are not square grey or RGB ones.
    pub shape: Option<ImageShape>,
    /// What decides which row goes to which split.
    pub seed: Seed,
}

impl ImportRequest {
    /// The seed that imports use unless they are given another.
    pub fn default_seed() -> Seed {
        Seed::new(0).child("dataset")
    }
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportProgress {
    /// What it does now.
    pub stage: ImportStage,
    /// How much of the stage is done: rows, or bytes in the last stage.
    pub done: u64,
    /// How much the stage has to do, in the same unit.
    pub total: u64,
}

/// The stages of an import, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportStage {
    /// Every row is checked.
    Checking,
    /// The splits are written to temporary files.
    Splitting,
    /// The splits are written to the store.
    Uploading,
}

/// Imports a file as the data set `request.name`; the same content under the same name again changes nothing.
///
/// The file is read twice, batch by batch: once to check every row, once to write the splits. Memory holds
/// one batch, a row group of each split, and five to thirteen bytes for each row. Nothing is written to
/// the store or the database before all checks have passed, and the row comes last.
pub async fn import(
    store: &Store,
    conn: &mut PgConnection,
    request: &ImportRequest,
    progress: &(dyn Fn(ImportProgress) + Send + Sync),
) -> Result<DatasetManifest, StorageError> {
    let Prepared { manifest, splits, directory } = prepare(request.clone(), progress).await?;
    let bytes = manifest.to_json()?;
    let object = ObjectRef::of(&bytes);
    refuse_other(find_manifest(conn, &manifest.name).await?, &manifest, &object)?;

    let total = splits.iter().map(|written| written.split.object.size_bytes).sum();
    let mut done = 0;
    for WrittenSplit { path, split } in &splits {
        progress(ImportProgress { stage: ImportStage::Uploading, done, total });
        store.put_digested_file(path, &split.object).await?;
        done += split.object.size_bytes;
    }
    drop(directory);
    store.put(bytes.into()).await?;
    register_dataset(conn, &manifest, &object).await?;
    progress(ImportProgress { stage: ImportStage::Uploading, done, total });
    Ok(manifest)
}

/// A data set that is ready for its upload.
struct Prepared {
    manifest: DatasetManifest,
    splits: Vec<WrittenSplit>,
    /// Where the splits' files are, until this is dropped.
    directory: TempDir,
}

/// Runs [`prepare_blocking`] off the async threads and passes its progress on; it stops when this is dropped.
async fn prepare(
    request: ImportRequest,
    progress: &(dyn Fn(ImportProgress) + Send + Sync),
) -> Result<Prepared, StorageError> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let work = blocking(move || {
        let report = |stage, done, total| {
            sender.send(ImportProgress { stage, done, total }).map_err(|_| StorageError::Stopped)
        };
        prepare_blocking(&request, &report)
    });
    let pass_on = async {
        while let Some(update) = receiver.recv().await {
            progress(update);
        }
    };
    let (prepared, ()) = tokio::join!(work, pass_on);
    prepared?
}

fn prepare_blocking(
    request: &ImportRequest,
    report: &dyn Fn(ImportStage, u64, u64) -> Result<(), StorageError>,
) -> Result<Prepared, StorageError> {
    let origin = Origin::File(request.path.clone());
    let file = ImageFile::open(&request.path, origin, &request.image_column, &request.label_column)?;
    let total = file.rows();
    let scanned = scan(&file, request.shape, &|done| report(ImportStage::Checking, done, total))?;
    let splits = assign_splits(&scanned.labels, scanned.classes(), request.seed);
    check_sizes(&splits, scanned.classes()).map_err(|problem| file.origin().refuse(problem))?;

    let directory = temporary_directory()?;
    let written = write_splits(
        &file,
        &scanned,
        directory.path(),
        SHARES.len(),
        &|row| usize::from(splits[row]),
        &|done| report(ImportStage::Splitting, done, total),
    )?;
    let manifest = manifest_of(request, &scanned, &written)?;
    file.check_unchanged()?;
    Ok(Prepared { manifest, splits: written, directory })
}

fn check_sizes(splits: &[u8], classes: u32) -> Result<(), DatasetProblem> {
    let [train, heldout, test] =
        [0, 1, 2].map(|split| splits.iter().filter(|assigned| **assigned == split).count() as u64);
    if [train, heldout, test].contains(&0) {
        return Err(DatasetProblem::TooFewRows { rows: splits.len() as u64, classes, train, heldout, test });
    }
    Ok(())
}

fn manifest_of(
    request: &ImportRequest,
    scanned: &Scanned,
    written: &[WrittenSplit],
) -> Result<DatasetManifest, StorageError> {
    let file = digest_reader(&request.path).map_err(|source| StorageError::LocalFile {
        operation: "read",
        path: request.path.clone(),
        source,
    })?;
    let [train, heldout, test] = written else { return Err(StorageError::Stopped) };
    Ok(DatasetManifest {
        format: DatasetManifest::FORMAT,
        name: request.name.clone(),
        shape: scanned.shape,
        classes: scanned.classes(),
        class_labels: scanned.class_labels.clone(),
        rows: scanned.labels.len() as u64,
        source: ImportSource {
            file,
            image_column: request.image_column.clone(),
            label_column: request.label_column.clone(),
            seed: request.seed.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
        },
        train: train.split.clone(),
        heldout: heldout.split.clone(),
        test: test.split.clone(),
    })
}
