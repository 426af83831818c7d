//! Parquet files of records, read row by row: only the columns that were asked for, a batch in memory at a time.

use std::{borrow::Cow, fs::File, ops::ControlFlow, path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Decimal128Type, Decimal256Type, TimeUnit, TimestampMicrosecondType},
    error::ArrowError,
};
use chrono::{DateTime, Utc};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    errors::ParquetError,
};

use crate::{
    DatasetProblem, ObjectRef, StorageError,
    blocking::blocking,
    parquet_file::{check_magic, find_column, state, survive},
    upload::digest_reader,
};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 4096;

/// A column that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordColumn {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub content: ColumnContent,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnContent {
    /// Texts.
    Text,
    /// Instants: timestamps with a time zone, of any unit; finer than a microsecond is cut off.
    Instant,
    /// Whole numbers of any size: decimal digits as text, or decimals without decimal places.
    Digits,
}

/// One row.
#[derive(Debug)]
pub struct Record<'a> {
    cells: &'a [ArrayRef],
    index: usize,
    /// Its number in the file, from 0, as pandas and pyarrow count.
    pub row: u64,
}

/// Why a cell cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CellProblem {
    /// There is nothing in it.
    #[error("it is null")]
    Null,
    /// An instant outside the calendar.
    #[error("it is no instant of the calendar")]
    BeyondCalendar,
}

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordFile {
    /// Its digest and size.
    pub object: ObjectRef,
    /// How many rows were read.
    pub rows: u64,
}

/// Hands every row of the file at `path` to `each`, in order, until that breaks off; the columns are numbered as they
/// are given here.
pub async fn read_records<State: Send + 'static>(
    path: &Path,
    columns: &'static [RecordColumn],
    state: State,
    each: impl FnMut(&mut State, &Record<'_>) -> ControlFlow<()> + Send + 'static,
) -> Result<(State, RecordFile), StorageError> {
    let path = path.to_owned();
    blocking(move || read_blocking(&path, columns, state, each)).await?
}

fn read_blocking<State>(
    path: &Path,
    columns: &[RecordColumn],
    mut seen: State,
    mut each: impl FnMut(&mut State, &Record<'_>) -> ControlFlow<()>,
) -> Result<(State, RecordFile), StorageError> {
    let unreadable = |source| StorageError::LocalFile { operation: "read", path: path.to_owned(), source };
    let refuse = |problem| StorageError::Records { path: path.to_owned(), problem: Box::new(problem) };
    let mut file = File::open(path).map_err(unreadable)?;
    let state_when_opened = state(&file).map_err(unreadable)?;
    if let Some(problem) = check_magic(&mut file).map_err(unreadable)? {
        return Err(refuse(problem));
    }
    let footer = |error| refuse(DatasetProblem::Footer(error));
    let metadata = survive(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))
        .unwrap_or_else(|panic| Err(ParquetError::General(panic)))
        .map_err(footer)?;
    let places = find_columns(&metadata, columns).map_err(refuse)?;
    let projection = ProjectionMask::roots(metadata.parquet_schema(), places.iter().copied());
    let cursor = file.try_clone().map_err(unreadable)?;
    let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(cursor, metadata)
        .with_projection(projection)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(footer)?;

    let mut rows = 0;
    loop {
        let decoded = survive(|| reader.next().map(|batch| batch.and_then(|batch| decode(&batch, columns))));
        let failed = |problem| refuse(DatasetProblem::Rows { row: rows, problem });
        let decoded = decoded.unwrap_or_else(|panic| Some(Err(ArrowError::ParquetError(panic))));
        let Some((cells, length)) = decoded.transpose().map_err(failed)? else { break };
        let first = rows;
        rows += length as u64;
        let mut records = (0..length).map(|index| Record { cells: &cells, index, row: first + index as u64 });
        if records.any(|record| each(&mut seen, &record).is_break()) {
            break;
        }
    }
    let object = digest_reader(path).map_err(unreadable)?;
    if state(&file).ok() != Some(state_when_opened) {
        return Err(refuse(DatasetProblem::Changed));
    }
    Ok((seen, RecordFile { object, rows }))
}

impl Record<'_> {
    /// The text in a column.
    pub fn text(&self, column: usize) -> Result<&str, CellProblem> {
        let cells = self.present(column)?;
        Ok(cells.as_string::<i32>().value(self.index))
    }

    /// The instant in a column.
    pub fn instant(&self, column: usize) -> Result<DateTime<Utc>, CellProblem> {
        let cells = self.present(column)?.as_primitive::<TimestampMicrosecondType>();
        DateTime::from_timestamp_micros(cells.value(self.index)).ok_or(CellProblem::BeyondCalendar)
    }

    /// The digits in a column, with the sign of a negative number; a text is not checked.
    pub fn digits(&self, column: usize) -> Result<Cow<'_, str>, CellProblem> {
        let cells = self.present(column)?;
        Ok(match cells.data_type() {
            DataType::Decimal128(..) => {
                Cow::Owned(cells.as_primitive::<Decimal128Type>().value(self.index).to_string())
            }
            DataType::Decimal256(..) => {
                Cow::Owned(cells.as_primitive::<Decimal256Type>().value(self.index).to_string())
            }
            _ => Cow::Borrowed(cells.as_string::<i32>().value(self.index)),
        })
    }

    fn present(&self, column: usize) -> Result<&ArrayRef, CellProblem> {
        let cells = &self.cells[column];
        if cells.is_null(self.index) { Err(CellProblem::Null) } else { Ok(cells) }
    }
}

/// The columns' places in the file; their types are checked.
fn find_columns(
    metadata: &ArrowReaderMetadata,
    columns: &[RecordColumn],
) -> Result<Vec<usize>, DatasetProblem> {
    columns
        .iter()
        .map(|column| {
            let place = find_column(metadata, column.name)?;
            let found = metadata.schema().field(place).data_type();
            let value = match found {
                DataType::Dictionary(_, value) => value,
                plain => plain,
            };
            if column.content.fits(value) {
                return Ok(place);
            }
            let (found, expected) = (found.clone(), column.content.expected());
            Err(DatasetProblem::ColumnType { column: column.name.to_owned(), found, expected })
        })
        .collect()
}

/// The cells of a batch in the order of `columns`, each as the one type that [`Record`] reads.
fn decode(batch: &RecordBatch, columns: &[RecordColumn]) -> Result<(Vec<ArrayRef>, usize), ArrowError> {
    let decoded = columns
        .iter()
        .map(|column| {
            let cells = batch
                .column_by_name(column.name)
                .ok_or_else(|| ArrowError::SchemaError(format!("column {} is gone", column.name)))?;
            match (column.content, cells.data_type()) {
                (ColumnContent::Instant, _) => {
                    cast(cells, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
                }
                (_, DataType::Decimal128(..) | DataType::Decimal256(..)) => Ok(Arc::clone(cells)),
                _ => cast(cells, &DataType::Utf8),
            }
        })
        .collect::<Result<_, ArrowError>>()?;
    Ok((decoded, batch.num_rows()))
}

impl ColumnContent {
    /// Whether a column whose values have this type can hold it.
    fn fits(self, value: &DataType) -> bool {
        let is_text = matches!(value, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        match self {
            Self::Text => is_text,
            Self::Instant => matches!(value, DataType::Timestamp(_, Some(_))),
            Self::Digits => {
                is_text || matches!(value, DataType::Decimal128(_, 0) | DataType::Decimal256(_, 0))
            }
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Instant => "a timestamp with the time zone UTC",
            Self::Digits => "whole numbers as text, or decimals without decimal places",
        }
    }
}
