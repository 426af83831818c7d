//! What every Parquet file on disk has in common: how it begins and ends, and how it fails.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    time::SystemTime,
};

use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::DatasetProblem;

/// What is wrong with a file that does not begin and end like Parquet.
pub(crate) fn check_magic(file: &mut File) -> io::Result<Option<DatasetProblem>> {
    /// The magic number at both ends, and the length of the footer.
    const PARQUET_BYTES_MIN: u64 = 12;
    let size = file.seek(SeekFrom::End(0))?;
    if size == 0 {
        return Ok(Some(DatasetProblem::EmptyFile));
    }
    let (mut head, mut tail) = ([0; 4], [0; 4]);
    file.seek(SeekFrom::Start(0))?;
    if size >= 4 {
        file.read_exact(&mut head)?;
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut tail)?;
    }
    Ok(match (&head, &tail) {
        (b"PARE", _) | (b"PAR1", b"PARE") => Some(DatasetProblem::Encrypted),
        (b"PAR1", b"PAR1") if size >= PARQUET_BYTES_MIN => None,
        (b"PAR1", _) => Some(DatasetProblem::Truncated),
        _ => Some(DatasetProblem::NotParquet),
    })
}

/// The place of a column among those of the file.
pub(crate) fn find_column(metadata: &ArrowReaderMetadata, column: &str) -> Result<usize, DatasetProblem> {
    metadata.schema().index_of(column).map_err(|_| {
        let columns: Vec<String> = metadata
            .schema()
            .fields()
            .iter()
            .map(|field| format!("{} ({})", field.name(), field.data_type()))
            .collect();
        DatasetProblem::MissingColumn { column: column.to_owned(), columns: columns.join(", ") }
    })
}

/// Runs the decoder, whose panics on damaged files (arrow 59 has some) become messages.
///
/// What it panicked in is not used again.
pub(crate) fn survive<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("the decoder gave up: {}", text.unwrap_or_default())
    })
}

/// What shows that a file was written to: its size and its time of modification.
pub(crate) fn state(file: &File) -> io::Result<(u64, Option<SystemTime>)> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}
