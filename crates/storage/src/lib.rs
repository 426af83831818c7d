#![doc = include_str!("../README.md")]

mod adoption;
mod artifacts;
mod blocking;
mod columns;
mod dataset_problem;
mod dirichlet;
mod durable;
mod error;
mod hashing_file;
mod image;
mod image_file;
mod import;
mod lineage;
mod listing;
mod manifest;
mod object;
mod parquet_file;
mod partition;
mod range_reader;
mod read;
mod read_only;
mod records;
mod registry;
mod routing;
mod scan;
mod settings;
mod split;
mod split_writer;
mod store;
mod table_file;
mod traffic;
mod upload;

pub use adoption::AdoptedFile;
pub use artifacts::{Artifact, NewArtifact, list_artifacts, publish_artifacts};
pub use dataset_problem::DatasetProblem;
pub use error::{StorageError, StoreUrlProblem};
pub use image::{ImageBatch, ImageShape, ImageShapeError};
pub use import::{ImportProgress, ImportRequest, ImportStage, import};
pub use lineage::{
    Direction, Lineage, LineageObject, NewProduction, Production, find_objects, record_production,
    run_productions, walk_lineage,
};
pub use listing::ListedObject;
pub use manifest::{DatasetManifest, ImportSource, SplitRef};
pub use object::ObjectRef;
pub use partition::partition;
pub use read::{RowSelection, read_rows};
pub use read_only::FoundObject;
pub use records::{CellProblem, ColumnContent, Record, RecordColumn, RecordFile, read_records};
pub use registry::{DatasetSummary, find_dataset, list_datasets};
pub use store::{PutReceipt, Store};
pub use table_file::{Cell, ColumnKind, TableColumn, TableFile, TableFormat, TableFormatError};
pub use traffic::{ObjectRole, Touched, Touches, Traffic};
