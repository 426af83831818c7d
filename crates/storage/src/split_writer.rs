//! Parquet splits, written row by row to a temporary file, with the same bytes for the same rows.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{FixedSizeBinaryBuilder, RecordBatch, UInt32Builder},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};

use crate::{ImageShape, SplitRef, hashing_file::HashingFile};

/// The column of pixels in a split.
pub(crate) const IMAGE_COLUMN: &str = "image";
/// The column of classes in a split.
pub(crate) const LABEL_COLUMN: &str = "label";
/// The key of the shape in a split's footer.
pub(crate) const SHAPE_KEY: &str = "taleworks.shape";

/// Small row groups let a reader of few rows skip most of a split.
const ROW_GROUP_ROWS_MAX: usize = 512;
/// A writer holds a row group in memory, and there is one writer for each split under way.
const ROW_GROUP_BYTES_MAX: usize = 4 << 20;

/// A split under way.
pub(crate) struct SplitWriter {
    path: PathBuf,
    writer: ArrowWriter<HashingFile>,
    schema: SchemaRef,
    images: FixedSizeBinaryBuilder,
    labels: UInt32Builder,
    pending: usize,
    group_rows: usize,
    image_bytes: i32,
    class_counts: Vec<u64>,
}

/// A split that is whole, in a file that waits for its upload.
pub(crate) struct WrittenSplit {
    pub(crate) path: PathBuf,
    pub(crate) split: SplitRef,
}

impl SplitWriter {
    /// A new split of `classes` classes in a new file at `path`.
    pub(crate) fn create(path: &Path, shape: ImageShape, classes: u32) -> Result<Self, ParquetError> {
        let image_bytes = i32::try_from(shape.image_bytes()).map_err(|_| {
            ParquetError::General(format!("images of shape {shape} are too large for a column"))
        })?;
        let schema = Arc::new(Schema::new(vec![
            Field::new(IMAGE_COLUMN, DataType::FixedSizeBinary(image_bytes), false),
            Field::new(LABEL_COLUMN, DataType::UInt32, false),
        ]));
        let file = HashingFile::create(path)?;
        let group_rows = (ROW_GROUP_BYTES_MAX / shape.image_bytes()).clamp(1, ROW_GROUP_ROWS_MAX);
        Ok(Self {
            path: path.to_owned(),
            writer: ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties(shape)?))?,
            schema,
            images: FixedSizeBinaryBuilder::with_capacity(group_rows, image_bytes),
            labels: UInt32Builder::with_capacity(group_rows),
            pending: 0,
            group_rows,
            image_bytes,
            class_counts: vec![0; classes as usize],
        })
    }

    /// Adds one image; `label` must be below the number of classes.
    pub(crate) fn push(&mut self, image: &[u8], label: u32) -> Result<(), ParquetError> {
        let out_of_range = || ParquetError::General(format!("label {label} is beyond the classes"));
        *self.class_counts.get_mut(label as usize).ok_or_else(out_of_range)? += 1;
        self.images.append_value(image)?;
        self.labels.append_value(label);
        self.pending += 1;
        if self.pending == self.group_rows {
            self.end_group()?;
        }
        Ok(())
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<WrittenSplit, ParquetError> {
        if self.pending > 0 {
            self.end_group()?;
        }
        let file = self.writer.into_inner()?;
        let object = file.finish();
        let rows = self.class_counts.iter().sum();
        Ok(WrittenSplit {
            path: self.path,
            split: SplitRef { object, rows, class_counts: self.class_counts },
        })
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        let images = std::mem::replace(
            &mut self.images,
            FixedSizeBinaryBuilder::with_capacity(self.group_rows, self.image_bytes),
        )
        .finish();
        let labels = self.labels.finish();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![Arc::new(images), Arc::new(labels)])?;
        self.writer.write(&batch)?;
        self.writer.flush()?;
        self.pending = 0;
        Ok(())
    }
}

fn properties(shape: ImageShape) -> Result<WriterProperties, ParquetError> {
    let image = ColumnPath::from(IMAGE_COLUMN);
    Ok(WriterProperties::builder()
        // Not the library's version: an upgrade that writes the same bytes keeps the same digests.
        .set_created_by("taleworks".to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new(SHAPE_KEY.to_owned(), shape.to_string())]))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        // Images hardly repeat, and their minimum means nothing.
        .set_column_dictionary_enabled(image.clone(), false)
        .set_column_statistics_enabled(image, EnabledStatistics::None)
        .build())
}
