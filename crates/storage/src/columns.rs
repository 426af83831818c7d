//! Rows of a decoded batch: raw pixels and a label, whatever column types hold them.

use arrow::{
    array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch},
    buffer::{Buffer, NullBuffer},
    datatypes::{
        DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};

use crate::DatasetProblem;

/// The largest label that a data set may have.
pub(crate) const LABEL_MAX: u32 = 65_535;

/// The images and labels of one decoded batch.
pub(crate) struct LabelledRows {
    first_row: u64,
    pixels: Buffer,
    /// Where each image lies in `pixels`.
    bounds: Vec<(usize, usize)>,
    null_images: Option<NullBuffer>,
    null_pixels: Option<NullBuffer>,
    labels: Vec<Option<i128>>,
}

/// Whether a column of this type can hold raw pixels.
pub(crate) fn holds_images(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::FixedSizeBinary(_) => true,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            *item.data_type() == DataType::UInt8
        }
        _ => false,
    }
}

/// Whether a column of this type can hold labels.
pub(crate) fn holds_labels(data_type: &DataType) -> bool {
    data_type.is_integer()
}

impl LabelledRows {
    /// The rows of a batch whose first row is `first_row` of the file; nothing where a type is not supported.
    pub(crate) fn new(batch: &RecordBatch, image: usize, label: usize, first_row: u64) -> Option<Self> {
        let images = batch.column(image);
        let (pixels, bounds, null_pixels) = images_of(images)?;
        let labels = labels_of(batch.column(label))?;
        Some(Self { first_row, pixels, bounds, null_images: images.logical_nulls(), null_pixels, labels })
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The number in the file of the row at `index`.
    pub(crate) fn row(&self, index: usize) -> u64 {
        self.first_row + index as u64
    }

    /// The bytes of the image at `index`.
    pub(crate) fn image(&self, index: usize) -> Result<&[u8], DatasetProblem> {
        let row = self.row(index);
        if self.null_images.as_ref().is_some_and(|nulls| nulls.is_null(index)) {
            return Err(DatasetProblem::NullImage { row });
        }
        let (start, end) = self.bounds[index];
        if let Some(nulls) = &self.null_pixels
            && (start..end).any(|pixel| nulls.is_null(pixel))
        {
            return Err(DatasetProblem::NullPixel { row });
        }
        Ok(&self.pixels[start..end])
    }

    /// The label at `index`.
    pub(crate) fn label(&self, index: usize) -> Result<u32, DatasetProblem> {
        let row = self.row(index);
        let label = self.labels[index].ok_or(DatasetProblem::NullLabel { row })?;
        u32::try_from(label)
            .ok()
            .filter(|label| *label <= LABEL_MAX)
            .ok_or(DatasetProblem::LabelRange { row, label })
    }
}

/// Where pixels lie: the bytes, each image's bounds in them, and which bytes are null.
type Pixels = (Buffer, Vec<(usize, usize)>, Option<NullBuffer>);

fn images_of(column: &ArrayRef) -> Option<Pixels> {
    let rows = column.len();
    match column.data_type() {
        DataType::Binary => {
            let array = column.as_binary::<i32>();
            Some((array.values().clone(), windows(array.value_offsets()), None))
        }
        DataType::LargeBinary => {
            let array = column.as_binary::<i64>();
            Some((array.values().clone(), windows(array.value_offsets()), None))
        }
        DataType::BinaryView => {
            let (mut pixels, mut bounds) = (Vec::new(), Vec::with_capacity(rows));
            for image in column.as_binary_view() {
                let start = pixels.len();
                pixels.extend_from_slice(image.unwrap_or_default());
                bounds.push((start, pixels.len()));
            }
            Some((pixels.into(), bounds, None))
        }
        DataType::FixedSizeBinary(size) => {
            let array = column.as_fixed_size_binary();
            Some((Buffer::from(array.value_data()), equal_bounds(rows, *size), None))
        }
        DataType::List(_) => {
            let array = column.as_list::<i32>();
            list_pixels(array.values(), windows(array.value_offsets()))
        }
        DataType::LargeList(_) => {
            let array = column.as_list::<i64>();
            list_pixels(array.values(), windows(array.value_offsets()))
        }
        DataType::FixedSizeList(_, size) => {
            list_pixels(column.as_fixed_size_list().values(), equal_bounds(rows, *size))
        }
        _ => None,
    }
}

fn list_pixels(values: &ArrayRef, bounds: Vec<(usize, usize)>) -> Option<Pixels> {
    let values = values.as_primitive_opt::<UInt8Type>()?;
    Some((values.values().inner().clone(), bounds, values.nulls().cloned()))
}

fn windows<Offset: OffsetSizeTrait>(offsets: &[Offset]) -> Vec<(usize, usize)> {
    offsets.windows(2).map(|pair| (pair[0].as_usize(), pair[1].as_usize())).collect()
}

fn equal_bounds(rows: usize, size: i32) -> Vec<(usize, usize)> {
    // Arrow's constructors refuse negative sizes.
    let size = usize::try_from(size).unwrap_or_default();
    (0..rows).map(|row| (row * size, (row + 1) * size)).collect()
}

fn labels_of(column: &ArrayRef) -> Option<Vec<Option<i128>>> {
    macro_rules! widen {
        ($($variant:ident => $primitive:ty),+) => {
            match column.data_type() {
                $(DataType::$variant => column
                    .as_primitive::<$primitive>()
                    .iter()
                    .map(|label| label.map(i128::from))
                    .collect(),)+
                _ => return None,
            }
        };
    }
    Some(widen!(
        Int8 => Int8Type, Int16 => Int16Type, Int32 => Int32Type, Int64 => Int64Type,
        UInt8 => UInt8Type, UInt16 => UInt16Type, UInt32 => UInt32Type, UInt64 => UInt64Type
    ))
}
