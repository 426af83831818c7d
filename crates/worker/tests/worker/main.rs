//! A worker with kinds of its own, against a real database and a local store.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod cache;
mod effects;
mod faults;
mod kinds;
mod lineage;
mod logs;
mod outcomes;
mod pains;
mod plant;
mod resources;
