//! What a data set is: its shape, its classes and its splits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_primitives::Name;

use crate::{ImageShape, ObjectRef, StorageError};

/// One Parquet object of images: `image` (fixed-size binary, never null) and `label` (`uint32`, never null).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitRef {
    /// The Parquet object.
    pub object: ObjectRef,
    /// How many images it holds.
    pub rows: u64,
    /// How many of them each class has, by label; its length is the number of classes.
    pub class_counts: Vec<u64>,
}

/// Where the rows of a data set came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportSource {
    /// Digest and size of the imported file.
    pub file: ObjectRef,
    /// The column that held the pixels.
    pub image_column: String,
    /// The column that held the classes.
    pub label_column: String,
    /// The seed of the division into splits, as 64 hexadecimal digits.
    pub seed: String,
}

/// A data set: images of one shape in classes, divided once and for all into three splits.
///
/// It is stored as JSON, and holds neither times nor paths, so that the same import gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetManifest {
    /// The version of this format: [`DatasetManifest::FORMAT`].
    pub format: u32,
    /// The data set's name.
    #[schemars(with = "String")]
    pub name: Name,
    /// The shape of every image.
    pub shape: ImageShape,
    /// How many classes there are; labels go from 0 to one below.
    pub classes: u32,
    /// The label that each class had in the imported file, ascending.
    pub class_labels: Vec<u32>,
    /// How many images there are in all splits.
    pub rows: u64,
    /// What was imported.
    pub source: ImportSource,
    /// What participants train on: 70 % of each class.
    pub train: SplitRef,
    /// What validators score on: 15 % of each class.
    pub heldout: SplitRef,
    /// What the final report alone reads: 15 % of each class.
    pub test: SplitRef,
}

impl DatasetManifest {
    /// The version of the format that this code writes and reads.
    pub const FORMAT: u32 = 1;

    /// The manifest as it is stored: indented JSON, for people who open the object.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, StorageError> {
        serde_json::to_vec_pretty(self).map_err(|error| StorageError::UnreadableManifest {
            name: self.name.clone(),
            found: error.to_string(),
        })
    }
}
