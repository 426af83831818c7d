#![doc = include_str!("../README.md")]

mod database;
mod npm;
mod seeds;
mod server;

pub use database::TestDatabase;
pub use npm::npm_modules;
pub use seeds::{SeedNotice, announce_on_panic, seeds};
pub use server::TestServer;

/// A directory that is removed when the value is dropped.
///
/// # Panics
/// When it cannot be made: a test cannot go on.
#[allow(clippy::expect_used)]
pub fn tempdir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("tale-test-").tempdir().expect("a temporary directory can be made")
}
