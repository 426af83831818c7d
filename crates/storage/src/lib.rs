#![doc = include_str!("../README.md")]

mod blocking;
mod error;
mod image;
mod manifest;
mod object;
mod settings;
mod store;
mod upload;

pub use error::{StorageError, StoreUrlProblem};
pub use image::{ImageBatch, ImageShape, ImageShapeError};
pub use manifest::{DatasetManifest, ImportSource, SplitRef};
pub use object::{NewArtifact, ObjectRef};
pub use store::{PutReceipt, Store};
