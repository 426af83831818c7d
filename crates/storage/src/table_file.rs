//! Tables of plain columns, written row by row to a file outside the store: what other programs are to read.

use std::{
    fmt,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Date32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};
use serde::Serialize;

use crate::{ObjectRef, StorageError, hashing_file::HashingFile};

/// Rows that a writer holds in memory.
const BATCH_ROWS: usize = 8_192;
/// Rows of a row group: what a reader of Parquet takes at a time.
const ROW_GROUP_ROWS: usize = 131_072;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TableFormat {
    /// Comma-separated lines (RFC 4180) below a line of names; nothing stands for nothing.
    Csv,
    /// Apache Parquet, compressed with zstd.
    Parquet,
}

/// A text that is no format of tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a format of tables: expected csv or parquet")]
pub struct TableFormatError(String);

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: &'static str,
    /// What its cells are.
    pub kind: ColumnKind,
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Signed 64-bit integers.
    Integer,
    /// Text, of any length.
    Text,
    /// Dates, or nothing.
    Day,
    /// Times in UTC, to the microsecond.
    Time,
}

/// One cell of a row, of its column's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// See [`ColumnKind::Integer`].
    Integer(i64),
    /// See [`ColumnKind::Text`].
    Text(&'a str),
    /// See [`ColumnKind::Day`].
    Day(Option<NaiveDate>),
    /// See [`ColumnKind::Time`].
    Time(DateTime<Utc>),
}

/// A table under way. The same rows give the same bytes, in bounded memory.
pub struct TableFile {
    path: PathBuf,
    writer: Writer,
}

enum Writer {
    Csv(BufWriter<HashingFile>),
    Parquet(Box<ParquetTable>),
}

struct ParquetTable {
    writer: ArrowWriter<HashingFile>,
    schema: SchemaRef,
    columns: Vec<Builder>,
    rows: usize,
}

enum Builder {
    Integer(Int64Builder),
    Text(StringBuilder),
    Day(Date32Builder),
    Time(TimestampMicrosecondBuilder),
}

