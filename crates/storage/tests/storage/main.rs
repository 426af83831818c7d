//! The store, artifacts and data sets, over local files, a real S3 server and a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../s3_server/mod.rs"]
mod s3_server;

mod artifacts;
mod conformance;
mod import_failures;
mod imports;
mod lineage;
mod partitions;
mod sample_sets;
mod store_urls;
