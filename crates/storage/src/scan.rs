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
        if self.shape.is_some_and(|shape| shape.image_bytes() == image.len()) {
            return Ok(());
        }
        let fitted = self.fit(row, image.len());
        // A file may have the size of a square by chance; where the user gave the shape, it is no chance.
        let meant = self.given.is_some() && fitted.is_ok();
        if let Some(format) = encoded_format(image).filter(|_| !meant) {
            return Err(DatasetProblem::EncodedImage { row, format });
        }
        self.shape = Some(fitted?);
        Ok(())
    }

    /// The shape for an image of `found` bytes, which is not the size of the rows before it.
    fn fit(&self, row: u64, found: usize) -> Result<ImageShape, DatasetProblem> {
        if found == 0 {
            return Err(DatasetProblem::EmptyImage { row });
        }
        match (self.given, self.shape) {
            (Some(given), _) => {
                // The fields are public, so the limits are checked here too.
                let shape = ImageShape::new(given.height, given.width, given.channels)?;
                let expected = shape.image_bytes();
                if expected == found {
                    Ok(shape)
                } else {
                    Err(DatasetProblem::ShapeMismatch { shape, expected, row, found })
                }
            }
            (None, Some(shape)) => Err(DatasetProblem::Ragged { row, found, expected: shape.image_bytes() }),
            (None, None) => ImageShape::infer(found).ok_or(DatasetProblem::UnknownShape { bytes: found }),
        }
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
