//! A Parquet file on disk that holds an image column and a label column, read batch by batch.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::SystemTime,
};

use arrow::{datatypes::DataType, error::ArrowError};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
            ParquetRecordBatchReaderBuilder,
        },
    },
    errors::ParquetError,
};

use crate::{
    DatasetProblem, StorageError,
    columns::{LabelledRows, holds_images, holds_labels},
    parquet_file::{check_magic, find_column, state, survive},
};

/// What one decoded batch should take in memory.
const BATCH_BYTES: u64 = 4 << 20;

/// The most rows of a batch, whatever they take.
const BATCH_ROWS_MAX: u64 = 1024;

/// Whom a problem in the file is reported about.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A file that a user wants to import.
    File(PathBuf),
    /// An object that was fetched from the store.
    Object { store: String, key: String },
}

impl Origin {
    /// The error for a problem in what came from here.
    pub(crate) fn refuse(&self, problem: DatasetProblem) -> StorageError {
        let problem = Box::new(problem);
        match self.clone() {
            Self::File(path) => StorageError::Import { path, problem },
            Self::Object { store, key } => StorageError::DamagedSplit { store, key, problem },
        }
    }
}

/// A file with the two columns, checked by name and type; no row was read yet.
pub(crate) struct ImageFile {
    file: File,
    origin: Origin,
    metadata: ArrowReaderMetadata,
    image_column: usize,
    label_column: usize,
    batch_rows: usize,
    state_when_opened: (u64, Option<SystemTime>),
}

impl ImageFile {
    /// Opens the file at `path` and finds its columns.
    pub(crate) fn open(
        path: &Path,
        origin: Origin,
        image_column: &str,
        label_column: &str,
    ) -> Result<Self, StorageError> {
        let unreadable =
            |source| StorageError::LocalFile { operation: "read", path: path.to_owned(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        let state_when_opened = state(&file).map_err(unreadable)?;
        if let Some(problem) = check_magic(&mut file).map_err(unreadable)? {
            return Err(origin.refuse(problem));
        }
        let metadata = survive(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))
            .unwrap_or_else(|panic| Err(ParquetError::General(panic)))
            .map_err(|error| origin.refuse(DatasetProblem::Footer(error)))?;
        let (image_column, label_column, batch_rows) =
            find_columns(&metadata, image_column, label_column).map_err(|problem| origin.refuse(problem))?;
        Ok(Self { file, origin, metadata, image_column, label_column, batch_rows, state_when_opened })
    }

    /// Whom a problem in the file is reported about.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many rows the footer promises.
    pub(crate) fn rows(&self) -> u64 {
        let rows = self.metadata.metadata().file_metadata().num_rows();
        u64::try_from(rows).unwrap_or_default()
    }

    /// Fails when the file was written to since it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<(), StorageError> {
        if state(&self.file).ok() == Some(self.state_when_opened) {
            Ok(())
        } else {
            Err(self.origin.refuse(DatasetProblem::Changed))
        }
    }

    /// All rows from the start, in order.
    pub(crate) fn batches(
        &self,
    ) -> Result<impl Iterator<Item = Result<LabelledRows, StorageError>>, StorageError> {
        let refuse = |error| self.origin.refuse(DatasetProblem::Footer(error));
        // The readers share a cursor, which each read sets anew.
        let file = self.file.try_clone().map_err(|error| refuse(error.into()))?;
        let roots = [self.image_column, self.label_column];
        let projection = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_projection(projection)
            .with_batch_size(self.batch_rows)
            .build()
            .map_err(refuse)?;
        // A projection keeps the file's order of columns.
        let image_is_first = self.image_column < self.label_column;
        let (image, label) = if image_is_first { (0, 1) } else { (1, 0) };
        Ok(Batches { reader, origin: &self.origin, image, label, next_row: 0, failed: false })
    }
}

struct Batches<'a> {
    reader: ParquetRecordBatchReader,
    origin: &'a Origin,
    image: usize,
    label: usize,
    next_row: u64,
    failed: bool,
}

impl Iterator for Batches<'_> {
    type Item = Result<LabelledRows, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.next_row;
        let decoded = survive(|| {
            let batch = self.reader.next()?;
            // The types were checked against the footer's schema, from which the reader makes the batches.
            Some(batch.map(|batch| LabelledRows::new(&batch, self.image, self.label, row)))
        });
        match decoded.unwrap_or_else(|panic| Some(Err(ArrowError::ParquetError(panic))))? {
            Ok(Some(rows)) => {
                self.next_row += rows.len() as u64;
                Some(Ok(rows))
            }
            Ok(None) => Some(Err(self.origin.refuse(DatasetProblem::Changed))),
            Err(problem) => {
                self.failed = true;
                Some(Err(self.origin.refuse(DatasetProblem::Rows { row, problem })))
            }
        }
    }
}

/// The places of the image column and the label column, and how many rows to decode at once.
fn find_columns(
    metadata: &ArrowReaderMetadata,
    image_column: &str,
    label_column: &str,
) -> Result<(usize, usize, usize), DatasetProblem> {
    let image = find_column(metadata, image_column)?;
    let label = find_column(metadata, label_column)?;
    let type_of = |column: usize| metadata.schema().field(column).data_type();
    if !holds_images(type_of(image)) {
        let found = type_of(image).clone();
        return Err(DatasetProblem::ImageType { column: image_column.to_owned(), found });
    }
    if !holds_labels(type_of(label)) {
        let found = type_of(label).clone();
        return Err(DatasetProblem::LabelType { column: label_column.to_owned(), found });
    }
    Ok((image, label, batch_rows(metadata, type_of(image))))
}

/// Rows of a batch that keeps within [`BATCH_BYTES`], as far as the footer tells.
fn batch_rows(metadata: &ArrowReaderMetadata, image_type: &DataType) -> usize {
    let groups = metadata.metadata().row_groups();
    let average = |group: &parquet::file::metadata::RowGroupMetaData| {
        let rows = group.num_rows().max(1);
        u64::try_from(group.total_byte_size() / rows).unwrap_or_default()
    };
    let row_bytes = match image_type {
        DataType::FixedSizeBinary(size) | DataType::FixedSizeList(_, size) => u64::from(size.unsigned_abs()),
        _ => groups.iter().map(average).max().unwrap_or_default(),
    };
    // The bounds make the cast lossless.
    (BATCH_BYTES / row_bytes.max(1)).clamp(1, BATCH_ROWS_MAX) as usize
}
