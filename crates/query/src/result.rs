//! What a query gives: a Parquet file, and its first rows as JSON.

use std::io;

use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::Schema,
        json::{WriterBuilder, writer::JsonArray},
    },
    error::DataFusionError,
    parquet::{
        arrow::ArrowWriter,
        basic::{Compression, ZstdLevel},
        file::properties::WriterProperties,
    },
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::QueryError;

/// Bytes of rows from which a row group is written out, which bounds the memory of the writer.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Bytes of JSON that the first rows may have: they become a row of the database.
const RETURNED_BYTES_MAX: usize = 1 << 20;

/// The answer to a query.
#[derive(Debug)]
pub struct Answer {
    /// All rows, as Parquet with zstd; removed when it is dropped.
    pub file: NamedTempFile,
    /// How many rows there are.
    pub rows: u64,
    /// What the columns are.
    pub columns: Vec<ResultColumn>,
    /// The first rows, as objects.
    pub first: Vec<Value>,
}

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its Arrow type, such as `Int64`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Takes rows as they come.
pub(crate) struct Writer {
    parquet: ArrowWriter<std::fs::File>,
    file: NamedTempFile,
    schema: std::sync::Arc<Schema>,
    rows: u64,
    first: Vec<RecordBatch>,
    first_max: usize,
}

impl Writer {
    pub(crate) fn new(schema: std::sync::Arc<Schema>, first_max: usize) -> Result<Self, QueryError> {
        let file = NamedTempFile::new().map_err(QueryError::File)?;
        let handle = file.reopen().map_err(QueryError::File)?;
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let parquet = ArrowWriter::try_new(handle, schema.clone(), Some(properties)).map_err(unwritten)?;
        Ok(Self { parquet, file, schema, rows: 0, first: vec![], first_max })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let kept: usize = self.first.iter().map(RecordBatch::num_rows).sum();
        let wanted = self.first_max.saturating_sub(kept).min(batch.num_rows());
        if wanted > 0 {
            self.first.push(batch.slice(0, wanted));
        }
        self.rows += batch.num_rows() as u64;
        self.parquet.write(batch).map_err(unwritten)?;
        if self.parquet.in_progress_size() > ROW_GROUP_BYTES {
            self.parquet.flush().map_err(unwritten)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Answer, QueryError> {
        let first = as_json(&self.first)?;
        self.parquet.close().map_err(unwritten)?;
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|field| ResultColumn { name: field.name().clone(), kind: field.data_type().to_string() });
        Ok(Answer { file: self.file, rows: self.rows, columns: columns.collect(), first })
    }
}

fn as_json(batches: &[RecordBatch]) -> Result<Vec<Value>, QueryError> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        return Ok(vec![]);
    }
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    let written = batches.iter().try_for_each(|batch| writer.write(batch)).and_then(|()| writer.finish());
    written.map_err(|error| QueryError::of(DataFusionError::from(error)))?;
    let bytes = writer.into_inner();
    if bytes.len() > RETURNED_BYTES_MAX {
        return Err(QueryError::ReturnedRows { rows, bytes_max: RETURNED_BYTES_MAX });
    }
    serde_json::from_slice(&bytes).map_err(|error| QueryError::File(io::Error::other(error)))
}

fn unwritten(error: datafusion::parquet::errors::ParquetError) -> QueryError {
    QueryError::of(DataFusionError::from(error))
}