impl TableFile {
    /// Begins a table in a file that was not there before.
    pub fn create(path: &Path, format: TableFormat, columns: &[TableColumn]) -> Result<Self, StorageError> {
        let failed = |source| StorageError::TableFile { path: path.to_owned(), source };
        let file = HashingFile::create(path).map_err(|error| failed(error.into()))?;
        let writer = match format {
            TableFormat::Csv => Writer::Csv(begin_csv(file, columns).map_err(|error| failed(error.into()))?),
            TableFormat::Parquet => {
                Writer::Parquet(Box::new(ParquetTable::begin(file, columns).map_err(failed)?))
            }
        };
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Adds a row: a cell for each column, in their order.
    pub fn push(&mut self, row: &[Cell<'_>]) -> Result<(), StorageError> {
        let written = match &mut self.writer {
            Writer::Csv(file) => write_line(file, row).map_err(ParquetError::from),
            Writer::Parquet(table) => table.push(row),
        };
        written.map_err(|source| StorageError::TableFile { path: self.path.clone(), source })
    }

    /// Ends the file, and answers with its digest and size.
    pub fn finish(self) -> Result<ObjectRef, StorageError> {
        let Self { path, writer } = self;
        let finished = match writer {
            Writer::Csv(file) => file.into_inner().map_err(|error| ParquetError::from(error.into_error())),
            Writer::Parquet(table) => table.finish(),
        };
        match finished {
            Ok(file) => Ok(file.finish()),
            Err(source) => Err(StorageError::TableFile { path, source }),
        }
    }
}

fn begin_csv(file: HashingFile, columns: &[TableColumn]) -> io::Result<BufWriter<HashingFile>> {
    let mut file = BufWriter::with_capacity(1 << 16, file);
    let names: Vec<Cell<'_>> = columns.iter().map(|column| Cell::Text(column.name)).collect();
    write_line(&mut file, &names)?;
    Ok(file)
}

fn write_line(file: &mut impl Write, row: &[Cell<'_>]) -> io::Result<()> {
    for (place, cell) in row.iter().enumerate() {
        if place > 0 {
            file.write_all(b",")?;
        }
        match cell {
            Cell::Integer(value) => write!(file, "{value}")?,
            Cell::Text(text) if text.contains(['"', ',', '\n', '\r']) => {
                write!(file, "\"{}\"", text.replace('"', "\"\""))?;
            }
            Cell::Text(text) => file.write_all(text.as_bytes())?,
            Cell::Day(day) => write!(file, "{}", day.map(|day| day.to_string()).unwrap_or_default())?,
            Cell::Time(time) => write!(file, "{}", time.to_rfc3339_opts(SecondsFormat::Micros, true))?,
        }
    }
    file.write_all(b"\r\n")
}

impl ParquetTable {
    fn begin(file: HashingFile, columns: &[TableColumn]) -> Result<Self, ParquetError> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| {
                let (kind, can_be_nothing) = match column.kind {
                    ColumnKind::Integer => (DataType::Int64, false),
                    ColumnKind::Text => (DataType::Utf8, false),
                    ColumnKind::Day => (DataType::Date32, true),
                    ColumnKind::Time => {
                        (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false)
                    }
                };
                Field::new(column.name, kind, can_be_nothing)
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            // Not the library's version: an upgrade that writes the same bytes keeps the same digests.
            .set_created_by("taleworks".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        Ok(Self {
            writer: ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?,
            schema,
            columns: columns.iter().map(|column| Builder::new(column.kind)).collect(),
            rows: 0,
        })
    }

    fn push(&mut self, row: &[Cell<'_>]) -> Result<(), ParquetError> {
        if row.len() != self.columns.len() {
            return Err(ParquetError::General(format!("a row of {} cells", row.len())));
        }
        for (builder, cell) in self.columns.iter_mut().zip(row) {
            builder.push(cell)?;
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), ParquetError> {
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Builder::finish).collect();
        self.rows = 0;
        self.writer.write(&RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }

    fn finish(mut self) -> Result<HashingFile, ParquetError> {
        if self.rows > 0 {
            self.write()?;
        }
        self.writer.into_inner()
    }
}

impl Builder {
    fn new(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Integer => Self::Integer(Int64Builder::new()),
            ColumnKind::Text => Self::Text(StringBuilder::new()),
            ColumnKind::Day => Self::Day(Date32Builder::new()),
            ColumnKind::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        }
    }

    fn push(&mut self, cell: &Cell<'_>) -> Result<(), ParquetError> {
        match (self, cell) {
            (Self::Integer(builder), Cell::Integer(value)) => builder.append_value(*value),
            (Self::Text(builder), Cell::Text(text)) => builder.append_value(text),
            (Self::Day(builder), Cell::Day(day)) => {
                builder.append_option(day.map(arrow::datatypes::Date32Type::from_naive_date));
            }
            (Self::Time(builder), Cell::Time(time)) => builder.append_value(time.timestamp_micros()),
            _ => return Err(ParquetError::General("a cell of another kind than its column".to_owned())),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Day(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
        }
    }
}

impl fmt::Display for TableFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        })
    }
}

impl FromStr for TableFormat {
    type Err = TableFormatError;

    fn from_str(text: &str) -> Result<Self, TableFormatError> {
        match text {
            "csv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            _ => Err(TableFormatError(text.chars().take(100).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    const COLUMNS: [TableColumn; 4] = [
        TableColumn { name: "number", kind: ColumnKind::Integer },
        TableColumn { name: "text", kind: ColumnKind::Text },
        TableColumn { name: "day", kind: ColumnKind::Day },
        TableColumn { name: "time", kind: ColumnKind::Time },
    ];

    fn write(path: &Path, format: TableFormat, rows: i64) -> ObjectRef {
        let mut table = TableFile::create(path, format, &COLUMNS).expect("a new file");
        let time = DateTime::from_timestamp_micros(1_700_000_000_000_001).expect("a time");
        for number in 0..rows {
            let day = (number % 2 == 0).then(|| time.date_naive());
            let text = if number == 1 { "a \"b\", c" } else { "x" };
            let row = [Cell::Integer(number), Cell::Text(text), Cell::Day(day), Cell::Time(time)];
            table.push(&row).expect("a row");
        }
        table.finish().expect("an end")
    }

    #[test]
    fn the_same_rows_are_the_same_bytes_and_can_be_read_back() {
        let directory = tale_testkit::tempdir();
        let path = |name: &str| directory.path().join(name);
        let csv = write(&path("a.csv"), TableFormat::Csv, 2);
        let bytes = std::fs::read(path("a.csv")).expect("the file");
        assert_eq!(csv, ObjectRef::of(&bytes));
        let text = String::from_utf8(bytes).expect("text");
        let expected = [
            "number,text,day,time",
            "0,x,2023-11-14,2023-11-14T22:13:20.000001Z",
            "1,\"a \"\"b\"\", c\",,2023-11-14T22:13:20.000001Z",
        ];
        assert_eq!(text.split_terminator("\r\n").collect::<Vec<_>>(), expected);

        let rows = BATCH_ROWS as i64 + 3;
        let parquet = write(&path("a.parquet"), TableFormat::Parquet, rows);
        assert_eq!(parquet, write(&path("b.parquet"), TableFormat::Parquet, rows));
        assert_eq!(parquet, ObjectRef::of(&std::fs::read(path("a.parquet")).expect("the file")));
        let file = std::fs::File::open(path("a.parquet")).expect("the file");
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(file).expect("a table").build().expect("a reader");
        let mut read = 0;
        for batch in reader {
            let batch = batch.expect("rows");
            let numbers = batch.column(0).as_primitive::<arrow::datatypes::Int64Type>();
            assert_eq!(numbers.value(0), read);
            assert!(batch.column(2).is_null(1));
            read += batch.num_rows() as i64;
        }
        assert_eq!(read, rows);
        let twice = TableFile::create(&path("a.csv"), TableFormat::Csv, &COLUMNS);
        assert!(matches!(twice, Err(StorageError::TableFile { .. })));
    }
}
