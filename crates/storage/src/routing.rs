//! The second pass over a file of images: each row to the split that it was assigned to.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{
    DatasetProblem, StorageError,
    image_file::ImageFile,
    scan::Scanned,
    split_writer::{SplitWriter, WrittenSplit},
};

/// Splits under way at once; each holds a row group in memory and a file open.
const WRITERS_AT_ONCE: usize = 32;

/// Writes `count` splits to files in `directory`; `split_of` says where each row goes.
///
/// More splits than [`WRITERS_AT_ONCE`] take more than one pass. `report` hears how many rows were written
/// and may stop the work.
pub(crate) fn write_splits(
    file: &ImageFile,
    scanned: &Scanned,
    directory: &Path,
    count: usize,
    split_of: &dyn Fn(usize) -> usize,
    report: &dyn Fn(u64) -> Result<(), StorageError>,
) -> Result<Vec<WrittenSplit>, StorageError> {
    let mut written = Vec::with_capacity(count);
    let mut rows_written = 0;
    for first in (0..count).step_by(WRITERS_AT_ONCE) {
        let mut writers = (first..count.min(first + WRITERS_AT_ONCE))
            .map(|split| {
                let path = directory.join(format!("{split}.parquet"));
                SplitWriter::create(&path, scanned.shape, scanned.classes()).map_err(failed_in(path))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut row = 0;
        for rows in file.batches()? {
            let rows = rows?;
            for index in 0..rows.len() {
                let changed = || file.origin().refuse(DatasetProblem::Changed);
                let image = rows.image(index).map_err(|problem| file.origin().refuse(problem))?;
                let label = *scanned.labels.get(row).ok_or_else(changed)?;
                if image.len() != scanned.shape.image_bytes() {
                    return Err(changed());
                }
                let split = split_of(row);
                let writer = split.checked_sub(first).and_then(|place| writers.get_mut(place));
                if let Some(writer) = writer {
                    writer.push(image, label).map_err(failed_in(directory.to_owned()))?;
                    rows_written += 1;
                }
                row += 1;
            }
            report(rows_written)?;
        }
        if row != scanned.labels.len() {
            return Err(file.origin().refuse(DatasetProblem::Changed));
        }
        for writer in writers {
            written.push(writer.finish().map_err(failed_in(directory.to_owned()))?);
        }
    }
    file.check_unchanged()?;
    Ok(written)
}

/// A directory for the files of one import or partition, which disappears with the value.
pub(crate) fn temporary_directory() -> Result<TempDir, StorageError> {
    tempfile::Builder::new().prefix("tale-splits-").tempdir().map_err(|source| StorageError::LocalFile {
        operation: "make a directory in",
        path: std::env::temp_dir(),
        source,
    })
}

fn failed_in(path: PathBuf) -> impl FnOnce(parquet::errors::ParquetError) -> StorageError {
    move |source| StorageError::WriteSplit { path, source }
}
