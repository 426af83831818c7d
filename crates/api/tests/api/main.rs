//! The API over real connections, beside a real PostgreSQL; nobody works the runs off.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod access;
mod alerts;
mod exposition;
mod limits;
mod metrics;
mod plant;
mod runs;
