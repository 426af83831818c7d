//! The first pass over a file of images: every row is checked, labels are kept, pixels are not.

use std::collections::BTreeMap;

use crate::{DatasetProblem, ImageShape, StorageError, columns::LabelledRows, image_file::ImageFile};

/// What a file of images turned out to hold.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// The shape of every image.
    pub(crate) shape: ImageShape,
    /// The class of each row, below the number of classes.
    pub(crate) labels: Vec<u32>,
    /// The label in the file of each class, ascending.
    pub(crate) class_labels: Vec<u32>,
}

impl Scanned {
    /// How many classes there are.
    pub(crate) fn classes(&self) -> u32 {
        // Labels end at 65,535, so there are at most 65,536 of them.
        self.class_labels.len() as u32
    }
}

/// Checks every row of `file`; `report` hears how many were checked and may stop the work.
pub(crate) fn scan(
    file: &ImageFile,
    shape: Option<ImageShape>,
    report: &dyn Fn(u64) -> Result<(), StorageError>,
) -> Result<Scanned, StorageError> {
    let refuse = |problem| file.origin().refuse(problem);
    let mut sizes = Sizes { given: shape, shape: None };
    let mut labels = Vec::new();
    for rows in file.batches()? {
        let rows = rows?;
        check_rows(&rows, &mut sizes, &mut labels).map_err(refuse)?;
        report(labels.len() as u64)?;
    }
    let shape = sizes.shape.ok_or_else(|| refuse(DatasetProblem::NoRows))?;
    let class_labels = make_dense(&mut labels);
    if let [label] = class_labels[..] {
        return Err(refuse(DatasetProblem::OneClass { rows: labels.len() as u64, label }));
    }
    Ok(Scanned { shape, labels, class_labels })
}

/// Which sizes of images are right.
struct Sizes {
    given: Option<ImageShape>,
    /// Known from the first row on.
    shape: Option<ImageShape>,
}

fn check_rows(rows: &LabelledRows, sizes: &mut Sizes, labels: &mut Vec<u32>) -> Result<(), DatasetProblem> {
    for index in 0..rows.len() {
        let image = rows.image(index)?;
        sizes.check(rows.row(index), image)?;
        labels.push(rows.label(index)?);
    }
    Ok(())
}

impl Sizes {
    fn check(&mut self, row: u64, image: &[u8]) -> Result<(), DatasetProblem> {
        let found = image.len();
        match self.shape {
            Some(shape) if shape.image_bytes() == found => return Ok(()),
            Some(shape) if self.given.is_none() => {
                if let Some(format) = encoded_format(image) {
                    return Err(DatasetProblem::EncodedImage { row, format });
                }
                return Err(DatasetProblem::Ragged { row, found, expected: shape.image_bytes() });
            }
            _ => {}
        }
        if found == 0 {
            return Err(DatasetProblem::EmptyImage { row });
        }
        if let Some(shape) = self.given {
            // The fields are public, so the limits are checked here too.
            let shape = ImageShape::new(shape.height, shape.width, shape.channels)?;
            let expected = shape.image_bytes();
            if expected != found {
                if let Some(format) = encoded_format(image) {
                    return Err(DatasetProblem::EncodedImage { row, format });
                }
                return Err(DatasetProblem::ShapeMismatch { shape, expected, row, found });
            }
            self.shape = Some(shape);
        } else {
            if let Some(format) = encoded_format(image) {
                return Err(DatasetProblem::EncodedImage { row, format });
            }
            let shape = ImageShape::infer(found).ok_or(DatasetProblem::UnknownShape { bytes: found })?;
            self.shape = Some(shape);
        }
        Ok(())
    }
}

/// The image format that these bytes begin like, for those who import files instead of pixels.
fn encoded_format(image: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 4] =
        [(b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff\xe0", "JPEG"), (b"GIF8", "GIF"), (b"RIFF", "WebP")];
    MAGIC.iter().find(|(magic, _)| image.starts_with(magic)).map(|(_, format)| *format)
}

/// Replaces labels by classes without gaps, in the same order, and returns the label of each class.
///
/// A class that has no rows would have no held-out rows to be judged by either.
fn make_dense(labels: &mut [u32]) -> Vec<u32> {
    let mut classes: BTreeMap<u32, u32> = labels.iter().map(|label| (*label, 0)).collect();
    for (class, place) in classes.values_mut().zip(0..) {
        *class = place;
    }
    for label in labels {
        *label = classes[label];
    }
    classes.into_keys().collect()
}
