//! What can be wrong with a file of images.

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use crate::{ImageShape, ImageShapeError};

/// Why a Parquet file is not a set of labelled images. Rows count from 0, as pandas and pyarrow count them.
#[derive(Debug, thiserror::Error)]
pub enum DatasetProblem {
    /// The file has no bytes.
    #[error("the file is empty")]
    EmptyFile,
    /// The file does not begin like Parquet.
    #[error("it is not a Parquet file")]
    NotParquet,
    /// The file begins like Parquet and does not end like it.
    #[error("it is a Parquet file that was cut short: its footer is missing")]
    Truncated,
    /// The file's footer is encrypted.
    #[error("it is an encrypted Parquet file, which is not supported")]
    Encrypted,
    /// The footer cannot be read.
    #[error("its Parquet footer cannot be read ({0})")]
    Footer(ParquetError),
    /// Rows cannot be decoded.
    #[error("rows from row {row} on cannot be decoded ({problem})")]
    Rows {
        /// The first row of the batch that failed.
        row: u64,
        /// What the decoder says.
        problem: ArrowError,
    },
    /// A column is not there.
    #[error("it has no column {column:?}; its columns are {columns}")]
    MissingColumn {
        /// The column that was asked for.
        column: String,
        /// The columns that exist, in order, with their types.
        columns: String,
    },
    /// The image column has a type that cannot hold raw pixels.
    #[error(
        "column {column:?} is {found}; images are raw pixels in a column of type binary, large_binary, \
         fixed_size_binary, or a list of uint8"
    )]
    ImageType {
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
    },
    /// The label column is not of an integer type.
    #[error("column {column:?} is {found}; labels are integers from 0 to 65535")]
    LabelType {
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
    },
    /// A column of records has a type that cannot hold what it should.
    #[error("column {column:?} is {found}; expected {expected}")]
    ColumnType {
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
        /// What may hold it.
        expected: &'static str,
    },
    /// There is nothing in it.
    #[error("it has no rows")]
    NoRows,
    /// An image is missing.
    #[error("row {row}: the image is null")]
    NullImage {
        /// The row.
        row: u64,
    },
    /// A list holds a null where a pixel should be.
    #[error("row {row}: the image has null pixels")]
    NullPixel {
        /// The row.
        row: u64,
    },
    /// A label is missing.
    #[error("row {row}: the label is null")]
    NullLabel {
        /// The row.
        row: u64,
    },
    /// A label is outside what is supported.
    #[error("row {row}: label {label} is not between 0 and 65535")]
    LabelRange {
        /// The row.
        row: u64,
        /// The label.
        label: i128,
    },
    /// An image has no pixels.
    #[error("row {row}: the image is empty")]
    EmptyImage {
        /// The row.
        row: u64,
    },
    /// The images are of different sizes.
    #[error("row {row}: the image has {found} bytes, and those before it have {expected}; all must be equal")]
    Ragged {
        /// The first row that differs.
        row: u64,
        /// Its size.
        found: usize,
        /// The size of the rows before it.
        expected: usize,
    },
    /// The images are compressed files instead of pixels.
    #[error("row {row}: the image is a {format} file; decode it, columns hold raw pixels")]
    EncodedImage {
        /// The row.
        row: u64,
        /// The format that its first bytes show.
        format: &'static str,
    },
    /// The size of the images fits no square shape.
    #[error(
        "images of {bytes} bytes are neither square grey nor square RGB; give their shape as HEIGHTxWIDTHxCHANNELS"
    )]
    UnknownShape {
        /// The size of every image.
        bytes: usize,
    },
    /// The given shape does not fit the images.
    #[error("shape {shape} needs {expected} bytes for an image, and row {row} has {found}")]
    ShapeMismatch {
        /// The shape that was given.
        shape: ImageShape,
        /// What it needs.
        expected: usize,
        /// The first row that differs.
        row: u64,
        /// What that row has.
        found: usize,
    },
    /// The given shape is outside the limits.
    #[error(transparent)]
    ImpossibleShape(#[from] ImageShapeError),
    /// The labels are all the same.
    #[error("all {rows} rows have label {label}; at least 2 classes are needed")]
    OneClass {
        /// How many rows there are.
        rows: u64,
        /// Their label.
        label: u32,
    },
    /// One of the splits would be empty.
    #[error(
        "{rows} rows in {classes} classes are too few: split 70/15/15 within each class they give {train} to train, \
         {heldout} held out and {test} to test, and none may be empty"
    )]
    TooFewRows {
        /// How many rows there are.
        rows: u64,
        /// How many classes they have.
        classes: u32,
        /// Rows to train on.
        train: u64,
        /// Rows held out.
        heldout: u64,
        /// Rows to test on.
        test: u64,
    },
    /// A split was written by other code.
    #[error("it does not say the shape of its images")]
    NoShape,
    /// A split holds a label that its data set does not have.
    #[error("row {row}: label {label} is not below the number of classes, {classes}")]
    LabelBeyondClasses {
        /// The row.
        row: u64,
        /// The label.
        label: u32,
        /// How many classes the data set has.
        classes: u32,
    },
    /// A file holds other rows than when it was read before.
    #[error("it changed while it was read; try again when nothing writes it")]
    Changed,
}
