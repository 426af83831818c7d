//! Parquet files for tests, with every type of column that an import takes.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryArray, BinaryViewArray, FixedSizeBinaryArray, FixedSizeListBuilder, Int8Array,
        Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeListBuilder, ListBuilder, RecordBatch,
        UInt8Array, UInt8Builder, UInt16Array, UInt32Array, UInt64Array,
    },
    datatypes::{DataType, Field, Schema},
};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use tale_primitives::Seed;
use tale_storage::{
    DatasetManifest, ImportRequest, RowSelection, SplitRef, StorageError, Store, import, read_rows,
};
use tale_testkit::TestDatabase;

/// An image that no other row has, as long as `bytes` is at least four.
pub fn pixels(row: usize, bytes: usize) -> Vec<u8> {
    let number = (row as u32).to_le_bytes();
    (0..bytes).map(|place| if place < 4 { number[place] } else { (row * 31 + place * 7) as u8 }).collect()
}

/// Images of `bytes` bytes.
pub fn images(rows: usize, bytes: usize) -> Vec<Vec<u8>> {
    (0..rows).map(|row| pixels(row, bytes)).collect()
}

/// The same images in every type of column.
pub fn image_columns(images: &[Vec<u8>]) -> Vec<ArrayRef> {
    let size = images[0].len() as i32;
    let mut list = ListBuilder::new(UInt8Builder::new());
    let mut large_list = LargeListBuilder::new(UInt8Builder::new());
    let mut fixed_list = FixedSizeListBuilder::new(UInt8Builder::new(), size);
    for image in images {
        list.append_value(image.iter().copied().map(Some));
        large_list.append_value(image.iter().copied().map(Some));
        fixed_list.values().append_slice(image);
        fixed_list.append(true);
    }
    vec![
        Arc::new(BinaryArray::from_iter_values(images)),
        Arc::new(LargeBinaryArray::from_iter_values(images)),
        Arc::new(BinaryViewArray::from_iter_values(images)),
        Arc::new(FixedSizeBinaryArray::try_from_iter(images.iter()).unwrap()),
        Arc::new(list.finish()),
        Arc::new(large_list.finish()),
        Arc::new(fixed_list.finish()),
    ]
}

/// The same labels in every type of integer.
pub fn label_columns(labels: &[u8]) -> Vec<ArrayRef> {
    let wide = || labels.iter().copied();
    vec![
        Arc::new(Int8Array::from_iter_values(wide().map(|label| label as i8))),
        Arc::new(Int16Array::from_iter_values(wide().map(i16::from))),
        Arc::new(Int32Array::from_iter_values(wide().map(i32::from))),
        Arc::new(Int64Array::from_iter_values(wide().map(i64::from))),
        Arc::new(UInt8Array::from_iter_values(wide())),
        Arc::new(UInt16Array::from_iter_values(wide().map(u16::from))),
        Arc::new(UInt32Array::from_iter_values(wide().map(u32::from))),
        Arc::new(UInt64Array::from_iter_values(wide().map(u64::from))),
    ]
}

/// Images in a binary column.
pub fn binary(images: &[Vec<u8>]) -> ArrayRef {
    Arc::new(BinaryArray::from_iter_values(images))
}

/// Labels in an `int64` column, as pandas makes it.
pub fn integers(labels: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(labels))
}

/// Writes a file with these columns, in row groups of 100 rows.
pub fn write(path: &Path, columns: &[(&str, ArrayRef)]) {
    let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.iter().map(|(_, column)| Arc::clone(column)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A column of nulls of the type.
pub fn nulls(data_type: &DataType, rows: usize) -> ArrayRef {
    arrow::array::new_null_array(data_type, rows)
}

/// A store, a database and a directory for files.
pub struct Workshop {
    pub store: Store,
    pub database: TestDatabase,
    pub directory: tempfile::TempDir,
}

impl Workshop {
    pub async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file://{}", directory.path().join("store").display())).unwrap();
        Self { store, database: TestDatabase::create().await, directory }
    }

    /// Writes a file with columns `image` and `label`.
    pub fn file(&self, image: ArrayRef, label: ArrayRef) -> ImportRequest {
        let path = self.directory.path().join("images.parquet");
        write(&path, &[("image", image), ("label", label)]);
        self.request()
    }

    /// The request for the file in the directory.
    pub fn request(&self) -> ImportRequest {
        ImportRequest {
            path: self.directory.path().join("images.parquet"),
            name: "sample".parse().unwrap(),
            image_column: "image".to_owned(),
            label_column: "label".to_owned(),
            shape: None,
            seed: Seed::new(7),
        }
    }

    pub async fn import(&self, request: &ImportRequest) -> Result<DatasetManifest, StorageError> {
        import(&self.store, &mut self.database.connection().await, request, &|_| {}).await
    }

    /// Files below the store's directory.
    pub fn objects(&self) -> usize {
        fn count(directory: &Path) -> usize {
            let entries = std::fs::read_dir(directory).unwrap();
            entries
                .map(|entry| entry.unwrap().path())
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(&self.directory.path().join("store"))
    }

    /// The images of a split with their labels.
    pub async fn rows(&self, split: &SplitRef) -> Vec<(Vec<u8>, u32)> {
        let batch = read_rows(&self.store, split, RowSelection::All).await.unwrap();
        assert_eq!(batch.pixels.len(), batch.rows() * batch.shape.image_bytes());
        (0..batch.rows()).map(|row| (batch.image(row).unwrap().to_vec(), batch.labels[row])).collect()
    }
}
