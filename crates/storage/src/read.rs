//! Rows of a split, decoded.

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;
use parquet::{
    arrow::{
        ParquetRecordBatchStreamBuilder,
        arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection as PagesSelection},
    },
    errors::ParquetError,
    file::metadata::ParquetMetaData,
};

use crate::{
    DatasetProblem, ImageBatch, ImageShape, ObjectRole, SplitRef, StorageError, Store, blocking::blocking,
    columns::LabelledRows, image_file::Origin, range_reader::RangeReader, split_writer::SHAPE_KEY,
};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 1024;

/// Which rows of a split to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowSelection {
    /// All of them.
    All,
    /// Those with these indices, which must ascend strictly.
    Indices(Vec<u32>),
}

/// Reads rows of a split, in the split's order.
///
/// A whole split is fetched as one object and its digest is checked. Selected rows are fetched by ranges:
/// row groups without any of them are not read, and what is read is checked by its encoding alone.
pub async fn read_rows(
    store: &Store,
    split: &SplitRef,
    rows: RowSelection,
) -> Result<ImageBatch, StorageError> {
    let reading = Reading::new(store, split);
    match rows {
        RowSelection::All => {
            let bytes = store.get(&split.object).await?;
            blocking(move || reading.decode_all(bytes)).await?
        }
        RowSelection::Indices(indices) => {
            check_indices(&indices, split.rows)?;
            store.note(ObjectRole::Read, &split.object, None);
            reading.decode_selected(store, split, &indices).await
        }
    }
}

fn check_indices(indices: &[u32], rows: u64) -> Result<(), StorageError> {
    let mut least = 0;
    for &index in indices {
        if u64::from(index) < least || u64::from(index) >= rows {
            return Err(StorageError::RowIndex { index, rows });
        }
        least = u64::from(index) + 1;
    }
    Ok(())
}

/// What is known of a split before it is read.
struct Reading {
    store: String,
    key: String,
    classes: u32,
}

impl Reading {
    fn new(store: &Store, split: &SplitRef) -> Self {
        // A manifest has at most 65,536 classes.
        let classes = split.class_counts.len() as u32;
        Self { store: store.url().to_owned(), key: split.object.key(), classes }
    }

    fn decode_all(self, bytes: Bytes) -> Result<ImageBatch, StorageError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| self.failure(error))?;
        let mut images = self.begin(builder.metadata())?;
        let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| self.failure(error))?;
        for batch in reader {
            let batch = batch.map_err(|error| self.failure(error.into()))?;
            self.append(&mut images, &batch)?;
        }
        Ok(images)
    }

    async fn decode_selected(
        self,
        store: &Store,
        split: &SplitRef,
        indices: &[u32],
    ) -> Result<ImageBatch, StorageError> {
        let reader = RangeReader::new(store.client(), store.path(&self.key), split.object.size_bytes);
        let builder =
            ParquetRecordBatchStreamBuilder::new(reader).await.map_err(|error| self.failure(error))?;
        let mut images = self.begin(builder.metadata())?;
        let total = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
        if total as u64 != split.rows {
            return Err(self.damaged(DatasetProblem::Changed));
        }
        let ranges = consecutive(indices).into_iter();
        let mut batches = builder
            .with_batch_size(BATCH_ROWS)
            .with_row_selection(PagesSelection::from_consecutive_ranges(ranges, total))
            .build()
            .map_err(|error| self.failure(error))?;
        while let Some(batch) = batches.try_next().await.map_err(|error| self.failure(error))? {
            self.append(&mut images, &batch)?;
        }
        Ok(images)
    }

    /// No images yet, of the shape that the footer names.
    fn begin(&self, metadata: &ParquetMetaData) -> Result<ImageBatch, StorageError> {
        let entries = metadata.file_metadata().key_value_metadata();
        let shape = entries
            .and_then(|entries| entries.iter().find(|entry| entry.key == SHAPE_KEY))
            .and_then(|entry| entry.value.as_deref())
            .and_then(|shape| shape.parse::<ImageShape>().ok())
            .ok_or_else(|| self.damaged(DatasetProblem::NoShape))?;
        Ok(ImageBatch { shape, classes: self.classes, pixels: Vec::new(), labels: Vec::new() })
    }

    fn append(&self, images: &mut ImageBatch, batch: &RecordBatch) -> Result<(), StorageError> {
        let first_row = images.labels.len() as u64;
        let rows = (batch.num_columns() == 2).then(|| LabelledRows::new(batch, 0, 1, first_row)).flatten();
        let rows = rows.ok_or_else(|| self.damaged(DatasetProblem::Changed))?;
        let expected = images.shape.image_bytes();
        for index in 0..rows.len() {
            let row = rows.row(index);
            let image = rows.image(index).map_err(|problem| self.damaged(problem))?;
            let label = rows.label(index).map_err(|problem| self.damaged(problem))?;
            if image.len() != expected {
                let problem = DatasetProblem::Ragged { row, found: image.len(), expected };
                return Err(self.damaged(problem));
            }
            if label >= self.classes {
                let problem = DatasetProblem::LabelBeyondClasses { row, label, classes: self.classes };
                return Err(self.damaged(problem));
            }
            images.pixels.extend_from_slice(image);
            images.labels.push(label);
        }
        Ok(())
    }

    fn damaged(&self, problem: DatasetProblem) -> StorageError {
        Origin::Object { store: self.store.clone(), key: self.key.clone() }.refuse(problem)
    }

    /// The error for a failed read: that of the store, where the store failed.
    fn failure(&self, error: ParquetError) -> StorageError {
        let (store, key) = (self.store.clone(), self.key.clone());
        match error {
            ParquetError::External(inner) => match inner.downcast::<object_store::Error>() {
                Ok(source) => StorageError::of_request(store, "read", key, *source),
                Err(inner) => StorageError::DecodeSplit { store, key, source: ParquetError::External(inner) },
            },
            source => StorageError::DecodeSplit { store, key, source },
        }
    }
}

/// The ranges of consecutive numbers in ascending indices.
fn consecutive(indices: &[u32]) -> Vec<std::ops::Range<usize>> {
    indices
        .chunk_by(|one, next| one + 1 == *next)
        .map(|run| run[0] as usize..run[0] as usize + run.len())
        .collect()
}
